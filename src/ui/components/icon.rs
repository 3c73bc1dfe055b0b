use leptos::prelude::*;

/// A tone's icon: a shape of its own for each, so that colour is never the only difference.
#[component]
pub(in crate::ui) fn Icon(
    /// The tone, as [`crate::ui::words::tone`] names it.
    #[prop(into)]
    tone: Signal<&'static str>,
) -> impl IntoView {
    let shape = move || match tone.get() {
        "success" => "M4.5 8.5l2.4 2.4 4.6-5.2",
        "danger" => "M5.4 5.4l5.2 5.2M10.6 5.4l-5.2 5.2",
        "attention" => "M8 4.6v4.2M8 11.2v.1",
        "running" => "M8 4.4v3.8l2.6 1.6",
        "waiting" => "M5 8h.1M8 8h.1M11 8h.1",
        _ => "M5 8h6",
    };
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <circle class="icon-ring" cx="8" cy="8" r="6.75" />
            <path class="icon-sign" d=shape />
        </svg>
    }
}
