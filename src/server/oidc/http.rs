//! How issuers are asked: over TLS or on this machine, no redirects, and never for more than a bounded answer.

use crate::server::github::answer;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect;
use std::pin::Pin;
use std::time::Duration;
use url::{Host, Url};

/// Our HTTP client, as `openidconnect` wants one.
pub(in crate::server) struct Http(reqwest::Client);

/// A request got no answer, or one that is too large.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::server) struct HttpFailed(String);

type Answered<'c> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFailed>> + Send + 'c>>;

impl Http {
    /// A client that follows no redirect: what is meant for the provider goes to the provider. An answer may take
    /// this long, body and all.
    pub(in crate::server) fn new(most: Duration) -> Result<Self, reqwest::Error> {
        // A provider that is installed already is as good as ours.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("raxx-console/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .http1_only()
            .timeout(most)
            .build()?;
        Ok(Self(http))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailed> {
        let failed = |error: reqwest::Error| HttpFailed(answer::chain(&error));
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let response = self.0.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = HttpResponse::new(answer::bounded_body(response).await.map_err(HttpFailed)?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpFailed;
    type Future = Answered<'c>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Whether what is sent there stays between us and the provider: over TLS, or on this machine.
pub(in crate::server) fn keeps_secrets(url: &Url) -> bool {
    let on_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && on_this_machine)
}
