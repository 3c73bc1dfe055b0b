use super::{Icon, Moment};
use crate::domain::TimelineEntry;
use crate::ui::words;
use leptos::prelude::*;

/// Every transition: when, to which state, by whom, and in what words.
#[component]
pub(in crate::ui) fn Timeline(
    /// The entries, oldest first.
    #[prop(into)]
    entries: Signal<Vec<TimelineEntry>>,
) -> impl IntoView {
    let numbered = move || entries.get().into_iter().enumerate().collect::<Vec<_>>();
    view! {
        <ol class="timeline">
            // Entries are only ever added, so the number tells them apart.
            <For each=numbered key=|(number, _)| *number let((_, entry))>
                <li class=format!("entry tone-{}", words::tone(entry.state))>
                    <Icon tone=words::tone(entry.state) />
                    <p>
                        <strong>{words::state(entry.state)}</strong>
                        " by "
                        {words::actor(&entry.by)}
                        " "
                        <span class="quiet">
                            <Moment at=entry.at />
                        </span>
                    </p>
                    {entry.note.map(|note| view! { <p class="note">{note}</p> })}
                </li>
            </For>
        </ol>
    }
}
