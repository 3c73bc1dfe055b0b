use super::when_loaded;
use crate::api::{add_operator, get_operators, issue_link, set_disabled, set_role};
use crate::domain::{About, OneTimeLink, Operator, Role, SignInWay};
use crate::ui::act::Act;
use crate::ui::components::{Moment, Refused, Reveal};
use crate::ui::form::Filled;
use crate::ui::words;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;

/// `/people`: who may come in, and what they may do. For admins.
#[component]
pub(in crate::ui) fn PeoplePage() -> impl IntoView {
    let loaded = Resource::new_blocking(|| (), |()| get_operators());
    view! {
        <Title text="People" />
        {when_loaded(loaded, |operators| view! { <LivePeople operators /> })}
    }
}

/// What the parts of the page share.
#[derive(Clone, Copy)]
struct People {
    operators: RwSignal<Vec<Operator>>,
    act: Act,
    /// The last link that was given out, and for whom.
    link: RwSignal<Option<(String, OneTimeLink)>>,
}

impl People {
    fn refresh(self) {
        spawn_local(async move {
            match get_operators().await {
                Ok(newer) => self.operators.set(newer),
                Err(error) => self.act.refusal.set(Some(error)),
            }
        });
    }
}

#[component]
fn LivePeople(operators: Vec<Operator>) -> impl IntoView {
    let people = People {
        operators: RwSignal::new(operators),
        act: Act::new(),
        link: RwSignal::new(None),
    };
    let key = |operator: &Operator| (operator.id, operator.role, operator.disabled_at, operator.sign_in);
    let link = move || {
        people.link.get().map(|(name, link)| {
            let note = format!(
                "For {name}. It opens once, until {}. It is not shown again.",
                words::exact(link.expires_at)
            );
            view! { <Reveal label="One-time link" text=link.url note /> }
        })
    };
    view! {
        <h1>"People"</h1>
        <Refused refusal=people.act.refusal />
        {link}
        <section class="card" aria-label="Operators">
            <ul class="rows">
                <For each=move || people.operators.get() key let:operator>
                    <Person operator people />
                </For>
            </ul>
        </section>
        <Add people />
    }
}

#[component]
fn Person(operator: Operator, people: People) -> impl IntoView {
    let is_me = expect_context::<About>()
        .me
        .is_some_and(|me| me.operator == operator.id);
    let name = StoredValue::new(operator.name.clone());
    let shown = operator.name.to_string();
    let disabled = operator.disabled_at.is_some();
    let by_provider = operator.sign_in == SignInWay::Provider;
    let choose_role = move |event| {
        if let Ok(role) = event_target_value(&event).parse::<Role>() {
            people
                .act
                .start(set_role(name.get_value(), role), move |()| people.refresh());
        }
    };
    let toggle = move |_| {
        people
            .act
            .start(set_disabled(name.get_value(), !disabled), move |()| people.refresh());
    };
    let reset = move |_| {
        let name = name.get_value();
        people.act.start(issue_link(name.clone()), move |link| {
            people.link.set(Some((name.to_string(), link)));
        });
    };
    let roles = Role::ALL.map(|role| {
        view! { <option value=role.as_str() selected=role == operator.role>{words::role(role)}</option> }
    });
    view! {
        <li class="row" class:is-off=disabled>
            <div class="row-main">
                <strong>{shown.clone()}</strong>
                {is_me.then(|| view! { <span class="mark-here">"You"</span> })}
                <p class="quiet">
                    {words::sign_in_way(operator.sign_in)} " · since " <Moment at=operator.created_at />
                    {operator.disabled_at.map(|at| view! { " · disabled " <Moment at /> })}
                </p>
            </div>
            <select aria-label=format!("Role of {shown}") disabled=move || by_provider || people.act.busy.get() on:change=choose_role>
                {roles.collect_view()}
            </select>
            {(!by_provider).then(|| view! {
                <button type="button" class="button" aria-label=format!("New link for {shown}") disabled=people.act.busy on:click=reset>
                    "New link"
                </button>
            })}
            <button
                type="button"
                class="button"
                aria-label=format!("{} {shown}", if disabled { "Enable" } else { "Disable" })
                disabled=people.act.busy
                on:click=toggle
            >
                {if disabled { "Enable" } else { "Disable" }}
            </button>
        </li>
    }
}

#[component]
fn Add(people: People) -> impl IntoView {
    let act = Act::new();
    let submit = move |event: leptos::ev::SubmitEvent| {
        let Some(filled) = Filled::take(&event) else { return };
        let (name, role) = (filled.text("name"), filled.text("role").parse().unwrap_or(Role::Viewer));
        act.start(add_operator(name.clone(), role), move |link| {
            people.link.set(Some((name, link)));
            filled.reset();
            people.refresh();
        });
    };
    let roles = Role::ALL.map(|role| {
        view! { <option value=role.as_str() selected=role == Role::Deployer>{words::role(role)}</option> }
    });
    view! {
        <section class="card" aria-labelledby="add-title">
            <h2 id="add-title">"Let somebody in"</h2>
            <form class="form" on:submit=submit>
                <label class="field">
                    <span>"Name"</span>
                    <input type="text" name="name" required maxlength="64" autocomplete="off" autocapitalize="none" spellcheck="false" />
                </label>
                <label class="field">
                    <span>"Role"</span>
                    <select name="role">{roles.collect_view()}</select>
                </label>
                <Refused refusal=act.refusal />
                <div class="actions">
                    <button type="submit" class="button primary" disabled=act.busy>
                        "Add operator"
                    </button>
                </div>
            </form>
        </section>
    }
}
