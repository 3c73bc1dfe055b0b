//! What stands in a form when it is sent: read from the page itself, because somebody may have typed before the
//! browser took the page over.

use leptos::ev::SubmitEvent;
use wasm_bindgen::JsCast as _;
use web_sys::{FormData, HtmlFormElement};

/// A form that was sent.
pub(super) struct Filled {
    form: HtmlFormElement,
    data: FormData,
}

impl Filled {
    /// Keeps the browser from sending the form itself, and reads it.
    pub(super) fn take(event: &SubmitEvent) -> Option<Self> {
        event.prevent_default();
        let form: HtmlFormElement = event.target()?.dyn_into().ok()?;
        let data = FormData::new_with_form(&form).ok()?;
        Some(Self { form, data })
    }

    /// The value of the field with this name; empty when there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.data.get(name).as_string().unwrap_or_default()
    }

    /// The values of all boxes with this name that are ticked.
    pub(super) fn ticked(&self, name: &str) -> Vec<String> {
        self.data
            .get_all(name)
            .iter()
            .filter_map(|value| value.as_string())
            .collect()
    }

    /// Empties every field.
    pub(super) fn reset(&self) {
        self.form.reset();
    }
}
