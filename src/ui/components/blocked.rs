use crate::domain::{Blocker, Deploy, GuardedEnvironment};
use crate::ui::{clock, words};
use leptos::prelude::*;

/// What keeps the run from going on, and who can help. Empty while nothing does.
#[component]
pub(in crate::ui) fn Blocked(
    /// The deploy.
    #[prop(into)]
    deploy: Signal<Option<Deploy>>,
) -> impl IntoView {
    let blocker = Memo::new(move |_| {
        let deploy = deploy.read();
        let deploy = deploy.as_ref()?;
        Some((deploy.blocked_by.clone()?, deploy.run_url.clone()))
    });
    let now = clock::now();
    // A runner takes its moment to come; only then is there something to say.
    let is_news = Memo::new(move |_| match &*blocker.read() {
        Some((Blocker::NoRunner { since }, _)) => now.get().millis_since(*since) > words::RUNNER_COMES_MS,
        other => other.is_some(),
    });
    let line = move || {
        blocker
            .get()
            .map(|(blocker, run_url)| view! { <BlockedLine blocker run_url /> })
    };
    view! { <Show when=move || is_news.get()>{line}</Show> }
}

#[component]
fn BlockedLine(blocker: Blocker, run_url: Option<String>) -> impl IntoView {
    let now = clock::now();
    let said = match blocker {
        Blocker::Approval { environments } => {
            let review = words::web_link(run_url, "Review it on GitHub".to_owned());
            view! { "an approval" {approvals(&environments)} ". " {review} }.into_any()
        }
        Blocker::Concurrency { holder: Some(holder) } => {
            let run = words::web_link(holder.url, format!("run {}", holder.run_id));
            view! { {run} ", which holds the workflow’s concurrency group." }.into_any()
        }
        Blocker::Concurrency { holder: None } => "another run of its concurrency group.".into_any(),
        Blocker::NoRunner { since } => {
            let waited = Memo::new(move |_| words::span(now.get().millis_since(since)));
            view! { "a lack of runners: none has taken it for " {waited} ", since " {words::time_of_day(since)} "." }
                .into_any()
        }
    };
    view! {
        <p class="because tone-attention">
            <strong>"Blocked by "</strong>
            {said}
        </p>
    }
}

/// ` for production, which grace or operations may give`.
fn approvals(environments: &[GuardedEnvironment]) -> String {
    let said = environments.iter().map(|environment| {
        if environment.reviewers.is_empty() {
            return format!(" for {}, which a timer gives", environment.name);
        }
        let reviewers = environment.reviewers.join(" or ");
        format!(" for {}, which {reviewers} may give", environment.name)
    });
    said.collect::<Vec<_>>().join(";")
}
