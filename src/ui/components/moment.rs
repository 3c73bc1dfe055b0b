use crate::domain::{Deploy, Timestamp};
use crate::ui::{clock, words};
use leptos::prelude::*;

/// A moment as people say it, with the exact one on hover.
#[component]
pub(in crate::ui) fn Moment(
    /// The moment.
    at: Timestamp,
) -> impl IntoView {
    let now = clock::now();
    let ago = Memo::new(move |_| words::ago(at, now.get()));
    view! {
        <time datetime=at.to_string() title=words::exact(at)>
            {ago}
        </time>
    }
}

/// How long a deploy took, or has taken so far; counts while it is active.
#[component]
pub(in crate::ui) fn Elapsed(
    /// The deploy.
    #[prop(into)]
    deploy: Signal<Option<Deploy>>,
) -> impl IntoView {
    let now = clock::now();
    let text = Memo::new(move |_| {
        deploy
            .with(|deploy| deploy.as_ref().map(|deploy| words::took(deploy, now.get())))
            .unwrap_or_default()
    });
    view! { <span class="elapsed">{text}</span> }
}
