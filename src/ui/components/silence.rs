use crate::domain::Deploy;
use crate::ui::{clock, words};
use leptos::prelude::*;

/// Says for how long an active deploy has been silent, once that is longer than a healthy run ever is.
#[component]
pub(in crate::ui) fn Silence(
    /// The deploy.
    #[prop(into)]
    deploy: Signal<Option<Deploy>>,
) -> impl IntoView {
    let now = clock::now();
    let silent = Memo::new(move |_| {
        deploy
            .read()
            .as_ref()
            .and_then(|deploy| words::silence(deploy, now.get()))
    });
    view! { {move || silent.get().map(|text| view! { <p class="because tone-attention">{text}</p> })} }
}
