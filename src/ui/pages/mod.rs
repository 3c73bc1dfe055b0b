//! The pages, one a file.

mod account;
mod audit;
mod board;
mod deploy;
mod history;
mod not_found;
mod people;
mod set_up;
mod sign_in;
mod site;

pub(super) use account::AccountPage;
pub(super) use audit::AuditPage;
pub(super) use board::BoardPage;
pub(super) use deploy::DeployPage;
pub(super) use history::HistoryPage;
pub(super) use not_found::NotFoundPage;
pub(super) use people::PeoplePage;
pub(super) use set_up::SetUpPage;
pub(super) use sign_in::SignInPage;
pub(super) use site::SitePage;

use crate::api::ApiError;
use crate::ui::components::ProblemCard;
use leptos::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Draws what `loaded` brings: the page, or the refusal in its place. The server waits for it.
fn when_loaded<T, V>(
    loaded: Resource<Result<T, ApiError>>,
    draw: impl Fn(T) -> V + Copy + Send + Sync + 'static,
) -> impl IntoView
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    V: IntoView + 'static,
{
    let content = move || {
        Suspend::new(async move {
            match loaded.await {
                Ok(value) => draw(value).into_any(),
                Err(error) => view! { <ProblemCard error /> }.into_any(),
            }
        })
    };
    view! { <Suspense fallback=|| view! { <p class="loading quiet">"Loading …"</p> }>{content}</Suspense> }
}
