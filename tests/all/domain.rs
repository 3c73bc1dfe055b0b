//! The state machine: an exhaustive table of state × event, and its rules over random orders.

use proptest::prelude::*;
use raxx_console::domain::{
    Blocker, Confirmation, ConfirmedBy, Deploy, DeployId, Effect, Event, Failure, LogCursor, Observation, Observed,
    Report, ReportStatus, Run, Site, Slug, State, Step, StepStatus, Timestamp, apply,
};
use std::collections::BTreeMap;

const RUN: i64 = 7;
pub(crate) const AT: Timestamp = Timestamp::from_millis(1_000_000);

fn id() -> DeployId {
    "0199a8f0-0000-7000-8000-000000000000".parse().unwrap()
}

fn site() -> Site {
    Site {
        slug: "docs".parse().unwrap(),
        name: "Docs".to_owned(),
        environment: "staging".to_owned(),
        url: "https://docs.example.com".to_owned(),
        health_url: None,
        repository: "raxx/docs".to_owned(),
        workflow: "deploy-docs.yml".to_owned(),
        git_ref: "main".to_owned(),
        inputs: BTreeMap::new(),
        deployers: Vec::new(),
        silent_after_ms: 600_000,
        grace_ms: 120_000,
        github_deployments: false,
    }
}

fn requested() -> Deploy {
    Deploy::requested(id(), &site(), "ada", AT)
}

pub(crate) fn run() -> Run {
    Run {
        id: RUN,
        attempt: 1,
        url: None,
        head_sha: None,
    }
}

pub(crate) fn report(status: ReportStatus, seq: i64) -> Report {
    Report {
        schema: 1,
        deploy_id: id(),
        run_id: RUN,
        run_attempt: 1,
        job: "deploy".to_owned(),
        seq,
        status,
        step: Some(format!("step {}", seq / 10)),
        message: None,
        log: None,
    }
}

/// What GitHub says of the run. Nothing has begun of one that waits.
pub(crate) fn seen(status: Observed) -> Observation {
    let begun = !matches!(status, Observed::Waiting(_));
    Observation {
        by: None,
        run: run(),
        steps: Vec::new(),
        started_at: begun.then_some(AT),
        ended_at: status.is_finished().then_some(AT),
        status,
    }
}

pub(crate) fn waiting() -> Observed {
    Observed::Waiting(Blocker::NoRunner { since: AT })
}

fn silence() -> Event {
    Event::WentSilent {
        reason: "silence".to_owned(),
    }
}

pub(crate) fn cancel(force: bool) -> Event {
    let operator = "ada".to_owned();
    Event::CancelRequested { operator, force }
}

fn closed(state: State) -> Event {
    Event::Overridden {
        operator: "ada".to_owned(),
        state,
        reason: "seen it".to_owned(),
    }
}

/// A deploy in each state, reached the way deploys reach it.
pub(crate) fn in_state(state: State) -> Deploy {
    let reported = |status| Event::Reported(report(status, 1));
    let path: Vec<Event> = match state {
        State::Requested => vec![],
        State::Dispatching => vec![Event::Claimed],
        State::DispatchFailed => vec![
            Event::Claimed,
            Event::Refused {
                reason: "no".to_owned(),
            },
        ],
        State::DispatchUnknown => vec![
            Event::Claimed,
            Event::Unanswered {
                reason: "silence".to_owned(),
            },
        ],
        State::Queued => vec![Event::Claimed, Event::Accepted(run())],
        State::Running => vec![
            Event::Claimed,
            Event::Accepted(run()),
            reported(ReportStatus::InProgress),
        ],
        State::Lost => vec![Event::Claimed, Event::Accepted(run()), silence()],
        State::Succeeded => vec![Event::Claimed, Event::Accepted(run()), reported(ReportStatus::Success)],
        State::Failed => vec![Event::Claimed, Event::Accepted(run()), reported(ReportStatus::Failure)],
        State::Cancelled => vec![
            Event::Claimed,
            Event::Accepted(run()),
            reported(ReportStatus::Cancelled),
        ],
    };
    let deploy = path
        .iter()
        .fold(requested(), |deploy, event| apply(deploy, event, AT).0);
    assert_eq!(deploy.state, state);
    deploy
}

