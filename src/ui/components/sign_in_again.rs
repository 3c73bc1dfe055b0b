use crate::ui::words;
use leptos::prelude::*;
use leptos_router::hooks::use_location;

/// The way to the sign-in page, and from there back to this one.
#[component]
pub(in crate::ui) fn SignInAgain() -> impl IntoView {
    let location = use_location();
    let href = move || {
        let (path, query) = (location.pathname.get(), location.search.get());
        let here = if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        };
        format!("/sign-in?return_to={}", words::url_value(&here))
    };
    view! { <a href=href rel="external">"Sign in again"</a> }
}
