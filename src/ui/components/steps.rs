use super::Icon;
use crate::domain::{Deploy, Step};
use crate::ui::{clock, words};
use leptos::prelude::*;

/// The steps of a deploy, in the order in which they began.
#[component]
pub(in crate::ui) fn Steps(
    /// The deploy.
    #[prop(into)]
    deploy: Signal<Deploy>,
) -> impl IntoView {
    let steps = Memo::new(move |_| deploy.read().steps.clone());
    let list = move || {
        let steps = steps.get();
        if steps.is_empty() {
            return view! { <p class="quiet">"No step has been reported yet."</p> }.into_any();
        }
        let rows = steps.into_iter().map(|step| view! { <StepRow step /> }).collect_view();
        view! { <ol class="steps">{rows}</ol> }.into_any()
    };
    view! { {list} }
}

#[component]
fn StepRow(step: Step) -> impl IntoView {
    let (word, tone) = words::step(step.status);
    let now = clock::now();
    let (started, finished) = (step.started_at, step.finished_at);
    let length = Memo::new(move |_| {
        started.map(|started| words::span(finished.unwrap_or_else(|| now.get()).millis_since(started)))
    });
    view! {
        <li class=format!("step tone-{tone}")>
            <Icon tone=tone />
            <span class="step-name">{step.name}</span>
            <span class="step-word">{word}</span>
            <span class="step-length">{length}</span>
        </li>
    }
}
