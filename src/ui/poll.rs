//! Polling: every 2 s while the page is seen, at once on return, and honest about what it could not get.
//!
//! A poll only ever hands over new data. What stands on the page stays the same elements, so focus, caret,
//! selection and scroll are nobody's but the operator's.

use super::clock::browser_now;
use super::words;
use crate::api::ApiError;
use crate::domain::Timestamp;
use gloo_timers::callback::Interval;
use leptos::leptos_dom::helpers::window_event_listener_untyped;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::future::Future;
use web_sys::VisibilityState;

const EVERY_MS: u32 = 2_000;
/// A picture older than this is called old, and an answer that takes longer is not waited for: the machine may
/// have slept in between.
const GIVE_UP_MS: i64 = 8_000;

/// What a page shows about its own age, and the wish to ask at once.
#[derive(Clone, Copy)]
pub(super) struct Poll {
    /// Since when the picture is old; `None` while it is fresh.
    pub(super) stale_since: ReadSignal<Option<Timestamp>>,
    /// What kept it from being fresh, where the console said.
    pub(super) problem: ReadSignal<Option<String>>,
    /// Whether the session has ended, so that nothing more comes until its operator signs in again.
    pub(super) signed_out: ReadSignal<bool>,
    hurry: Trigger,
}

impl Poll {
    /// Asks now instead of at the next beat.
    pub(super) fn now(self) {
        self.hurry.notify();
    }
}

/// Starts polling: `fetch` asks, `take` gets each answer. Ends with the component.
pub(super) fn poll<T, F, Fut>(fetch: F, take: impl Fn(T) + Copy + 'static) -> Poll
where
    T: 'static,
    F: Fn() -> Fut + Copy + 'static,
    Fut: Future<Output = Result<T, ApiError>> + 'static,
{
    let (stale_since, set_stale_since) = signal(None);
    let (problem, set_problem) = signal(None);
    let (signed_out, set_signed_out) = signal(false);
    let hurry = Trigger::new();
    // When the request began that is under way, and its number: an answer to an older one is not taken.
    let asking = StoredValue::new(None::<Timestamp>);
    let number = StoredValue::new(0_u64);
    let last_good = StoredValue::new(None::<Timestamp>);

    let mark_stale = move || {
        if stale_since.get_untracked().is_none() {
            set_stale_since.set(last_good.get_value());
        }
    };
    let ask = move || {
        let older = |moment: Option<Timestamp>| moment.is_some_and(|at| browser_now().millis_since(at) > GIVE_UP_MS);
        if is_hidden() {
            return;
        }
        if older(last_good.get_value()) {
            mark_stale();
        }
        if asking.get_value().is_some() && !older(asking.get_value()) {
            return;
        }
        let mine = number.get_value() + 1;
        number.set_value(mine);
        asking.set_value(Some(browser_now()));
        spawn_local(async move {
            let outcome = fetch().await;
            // The page may be gone, or a newer request under way.
            if number.try_get_value() != Some(mine) {
                return;
            }
            asking.set_value(None);
            match outcome {
                Ok(answer) => {
                    last_good.set_value(Some(browser_now()));
                    set_stale_since.set(None);
                    set_problem.set(None);
                    set_signed_out.set(false);
                    take(answer);
                }
                Err(error) => {
                    set_problem.set(words::no_news(&error));
                    set_signed_out.set(error.is_signed_out());
                    mark_stale();
                }
            }
        });
    };
    // Effects run in the browser alone.
    Effect::new(move || {
        last_good.set_value(Some(browser_now()));
        let beat = StoredValue::new_local(Some(Interval::new(EVERY_MS, ask)));
        let seen_again = window_event_listener_untyped("visibilitychange", move |_| ask());
        let online_again = window_event_listener_untyped("online", move |_| ask());
        on_cleanup(move || {
            drop(beat.try_update_value(Option::take));
            seen_again.remove();
            online_again.remove();
        });
    });
    Effect::new(move |before: Option<()>| {
        hurry.track();
        if before.is_some() {
            // What is under way began before the reason to hurry.
            asking.set_value(None);
            ask();
        }
    });
    Poll {
        stale_since,
        problem,
        signed_out,
        hurry,
    }
}

fn is_hidden() -> bool {
    document().visibility_state() == VisibilityState::Hidden
}
