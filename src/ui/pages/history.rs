use super::when_loaded;
use crate::api::get_history;
use crate::domain::DeployPage as Page;
use crate::ui::components::{DeployList, Pager, StaleBanner};
use crate::ui::poll::poll;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

/// `/deploys`: all history, newest first. The newest page is live.
#[component]
pub(in crate::ui) fn HistoryPage() -> impl IntoView {
    let query = use_query_map();
    let before = Memo::new(move |_| query.read().get("before"));
    let loaded = Resource::new_blocking(move || before.get(), get_history);
    view! {
        <Title text="Deploys" />
        <h1>"Deploys"</h1>
        {when_loaded(loaded, move |page| view! { <LiveHistory page before=before.get_untracked() /> })}
    }
}

#[component]
fn LiveHistory(page: Page, before: Option<String>) -> impl IntoView {
    let next = page.next.clone();
    let is_older = before.is_some();
    let before = StoredValue::new(before);
    let (page, set_page) = signal(page);
    let poll = poll(
        move || get_history(before.get_value()),
        move |newer| set_page.set(newer),
    );
    let is_empty = move || page.read().is_empty();
    view! {
        <StaleBanner poll />
        <Show when=is_empty>
            <p class="quiet">"No deploy is on record yet. Press Deploy on a site’s tile."</p>
        </Show>
        <DeployList page with_site=true />
        <Pager path="/deploys".to_owned() next is_older />
    }
}
