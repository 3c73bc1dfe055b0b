//! The pages: drawn on the server, taken over by the browser, and live from then on.

// The component macro makes of each function a public struct of its properties.
#![allow(unreachable_pub)]

mod clock;
mod components;
mod pages;
mod poll;
mod terminal;
mod words;

use crate::domain::About;
use clock::provide_clock;
use components::Frame;
use leptos::config::LeptosOptions;
use leptos::prelude::*;
use leptos_meta::{MetaTags, Stylesheet, Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{SsrMode, path};
use pages::{BoardPage, DeployPage, HistoryPage, NotFoundPage, SitePage};

/// The document around the app.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <HydrationScripts options />
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
                </Routes>
            </Frame>
        </Router>
    }
}