fn events() -> Vec<Event> {
    let observed = |status| Event::Observed(seen(status));
    let failed = Failure {
        step: None,
        reason: None,
    };
    vec![
        Event::Claimed,
        Event::Accepted(run()),
        Event::Refused {
            reason: "no".to_owned(),
        },
        Event::NotSent {
            reason: "no".to_owned(),
        },
        Event::Unanswered {
            reason: "silence".to_owned(),
        },
        Event::Found(run()),
        Event::Reported(report(ReportStatus::InProgress, 20)),
        Event::Reported(report(ReportStatus::Success, 30)),
        Event::Reported(report(ReportStatus::Failure, 40)),
        Event::Reported(report(ReportStatus::Cancelled, 50)),
        observed(waiting()),
        observed(Observed::Running),
        observed(Observed::Succeeded),
        observed(Observed::Failed(failed)),
        observed(Observed::Cancelled(None)),
        silence(),
        cancel(false),
        cancel(true),
        Event::CancelSent,
        closed(State::DispatchFailed),
        closed(State::Succeeded),
        closed(State::Failed),
        closed(State::Cancelled),
        closed(State::Running),
    ]
}

/// For each state, where each event of [`events`] leads; `None` where it stays.
#[rustfmt::skip]
fn table() -> [(State, [Option<State>; 24]); 10] {
    use State::{Cancelled as C, DispatchFailed as X, DispatchUnknown as U, Dispatching as D, Failed as F, Lost as L, Queued as Q, Requested as R, Running as N, Succeeded as S};
    const O: Option<State> = None;
    //   claimed  accepted refused  not sent no answer found    progress success  failure  cancel   waiting  running  succ.    failed   canc.    silent   cancel   force    sent     as X     as S     as F     as C     as N
    [
    (R, [Some(D), O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       Some(C), O,       O,       O,       O,       O,       O,       O]),
    (D, [O,       Some(Q), Some(X), Some(X), Some(U), O,       Some(N), Some(S), Some(F), Some(C), O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O]),
    (X, [O; 24]),
    (U, [O,       Some(Q), Some(X), Some(X), O,       Some(Q), Some(N), Some(S), Some(F), Some(C), O,       O,       O,       O,       O,       O,       O,       O,       O,       Some(X), O,       O,       O,       O]),
    (Q, [O,       O,       O,       O,       O,       O,       Some(N), Some(S), Some(F), Some(C), O,       Some(N), Some(S), Some(F), Some(C), Some(L), O,       O,       O,       O,       O,       O,       O,       O]),
    (N, [O,       O,       O,       O,       O,       O,       O,       Some(S), Some(F), Some(C), O,       O,       Some(S), Some(F), Some(C), Some(L), O,       O,       O,       O,       O,       O,       O,       O]),
    (L, [O,       O,       O,       O,       O,       O,       O,       Some(S), Some(F), Some(C), O,       O,       Some(S), Some(F), Some(C), O,       O,       O,       O,       O,       Some(S), Some(F), Some(C), O]),
    (S, [O; 24]),
    (F, [O; 24]),
    (C, [O; 24]),
    ]
}

#[test]
fn every_event_in_every_state_leads_where_the_table_says() {
    let table = table();
    assert_eq!(table.map(|(state, _)| state).len(), State::ALL.len());
    for (state, row) in table {
        for (event, leads_to) in events().iter().zip(row) {
            let (after, effect) = apply(in_state(state), event, AT);
            assert_eq!(after.state, leads_to.unwrap_or(state), "{state:?} × {event:?}");
            assert_eq!(
                effect == Effect::Moved,
                leads_to.is_some(),
                "{state:?} × {event:?}: {effect:?}"
            );
        }
    }
}

#[test]
fn a_deploy_holds_its_site_until_it_is_finished() {
    for state in State::ALL {
        assert_eq!(
            in_state(state).is_active(),
            in_state(state).finished_at.is_none(),
            "{state:?}"
        );
        assert_eq!(State::from_word(state.as_str()), Some(state));
    }
}

