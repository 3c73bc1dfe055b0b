use crate::domain::{About, Caller, Role};
use leptos::prelude::*;
use leptos_router::components::A;

/// What stands around every page: where one is, who one is, and whether it is only a demo.
#[component]
pub(in crate::ui) fn Frame(
    /// The page.
    children: Children,
) -> impl IntoView {
    let about = expect_context::<About>();
    let (pages, person) = about
        .me
        .map(|me| (view! { <Pages role=me.role /> }, view! { <Person me /> }))
        .unzip();
    let demo = about.stand_in.map(|stand_in| {
        view! {
            <aside class="demo-note" aria-label="Demo">
                <strong>"Demo."</strong>
                " GitHub is a stand-in on this machine, and nothing real is deployed. "
                <a href=stand_in rel="external">"Choose what it does"</a>
            </aside>
        }
    });
    view! {
        <a class="skip" href="#content">
            "Skip to the content"
        </a>
        <header class="top">
            <A href="/" attr:class="brand">
                <svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
                    <rect x="1.5" y="1.5" width="21" height="21" rx="6" />
                    <path d="M7 15.5l5-8 5 8M9.2 12h5.6" />
                </svg>
                "Raxx Console"
            </A>
            {pages}
            {person}
        </header>
        {demo}
        <noscript>
            <p class="demo-note">"This page does not update, and cannot deploy, without JavaScript. Reload it to see more."</p>
        </noscript>
        <main id="content" tabindex="-1">
            {children()}
        </main>
        <footer class="bottom">"Raxx Console " {about.version}</footer>
    }
}

/// Where a person can go.
#[component]
fn Pages(role: Role) -> impl IntoView {
    let for_admins = (role == Role::Admin).then(|| {
        view! {
            <A href="/people">"People"</A>
            <A href="/audit">"Audit"</A>
        }
    });
    view! {
        <nav aria-label="Pages">
            <A href="/" exact=true>
                "Sites"
            </A>
            <A href="/deploys">"Deploys"</A>
            {for_admins}
        </nav>
    }
}

/// Who one is, and the way out.
#[component]
fn Person(me: Caller) -> impl IntoView {
    view! {
        <div class="whoami">
            <A href="/account" attr:class="whoami-name">
                <span class="whoami-label">"Operator "</span>
                <strong>{me.name.to_string()}</strong>
            </A>
            <form method="post" action="/sign-out">
                <button type="submit" class="button plain">
                    "Sign out"
                </button>
            </form>
        </div>
    }
}
