//! What can happen to a console, and how often it does here.

use proptest::prelude::*;
use proptest::sample::select;
use raxx_console::server::demo::stand_in::{Fault, Scenario};

/// One thing that happens. Deploys are named by their age, the newest is 0, so that a step makes sense in any sequence.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Somebody, or somebody's script, or a workflow speaks.
    Says(Act),
    /// Two of them speak at the same moment.
    Both(Act, Act),
    /// The dispatcher takes what waits to GitHub, which does this with it.
    Dispatch(Scenario),
    /// The console dies between the claim and the outcome of a dispatch, which was sent or not, and starts again.
    DiesInDispatch { sent: bool },
    /// An earlier callback comes once more.
    Again { which: usize, change: Change },
    /// Something happens to a run on GitHub.
    Run { of: usize, deed: Deed },
    /// From now on GitHub answers questions like this.
    GithubIs(Option<Fault>),
    /// So many seconds pass, and the console asks GitHub.
    Reconcile { after: i64 },
    /// An operator wants it stopped.
    Cancel {
        of: usize,
        force: bool,
        attempt: Option<i64>,
    },
    /// An operator wants it stopped and, so many seconds later, by force.
    CancelByForce { of: usize, after: i64 },
    /// So many seconds pass, and an operator closes it by hand.
    Close {
        after: i64,
        of: usize,
        state: &'static str,
        attempt: Option<i64>,
    },
    /// The console stops, or dies, and starts again.
    Restart { dies: bool },
    /// The clock jumps, in seconds.
    Jump(i64),
}

/// One request that the console takes in one transaction.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Somebody presses Deploy.
    Click(Click),
    /// A callback.
    Report(Report),
}

#[derive(Debug, Clone)]
pub(super) struct Click {
    pub site: usize,
    /// Which of a few `Idempotency-Key`s.
    pub key: Option<usize>,
    /// Which of a few reasons, so that one key can meet another request.
    pub reason: usize,
    /// Whether the name was typed right.
    pub typed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Report {
    pub of: usize,
    pub attempt: i64,
    pub job: &'static str,
    pub seq: i64,
    pub status: &'static str,
    pub step: Option<&'static str>,
    pub log: Option<(&'static str, bool)>,
    /// Whether it names the deploy's own run.
    pub own_run: bool,
    pub seal: Seal,
}

/// What is right or wrong with a callback's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// Signed with the secret in use, so many seconds off the console's clock.
    Signed(i64),
    /// Signed with the secret before.
    Previous,
    /// Signed with a secret that the console does not know.
    Forged,
    /// The signature of another body.
    Stolen,
    /// Without one.
    Unsigned,
    /// Well signed, with a key that no report has.
    UnknownKey,
    /// Well signed, sent to another deploy's path.
    OtherPath,
}

/// How a callback that comes again differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// The same id and another body.
    Body,
    /// The same id and the newest deploy's path and id.
    Deploy,
}

/// What can happen to a run without the console.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Waits,
    Begins,
    Ends(&'static str),
    RunsAgain,
    IsDeleted,
    IsListed(bool),
}

/// A step that can come after so many clicks: before the first one nothing else makes much sense.
pub(super) fn step(clicks: usize) -> BoxedStrategy<Step> {
    if clicks == 0 {
        return click().prop_map(|click| Step::Says(Act::Click(click))).boxed();
    }
    prop_oneof![
        6 => click().prop_map(|click| Step::Says(Act::Click(click))),
        18 => report().prop_map(|report| Step::Says(Act::Report(report))),
        3 => (act(), act()).prop_map(|(one, other)| Step::Both(one, other)),
        14 => scenario().prop_map(Step::Dispatch),
        2 => any::<bool>().prop_map(|sent| Step::DiesInDispatch { sent }),
        5 => (0..6_usize, select(vec![Change::Nothing, Change::Nothing, Change::Body, Change::Deploy]))
            .prop_map(|(which, change)| Step::Again { which, change }),
        12 => (age(), deed()).prop_map(|(of, deed)| Step::Run { of, deed }),
        4 => fault().prop_map(Step::GithubIs),
        14 => select(vec![2, 2, 16, 61, 700]).prop_map(|after| Step::Reconcile { after }),
        8 => (age(), prop::bool::weighted(0.3), meant())
            .prop_map(|(of, force, attempt)| Step::Cancel { of, force, attempt }),
        3 => (age(), select(vec![0, 59, 60])).prop_map(|(of, after)| Step::CancelByForce { of, after }),
        9 => close(),
        3 => any::<bool>().prop_map(|dies| Step::Restart { dies }),
        4 => select(vec![-86_400, -3_600, -301, -1, 1, 45, 301, 3_600, 90_000]).prop_map(Step::Jump),
    ]
    .boxed()
}

