//! What was typed when the session ended: kept in this tab until its operator is back from signing in.

use leptos::prelude::window;
use serde::{Deserialize, Serialize};

const KEY: &str = "deploy-draft";

/// A deploy that was about to be asked for. Its confirmation is typed anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Draft {
    /// The site's slug.
    pub(super) site: String,
    /// Why, as far as it was typed.
    pub(super) reason: String,
}

/// Keeps it. A browser that refuses to store anything loses a sentence, no more.
pub(super) fn keep(draft: &Draft) {
    if let (Ok(Some(storage)), Ok(text)) = (window().session_storage(), serde_json::to_string(draft)) {
        let _ = storage.set_item(KEY, &text);
    }
}

/// Takes it back, once.
pub(super) fn take() -> Option<Draft> {
    let storage = window().session_storage().ok()??;
    let text = storage.get_item(KEY).ok()??;
    let _ = storage.remove_item(KEY);
    serde_json::from_str(&text).ok()
}
