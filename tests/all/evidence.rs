//! Evidence that comes late, again, or about what has ended: what it changes, and that it changes nothing else.

use crate::domain::{AT, cancel, in_state, report, run, seen, waiting};
use raxx_console::domain::{
    Deploy, Effect, Event, Failure, Observation, Observed, ReportStatus, Run, State, Step, StepStatus, apply,
};

const ENDS: [State; 3] = [State::Succeeded, State::Failed, State::Cancelled];

fn observed(deploy: Deploy, observation: Observation) -> (Deploy, Effect) {
    apply(deploy, &Event::Observed(observation), AT)
}

#[test]
fn only_what_differs_from_a_confirmed_end_contradicts_it() {
    let said = [
        (State::Succeeded, ReportStatus::Success, Observed::Succeeded),
        (
            State::Failed,
            ReportStatus::Failure,
            Observed::Failed(Failure {
                step: None,
                reason: None,
            }),
        ),
        (State::Cancelled, ReportStatus::Cancelled, Observed::Cancelled(None)),
    ];
    for state in ENDS {
        for (end, reported, by_github) in &said {
            for late in [
                Event::Reported(report(*reported, 9)),
                Event::Observed(seen(by_github.clone())),
            ] {
                let (deploy, effect) = apply(in_state(state), &late, AT);
                assert_eq!(
                    (deploy.state, deploy.conclusion_conflict, effect),
                    (state, state != *end, Effect::TooLate),
                    "{late:?}"
                );
            }
        }
        let (deploy, _) = apply(
            in_state(state),
            &Event::Reported(report(ReportStatus::InProgress, 9)),
            AT,
        );
        assert!(
            !deploy.conclusion_conflict,
            "{state:?}: a step that arrives late says nothing of the end"
        );
    }
}

#[test]
fn who_ran_it_again_is_known_of_a_rerun_alone() {
    let by = |attempt| Observation {
        by: Some("octocat".to_owned()),
        run: Run { attempt, ..run() },
        ..seen(Observed::Running)
    };
    assert_eq!(observed(in_state(State::Queued), by(1)).0.rerun_by, None);
    for attempt in [2, 3] {
        let rerun = in_state(State::Failed).rerun(attempt, AT);
        assert_eq!(observed(rerun, by(attempt)).0.rerun_by.as_deref(), Some("octocat"));
    }
}

#[test]
fn what_github_says_twice_is_news_once() {
    let with_steps = |status| Observation {
        steps: vec![Step {
            name: "Build".to_owned(),
            status,
            started_at: Some(AT),
            finished_at: None,
        }],
        ..seen(Observed::Running)
    };
    let (deploy, _) = observed(in_state(State::Running), with_steps(StepStatus::Running));
    let (deploy, again) = observed(deploy, with_steps(StepStatus::Running));
    let (_, other) = observed(deploy, with_steps(StepStatus::Succeeded));
    assert_eq!((again, other), (Effect::Stale, Effect::Noted));

    let (deploy, first) = observed(in_state(State::Queued), seen(waiting()));
    let (_, again) = observed(deploy, seen(waiting()));
    assert_eq!((first, again), (Effect::Noted, Effect::Stale));
}

#[test]
fn a_wish_to_cancel_is_taken_once_and_while_there_is_something_to_cancel() {
    let effect = |deploy: &Deploy, event: &Event| apply(deploy.clone(), event, AT).1;
    for state in ENDS {
        assert_eq!(
            effect(&in_state(state), &cancel(false)),
            Effect::Impossible,
            "{state:?}"
        );
        let mut wished = in_state(state);
        wished.cancel_requested = true;
        assert_eq!(effect(&wished, &Event::CancelSent), Effect::Impossible, "{state:?}");
    }
    let running = in_state(State::Running);
    assert_eq!(
        effect(&running, &Event::CancelSent),
        Effect::Impossible,
        "nobody wished it"
    );
    let wished = apply(running, &cancel(false), AT).0;
    assert_eq!(effect(&wished, &cancel(false)), Effect::Impossible);
    let (sent, taken) = apply(wished, &Event::CancelSent, AT);
    assert_eq!((taken, sent.cancel_sent_at), (Effect::Noted, Some(AT)));
    assert_eq!(effect(&sent, &Event::CancelSent), Effect::Impossible);
}
