//! The door: sign-in, sign-out, links. Plain forms, so that they work before WASM arrives.

mod links;
mod provider;
mod visitor;

pub(super) use links::{demo, set_up, set_up_page};
pub(super) use provider::{provider_begin, provider_finish};
pub(super) use visitor::Visitor;

use super::{guard, page};
use crate::domain::{AuditAction, Refusal};
use crate::server::audit::Source;
use crate::server::auth::sign_in;
use axum::Form;
use axum::extract::{Query, Request};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct ReturnTo {
    return_to: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SignInForm {
    name: String,
    password: SecretString,
    #[serde(default)]
    return_to: String,
}

/// `GET /sign-in`
pub(super) async fn sign_in_page(
    visitor: Visitor,
    Query(query): Query<ReturnTo>,
    request: Request,
) -> Result<Response, Refusal> {
    let return_to = own_path(query.return_to.as_deref().unwrap_or_default());
    if guard::signed_in(&visitor.console, &visitor.session).await?.is_some() {
        return Ok(Redirect::to(&return_to).into_response());
    }
    let gate = visitor.gate(String::new(), None, return_to);
    Ok(page(visitor.console, None, Some(gate), request).await)
}

/// `POST /sign-in`: on to where one was going, or the page again with what is wrong.
pub(super) async fn sign_in(visitor: Visitor, Form(form): Form<SignInForm>) -> Result<Response, Refusal> {
    let device = visitor.device();
    let attempt = sign_in::Attempt {
        name: &form.name,
        password: form.password,
        address: &visitor.address,
        device: device.as_deref(),
    };
    let return_to = own_path(&form.return_to);
    match sign_in::by_password(&visitor.console, attempt).await {
        Ok(operator) => visitor.enter(&operator, &return_to).await,
        Err(refusal) => Ok(visitor.sign_in_again(form.name, return_to, "/sign-in", &refusal).await),
    }
}

/// `POST /sign-out`: the session ends here and now, in every tab.
pub(super) async fn sign_out(visitor: Visitor) -> Result<Response, Refusal> {
    if let Some(caller) = guard::signed_in(&visitor.console, &visitor.session).await? {
        let entry = Source::caller(&caller, &visitor.address).does(AuditAction::SignedOut);
        let entry = entry.about(caller.name.as_str());
        visitor.console.store.record_audit(&entry).await?;
    }
    visitor.session.flush().await?;
    Ok(Redirect::to("/sign-in").into_response())
}

/// A path of this console, whatever was asked for: nobody is sent elsewhere after signing in.
fn own_path(wanted: &str) -> String {
    // Browsers take `//host` and `/\host` for another site's address.
    let own = wanted.starts_with('/') && !wanted[1..].starts_with(['/', '\\']) && !wanted.chars().any(char::is_control);
    if own { wanted.to_owned() } else { "/".to_owned() }
}
