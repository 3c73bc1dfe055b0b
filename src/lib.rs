//! Raxx Console: press Deploy on a site's tile, type its name, and watch the GitHub Actions run land.
//!
//! - [`domain`]: what a deploy is and how it moves. Pure.
//! - [`api`]: the seam between browser and server: server functions.
//! - [`ui`]: the pages, drawn on the server and taken over by the browser.
//! - `server`: everything native: the record, the dispatcher, callbacks, the routes.
//!
//! `docs/architecture.md` follows one deploy through all of them.

// A page's type holds the types of all its parts.
#![recursion_limit = "512"]

pub mod api;
pub mod domain;
#[cfg(feature = "ssr")]
pub mod server;
pub mod ui;

/// Where the browser begins: takes over the page that the server drew.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(ui::App);
}