#[test]
fn disagreement_is_marked_and_not_believed() {
    let late = Event::Reported(report(ReportStatus::Failure, 9));
    let (deploy, effect) = apply(in_state(State::Succeeded), &late, AT);
    assert_eq!(
        (deploy.state, deploy.conclusion_conflict, effect),
        (State::Succeeded, true, Effect::TooLate)
    );
    let (deploy, _) = apply(
        in_state(State::Succeeded),
        &Event::Reported(report(ReportStatus::Success, 9)),
        AT,
    );
    assert!(!deploy.conclusion_conflict);
    let (deploy, _) = apply(
        in_state(State::DispatchFailed),
        &Event::Reported(report(ReportStatus::InProgress, 9)),
        AT,
    );
    assert!(deploy.conclusion_conflict, "GitHub refused, and yet a run speaks");
    let other = Event::Accepted(Run { id: RUN + 1, ..run() });
    let (deploy, effect) = apply(in_state(State::Running), &other, AT);
    assert_eq!(
        (deploy.run_id, deploy.conclusion_conflict, effect),
        (Some(RUN), true, Effect::OtherRun)
    );
}

#[test]
fn a_rerun_contradicts_nothing() {
    let rerun = Report {
        run_attempt: 2,
        ..report(ReportStatus::Failure, 9)
    };
    let (deploy, effect) = apply(in_state(State::Succeeded), &Event::Reported(rerun), AT);
    assert_eq!((deploy.conclusion_conflict, effect), (false, Effect::TooLate));
}

#[test]
fn a_rerun_has_a_story_of_its_own() {
    let first = in_state(State::Failed);
    let rerun = first.rerun(2, AT);
    assert_eq!(
        (rerun.state, rerun.attempt().number, rerun.id),
        (State::Queued, 2, first.id)
    );
    assert!(rerun.failure.is_none() && rerun.finished_at.is_none() && rerun.steps.is_empty());
    let told = |attempt| {
        Event::Reported(Report {
            run_attempt: attempt,
            ..report(ReportStatus::Success, 9)
        })
    };
    let (same, effect) = apply(rerun.clone(), &told(1), AT);
    assert_eq!(
        (same.state, effect),
        (State::Queued, Effect::TooLate),
        "the first one's word"
    );
    let (same, effect) = apply(rerun.clone(), &Event::Observed(seen(Observed::Succeeded)), AT);
    assert_eq!((same.state, effect), (State::Queued, Effect::Impossible));
    assert_eq!(apply(rerun, &told(2), AT).0.state, State::Succeeded);
}

#[test]
fn a_rerun_that_speaks_first_tells_which_run_it_is_and_no_more() {
    let told = Event::Reported(Report {
        run_attempt: 2,
        ..report(ReportStatus::Success, 9)
    });
    let (deploy, effect) = apply(in_state(State::DispatchUnknown), &told, AT);
    assert_eq!(
        (deploy.state, deploy.run_id, deploy.run_attempt),
        (State::Queued, Some(RUN), Some(1))
    );
    assert_eq!(
        (deploy.confirmed_by, effect),
        (Some(ConfirmedBy::Callback), Effect::Moved)
    );
}

#[test]
fn who_confirmed_it_is_told() {
    assert_eq!(in_state(State::Queued).confirmed_by, Some(ConfirmedBy::Github));
    assert_eq!(in_state(State::Running).confirmed_by, Some(ConfirmedBy::Callback));
    let closed = apply(in_state(State::Lost), &closed(State::Failed), AT).0;
    assert_eq!(closed.confirmed_by, Some(ConfirmedBy::Operator));
    assert_eq!(closed.failure.unwrap().reason.as_deref(), Some("seen it"));
}

#[test]
fn cancelling_is_a_wish_until_evidence_says_so() {
    let (deploy, effect) = apply(in_state(State::Running), &cancel(false), AT);
    assert_eq!(
        (deploy.state, deploy.cancel_requested, effect),
        (State::Running, true, Effect::Noted)
    );
    let (deploy, effect) = apply(deploy, &cancel(true), AT);
    assert_eq!(
        (deploy.state, deploy.cancel_forced, effect),
        (State::Running, true, Effect::Noted)
    );
}

