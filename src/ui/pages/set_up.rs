use crate::domain::{About, Gate};
use leptos::prelude::*;
use leptos_meta::Title;

/// `/set-up/{token}`: the first admin says who they are; an operator who was invited sets a password.
#[component]
pub(in crate::ui) fn SetUpPage() -> impl IntoView {
    match expect_context::<About>().gate {
        Some(Gate::SetUp {
            operator,
            name,
            problem,
        }) => view! { <SetUpForm operator=operator.map(|name| name.to_string()) name problem /> }.into_any(),
        _ => view! {
            <Title text="Link used up" />
            <section class="problem card">
                <h1>"This link opens nothing any more"</h1>
                <p>"It has been used, or has expired. Ask an admin for another one."</p>
                <p>
                    <a href="/sign-in" rel="external">
                        "Sign in"
                    </a>
                </p>
            </section>
        }
        .into_any(),
    }
}

#[component]
fn SetUpForm(operator: Option<String>, name: String, problem: Option<String>) -> impl IntoView {
    let title = if operator.is_some() {
        "Set your password"
    } else {
        "Become the first admin"
    };
    let who = match operator {
        Some(operator) => view! {
            // A password manager learns whose password it keeps.
            <label class="field">
                <span>"Name"</span>
                <input type="text" name="name" value=operator readonly autocomplete="username" />
            </label>
        }
        .into_any(),
        None => view! {
            <p class="quiet">"Nobody can come in yet. You can let others in afterwards, on the page People."</p>
            <label class="field">
                <span>"Name"</span>
                <input
                    type="text"
                    name="name"
                    value=name
                    required
                    autofocus
                    maxlength="64"
                    autocomplete="username"
                    autocapitalize="none"
                    spellcheck="false"
                />
            </label>
        }
        .into_any(),
    };
    view! {
        <Title text=title />
        <section class="door card">
            <h1>{title}</h1>
            <div role="alert">{problem.map(|problem| view! { <p class="because tone-danger">{problem}</p> })}</div>
            <form method="post" class="form">
                {who}
                <label class="field">
                    <span>"Password"</span>
                    <input
                        type="password"
                        name="password"
                        required
                        minlength="12"
                        autocomplete="new-password"
                        aria-describedby="password-hint"
                    />
                </label>
                <p id="password-hint" class="quiet hint">
                    "At least 12 characters. Four unrelated words are easy to keep in mind."
                </p>
                <button type="submit" class="button primary">
                    "Set password and sign in"
                </button>
            </form>
        </section>
    }
}
