//! To the OpenID provider and back.

use super::{ReturnTo, Visitor, own_path};
use crate::domain::{Problem, Refusal};
use crate::server::auth::provider::CALLBACK;
use crate::server::auth::session::Sessions;
use crate::server::oidc::Answer;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect, Response};

/// `GET /sign-in/oidc`: on to the provider.
pub(in crate::server::router) async fn provider_begin(
    visitor: Visitor,
    Query(query): Query<ReturnTo>,
) -> Result<Response, Refusal> {
    let return_to = own_path(query.return_to.as_deref().unwrap_or_default());
    let Some(provider) = visitor.console.provider.clone() else {
        return Ok(super::super::no_such_route().await);
    };
    match provider.begin(return_to.clone()).await {
        Ok((url, under_way)) => {
            Sessions::keep_under_way(&visitor.session, &under_way).await?;
            Ok(Redirect::to(url.as_str()).into_response())
        }
        Err(refusal) => Ok(visitor
            .sign_in_again(String::new(), return_to, "/sign-in/oidc", &refusal)
            .await),
    }
}

/// `GET /sign-in/oidc/callback`: back from the provider. What was under way is taken once.
pub(in crate::server::router) async fn provider_finish(
    visitor: Visitor,
    Query(answer): Query<Answer>,
) -> Result<Response, Refusal> {
    let Some(provider) = visitor.console.provider.clone() else {
        return Ok(super::super::no_such_route().await);
    };
    let Some(under_way) = Sessions::take_under_way(&visitor.session).await? else {
        let detail = "No sign-in is under way in this browser. Begin again.";
        let refusal = Refusal::new(Problem::NotSignedIn, detail);
        return Ok(visitor
            .sign_in_again(String::new(), "/".to_owned(), CALLBACK, &refusal)
            .await);
    };
    let return_to = under_way.return_to.clone();
    match provider
        .finish(&visitor.console, under_way, answer, &visitor.address)
        .await
    {
        Ok(operator) => visitor.enter(&operator, &return_to).await,
        Err(refusal) => Ok(visitor
            .sign_in_again(String::new(), return_to, CALLBACK, &refusal)
            .await),
    }
}
