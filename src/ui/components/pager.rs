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
    let newest = is_older.then(|| view! { <a class="button" href=path.clone()>"Newest"</a> });
    let older = next.map(|next| view! { <a class="button" href=format!("{path}?before={next}")>"Older"</a> });
    view! {
        <nav class="pager" aria-label="More deploys">
            {newest} {older}
        </nav>
    }
}
