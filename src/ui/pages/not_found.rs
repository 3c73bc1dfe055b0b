use leptos::prelude::*;
use leptos_meta::Title;

/// There is no such page.
#[component]
pub(in crate::ui) fn NotFoundPage() -> impl IntoView {
    view! {
        <Title text="Page not found" />
        <section class="problem card">
            <h1>"Page not found"</h1>
            <p>"There is nothing at this address. It may be mistyped, or come from another console."</p>
            <p>
                <a href="/">"Back to the sites"</a>
            </p>
        </section>
    }
}
