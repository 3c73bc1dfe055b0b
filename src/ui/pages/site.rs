use super::when_loaded;
use crate::api::get_site;
use crate::domain::SiteHistory;
use crate::ui::components::{DeployList, Pager, StaleBanner};
use crate::ui::poll::poll;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

/// `/sites/{slug}`: a site and its history, newest first.
#[component]
pub(in crate::ui) fn SitePage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let asked = Memo::new(move |_| {
        (
            params.read().get("slug").unwrap_or_default(),
            query.read().get("before"),
        )
    });
    let loaded = Resource::new_blocking(move || asked.get(), |(slug, before)| get_site(slug, before));
    when_loaded(
        loaded,
        move |history| view! { <LiveSite history before=asked.get_untracked().1 /> },
    )
}

#[component]
fn LiveSite(history: SiteHistory, before: Option<String>) -> impl IntoView {
    let site = history.site;
    let (next, is_older) = (history.page.next.clone(), before.is_some());
    let asked = StoredValue::new((site.slug.to_string(), before));
    let (page, set_page) = signal(history.page);
    let fetch = move || {
        let (slug, before) = asked.get_value();
        get_site(slug, before)
    };
    let poll = poll(fetch, move |newer| set_page.set(newer.page));
    let kind = if site.is_production() {
        "environment is-production"
    } else {
        "environment"
    };
    view! {
        <Title text=site.name.clone() />
        <header class="page-head">
            <h1>{site.name.clone()}</h1>
            <span class=kind>{site.environment.clone()}</span>
        </header>
        <dl class="facts card">
            <dt>"Slug"</dt>
            <dd><code>{site.slug.to_string()}</code></dd>
            <dt>"Address"</dt>
            <dd><a href=site.url.clone() rel="external">{site.url.clone()}</a></dd>
            <dt>"Deployed by"</dt>
            <dd><code>{site.workflow.clone()}</code> " of " <code>{site.repository.clone()}</code></dd>
            <dt>"From"</dt>
            <dd><code>{site.git_ref.clone()}</code></dd>
        </dl>
        <h2>"Deploys"</h2>
        <StaleBanner poll />
        <Show when=move || page.read().is_empty()>
            <p class="quiet">"No deploy of this site is on record yet."</p>
        </Show>
        <DeployList page with_site=false />
        <Pager path=format!("/sites/{}", site.slug) next is_older />
    }
}