fn close() -> impl Strategy<Value = Step> {
    let state = select(vec![
        "succeeded",
        "failed",
        "cancelled",
        "dispatch_failed",
        "dispatch_failed",
    ]);
    (select(vec![0, 0, 301]), age(), state, meant()).prop_map(|(after, of, state, attempt)| Step::Close {
        after,
        of,
        state,
        attempt,
    })
}

fn age() -> impl Strategy<Value = usize> {
    select(vec![0, 0, 0, 1, 1, 2])
}

fn meant() -> impl Strategy<Value = Option<i64>> {
    select(vec![None, None, None, None, None, Some(1), Some(2)])
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![1 => click().prop_map(Act::Click), 2 => report().prop_map(Act::Report)]
}

fn click() -> impl Strategy<Value = Click> {
    let key = select(vec![None, None, None, Some(0), Some(0), Some(1)]);
    (0..2_usize, key, select(vec![0, 0, 0, 1]), prop::bool::weighted(0.95)).prop_map(|(site, key, reason, typed)| {
        Click {
            site,
            key,
            reason,
            typed,
        }
    })
}

fn report() -> impl Strategy<Value = Report> {
    let statuses = vec![
        "in_progress",
        "in_progress",
        "in_progress",
        "success",
        "failure",
        "cancelled",
    ];
    let log = prop::option::of((
        select(vec!["one\n", "zwei: ü\n", "no end", "\0\n", ""]),
        prop::bool::weighted(0.2),
    ));
    (
        (
            age(),
            select(vec![1, 1, 1, 1, 2, 2, 3]),
            select(vec!["deploy", "deploy", "check"]),
            0..8_i64,
        ),
        (
            select(statuses),
            select(vec![None, Some("Build"), Some("Build"), Some("Release")]),
            log,
        ),
        (prop::bool::weighted(0.93), seal()),
    )
        .prop_map(
            |((of, attempt, job, seq), (status, step, log), (own_run, seal))| Report {
                of,
                attempt,
                job,
                seq,
                status,
                step,
                log,
                own_run,
                seal,
            },
        )
}

fn seal() -> impl Strategy<Value = Seal> {
    prop_oneof![
        20 => Just(Seal::Signed(0)),
        1 => select(vec![-300, 300]).prop_map(Seal::Signed),
        2 => select(vec![-301, 301, -100_000]).prop_map(Seal::Signed),
        1 => Just(Seal::Previous),
        1 => Just(Seal::Forged),
        1 => Just(Seal::Stolen),
        1 => Just(Seal::Unsigned),
        1 => Just(Seal::UnknownKey),
        1 => Just(Seal::OtherPath),
    ]
}

fn scenario() -> impl Strategy<Value = Scenario> {
    use Scenario as S;
    prop_oneof![
        6 => Just(S::Queued),
        1 => Just(S::Refuse),
        1 => Just(S::Refuse429),
        1 => Just(S::SecondaryLimit),
        2 => Just(S::Error500),
        2 => Just(S::Error500Accepted),
        1 => Just(S::Drop),
        2 => Just(S::NoDetails),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        1 => Just(Deed::Waits),
        4 => Just(Deed::Begins),
        6 => select(vec!["success", "failure", "cancelled", "timed_out", "skipped"]).prop_map(Deed::Ends),
        4 => Just(Deed::RunsAgain),
        1 => Just(Deed::IsDeleted),
        1 => any::<bool>().prop_map(Deed::IsListed),
    ]
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    select(vec![
        None,
        None,
        None,
        Some(Fault::Error500),
        Some(Fault::Error500),
        Some(Fault::Drop),
        Some(Fault::Unauthorized),
        Some(Fault::RateLimited(90)),
        Some(Fault::SecondaryLimit(30)),
    ])
}
