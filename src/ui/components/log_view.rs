use crate::domain::LogTail;
use crate::ui::terminal::{self, Line, Style};
use leptos::html;
use leptos::prelude::*;

/// How close to its end a log counts as being at its end, in CSS pixels.
const AT_END_PX: i32 = 24;

/// A piece with more lines than this is drawn only where it is seen.
const LONG_BLOCK_LINES: usize = 60;

/// The part of a log that is on the page: whole lines in blocks that never change again, and the line that is
/// still being written.
#[derive(Clone, Copy)]
pub(in crate::ui) struct LogWindow {
    blocks: RwSignal<Vec<Block>>,
    open_line: RwSignal<String>,
    /// What the blocks leave set for it.
    style: RwSignal<Style>,
    /// The cursor for what comes next.
    pub(in crate::ui) after: RwSignal<String>,
    /// Whether earlier lines exist that are not on the page.
    pub(in crate::ui) truncated: RwSignal<bool>,
}

#[derive(Clone, PartialEq, Eq)]
struct Block {
    /// Where it ends in the log: no two blocks of one window end at the same place.
    key: String,
    lines: Vec<Line>,
}

impl LogWindow {
    /// A window on this piece.
    pub(in crate::ui) fn new(tail: &LogTail) -> Self {
        let window = Self {
            blocks: RwSignal::new(Vec::new()),
            open_line: RwSignal::new(String::new()),
            style: RwSignal::new(Style::default()),
            after: RwSignal::new(String::new()),
            truncated: RwSignal::new(tail.truncated),
        };
        window.append(tail);
        window
    }

    /// Adds the piece that follows.
    pub(in crate::ui) fn append(self, tail: &LogTail) {
        if self.after.get_untracked() == tail.after {
            return;
        }
        if tail.restarted && !self.is_empty() {
            return self.restart(tail);
        }
        self.after.set(tail.after.clone());
        let mut text = self.open_line.get_untracked();
        text.push_str(&tail.text);
        let end = text.rfind('\n').map_or(0, |end| end + 1);
        if end > 0 {
            let mut style = self.style.get_untracked();
            let lines = terminal::lines(&text[..end], &mut style);
            self.style.set(style);
            self.blocks.update(|blocks| {
                blocks.push(Block {
                    key: tail.after.clone(),
                    lines,
                });
            });
        }
        self.open_line.set(text.split_off(end));
    }

    /// Begins again with this piece.
    pub(in crate::ui) fn restart(self, tail: &LogTail) {
        self.blocks.set(Vec::new());
        self.open_line.set(String::new());
        self.style.set(Style::default());
        self.after.set(String::new());
        self.truncated.set(tail.truncated);
        self.append(tail);
    }

    fn is_empty(self) -> bool {
        self.blocks.read().is_empty() && self.open_line.read().is_empty()
    }
}

/// A log that grows at its end, and follows it as long as the reader is there.
#[component]
pub(in crate::ui) fn LogView(
    /// What to show.
    window: LogWindow,
    /// What it is the log of.
    #[prop(into)]
    label: String,
) -> impl IntoView {
    let scroller = NodeRef::<html::Div>::new();
    let follows = StoredValue::new(true);
    let watch_scroll = move |_| {
        if let Some(element) = scroller.get_untracked() {
            let below = element.scroll_height() - element.scroll_top() - element.client_height();
            follows.set_value(below <= AT_END_PX);
        }
    };
    Effect::new(move || {
        window.blocks.track();
        window.open_line.track();
        if let Some(element) = scroller.get().filter(|_| follows.get_value()) {
            request_animation_frame(move || element.set_scroll_top(element.scroll_height()));
        }
    });
    let open_line = move || {
        terminal::lines(&window.open_line.read(), &mut window.style.get())
            .into_iter()
            .map(line_view)
            .collect_view()
    };
    view! {
        <div class="log" role="log" aria-label=label tabindex="0" node_ref=scroller on:scroll=watch_scroll>
            <Show when=move || window.is_empty()>
                <p class="quiet">"Nothing has been logged yet."</p>
            </Show>
            <For each=move || window.blocks.get() key=|block| block.key.clone() children=block_view />
            <div class="log-block">{open_line}</div>
        </div>
    }
}

fn block_view(block: Block) -> impl IntoView {
    let is_long = block.lines.len() > LONG_BLOCK_LINES;
    let lines = block.lines.into_iter().map(line_view).collect_view();
    view! { <div class="log-block" class:is-long=is_long>{lines}</div> }
}

/// One line of a log.
pub(super) fn line_view(line: Line) -> impl IntoView {
    let spans = line
        .spans
        .into_iter()
        .map(|span| view! { <span class=span.class>{span.text}</span> })
        .collect_view();
    let cut = (line.cut > 0).then(|| view! { <em class="log-cut">{format!(" … {} more characters", line.cut)}</em> });
    view! { <div class="log-line">{spans} {cut} "\n"</div> }
}
