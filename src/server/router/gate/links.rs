//! Links that open: to set a password, once, and to the demo.

use super::Visitor;
use crate::domain::{Gate, Refusal};
use crate::server::auth::opaque;
use crate::server::auth::people::{self, LinkFor};
use crate::server::router::page;
use axum::Form;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Deserialize)]
pub(in crate::server::router) struct SetUpForm {
    #[serde(default)]
    name: String,
    password: SecretString,
}

/// `GET /set-up/{token}`: whom the link is for, or that it opens nothing any more.
pub(in crate::server::router) async fn set_up_page(
    visitor: Visitor,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let gate = gate(&visitor, &token, String::new(), None).await?;
    let status = if gate == Gate::LinkGone {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::OK
    };
    Ok((status, page(visitor.console, None, Some(gate), request).await).into_response())
}

/// `POST /set-up/{token}`: makes the first admin or sets a password, and signs in.
pub(in crate::server::router) async fn set_up(
    visitor: Visitor,
    Path(token): Path<String>,
    Form(form): Form<SetUpForm>,
) -> Result<Response, Refusal> {
    match people::redeem(&visitor.console, &token, &form.name, form.password, &visitor.address).await {
        Ok(operator) => visitor.enter(&operator, "/").await,
        Err(refusal) => {
            let gate = gate(&visitor, &token, form.name, Some(refusal.detail.clone())).await?;
            Ok(visitor.again(gate, "/set-up/again", &refusal).await)
        }
    }
}

/// `GET /demo/{key}`: the link that a demo prints. There is such a door in a demo only.
pub(in crate::server::router) async fn demo(visitor: Visitor, Path(key): Path<String>) -> Result<Response, Refusal> {
    let door = visitor.console.demo.as_ref();
    let door = door.filter(|door| door.key_sha256 == opaque::fingerprint(&key));
    let account = match door {
        Some(door) => visitor.console.store.operator(door.operator).await?,
        None => None,
    };
    match account {
        Some(account) => visitor.enter(&account.operator, "/").await,
        None => Ok(super::super::no_such_route().await),
    }
}

async fn gate(visitor: &Visitor, token: &str, name: String, problem: Option<String>) -> Result<Gate, Refusal> {
    let whom = people::link_for(&visitor.console.store, token).await?;
    let operator = match whom {
        None => return Ok(Gate::LinkGone),
        Some((_, LinkFor::First)) => None,
        Some((_, LinkFor::Operator(operator))) => Some(operator),
    };
    Ok(Gate::SetUp {
        operator,
        name,
        problem,
    })
}
