use super::when_loaded;
use crate::api::{ApiError, get_deploy};
use crate::domain::{Attempt, Deploy, DeployRecord, GithubDeployment, LogTail};
use crate::ui::components::{
    Attempts, Blocked, CancelDeploy, CloseByHand, Elapsed, LogView, LogWindow, Moment, Silence, StaleBanner,
    StateBadge, Steps, Timeline,
};
use crate::ui::poll::poll;
use crate::ui::words;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

/// `/deploys/{id}`: the record.
#[component]
pub(in crate::ui) fn DeployPage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let asked = Memo::new(move |_| {
        let id = params.read().get("id").unwrap_or_default();
        // What is no number is no attempt: the answer says so.
        let attempt = query.read().get("attempt").map(|text| text.parse().unwrap_or(0));
        (id, attempt)
    });
    let loaded = Resource::new_blocking(move || asked.get(), |(id, attempt)| get_deploy(id, None, attempt));
    when_loaded(loaded, |record| view! { <LiveRecord record /> })
}

#[component]
fn LiveRecord(record: DeployRecord) -> impl IntoView {
    let attempt = record.deploy.attempt();
    let window = LogWindow::new(&record.log);
    let (timeline, set_timeline) = signal(record.timeline);
    let (deploy, set_deploy) = signal(record.deploy);
    let (on_github, set_on_github) = signal(record.github_deployment);
    let take = move |newer: DeployRecord| {
        window.append(&newer.log);
        if *timeline.read_untracked() != newer.timeline {
            set_timeline.set(newer.timeline);
        }
        if *on_github.read_untracked() != newer.github_deployment {
            set_on_github.set(newer.github_deployment);
        }
        if *deploy.read_untracked() != newer.deploy {
            set_deploy.set(newer.deploy);
        }
    };
    let poll = poll(move || read(attempt, window.after.get_untracked()), take);
    let state = Memo::new(move |_| Some(deploy.read().state));
    let site = deploy.read_untracked().site.to_string();
    let title = {
        let site = site.clone();
        move || format!("{} · {site}", words::state(deploy.read().state))
    };
    view! {
        <Title text=title />
        <header class="page-head">
            <h1>"Deploy of " <a href=format!("/sites/{site}")>{site.clone()}</a></h1>
            <span role="status">
                <StateBadge state />
            </span>
            <Elapsed deploy=Signal::derive(move || Some(deploy.get())) />
            <CancelDeploy deploy on_asked=Callback::new(move |()| poll.now()) />
        </header>
        <StaleBanner poll />
        <Attempts deploy />
        <Verdict deploy />
        <Blocked deploy=Signal::derive(move || Some(deploy.get())) />
        <Silence deploy=Signal::derive(move || Some(deploy.get())) />
        <CloseByHand deploy on_closed=Callback::new(move |()| poll.now()) />
        <div class="record" class:is-stale=move || poll.stale_since.get().is_some()>
            <section class="card record-steps" aria-labelledby="steps-title">
                <h2 id="steps-title">"Steps"</h2>
                <Steps deploy />
            </section>
            <section class="card record-log" aria-labelledby="log-title">
                <header class="log-head">
                    <h2 id="log-title">"Log"</h2>
                    <WholeLog attempt window />
                </header>
                <LogView window label=format!("Log of {site}") />
            </section>
            <section class="card record-facts" aria-labelledby="facts-title">
                <h2 id="facts-title">"The record"</h2>
                <Facts deploy />
                <NotOnGithub told=on_github />
            </section>
            <section class="card record-timeline" aria-labelledby="timeline-title">
                <h2 id="timeline-title">"Timeline"</h2>
                <Timeline entries=timeline />
            </section>
        </div>
    }
}

/// What went wrong, or what is not known, before everything else.
#[component]
fn Verdict(#[prop(into)] deploy: Signal<Deploy>) -> impl IntoView {
    let failure = Memo::new(move |_| words::failure(&deploy.read()));
    let notice = Memo::new(move |_| words::explanation(&deploy.read()));
    let cancelling = Memo::new(move |_| words::cancelling(&deploy.read()));
    let conflict = Memo::new(move |_| deploy.read().conclusion_conflict);
    view! {
        {move || failure.get().map(|text| view! { <p class="verdict tone-danger">{text}</p> })}
        {move || notice.get().map(|text| view! { <p class="verdict tone-attention">{text}</p> })}
        {move || cancelling.get().map(|text| view! { <p class="verdict tone-attention">{text}</p> })}
        <Show when=move || conflict.get()>
            <p class="verdict tone-attention">
                "Later evidence disagrees with this result. It is kept as it was first confirmed; look at the run."
            </p>
        </Show>
    }
}

