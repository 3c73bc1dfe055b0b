use super::log_view::line_view;
use super::{Blocked, Elapsed, HealthBadge, Moment, OutsideNote, Silence, StateBadge};
use crate::domain::{About, Deploy, DeployRecord, LogCursor, Site, Tile};
use crate::ui::{terminal, words};
use leptos::prelude::*;

/// How many of the log's last lines a tile shows.
const TAIL_LINES: usize = 6;

/// A site's card: how it is, what happened last, and the way to deploy it.
///
/// Each piece follows the board by itself, so that a poll moves only what changed.
#[component]
pub(in crate::ui) fn SiteTile(
    /// The tile as it was first seen; its site stays the same.
    site: Site,
    /// The tile as it is now.
    #[prop(into)]
    tile: Signal<Tile>,
    /// Called when the operator wants to deploy it.
    on_deploy: Callback<Site>,
    /// Whether the page is live, so that the button can do something.
    #[prop(into)]
    live: Signal<bool>,
) -> impl IntoView {
    let deploy = Memo::new(move |_| tile.read().latest.as_ref().map(|record| record.deploy.clone()));
    let state = Memo::new(move |_| deploy.read().as_ref().map(|deploy| deploy.state));
    let active = Memo::new(move |_| state.get().is_some_and(crate::domain::State::is_active));
    let health = Memo::new(move |_| tile.read().health.clone());
    // One string: a class that is set as a whole would take others off that are set beside it.
    let production = if site.is_production() { " is-production" } else { "" };
    // And from one signal: of two that follow each other, the later one's news can be missed.
    let class = move || {
        let state = state.get();
        let is_active = state.is_some_and(crate::domain::State::is_active);
        let active = if is_active { " is-active" } else { "" };
        format!(
            "tile card tone-{}{production}{active}",
            state.map_or("neutral", words::tone)
        )
    };
    let title_id = format!("site-{}", site.slug);
    let labelled_by = title_id.clone();
    let kind = if site.is_production() {
        "environment is-production"
    } else {
        "environment"
    };
    let (slug, wanted) = (site.slug.to_string(), site.clone());
    let me = expect_context::<About>().me;
    let not_allowed = me.and_then(|me| me.may_deploy(&site).err());
    let hint_id = format!("may-not-{slug}");
    let described_by = not_allowed.map(|_| hint_id.clone());
    view! {
        <article
            class=class
            aria-labelledby=labelled_by
        >
            <header class="tile-head">
                <h2 id=title_id>
                    <a href=format!("/sites/{slug}")>{site.name.clone()}</a>
                </h2>
                <span class=kind>{site.environment.clone()}</span>
            </header>
            <p class="tile-facts">
                <code>{slug.clone()}</code>
                <HealthBadge health />
            </p>
            <div class="tile-state">
                <span role="status">
                    <StateBadge state />
                </span>
                <CurrentStep deploy />
                <Show when=move || active.get()>
                    <Elapsed deploy />
                </Show>
            </div>
            <LastDeploy deploy />
            <OutsideNote tile />
            <Because deploy />
            <Blocked deploy />
            <Silence deploy />
            <TileLog tile />
            {not_allowed.map(|why| view! { <p id=hint_id class="quiet hint">{why.to_string()}</p> })}
            <footer class="tile-foot actions">
                <RecordLink deploy />
                <button
                    type="button"
                    class="button primary"
                    disabled=move || active.get() || !live.get() || not_allowed.is_some()
                    aria-describedby=described_by
                    title=move || active.get().then_some("A deploy of this site is active")
                    on:click=move |_| on_deploy.run(wanted.clone())
                >
                    "Deploy "
                    {slug.clone()}
                </button>
            </footer>
        </article>
    }
}

#[component]
fn CurrentStep(deploy: Memo<Option<Deploy>>) -> impl IntoView {
    let step = Memo::new(move |_| {
        let deploy = deploy.read();
        let active = deploy.as_ref().filter(|deploy| deploy.is_active())?;
        active.current_step().map(|step| step.name.clone())
    });
    view! { {move || step.get().map(|step| view! { <span class="tile-step">{step}</span> })} }
}

