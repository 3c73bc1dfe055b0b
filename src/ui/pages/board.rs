use super::when_loaded;
use crate::api::get_board;
use crate::domain::{Board, Site, Tile};
use crate::ui::components::{ConfirmDialog, SiteTile, StaleBanner};
use crate::ui::draft;
use crate::ui::poll::poll;
use leptos::prelude::*;
use leptos_meta::Title;

/// `/`: every site, live.
#[component]
pub(in crate::ui) fn BoardPage() -> impl IntoView {
    let loaded = Resource::new_blocking(|| (), |()| get_board());
    view! {
        <Title text="Sites" />
        <h1>"Sites"</h1>
        {when_loaded(loaded, |board| view! { <LiveBoard board /> })}
    }
}

#[component]
fn LiveBoard(board: Board) -> impl IntoView {
    let (board, set_board) = signal(board);
    let poll = poll(get_board, move |newer| {
        if *board.read_untracked() != newer {
            set_board.set(newer);
        }
    });
    let target = RwSignal::new(None::<(Site, String)>);
    let live = RwSignal::new(false);
    // Effects run in the browser alone, once the page is taken over.
    Effect::new(move || {
        live.set(true);
        // Somebody who had to sign in again goes on where they were.
        if let Some(draft) = draft::take() {
            let tiles = &board.read_untracked().tiles;
            let site = tiles
                .iter()
                .map(|tile| &tile.site)
                .find(|site| site.slug.as_str() == draft.site);
            target.set(site.map(|site| (site.clone(), draft.reason)));
        }
    });
    let on_deploy = Callback::new(move |site| target.set(Some((site, String::new()))));
    let tiles = move |first: Tile| {
        let (site, slug) = (first.site.clone(), first.site.slug.clone());
        let tile = Memo::new(move |before: Option<&Tile>| {
            let board = board.read();
            let now = board.tiles.iter().find(|tile| tile.site.slug == slug);
            now.or(before).unwrap_or(&first).clone()
        });
        view! { <SiteTile site tile on_deploy live /> }
    };
    let outside = Signal::derive(move || {
        let target = target.read();
        let slug = &target.as_ref()?.0.slug;
        let board = board.read();
        let tile = board.tiles.iter().find(|tile| tile.site.slug == *slug)?;
        tile.outside.clone().filter(|run| run.state.is_active())
    });
    view! {
        <StaleBanner poll />
        <div class="board" class:is-stale=move || poll.stale_since.get().is_some()>
            <For each=move || board.get().tiles key=|tile| tile.site.slug.clone() children=tiles />
        </div>
        <ConfirmDialog target outside signed_out=poll.signed_out on_created=Callback::new(move |()| poll.now()) />
    }
}
