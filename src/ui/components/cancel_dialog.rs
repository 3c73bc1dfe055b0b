use super::Refused;
use crate::api::cancel_deploy;
use crate::domain::{About, CancelRequest, Deploy, Role};
use crate::ui::act::Act;
use crate::ui::clock;
use leptos::html;
use leptos::prelude::*;

/// The button that stops a deploy, with its own small confirmation; after a minute without effect, by force.
#[component]
pub(in crate::ui) fn CancelDeploy(
    /// The deploy.
    #[prop(into)]
    deploy: Signal<Deploy>,
    /// Called when something was asked of it.
    on_asked: Callback<()>,
) -> impl IntoView {
    let now = clock::now();
    // Which wish is open to the operator: none, or the plain one, or force.
    let offered = Memo::new(move |_| {
        let deploy = deploy.read();
        if !deploy.is_active() {
            return None;
        }
        if !deploy.cancel_requested {
            return Some(false);
        }
        deploy
            .force_offered_at()
            .filter(|from| *from <= now.get())
            .map(|_| true)
    });
    let live = RwSignal::new(false);
    // Effects run in the browser alone, once the page is taken over.
    Effect::new(move || live.set(true));
    let dialog = NodeRef::<html::Dialog>::new();
    let open = move |_| {
        if let Some(element) = dialog.get_untracked() {
            // It can only fail when the element left the page, and then there is nothing to show.
            let _ = element.show_modal();
        }
    };
    let may = expect_context::<About>().me.is_some_and(|me| me.role >= Role::Deployer);
    let why_not = (!may).then_some("Viewers cannot cancel a deploy.");
    let button = move |force: bool| {
        let word = if force { "Force cancel" } else { "Cancel deploy" };
        view! {
            <button type="button" class="button" disabled=move || !live.get() || !may title=why_not on:click=open>
                {word}
            </button>
        }
    };
    view! {
        {move || offered.get().map(button)}
        <CancelForm deploy offered dialog on_asked />
    }
}

#[component]
fn CancelForm(
    deploy: Signal<Deploy>,
    offered: Memo<Option<bool>>,
    dialog: NodeRef<html::Dialog>,
    on_asked: Callback<()>,
) -> impl IntoView {
    let act = Act::new();
    let force = move || offered.get().unwrap_or_default();
    let site = deploy.read_untracked().site.to_string();
    let close = move || {
        act.refusal.set(None);
        if let Some(element) = dialog.get_untracked() {
            element.close();
        }
    };
    let ask = move |_| {
        let meant = deploy.read_untracked().attempt();
        let request = CancelRequest {
            force: offered.get_untracked().unwrap_or_default(),
            attempt: Some(meant.number),
        };
        let asked = async move {
            let outcome = cancel_deploy(meant.deploy.to_string(), request).await;
            // The wish may be on record though GitHub did not take it.
            on_asked.run(());
            outcome
        };
        act.start(asked, move |_| close());
    };
    let consequence = move || {
        if force() {
            "GitHub ends the run at once: steps that tidy up, and the last callback, do not run."
        } else {
            "GitHub is asked to stop the run. What it has deployed so far stays as it is."
        }
    };
    view! {
        <dialog class="dialog" node_ref=dialog aria-labelledby="cancel-title">
            <div class="confirm">
                <h2 id="cancel-title">
                    {move || if force() { "Force cancel " } else { "Cancel the deploy of " }}
                    {site}
                </h2>
                <p>{consequence}</p>
                <Refused refusal=act.refusal />
                <footer class="actions">
                    <button type="button" class="button" autofocus on:click=move |_| close()>
                        "Keep it running"
                    </button>
                    <button type="button" class="button danger" disabled=act.busy on:click=ask>
                        {move || if force() { "Yes, force it" } else { "Yes, cancel it" }}
                    </button>
                </footer>
            </div>
        </dialog>
    }
}
