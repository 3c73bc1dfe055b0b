use super::when_loaded;
use crate::api::get_audit;
use crate::domain::{AuditAction, AuditFilter, AuditPage as Page, AuditRow};
use crate::ui::components::Moment;
use crate::ui::words;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

/// `/audit`: who did what, from where, newest first. For admins.
#[component]
pub(in crate::ui) fn AuditPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let query = query.read();
        let given = |key: &str| query.get(key).filter(|value| !value.is_empty());
        AuditFilter {
            action: given("action"),
            actor: given("actor"),
            subject: given("subject"),
            before: given("before").and_then(|before| before.parse().ok()),
        }
    });
    let fetch = |asked: AuditFilter| get_audit(asked.action, asked.actor, asked.subject, asked.before);
    let loaded = Resource::new_blocking(move || asked.get(), fetch);
    view! {
        <Title text="Audit" />
        {when_loaded(loaded, move |page| view! { <Trail page asked=asked.get_untracked() /> })}
    }
}

#[component]
fn Trail(page: Page, asked: AuditFilter) -> impl IntoView {
    let older = page.next.map(|before| {
        href(&AuditFilter {
            before: Some(before),
            ..asked.clone()
        })
    });
    let newest = asked.before.map(|_| {
        href(&AuditFilter {
            before: None,
            ..asked.clone()
        })
    });
    let is_empty = page.rows.is_empty();
    view! {
        <header class="page-head">
            <h1>"Audit"</h1>
            <a href="/api/internal/audit.jsonl" rel="external" download>
                "Export as JSON lines"
            </a>
        </header>
        <Filter asked />
        {is_empty.then(|| view! { <p class="quiet">"Nothing on record matches."</p> })}
        <ol class="trail card">{page.rows.into_iter().map(|row| view! { <Row row /> }).collect_view()}</ol>
        <nav class="pager" aria-label="More">
            {newest.map(|href| view! { <a class="button" href=href>"Newest"</a> })}
            {older.map(|href| view! { <a class="button" href=href>"Older"</a> })}
        </nav>
    }
}

/// A plain form: it works before WASM arrives, and its address can be sent to somebody.
#[component]
fn Filter(asked: AuditFilter) -> impl IntoView {
    let chosen = asked.action;
    let actions = AuditAction::ALL.map(|action| {
        let selected = chosen.as_deref() == Some(action.as_str());
        view! { <option value=action.as_str() selected=selected>{words::audit_action(action)}</option> }
    });
    view! {
        <form method="get" action="/audit" class="filter card" aria-label="Filter">
            <label class="field">
                <span>"Action"</span>
                <select name="action">
                    <option value="">"Any"</option>
                    {actions.collect_view()}
                </select>
            </label>
            <label class="field">
                <span>"By"</span>
                <input type="text" name="actor" value=asked.actor autocomplete="off" />
            </label>
            <label class="field">
                <span>"About"</span>
                <input type="text" name="subject" value=asked.subject autocomplete="off" />
            </label>
            <button type="submit" class="button">
                "Filter"
            </button>
        </form>
    }
}

#[component]
fn Row(row: AuditRow) -> impl IntoView {
    let details = row
        .detail
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect::<Vec<_>>()
        .join(" · ");
    view! {
        <li class="trail-row">
            <span class="trail-seq quiet">{row.seq}</span>
            <span class="trail-when">
                <Moment at=row.at />
            </span>
            <p class="trail-what">
                <strong>{words::audit_actor(&row.actor)}</strong>
                " "
                {words::audit_action(row.action).to_lowercase()}
                {row.subject.map(|subject| view! { ": " <code>{subject}</code> })}
            </p>
            <span class="trail-where quiet">{row.address}</span>
            {(!details.is_empty()).then(|| view! { <p class="trail-detail quiet">{details}</p> })}
        </li>
    }
}

/// The address of the page with this filter.
fn href(filter: &AuditFilter) -> String {
    let before = filter.before.map(|before| before.to_string());
    let pairs = [
        ("action", &filter.action),
        ("actor", &filter.actor),
        ("subject", &filter.subject),
        ("before", &before),
    ];
    let given = pairs
        .into_iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)));
    let query: Vec<String> = given
        .map(|(key, value)| format!("{key}={}", words::url_value(value)))
        .collect();
    format!("/audit?{}", query.join("&"))
}
