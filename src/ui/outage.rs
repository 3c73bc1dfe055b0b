//! What stands in place of a page while the record cannot be reached. It asks for nothing, so it cannot fail itself; and
//! no script takes it over, because the answer says when the browser is to try again.

use leptos::prelude::*;

/// The document. `is_tried_again`: whether the browser comes back by itself; what was sent with a form is for its sender
/// to send again.
pub fn outage(is_tried_again: bool) -> String {
    let hope = if is_tried_again {
        "This page tries again by itself every few seconds."
    } else {
        "What you sent was not taken. Go back, and send it again in a moment."
    };
    let again = is_tried_again.then(|| view! { <p><a href="">"Try again now"</a></p> });
    let document = view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <title>"No record just now · Raxx Console"</title>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="stylesheet" href="/pkg/raxx-console.css" />
            </head>
            <body>
                <header class="top">
                    <a href="/" class="brand">
                        "Raxx Console"
                    </a>
                </header>
                <main id="content" tabindex="-1">
                    <section class="problem card tone-danger" role="alert">
                        <h1>"The console cannot reach its record"</h1>
                        <p>
                            "It runs, and its database is busy, full or away. Deploys that are under way go on at GitHub, and \
                             nothing that was confirmed is lost."
                        </p>
                        <p>{hope}</p>
                        {again}
                    </section>
                </main>
            </body>
        </html>
    };
    document.to_html()
}
