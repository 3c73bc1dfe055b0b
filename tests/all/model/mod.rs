//! The console against a model of it: random sequences of clicks, callbacks, faults, restarts and jumps of the clock.
//!
//! `make model` runs ten thousand of them; docs/testing.md says how to read what it finds.

mod checks;
mod drive;
mod picture;
mod reference;
mod requests;
mod steps;
mod world;

use crate::support::database::is_postgres;
use drive::Driver;
use proptest::strategy::{BoxedStrategy, Just, Strategy as _};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use steps::{Act, Step};
use tokio::runtime::{Builder, Runtime};

/// How many sequences, unless `MODEL_CASES` says otherwise.
const CASES: u32 = 30;
/// The same on PostgreSQL, where a database for each takes its time.
const CASES_ON_POSTGRES: u32 = 8;
/// How many steps one has at most.
const LONGEST: usize = 30;

/// How many clicks there were: all that it takes to choose the next step. What the console should make of the steps is
/// known as they are made, because it depends on what GitHub was asked.
struct Steps;

impl ReferenceStateMachine for Steps {
    type State = usize;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<usize> {
        Just(0).boxed()
    }

    fn transitions(clicks: &usize) -> BoxedStrategy<Step> {
        steps::step(*clicks)
    }

    fn apply(clicks: usize, step: &Step) -> usize {
        clicks + usize::from(matches!(step, Step::Says(Act::Click(_))))
    }
}

/// A console, its model, and the one thread that all of it runs on, so that its clock can be held.
struct Console {
    driver: Option<Driver>,
    runtime: Runtime,
}

impl Drop for Console {
    fn drop(&mut self) {
        let _within = self.runtime.enter();
        self.driver = None;
    }
}

impl StateMachineTest for Console {
    type SystemUnderTest = Self;
    type Reference = Steps;

    fn init_test(_: &usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let driver = Some(runtime.block_on(Driver::new()));
        Self { driver, runtime }
    }

    fn apply(mut console: Self, _: &usize, step: Step) -> Self {
        console.runtime.block_on(console.driver.as_mut().unwrap().apply(&step));
        console
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number"))
    })
}

#[test]
fn every_sequence_ends_as_the_model_says() {
    let short = if is_postgres() { CASES_ON_POSTGRES } else { CASES };
    let cases = u32::try_from(number("MODEL_CASES", short.into())).unwrap();
    let seed = number("MODEL_SEED", 1);
    println!("MODEL_CASES={cases} MODEL_SEED={seed}");
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: u32::try_from(number("PROPTEST_MAX_SHRINK_ITERS", 1_000)).unwrap(),
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config.clone(), rng);
    let began = Instant::now();
    let sequences = Steps::sequential_strategy(1..=LONGEST);
    let count = AtomicU32::new(0);
    let outcome = runner.run(&sequences, |(start, steps, seen)| {
        count.fetch_add(u32::from(seen.is_some()), Ordering::Relaxed);
        Console::test_sequential(config.clone(), start, steps, seen);
        Ok(())
    });
    println!("{} sequences in {:.1?}", count.into_inner(), began.elapsed());
    match outcome {
        Ok(()) => {}
        Err(TestError::Abort(why)) => panic!("{why}"),
        Err(TestError::Fail(why, (_, steps, _))) => panic!("{}", story(&why.to_string(), &steps, seed)),
    }
}

fn story(why: &str, steps: &[Step], seed: u64) -> String {
    let mut story = format!("MODEL_SEED={seed}: {why}\nThe shortest sequence that ends so:\n");
    for (index, step) in steps.iter().enumerate() {
        writeln!(story, "{:3}. {step:?}", index + 1).unwrap();
    }
    story
}
