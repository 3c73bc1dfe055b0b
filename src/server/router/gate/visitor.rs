use super::super::super::{Console, clock};
use super::super::page;
use crate::domain::{Gate, Operator, Problem, Refusal};
use crate::server::auth::address::ClientAddress;
use crate::server::auth::opaque;
use crate::server::auth::session::{SignedIn, cookie_name};
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use tower_sessions::Session;
use tower_sessions::cookie::{Cookie, SameSite, time::Duration};

/// How long a browser is remembered as one that its operator has signed in with.
const DEVICE_DAYS: i64 = 180;

/// A browser at the door.
pub(in crate::server::router) struct Visitor {
    pub(super) console: Console,
    pub(super) session: Session,
    pub(super) address: String,
    headers: HeaderMap,
}

impl FromRequestParts<Console> for Visitor {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Refusal> {
        let session = parts.extensions.get::<Session>().cloned();
        let address = parts.extensions.get::<ClientAddress>();
        Ok(Self {
            console: console.clone(),
            session: session.ok_or_else(|| Refusal::new(Problem::Internal, "The console lost its footing."))?,
            address: address.map(|address| address.0.clone()).unwrap_or_default(),
            headers: parts.headers.clone(),
        })
    }
}

impl Visitor {
    /// What its device cookie holds.
    pub(super) fn device(&self) -> Option<String> {
        let name = self.device_cookie();
        let values = self.headers.get_all(header::COOKIE).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        let mut cookies = texts.flat_map(|text| Cookie::split_parse(text.to_owned())).flatten();
        cookies
            .find(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
    }

    /// Signs in under a new session id, remembers the browser, and goes on.
    pub(super) async fn enter(&self, operator: &Operator, return_to: &str) -> Result<Response, Refusal> {
        let user_agent = self.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let who = SignedIn::now(operator, &self.address, user_agent);
        self.console.sessions.sign_in(&self.session, who).await?;
        let mut response = Redirect::to(return_to).into_response();
        if let Some(cookie) = self.remember(operator).await? {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }

    /// The cookie by which the browser is known from now on, unless it is known already.
    async fn remember(&self, operator: &Operator) -> Result<Option<HeaderValue>, Refusal> {
        let store = &self.console.store;
        if let Some(device) = self.device()
            && store
                .is_known_device(&opaque::fingerprint(&device), operator.id)
                .await?
        {
            return Ok(None);
        }
        // Without randomness the browser stays unknown, which only costs it patience.
        let Ok(device) = opaque::generate() else {
            return Ok(None);
        };
        let fingerprint = opaque::fingerprint(&device);
        store.remember_device(&fingerprint, operator.id, clock::now()).await?;
        let cookie = Cookie::build((self.device_cookie(), device))
            .path("/")
            .http_only(true)
            .secure(self.console.is_secure())
            .same_site(SameSite::Lax)
            .max_age(Duration::days(DEVICE_DAYS));
        Ok(HeaderValue::from_str(&cookie.to_string()).ok())
    }

    fn device_cookie(&self) -> String {
        cookie_name("device", self.console.is_secure())
    }

    /// The sign-in page.
    pub(super) fn gate(&self, name: String, problem: Option<String>, return_to: String) -> Gate {
        Gate::SignIn {
            name,
            problem,
            return_to,
            provider: self.console.provider.as_ref().map(|provider| provider.name.clone()),
        }
    }

    /// The page once more, with the status of what is wrong. `path` is where the browser is: it takes over the page
    /// that belongs there.
    pub(super) async fn again(self, gate: Gate, path: &'static str, refusal: &Refusal) -> Response {
        let mut request = Request::default();
        *request.uri_mut() = axum::http::Uri::from_static(path);
        let mut response = page(self.console, None, Some(gate), request).await;
        if let Ok(status) = StatusCode::from_u16(refusal.status) {
            *response.status_mut() = status;
        }
        if let Some(seconds) = refusal.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The sign-in page once more.
    pub(super) async fn sign_in_again(
        self,
        name: String,
        return_to: String,
        path: &'static str,
        refusal: &Refusal,
    ) -> Response {
        let gate = self.gate(name, Some(refusal.detail.clone()), return_to);
        self.again(gate, path, refusal).await
    }
}

impl From<tower_sessions::session::Error> for Refusal {
    fn from(error: tower_sessions::session::Error) -> Self {
        tracing::error!(%error, "a session could not be read or kept");
        let detail = "The console cannot reach its record, so it cannot tell who you are, and nothing was done. Try again in \
                      a moment.";
        Self::new(Problem::Unavailable, detail).with_retry_after(2)
    }
}
