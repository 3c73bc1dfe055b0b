//! The pages: drawn on the server, taken over by the browser, and live from then on.

// The component macro makes of each function a public struct of its properties.
#![allow(unreachable_pub)]

mod act;
mod clock;
mod components;
mod draft;
mod form;
mod outage;
mod pages;
mod poll;
pub mod terminal;
mod words;

pub use outage::outage;

use crate::domain::About;
use clock::provide_clock;
use components::Frame;
use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::{MetaTags, Stylesheet, Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{SsrMode, path};
use pages::{
    AccountPage, AuditPage, BoardPage, DeployPage, HistoryPage, NotFoundPage, PeoplePage, SetUpPage, SignInPage,
    SitePage,
};

/// How the browser takes a page over. Leptos's own component would leave the preloads without a nonce, and a
/// strict policy would refuse them.
const TAKE_OVER: &str = r#"import init, { hydrate } from "/pkg/raxx-console.js";
await init({ module_or_path: "/pkg/raxx-console_bg.wasm" });
hydrate();"#;

/// The document around the app. What it loads carries the page's nonce, and nothing else runs.
pub fn shell() -> impl IntoView {
    let nonce = use_nonce();
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="modulepreload" href="/pkg/raxx-console.js" nonce=nonce.clone() />
                <link rel="preload" href="/pkg/raxx-console_bg.wasm" r#as="fetch" r#type="application/wasm" crossorigin="" />
                <script type="module" nonce=nonce>
                    {TAKE_OVER}
                </script>
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// Everything inside `body`, on the server and in the browser alike.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    let about = SharedValue::new(|| expect_context::<About>()).into_inner();
    provide_clock(about.now);
    provide_context(about);
    view! {
        <Stylesheet href="/pkg/raxx-console.css" />
        <Title formatter=|page: String| {
            if page.is_empty() { "Raxx Console".to_owned() } else { format!("{page} · Raxx Console") }
        } />
        <Router>
            <Frame>
                <Routes fallback=NotFoundPage>
                    // Async: the status of a page (404, say) is known before its first byte is sent.
                    <Route path=path!("/") view=BoardPage ssr=SsrMode::Async />
                    <Route path=path!("/deploys") view=HistoryPage ssr=SsrMode::Async />
                    <Route path=path!("/deploys/:id") view=DeployPage ssr=SsrMode::Async />
                    <Route path=path!("/sites/:slug") view=SitePage ssr=SsrMode::Async />
                    <Route path=path!("/account") view=AccountPage ssr=SsrMode::Async />
                    <Route path=path!("/people") view=PeoplePage ssr=SsrMode::Async />
                    <Route path=path!("/audit") view=AuditPage ssr=SsrMode::Async />
                    <Route path=path!("/sign-in") view=SignInPage ssr=SsrMode::Async />
                    // A sign-in at the provider that did not succeed shows the same page where it came back to.
                    <Route path=path!("/sign-in/oidc") view=SignInPage ssr=SsrMode::Async />
                    <Route path=path!("/sign-in/oidc/callback") view=SignInPage ssr=SsrMode::Async />
                    <Route path=path!("/set-up/:token") view=SetUpPage ssr=SsrMode::Async />
                </Routes>
            </Frame>
        </Router>
    }
}
