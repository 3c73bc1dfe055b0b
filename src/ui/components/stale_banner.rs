use super::SignInAgain;
use crate::ui::poll::Poll;
use crate::ui::words;
use leptos::prelude::*;

/// Says that the page is old, since when, and that it goes on trying. Empty while the page is fresh.
#[component]
pub(in crate::ui) fn StaleBanner(
    /// The page's poll.
    poll: Poll,
) -> impl IntoView {
    let banner = move || {
        poll.stale_since.get().map(|since| {
            if poll.signed_out.get() {
                return view! {
                    <p class="stale tone-attention">
                        <strong>"Your session has ended."</strong>
                        " What you see is of " {words::time_of_day(since)} ". "
                        <SignInAgain />
                    </p>
                }
                .into_any();
            }
            let problem = poll
                .problem
                .get()
                .unwrap_or_else(|| "The console does not answer.".to_owned());
            view! {
                <p class="stale tone-attention">
                    <strong>"Not updated since " {words::time_of_day(since)}</strong>
                    " "
                    {problem}
                    " What you see may be old. Trying again every 2 s."
                </p>
            }
            .into_any()
        })
    };
    view! { <div role="alert">{banner}</div> }
}