/// Who, when, why, what.
#[component]
fn Facts(#[prop(into)] deploy: Signal<Deploy>) -> impl IntoView {
    let facts = Memo::new(move |_| deploy.get());
    let rows = move || {
        let deploy = facts.get();
        let rerun = words::rerun(&deploy);
        let moment = |at| view! { <Moment at /> };
        let inputs = deploy
            .inputs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>();
        view! {
            <dl class="facts">
                <dt>"Who"</dt>
                <dd>{deploy.operator}</dd>
                <dt>"When"</dt>
                <dd>{moment(deploy.requested_at)} " · " {words::exact(deploy.requested_at)}</dd>
                {rerun.map(|rerun| view! { <dt>"And then"</dt> <dd>{rerun}</dd> })}
                <dt>"Why"</dt>
                <dd>{deploy.reason.unwrap_or_else(|| "No reason was given.".to_owned())}</dd>
                <dt>"What"</dt>
                <dd>
                    <code>{deploy.git_ref}</code>
                    " to "
                    {deploy.environment}
                </dd>
                <dt>"Commit"</dt>
                <dd>{deploy.head_sha.map_or_else(|| "Not known yet".into_any(), |sha| view! { <code>{sha}</code> }.into_any())}</dd>
                {(!inputs.is_empty()).then(|| view! { <dt>"Inputs"</dt> <dd><code>{inputs.join(" ")}</code></dd> })}
                <dt>"Run"</dt>
                <dd>{run_link(deploy.run_id, deploy.run_attempt, deploy.run_url)}</dd>
                <dt>"Last heard of"</dt>
                <dd>{deploy.last_heard_at.map_or_else(|| "Never".into_any(), |at| moment(at).into_any())}</dd>
                <dt>"Confirmed by"</dt>
                <dd>{deploy.confirmed_by.map_or("Nobody yet", words::confirmed_by)}</dd>
                <dt>"Deploy id"</dt>
                <dd><code>{deploy.id.to_string()}</code></dd>
            </dl>
        }
    };
    view! { {rows} }
}

/// Why GitHub does not show it as a deployment, or shows it as it was before.
#[component]
fn NotOnGithub(#[prop(into)] told: Signal<Option<GithubDeployment>>) -> impl IntoView {
    move || {
        let problem = told.get().and_then(|told| told.problem)?;
        Some(view! { <p class="verdict tone-attention">"Not up to date as a deployment on GitHub: " {problem}</p> })
    }
}

fn run_link(id: Option<i64>, attempt: Option<i64>, url: Option<String>) -> impl IntoView {
    let Some(id) = id else {
        return "None is known".into_any();
    };
    let attempt = attempt
        .filter(|attempt| *attempt > 1)
        .map(|attempt| format!(", attempt {attempt}"));
    let name = format!("Run {id}");
    view! { {words::web_link(url, name)} {attempt} }.into_any()
}

/// The way to the lines before the tail.
#[component]
fn WholeLog(attempt: Attempt, window: LogWindow) -> impl IntoView {
    // Until the browser has taken the page over, nothing can be loaded.
    let loading = RwSignal::new(true);
    Effect::new(move || loading.set(false));
    let load = move |_| {
        loading.set(true);
        spawn_local(async move {
            if let Ok(tail) = whole_log(attempt).await {
                window.restart(&tail);
            }
            loading.set(false);
        });
    };
    view! {
        <Show when=move || window.truncated.get()>
            <button type="button" class="button" disabled=loading on:click=load>
                "Show from the beginning"
            </button>
        </Show>
    }
}

/// What came of an attempt after the log's cursor.
async fn read(attempt: Attempt, after: String) -> Result<DeployRecord, ApiError> {
    get_deploy(attempt.deploy.to_string(), Some(after), Some(attempt.number)).await
}

/// Everything from the first line on, in as many requests as it takes.
async fn whole_log(attempt: Attempt) -> Result<LogTail, ApiError> {
    let mut whole = LogTail {
        after: "0".to_owned(),
        ..LogTail::default()
    };
    loop {
        let piece = read(attempt, whole.after.clone()).await?.log;
        if piece.restarted {
            // The log was made whole in between.
            (whole.text, whole.after) = (String::new(), "0".to_owned());
            continue;
        }
        if piece.text.is_empty() {
            return Ok(whole);
        }
        whole.text.push_str(&piece.text);
        whole.after = piece.after;
    }
}
