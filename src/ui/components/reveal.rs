use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

/// Something that is shown this once: a token, a one-time link.
#[component]
pub(in crate::ui) fn Reveal(
    /// What it is.
    label: &'static str,
    /// The thing itself.
    text: String,
    /// What to do with it.
    #[prop(into)]
    note: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let value = text.clone();
    let copy = move |_| {
        let text = text.clone();
        spawn_local(async move {
            let written = window().navigator().clipboard().write_text(&text);
            // Where the browser does not let us, the text can still be marked by hand.
            copied.set(JsFuture::from(written).await.is_ok());
        });
    };
    view! {
        <div class="reveal" role="status">
            <label class="field">
                <span>{label}</span>
                <input type="text" readonly value=value />
            </label>
            <button type="button" class="button" on:click=copy>
                {move || if copied.get() { "Copied" } else { "Copy" }}
            </button>
            <p class="quiet hint">{note}</p>
        </div>
    }
}
