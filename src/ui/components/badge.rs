use super::Icon;
use crate::domain::{Health, State};
use crate::ui::words;
use leptos::prelude::*;

/// A state as icon, word and colour.
#[component]
pub(in crate::ui) fn StateBadge(
    /// The state; `None` while a site was never deployed.
    #[prop(into)]
    state: Signal<Option<State>>,
) -> impl IntoView {
    let tone = Signal::derive(move || state.get().map_or("neutral", words::tone));
    let word = move || state.get().map_or("Never deployed", words::state);
    view! {
        <span class=move || format!("badge tone-{}", tone.get())>
            <Icon tone />
            {word}
        </span>
    }
}

/// A site's health as icon, word and colour, with what was found on hover.
#[component]
pub(in crate::ui) fn HealthBadge(
    /// The finding.
    #[prop(into)]
    health: Signal<Health>,
) -> impl IntoView {
    let said = move || words::health(health.read().status);
    let detail = move || health.read().detail.clone();
    view! {
        <span class=move || format!("health tone-{}", said().1) title=detail>
            <span class="health-dot" aria-hidden="true"></span>
            {move || said().0}
            {move || detail().map(|detail| view! { <span class="health-detail">" – " {detail}</span> })}
        </span>
    }
}