#[test]
fn force_is_offered_a_minute_after_github_took_the_plain_wish() {
    let asked = apply(in_state(State::Running), &cancel(false), AT).0;
    assert_eq!(asked.force_offered_at(), None, "GitHub has not taken it");
    let sent = apply(asked, &Event::CancelSent, AT).0;
    assert_eq!(sent.force_offered_at(), Some(AT.plus_millis(60_000)));
    let forced = apply(sent.clone(), &cancel(true), AT).0;
    assert_eq!(
        (forced.force_offered_at(), forced.cancel_sent_at),
        (None, None),
        "it is to be sent anew"
    );
    let ended = apply(sent, &Event::Observed(seen(Observed::Succeeded)), AT).0;
    assert_eq!(ended.force_offered_at(), None);
    let (_, effect) = apply(in_state(State::Running), &cancel(true), AT);
    assert_eq!(effect, Effect::Impossible, "force comes after a plain wish");
}

#[test]
fn what_blocks_a_run_is_known_until_it_moves() {
    let blocked = apply(in_state(State::Queued), &Event::Observed(seen(waiting())), AT).0;
    assert_eq!(blocked.blocked_by, Some(Blocker::NoRunner { since: AT }));
    for event in [
        Event::Observed(seen(Observed::Running)),
        Event::Observed(seen(Observed::Succeeded)),
        Event::Reported(report(ReportStatus::InProgress, 1)),
        silence(),
    ] {
        assert_eq!(apply(blocked.clone(), &event, AT).0.blocked_by, None, "{event:?}");
    }
    // A run that waits between two of its jobs goes on running.
    let halted = Observation {
        started_at: Some(AT),
        ..seen(waiting())
    };
    let deploy = apply(in_state(State::Queued), &Event::Observed(halted), AT).0;
    assert_eq!((deploy.state, deploy.blocked_by.is_some()), (State::Running, true));
}

#[test]
fn githubs_steps_stand_in_place_of_reported_ones_and_later_reports_come_after() {
    let step = |name: &str, status, finished_at| Step {
        name: name.to_owned(),
        status,
        started_at: Some(AT),
        finished_at,
    };
    let listed = vec![
        step("Set up job", StepStatus::Succeeded, Some(AT)),
        step("Build", StepStatus::Running, None),
    ];
    let observation = Observation {
        steps: listed.clone(),
        ..seen(Observed::Running)
    };
    let reported = apply(
        in_state(State::Queued),
        &Event::Reported(report(ReportStatus::InProgress, 10)),
        AT,
    )
    .0;
    let deploy = apply(reported, &Event::Observed(observation), AT).0;
    assert_eq!(deploy.steps, listed);
    let later = AT.plus_millis(5);
    let deploy = apply(deploy, &Event::Reported(report(ReportStatus::InProgress, 20)), later).0;
    assert_eq!(
        deploy.steps[1..],
        [
            step("Build", StepStatus::Succeeded, Some(later)),
            Step {
                started_at: Some(later),
                ..step("step 2", StepStatus::Running, None)
            },
        ]
    );
    let ended = apply(deploy, &Event::Reported(report(ReportStatus::Success, 30)), later).0;
    assert!(ended.steps.iter().all(|step| step.status == StepStatus::Succeeded));
}

