use crate::api::{ApiError, create_deploy};
use crate::domain::{About, Confirmation, DeployRequest, OutsideRun, Site};
use crate::ui::components::{OutsideWarning, SignInAgain};
use crate::ui::draft::{self, Draft};
use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

/// The one dialog of the board: type the slug, then deploy.
///
/// It is the browser's own modal: focus goes in, stays in and returns, and Esc closes it.
#[component]
pub(in crate::ui) fn ConfirmDialog(
    /// The site that is asked about, and the reason as far as it is known; `None` while the dialog is closed.
    target: RwSignal<Option<(Site, String)>>,
    /// The run from outside that is under way at that site, if one is.
    outside: Signal<Option<OutsideRun>>,
    /// Whether the session has ended behind the dialog.
    signed_out: ReadSignal<bool>,
    /// Called when a deploy is on record.
    on_created: Callback<()>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(element) = dialog.get() else { return };
        if target.read().is_some() && !element.open() {
            // It can only fail when the element left the page, and then there is nothing to show.
            let _ = element.show_modal();
        } else if target.read().is_none() && element.open() {
            element.close();
        }
    });
    let content = move || {
        target
            .get()
            .map(|(site, reason)| view! { <ConfirmForm site reason target outside signed_out on_created /> })
    };
    view! {
        <dialog
            class="dialog"
            node_ref=dialog
            aria-labelledby="dialog-title"
            on:close=move |_| target.set(None)
        >
            {content}
        </dialog>
    }
}

#[component]
fn ConfirmForm(
    site: Site,
    reason: String,
    target: RwSignal<Option<(Site, String)>>,
    outside: Signal<Option<OutsideRun>>,
    signed_out: ReadSignal<bool>,
    on_created: Callback<()>,
) -> impl IntoView {
    let typed = RwSignal::new(String::new());
    let reason = RwSignal::new(reason);
    let sending = RwSignal::new(false);
    let refusal = RwSignal::new(None::<ApiError>);
    let operator = expect_context::<About>().me.map(|me| me.name.to_string());
    let slug = site.slug.clone();
    let matches = Memo::new(move |_| Confirmation::check(&slug, &typed.read()).is_ok());
    let slug = site.slug.to_string();
    let wanted = slug.clone();
    let draft_of = StoredValue::new(slug.clone());
    // Whoever has to sign in again comes back to what was typed.
    Effect::new(move || {
        if signed_out.get() || refusal.read().as_ref().is_some_and(ApiError::is_signed_out) {
            let (site, reason) = (draft_of.get_value(), reason.get());
            draft::keep(&Draft { site, reason });
        }
    });
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        // A second click or Enter while the first is on its way is the same wish.
        if !matches.get_untracked() || sending.get_untracked() {
            return;
        }
        sending.set(true);
        refusal.set(None);
        let reason = Some(reason.get_untracked()).filter(|reason| !reason.trim().is_empty());
        let (site, confirmation) = (wanted.clone(), typed.get_untracked());
        let request = DeployRequest {
            site,
            confirmation,
            reason,
            git_ref: None,
            inputs: std::collections::BTreeMap::new(),
        };
        spawn_local(async move {
            match create_deploy(request).await {
                Ok(_) => target.set(None),
                Err(error) => {
                    sending.set(false);
                    refusal.set(Some(error));
                }
            }
            on_created.run(());
        });
    };
    view! {
        <form method="dialog" class="confirm" class:is-production=site.is_production() on:submit=submit>
            <h2 id="dialog-title">"Deploy " {slug.clone()}</h2>
            <dl class="facts">
                <dt>"Site"</dt>
                <dd>{site.name.clone()} " · " {site.environment.clone()}</dd>
                <dt>"Runs"</dt>
                <dd>
                    <code>{site.workflow.clone()}</code>
                    " of "
                    <code>{site.repository.clone()}</code>
                </dd>
                <dt>"From"</dt>
                <dd>
                    <code>{site.git_ref.clone()}</code>
                </dd>
                <dt>"As"</dt>
                <dd>{operator}</dd>
            </dl>
            <OutsideWarning run=Memo::new(move |_| outside.get()) />
            <label class="field">
                <span>"Type " <code>{slug}</code> " to confirm"</span>
                <input
                    type="text"
                    autofocus
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    bind:value=typed
                />
            </label>
            <label class="field">
                <span>"Reason"</span>
                <input type="text" autocomplete="off" maxlength="500" aria-describedby="reason-hint" bind:value=reason />
            </label>
            <p id="reason-hint" class="quiet hint">"Optional. It stays on the record."</p>
            <div role="alert">
                {move || match refusal.get() {
                    Some(error) if !error.is_signed_out() => view! { <Refused error /> }.into_any(),
                    None if !signed_out.get() => ().into_any(),
                    _ => view! { <SessionEnded /> }.into_any(),
                }}
            </div>
            <footer class="actions">
                <button type="button" class="button" on:click=move |_| target.set(None)>
                    "Cancel"
                </button>
                <button type="submit" class="button primary" disabled=move || !matches.get() || sending.get()>
                    "Confirm deploy"
                </button>
            </footer>
        </form>
    }
}

/// Why nothing was recorded, or, when no answer came, that nobody knows.
#[component]
fn Refused(error: ApiError) -> impl IntoView {
    let text = if error.is_unreachable() {
        "No answer came, so the deploy may be on record or not. Look at the tile before you try again.".to_owned()
    } else {
        format!("{}. {}", error.title, error.detail)
    };
    let active = error
        .deploy_id
        .map(|id| view! { " " <a href=format!("/deploys/{id}")>"Its record"</a> });
    view! { <p class="because tone-danger">{text} {active}</p> }
}

/// The session ended while something was being typed. It is kept.
#[component]
fn SessionEnded() -> impl IntoView {
    view! {
        <p class="because tone-attention">
            "Your session has ended, and nothing was deployed. " <SignInAgain /> " and you are back here."
        </p>
    }
}
