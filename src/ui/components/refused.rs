use crate::api::ApiError;
use leptos::prelude::*;

/// Why the last action was refused. Empty until one is, and there all the time, so that it is heard.
#[component]
pub(in crate::ui) fn Refused(
    /// The refusal.
    #[prop(into)]
    refusal: Signal<Option<ApiError>>,
) -> impl IntoView {
    let said = move || {
        refusal.get().map(|error| {
            let text = if error.is_unreachable() {
                "No answer came, so nobody knows whether it was done. Reload the page to see.".to_owned()
            } else {
                error.detail
            };
            view! { <p class="because tone-danger">{text}</p> }
        })
    };
    view! { <div role="alert">{said}</div> }
}
