use crate::api::ApiError;
use leptos::prelude::*;

/// A refusal in place of what was asked for.
#[component]
pub(in crate::ui) fn ProblemCard(
    /// The refusal.
    error: ApiError,
) -> impl IntoView {
    view! {
        <section class="problem card tone-danger">
            <h1>{error.title}</h1>
            <p>{error.detail}</p>
            <p>
                <a href="/">"Back to the sites"</a>
            </p>
        </section>
    }
}
