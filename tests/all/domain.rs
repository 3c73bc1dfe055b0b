//! The state machine: an exhaustive table of state × event, and its rules over random orders.

use crate::support::SITES;
use proptest::prelude::*;
use raxx_console::domain::transition::Observed;
use raxx_console::domain::{
    Confirmation, ConfirmedBy, Deploy, DeployId, Effect, Event, Failure, LogCursor, Report, ReportStatus, Run, Slug,
    State, StepStatus, Timestamp, apply,
};
use raxx_console::server::config::parse_file;

const RUN: i64 = 7;
const AT: Timestamp = Timestamp::from_millis(1_000_000);

fn id() -> DeployId {
    "0199a8f0-0000-7000-8000-000000000000".parse().unwrap()
}

fn requested() -> Deploy {
    let sites = parse_file(SITES, "console.toml").unwrap().sites;
    Deploy::requested(id(), &sites[1], "ada", AT)
}

fn run() -> Run {
    Run {
        id: RUN,
        attempt: 1,
        url: None,
        head_sha: None,
    }
}

fn report(status: ReportStatus, seq: i64) -> Report {
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

/// A deploy in each state, reached the way deploys reach it.
fn in_state(state: State) -> Deploy {
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
        State::Lost => vec![Event::Claimed, Event::Accepted(run()), Event::WentSilent],
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
    let operator = "ada".to_owned();
    let observed = |status| Event::Observed { attempt: 1, status };
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
        observed(Observed::Running),
        observed(Observed::Succeeded),
        observed(Observed::Failed(Failure {
            step: None,
            reason: None,
        })),
        observed(Observed::Cancelled),
        Event::WentSilent,
        Event::CancelRequested {
            operator: operator.clone(),
        },
        Event::Overridden {
            operator: operator.clone(),
            state: State::DispatchFailed,
        },
        Event::Overridden {
            operator,
            state: State::Succeeded,
        },
    ]
}

/// For each state, where each event of [`events`] leads; `None` where it stays.
#[rustfmt::skip]
fn table() -> [(State, [Option<State>; 18]); 10] {
    use State::{Cancelled as C, DispatchFailed as X, DispatchUnknown as U, Dispatching as D, Failed as F, Lost as L, Queued as Q, Requested as R, Running as N, Succeeded as S};
    const O: Option<State> = None;
    //   claimed  accepted refused  not sent no answer found    progress success  failure  cancel   running  succ.    failed   canc.    silent   cancel   closed  closed as done
    [
    (R, [Some(D), O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       O,       Some(C), O,       O]),
    (D, [O,       Some(Q), Some(X), Some(X), Some(U), O,       Some(N), Some(S), Some(F), Some(C), O,       O,       O,       O,       O,       O,       O,       O]),
    (X, [O; 18]),
    (U, [O,       O,       O,       O,       O,       Some(Q), Some(N), Some(S), Some(F), Some(C), O,       O,       O,       O,       O,       O,       Some(X), O]),
    (Q, [O,       O,       O,       O,       O,       O,       Some(N), Some(S), Some(F), Some(C), Some(N), Some(S), Some(F), Some(C), Some(L), O,       O,       O]),
    (N, [O,       O,       O,       O,       O,       O,       O,       Some(S), Some(F), Some(C), O,       Some(S), Some(F), Some(C), Some(L), O,       O,       O]),
    (L, [O,       O,       O,       O,       O,       O,       O,       Some(S), Some(F), Some(C), O,       Some(S), Some(F), Some(C), O,       O,       O,       Some(S)]),
    (S, [O; 18]),
    (F, [O; 18]),
    (C, [O; 18]),
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
fn who_confirmed_it_is_told() {
    assert_eq!(in_state(State::Queued).confirmed_by, Some(ConfirmedBy::Github));
    assert_eq!(in_state(State::Running).confirmed_by, Some(ConfirmedBy::Callback));
    let closed = Event::Overridden {
        operator: "ada".to_owned(),
        state: State::Failed,
    };
    assert_eq!(
        apply(in_state(State::Lost), &closed, AT).0.confirmed_by,
        Some(ConfirmedBy::Operator)
    );
}

#[test]
fn cancelling_is_a_wish_until_evidence_says_so() {
    let wish = Event::CancelRequested {
        operator: "ada".to_owned(),
    };
    let (deploy, effect) = apply(in_state(State::Running), &wish, AT);
    assert_eq!(
        (deploy.state, deploy.cancel_requested, effect),
        (State::Running, true, Effect::Noted)
    );
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
    fn a_cursor_comes_back_as_it_was_given(offset in 0..i64::MAX) {
        let cursor = LogCursor::at(offset.unsigned_abs());
        prop_assert_eq!(cursor.to_string().parse::<LogCursor>().unwrap(), cursor);
    }

    #[test]
    fn a_moment_comes_back_as_it_was_written(millis in 0..4_000_000_000_000_i64) {
        let moment = Timestamp::from_millis(millis);
        prop_assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
    }
}
