//! What an operator does on a page: asked once at a time, and a refusal stays in view.

use crate::api::ApiError;
use leptos::prelude::*;
use leptos::task::spawn_local;
use std::future::Future;

/// One kind of action on a page.
#[derive(Clone, Copy)]
pub(super) struct Act {
    /// Whether one is under way, or the page cannot do anything yet.
    pub(super) busy: RwSignal<bool>,
    /// Why the last one was refused.
    pub(super) refusal: RwSignal<Option<ApiError>>,
}

impl Act {
    /// Nothing was done yet. Until the browser has taken the page over, nothing can be: what is pressed is disabled.
    pub(super) fn new() -> Self {
        let busy = RwSignal::new(true);
        // Effects run in the browser alone.
        Effect::new(move || busy.set(false));
        Self {
            busy,
            refusal: RwSignal::new(None),
        }
    }

    /// Does it, unless the last one is still under way; `then` gets what came of it.
    pub(super) fn start<T: 'static>(
        self,
        action: impl Future<Output = Result<T, ApiError>> + 'static,
        then: impl FnOnce(T) + 'static,
    ) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.refusal.set(None);
        spawn_local(async move {
            match action.await {
                Ok(done) => then(done),
                Err(error) => self.refusal.set(Some(error)),
            }
            self.busy.set(false);
        });
    }
}
