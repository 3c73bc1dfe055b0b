//! One clock for the page, so that every "3 s ago" moves together.

use crate::domain::Timestamp;
use gloo_timers::callback::Interval;
use leptos::prelude::*;

const TICK_MS: u32 = 1_000;
/// Below this the two clocks count as one: the page took that long to arrive.
const CLOCKS_AGREE_MS: i64 = 10_000;

#[derive(Clone, Copy)]
struct Clock(ReadSignal<Timestamp>);

/// Starts the page's clock at the server's time; in the browser it ticks every second.
pub(super) fn provide_clock(server_now: Timestamp) {
    let (now, set_now) = signal(server_now);
    provide_context(Clock(now));
    // Effects run in the browser alone: the server draws one moment.
    Effect::new(move || {
        let skew = browser_now().millis_since(server_now);
        let skew = if skew.abs() < CLOCKS_AGREE_MS { 0 } else { skew };
        let ticking = Interval::new(TICK_MS, move || set_now.set(browser_now().plus_millis(-skew)));
        let ticking = StoredValue::new_local(Some(ticking));
        on_cleanup(move || drop(ticking.try_update_value(Option::take)));
    });
}

/// The present moment by the server's clock, to the second.
pub(super) fn now() -> ReadSignal<Timestamp> {
    expect_context::<Clock>().0
}

/// The present moment by the browser's clock. In the browser only.
pub(super) fn browser_now() -> Timestamp {
    // A millisecond count is far inside what f64 holds exactly.
    #[allow(clippy::cast_possible_truncation)]
    Timestamp::from_millis(js_sys::Date::now() as i64)
}