#[test]
fn of_the_listed_steps_only_the_one_under_way_changes_when_the_run_goes_on_or_ends() {
    let step = |name: &str, status, finished_at| Step {
        name: name.to_owned(),
        status,
        started_at: Some(AT),
        finished_at,
    };
    let failed = step("Lint", StepStatus::Failed, Some(AT));
    let observation = Observation {
        steps: vec![failed.clone(), step("Build", StepStatus::Running, None)],
        ..seen(Observed::Running)
    };
    let later = AT.plus_millis(5);
    let listed = apply(in_state(State::Queued), &Event::Observed(observation), AT).0;
    assert_eq!(listed.current_step().map(|step| step.name.as_str()), Some("Build"));
    let goes_on = apply(
        listed.clone(),
        &Event::Reported(report(ReportStatus::InProgress, 20)),
        later,
    )
    .0;
    assert_eq!(
        (&goes_on.steps[0], goes_on.steps[1].status),
        (&failed, StepStatus::Succeeded)
    );
    assert_eq!(goes_on.current_step().map(|step| step.name.as_str()), Some("step 2"));
    let cancelled = Report {
        step: None,
        ..report(ReportStatus::Cancelled, 30)
    };
    let ended = apply(listed, &Event::Reported(cancelled), later).0;
    assert_eq!(ended.steps[0], failed);
    assert_eq!(ended.steps[1], step("Build", StepStatus::Cancelled, Some(later)));
    assert_eq!(ended.current_step(), None);
}

#[test]
fn a_step_is_told_by_its_job_and_its_name_and_only_what_is_older_is_stale() {
    let of = |job: &str, seq| {
        Event::Reported(Report {
            job: job.to_owned(),
            step: Some("Build".to_owned()),
            ..report(ReportStatus::InProgress, seq)
        })
    };
    let (mut deploy, mut effects) = (in_state(State::Queued), Vec::new());
    for event in [of("a", 5), of("a", 5), of("a", 9), of("a", 7), of("b", 1), of("b", 2)] {
        let (next, effect) = apply(deploy, &event, AT);
        deploy = next;
        effects.push(effect);
    }
    let noted = Effect::Noted;
    assert_eq!(effects, [Effect::Moved, noted, noted, Effect::Stale, noted, noted]);
    assert_eq!(deploy.steps.len(), 2, "one of each job");
}

#[test]
fn a_run_that_is_found_again_is_news_only_when_more_is_known_of_it() {
    let found = |url: Option<&str>| {
        Event::Found(Run {
            url: url.map(str::to_owned),
            ..run()
        })
    };
    let queued = in_state(State::Queued);
    let (deploy, effect) = apply(queued, &found(Some("https://x")), AT);
    assert_eq!((deploy.run_url.as_deref(), effect), (Some("https://x"), Effect::Noted));
    assert_eq!(apply(deploy, &found(Some("https://y")), AT).1, Effect::Stale);
    let (closed, effect) = apply(in_state(State::DispatchFailed), &found(None), AT);
    assert!(closed.conclusion_conflict && effect == Effect::TooLate);
    assert_eq!(
        apply(closed, &found(None), AT).1,
        Effect::Impossible,
        "it was said once"
    );
}

#[test]
fn an_event_says_what_the_timeline_does() {
    let with = |message: Option<&str>| {
        Event::Reported(Report {
            message: message.map(str::to_owned),
            ..report(ReportStatus::Failure, 10)
        })
    };
    for (event, note) in [
        (silence(), Some("silence")),
        (Event::Accepted(run()), Some("run 7")),
        (with(Some("no such slot")), Some("no such slot")),
        (with(None), Some("step 1")),
        (cancel(false), Some("asked to cancel")),
        (cancel(true), Some("asked to cancel by force")),
        (closed(State::Failed), Some("closed by hand: seen it")),
        (Event::Observed(seen(Observed::Running)), None),
        (Event::Claimed, None),
    ] {
        assert_eq!(event.note().as_deref(), note);
    }
}

#[test]
fn github_confirms_or_contradicts_a_finished_deploy_and_knows_more_of_a_failure() {
    let failed = Observed::Failed(Failure {
        step: Some("Release".to_owned()),
        reason: Some("no disk".to_owned()),
    });
    let (deploy, effect) = apply(in_state(State::Succeeded), &Event::Observed(seen(failed.clone())), AT);
    assert_eq!(
        (
            deploy.state,
            deploy.conclusion_conflict,
            deploy.concluded_at.is_some(),
            effect
        ),
        (State::Succeeded, true, true, Effect::TooLate)
    );
    let deploy = apply(in_state(State::Failed), &Event::Observed(seen(failed)), AT).0;
    assert!(deploy.concluded_at.is_some() && !deploy.conclusion_conflict);
    let failure = deploy.failure.unwrap();
    assert_eq!(
        (failure.step.as_deref(), failure.reason.as_deref()),
        (Some("step 0"), Some("no disk"))
    );
}

