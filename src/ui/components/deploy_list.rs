use super::{Elapsed, Moment, OutsideLine, StateBadge};
use crate::domain::{Deploy, DeployPage, OutsideRun};
use crate::ui::words;
use leptos::prelude::*;

/// What a line of history is about.
#[derive(Clone)]
enum Entry {
    Deploy(Box<Deploy>),
    Outside(Box<OutsideRun>),
}

/// A page of history, newest first: deploys, each a line that leads to its record, and runs from outside.
#[component]
pub(in crate::ui) fn DeployList(
    /// The page.
    #[prop(into)]
    page: Signal<DeployPage>,
    /// Whether to name the site on each line.
    with_site: bool,
) -> impl IntoView {
    // A line is drawn anew only when its deploy has moved; the others keep their elements.
    let key = |entry: &Entry| match entry {
        Entry::Deploy(deploy) => (
            deploy.id.to_string(),
            deploy.state,
            deploy.run_id,
            deploy.head_sha.is_some(),
            deploy.reruns.last().map(|rerun| (rerun.attempt, rerun.state)),
        ),
        Entry::Outside(run) => (run.id.to_string(), run.state, Some(run.attempt), false, None),
    };
    let line = move |entry: Entry| match entry {
        Entry::Deploy(deploy) => view! { <DeployLine deploy=*deploy with_site /> }.into_any(),
        Entry::Outside(run) => view! { <OutsideLine run=*run with_site /> }.into_any(),
    };
    view! {
        <ol class="deploys" class:with-site=with_site>
            <For each=move || entries(page.get()) key children=line />
        </ol>
    }
}

/// Both in one row, newest first: their ids are of one kind.
fn entries(page: DeployPage) -> Vec<Entry> {
    let deploys = page.deploys.into_iter();
    let deploys = deploys.map(|deploy| (deploy.id.to_string(), Entry::Deploy(Box::new(deploy))));
    let outside = page.outside.into_iter();
    let outside = outside.map(|run| (run.id.to_string(), Entry::Outside(Box::new(run))));
    let mut all: Vec<(String, Entry)> = deploys.chain(outside).collect();
    all.sort_by(|(a, _), (b, _)| b.cmp(a));
    all.into_iter().map(|(_, entry)| entry).collect()
}

#[component]
fn DeployLine(deploy: Deploy, with_site: bool) -> impl IntoView {
    let because = words::failure(&deploy).or_else(|| deploy.reason.clone());
    let commit = deploy.head_sha.as_deref().map(words::short_commit);
    let site = with_site.then(|| {
        let href = format!("/sites/{}", deploy.site);
        view! { <a class="line-site" href=href>{deploy.site.to_string()}</a> }
    });
    let record = format!("/deploys/{}", deploy.id);
    // What is seen comes first in the name: a voice can ask for it.
    let requested = words::exact(deploy.requested_at);
    let label = format!("{}: record of {}, {requested}", words::state(deploy.state), deploy.site);
    let whole = deploy.clone();
    let rerun = deploy.reruns.last().map(|rerun| {
        let text = format!("run again, attempt {}: {}", rerun.attempt, words::state(rerun.state));
        view! { <a class="line-rerun" href=words::attempt_path(deploy.id, rerun.attempt)>{text}</a> }
    });
    view! {
        <li class="line card">
            <a class="line-state" href=record aria-label=label>
                <StateBadge state=Some(deploy.state) />
            </a>
            {site}
            <span class="line-who">
                <strong>{deploy.operator}</strong>
                " "
                <Moment at=deploy.requested_at />
            </span>
            <span class="line-length">
                <Elapsed deploy=Some(whole) />
            </span>
            <code class="line-ref">
                {deploy.git_ref} {commit.map(|commit| format!(" @ {commit}"))}
            </code>
            {rerun}
            {because.map(|because| view! { <span class="line-because">{because}</span> })}
        </li>
    }
}