/// Who, when, how long.
#[component]
fn LastDeploy(deploy: Memo<Option<Deploy>>) -> impl IntoView {
    let last = Memo::new(move |_| {
        let deploy = deploy.read();
        let deploy = deploy.as_ref()?;
        let commit = deploy.head_sha.as_deref().map(words::short_commit);
        let took = deploy.finished_at.map(|_| words::took(deploy, deploy.requested_at));
        Some((
            deploy.operator.clone(),
            deploy.requested_at,
            deploy.git_ref.clone(),
            commit,
            took,
            words::rerun(deploy),
        ))
    });
    let line = move || {
        let Some((operator, at, git_ref, commit, took, rerun)) = last.get() else {
            return view! { <p class="quiet">"No deploy is on record yet."</p> }.into_any();
        };
        view! {
            <p class="tile-last quiet">
                <strong>{operator}</strong>
                " "
                <Moment at />
                {rerun.map(|rerun| format!(", {rerun}"))}
                {took.map(|took| format!(", took {took}"))}
                " · "
                <code>{git_ref} {commit.map(|commit| format!(" @ {commit}"))}</code>
            </p>
        }
        .into_any()
    };
    view! { {line} }
}

/// Why it failed, or what the console does not know.
#[component]
fn Because(deploy: Memo<Option<Deploy>>) -> impl IntoView {
    let failure = Memo::new(move |_| deploy.read().as_ref().and_then(words::failure));
    let notice = Memo::new(move |_| deploy.read().as_ref().and_then(words::explanation));
    let cancelling = Memo::new(move |_| deploy.read().as_ref().and_then(words::cancelling));
    let conflict = Memo::new(move |_| deploy.read().as_ref().is_some_and(|deploy| deploy.conclusion_conflict));
    view! {
        {move || failure.get().map(|text| view! { <p class="because tone-danger">{text}</p> })}
        {move || notice.get().map(|text| view! { <p class="because">{text}</p> })}
        {move || cancelling.get().map(|text| view! { <p class="because">{text}</p> })}
        <Show when=move || conflict.get()>
            <p class="because tone-attention">"Later evidence disagrees with this result. Look at the record."</p>
        </Show>
    }
}

/// The end of the log while the deploy is active. Lines keep their elements from poll to poll.
#[component]
fn TileLog(#[prop(into)] tile: Signal<Tile>) -> impl IntoView {
    let lines = Memo::new(move |_| tile.read().latest.as_ref().map(tail_lines).unwrap_or_default());
    view! {
        <Show when=move || !lines.read().is_empty()>
            <div class="tile-log">
                <For each=move || lines.get() key=|(place, _)| *place let((_, line))>
                    {line_view(line)}
                </For>
            </div>
        </Show>
    }
}

/// The last lines of the log, each with its place in it.
fn tail_lines(record: &DeployRecord) -> Vec<((u64, usize), terminal::Line)> {
    let text = &record.log.text;
    let after = record.log.after.parse::<LogCursor>().unwrap_or_default().offset();
    let (mut end, mut style) = (0, terminal::Style::default());
    let placed = text.split_inclusive('\n').map(|line| {
        end += line.len();
        // Counted from the log's end, which the cursor gives; the length tells an open line from its later self.
        let place = (after.saturating_sub((text.len() - end) as u64), line.len());
        // Of what a progress bar has overwritten the last is the news.
        (place, terminal::lines(line, &mut style).pop().unwrap_or_default())
    });
    let placed: Vec<_> = placed.collect();
    placed[placed.len().saturating_sub(TAIL_LINES)..].to_vec()
}

#[component]
fn RecordLink(deploy: Memo<Option<Deploy>>) -> impl IntoView {
    let attempt = Memo::new(move |_| deploy.read().as_ref().map(Deploy::attempt));
    let link = move || {
        let attempt = attempt.get()?;
        let href = words::attempt_path(attempt.deploy, attempt.number);
        Some(view! { <a class="button" href=href>"Record"</a> })
    };
    view! { {link} }
}