#[test]
fn the_end_of_a_run_is_when_github_says_unless_the_clocks_disagree() {
    let ended = |ended_at| {
        let observation = Observation {
            ended_at,
            ..seen(Observed::Succeeded)
        };
        apply(
            in_state(State::Running),
            &Event::Observed(observation),
            AT.plus_millis(9),
        )
        .0
        .finished_at
    };
    assert_eq!(ended(Some(AT.plus_millis(4))), Some(AT.plus_millis(4)));
    assert_eq!(
        ended(Some(AT.plus_millis(40))),
        Some(AT.plus_millis(9)),
        "not in the future"
    );
    assert_eq!(
        ended(Some(AT.plus_millis(-4))),
        Some(AT.plus_millis(9)),
        "not before the request"
    );
    assert_eq!(ended(None), Some(AT.plus_millis(9)));
}

#[test]
fn nothing_ends_before_it_began_though_the_clock_was_set_back() {
    let (earlier, later) = (AT.plus_millis(-3_600_000), AT.plus_millis(3_600_000));
    let listed = Observation {
        steps: vec![Step {
            name: "Build".to_owned(),
            status: StepStatus::Running,
            started_at: Some(later),
            finished_at: None,
        }],
        ..seen(Observed::Running)
    };
    let reported = |status, seq| Event::Reported(report(status, seq));
    let (with_list, _) = apply(in_state(State::Queued), &Event::Observed(listed), AT);
    let (with_step, _) = apply(in_state(State::Running), &reported(ReportStatus::InProgress, 20), later);
    for (deploy, event) in [
        (in_state(State::Requested), cancel(false)),
        (in_state(State::Running), reported(ReportStatus::Success, 5)),
        (in_state(State::Running), Event::Observed(seen(Observed::Succeeded))),
        (in_state(State::Lost), closed(State::Failed)),
        (with_list, reported(ReportStatus::Failure, 5)),
        (with_step, reported(ReportStatus::Cancelled, 25)),
    ] {
        let (deploy, effect) = apply(deploy, &event, earlier);
        assert_eq!((effect, deploy.finished_at), (Effect::Moved, Some(AT)), "{event:?}");
        let in_order = |step: &Step| step.started_at <= step.finished_at;
        assert!(deploy.steps.iter().all(in_order), "{event:?}: {:?}", deploy.steps);
    }
}

#[test]
fn a_lost_deploy_that_speaks_again_says_so() {
    for event in [
        Event::Observed(seen(Observed::Running)),
        Event::Reported(report(ReportStatus::InProgress, 9)),
    ] {
        let deploy = apply(in_state(State::Lost), &event, AT).0;
        assert!(deploy.notice.unwrap().contains("not ended"), "{event:?}");
    }
}

#[test]
fn only_the_named_step_has_failed() {
    let status = |report: Report| {
        let deploy = apply(in_state(State::Running), &Event::Reported(report), AT).0;
        deploy.steps.iter().map(|step| step.status).collect::<Vec<_>>()
    };
    let named = report(ReportStatus::Failure, 40);
    assert_eq!(status(named.clone()), [StepStatus::Succeeded, StepStatus::Failed]);
    assert_eq!(
        status(Report { step: None, ..named }),
        [StepStatus::Unknown],
        "nothing is guessed"
    );
}

