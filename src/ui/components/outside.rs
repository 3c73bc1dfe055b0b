use super::{Moment, StateBadge};
use crate::domain::{OutsideRun, Tile};
use crate::ui::words;
use leptos::prelude::*;

/// On a tile: the newest run of its workflow that was started outside the console.
#[component]
pub(in crate::ui) fn OutsideNote(
    /// The tile.
    #[prop(into)]
    tile: Signal<Tile>,
) -> impl IntoView {
    let outside = Memo::new(move |_| tile.read().outside.clone());
    let note = move || {
        outside.get().map(|run| {
            let tone = if run.state.is_active() {
                "tone-attention"
            } else {
                "tone-neutral"
            };
            view! {
                <p class=format!("because {tone}")>
                    "Started outside the console" {by(&run)} " " <Moment at=run.started_at /> ": "
                    {words::state(run.state)} ". " {link(&run)}
                </p>
            }
        })
    };
    view! { {note} }
}

/// In the dialog: a warning while such a run is under way.
#[component]
pub(in crate::ui) fn OutsideWarning(
    /// The run, while one is under way.
    #[prop(into)]
    run: Signal<Option<OutsideRun>>,
) -> impl IntoView {
    let warning = move || {
        run.get().map(|run| {
            view! {
                <p class="because tone-attention">
                    "A run of this workflow is under way that was started outside the console" {by(&run)} " "
                    <Moment at=run.started_at /> ". Two deploys at once can undo each other. " {link(&run)}
                </p>
            }
        })
    };
    view! { {warning} }
}

/// In history: a line like a deploy's, that leads to the run.
#[component]
pub(in crate::ui) fn OutsideLine(
    /// The run.
    run: OutsideRun,
    /// Whether to name the sites.
    with_site: bool,
) -> impl IntoView {
    let commit = run.head_sha.as_deref().map(words::short_commit);
    let link = link(&run);
    let sites = with_site.then(|| {
        let names = run.sites.iter().map(ToString::to_string).collect::<Vec<_>>();
        let text = if names.is_empty() {
            run.workflow.clone()
        } else {
            names.join(", ")
        };
        view! { <span class="line-site">{text}</span> }
    });
    view! {
        <li class="line card is-outside">
            <span class="line-state">
                <StateBadge state=Some(run.state) />
            </span>
            {sites}
            <span class="line-who">
                <strong>{run.started_by.unwrap_or_else(|| "Somebody".to_owned())}</strong>
                " "
                <Moment at=run.started_at />
            </span>
            <span class="line-length">
                {run.state.is_finished().then(|| words::span(run.changed_at.millis_since(run.started_at)))}
            </span>
            <code class="line-ref">{run.git_ref} {commit.map(|commit| format!(" @ {commit}"))}</code>
            <span class="line-because">"Started outside the console. " {link}</span>
        </li>
    }
}

fn by(run: &OutsideRun) -> Option<String> {
    run.started_by.as_ref().map(|by| format!(" by {by}"))
}

fn link(run: &OutsideRun) -> AnyView {
    words::web_link(run.run_url.clone(), format!("Run {}", run.run_id))
}
