use super::Refused;
use crate::api::override_deploy;
use crate::domain::{About, Deploy, OverrideRequest, Role, State};
use crate::ui::act::Act;
use crate::ui::words;
use leptos::ev;
use leptos::prelude::*;

/// The way to close a deploy by hand, where nobody else can tell how it ended. Empty for all others.
#[component]
pub(in crate::ui) fn CloseByHand(
    /// The deploy.
    #[prop(into)]
    deploy: Signal<Deploy>,
    /// Called when it was tried.
    on_closed: Callback<()>,
) -> impl IntoView {
    // Drawn anew only when the choice changes, so that a poll takes nothing from what is typed.
    let choice = Memo::new(move |_| deploy.read().closable_as());
    let form = move || {
        let states = choice.get();
        (!states.is_empty()).then(|| view! { <CloseForm deploy states on_closed /> })
    };
    view! { {form} }
}

#[component]
fn CloseForm(deploy: Signal<Deploy>, states: &'static [State], on_closed: Callback<()>) -> impl IntoView {
    // One state alone is chosen already.
    let chosen = RwSignal::new((states.len() == 1).then(|| states[0]));
    let reason = RwSignal::new(String::new());
    let act = Act::new();
    let live = RwSignal::new(false);
    Effect::new(move || live.set(true));
    let operator = deploy.read_untracked().operator.clone();
    let me = expect_context::<About>().me;
    let may = me.is_some_and(|me| me.role >= Role::Admin || me.name.as_str() == operator);
    let why_not = (!may).then(|| {
        view! { <p class="hint">{format!("Only {operator}, who asked for this deploy, or an admin can close it.")}</p> }
    });
    let ready =
        move || may && live.get() && !act.busy.get() && chosen.get().is_some() && !reason.read().trim().is_empty();
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let Some(state) = chosen.get_untracked() else {
            return;
        };
        let attempt = deploy.read_untracked().attempt();
        let request = OverrideRequest {
            state,
            reason: reason.get_untracked(),
            attempt: Some(attempt.number),
        };
        let closed = async move {
            let outcome = override_deploy(attempt.deploy.to_string(), request).await;
            // Refused, it may have moved meanwhile.
            on_closed.run(());
            outcome
        };
        act.start(closed, |_| ());
    };
    let option = move |state: State| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="close-as"
                    value=state.as_str()
                    checked=move || chosen.get() == Some(state)
                    on:change=move |_| chosen.set(Some(state))
                />
                {words::state(state)}
            </label>
        }
    };
    view! {
        <form class="card close-form" on:submit=submit>
            <fieldset>
                <legend>"Close by hand"</legend>
                <p class="quiet">
                    "Only when you know how it ended: your word stands on the record, and the site is free again."
                </p>
                <div class="choices">{states.iter().copied().map(option).collect_view()}</div>
                <label class="field">
                    <span>"How do you know?"</span>
                    <input type="text" autocomplete="off" maxlength="500" required bind:value=reason />
                </label>
                {why_not}
                <Refused refusal=act.refusal />
                <footer class="actions">
                    <button type="submit" class="button primary" disabled=move || !ready()>
                        "Close deploy"
                    </button>
                </footer>
            </fieldset>
        </form>
    }
}