#[test]
fn a_slug_is_easy_to_type_and_safe_in_a_path() {
    for good in ["a", "api-prod", "x1"] {
        assert!(good.parse::<Slug>().is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "A", "a b", "a/b", "ä", &"a".repeat(65)] {
        assert!(bad.parse::<Slug>().is_err(), "{bad}");
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let status = prop_oneof![
        4 => Just(ReportStatus::InProgress),
        1 => Just(ReportStatus::Success),
        1 => Just(ReportStatus::Failure),
        1 => Just(ReportStatus::Cancelled),
    ];
    let reported = (status, 0..60_i64, 1..3_i64, RUN..RUN + 2).prop_map(|(status, seq, run_attempt, run_id)| {
        Event::Reported(Report {
            run_attempt,
            run_id,
            ..report(status, seq)
        })
    });
    prop_oneof![prop::sample::select(events()), reported]
}

proptest! {
    #[test]
    fn rank_only_rises_and_a_finished_state_never_changes(story in prop::collection::vec(any_event(), 0..40)) {
        let mut deploy = requested();
        for (step, event) in story.iter().enumerate() {
            let before = deploy.clone();
            let at = AT.plus_millis(i64::try_from(step).unwrap());
            deploy = apply(deploy, event, at).0;
            prop_assert!(deploy.state == before.state || deploy.state.rank() > before.state.rank());
            prop_assert!(before.is_active() || deploy.state == before.state);
            prop_assert_eq!(deploy.finished_at.is_some(), !deploy.is_active());
            prop_assert!(before.run_id.is_none() || deploy.run_id == before.run_id, "a bound run stays");
            prop_assert!(!before.conclusion_conflict || deploy.conclusion_conflict);
        }
    }

    #[test]
    fn reports_in_any_order_any_number_of_times_end_the_same(
        (orderly, shuffled) in prop::collection::vec(0..60_i64, 1..12).prop_flat_map(|mut seqs| {
            seqs.sort_unstable();
            seqs.dedup();
            let last = report(ReportStatus::Failure, 70);
            let reports: Vec<Report> =
                seqs.into_iter().map(|seq| report(ReportStatus::InProgress, seq)).chain([last]).collect();
            let twice = [reports.clone(), reports.clone()].concat();
            (Just(reports), Just(twice).prop_shuffle())
        })
    ) {
        let end = |reports: &[Report]| {
            let deploy = reports.iter().fold(in_state(State::Queued), |deploy, report| {
                apply(deploy, &Event::Reported(report.clone()), AT).0
            });
            (deploy.state, deploy.failure, deploy.conclusion_conflict, deploy.run_id)
        };
        prop_assert_eq!(end(&orderly), end(&shuffled));
    }

    #[test]
    fn steps_are_ordered_by_their_sender_and_not_by_their_arrival(
        (orderly, shuffled) in prop::collection::vec(0..60_i64, 1..12).prop_flat_map(|seqs| {
            let reports: Vec<Report> = seqs.into_iter().map(|seq| report(ReportStatus::InProgress, seq)).collect();
            (Just(reports.clone()), Just(reports).prop_shuffle())
        })
    ) {
        let steps = |reports: &[Report]| {
            reports.iter().fold(in_state(State::Queued), |deploy, report| apply(deploy, &Event::Reported(report.clone()), AT).0).steps
        };
        prop_assert_eq!(steps(&orderly), steps(&shuffled));
    }

    #[test]
    fn only_the_slug_itself_confirms(typed in ".{0,12}") {
        let slug: Slug = "docs".parse().unwrap();
        prop_assert_eq!(Confirmation::check(&slug, &typed).is_ok(), typed == "docs");
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_given(edition in 0..9_u32, offset in 0..i64::MAX) {
        let cursor = LogCursor::at(edition, offset.unsigned_abs());
        prop_assert_eq!(cursor.to_string().parse::<LogCursor>().unwrap(), cursor);
    }

    #[test]
    fn whatever_is_read_as_a_moment_can_be_written(year in 0..=9999_i32, hours in 0..24, ahead in any::<bool>()) {
        let sign = if ahead { '+' } else { '-' };
        for day in ["01-01T00:00:00", "12-31T23:59:59"] {
            let text = format!("{year:04}-{day}{sign}{hours:02}:59");
            if let Ok(moment) = text.parse::<Timestamp>() {
                prop_assert!(serde_json::to_string(&moment).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn a_moment_comes_back_as_it_was_written(millis in 0..4_000_000_000_000_i64) {
        let moment = Timestamp::from_millis(millis);
        prop_assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
    }
}
