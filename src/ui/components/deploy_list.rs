use super::{Elapsed, Moment, StateBadge};
use crate::domain::Deploy;
use crate::ui::words;
use leptos::prelude::*;

/// Deploys, newest first: each a line that leads to its record.
#[component]
pub(in crate::ui) fn DeployList(
    /// The deploys.
    #[prop(into)]
    deploys: Signal<Vec<Deploy>>,
    /// Whether to name the site on each line.
    with_site: bool,
) -> impl IntoView {
    // A line is drawn anew only when its deploy has moved; the others keep their elements.
    let key = |deploy: &Deploy| {
        (
            deploy.id,
            deploy.state.as_str(),
            deploy.run_id,
            deploy.head_sha.is_some(),
            deploy.reruns.last().map(|rerun| (rerun.attempt, rerun.state)),
        )
    };
    view! {
        <ol class="deploys" class:with-site=with_site>
            <For each=move || deploys.get() key let:deploy>
                <DeployLine deploy with_site />
            </For>
        </ol>
    }
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
