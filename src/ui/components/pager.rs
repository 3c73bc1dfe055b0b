use leptos::prelude::*;

/// The way to older and back to the newest deploys.
#[component]
pub(in crate::ui) fn Pager(
    /// The page's path.
    path: String,
    /// The cursor of the older page.
    next: Option<String>,
    /// Whether this is an older page already.
    is_older: bool,
) -> impl IntoView {
    // Loaded as pages of their own: what is drawn for one page does not turn into another.
    let newest = is_older.then(|| view! { <a class="button" rel="external" href=path.clone()>"Newest"</a> });
    let older = next.map(|next| {
        let href = format!("{path}?before={next}");
        view! { <a class="button" rel="external" href=href>"Older"</a> }
    });
    view! {
        <nav class="pager" aria-label="More deploys">
            {newest} {older}
        </nav>
    }
}
