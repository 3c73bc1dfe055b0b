use super::StateBadge;
use crate::domain::Deploy;
use crate::ui::words;
use leptos::prelude::*;

/// The way between the attempts of a deploy whose run was run again on GitHub. Empty while there is but one.
#[component]
pub(in crate::ui) fn Attempts(
    /// The attempt that is shown.
    #[prop(into)]
    deploy: Signal<Deploy>,
) -> impl IntoView {
    let known = Memo::new(move |_| {
        let deploy = deploy.read();
        (deploy.id, deploy.attempt().number, deploy.reruns.clone())
    });
    let links = move || {
        let (id, shown, reruns) = known.get();
        let first = view! { "The deploy" }.into_any();
        let rest = reruns.into_iter().map(|rerun| {
            let by = rerun.by.map(|by| format!(", by {by} on GitHub"));
            let text = view! { "Re-run, attempt " {rerun.attempt} {by} " " <StateBadge state=Some(rerun.state) /> };
            (rerun.attempt, text.into_any())
        });
        let all = std::iter::once((1, first)).chain(rest);
        let link = |(number, text): (i64, AnyView)| {
            let current = (number == shown).then_some("page");
            // A page of its own, loaded as one: what is drawn for one attempt does not turn into another.
            view! { <li><a href=words::attempt_path(id, number) rel="external" aria-current=current>{text}</a></li> }
        };
        all.map(link).collect_view()
    };
    view! {
        <Show when=move || !known.read().2.is_empty()>
            <nav class="attempts" aria-label="Attempts">
                <ul>{links}</ul>
            </nav>
        </Show>
    }
}
