use crate::domain::{About, Gate};
use crate::ui::words;
use leptos::prelude::*;
use leptos_meta::Title;

/// `/sign-in`: a plain form, so that it works before WASM arrives and with every password manager.
#[component]
pub(in crate::ui) fn SignInPage() -> impl IntoView {
    let Some(Gate::SignIn {
        name,
        problem,
        return_to,
        provider,
    }) = expect_context::<About>().gate
    else {
        return view! { <p><a href="/sign-in" rel="external">"Sign in"</a></p> }.into_any();
    };
    let through_provider = provider.map(|provider| {
        let href = format!("/sign-in/oidc?return_to={}", words::url_value(&return_to));
        view! {
            <a class="button" href=href rel="external">
                "Sign in with "
                {provider}
            </a>
            <p class="or quiet">"or with a password"</p>
        }
    });
    view! {
        <Title text="Sign in" />
        <section class="door card">
            <h1>"Sign in"</h1>
            <div role="alert">{problem.map(|problem| view! { <p class="because tone-danger">{problem}</p> })}</div>
            {through_provider}
            <form method="post" action="/sign-in" class="form">
                <input type="hidden" name="return_to" value=return_to />
                <label class="field">
                    <span>"Name"</span>
                    <input
                        type="text"
                        name="name"
                        value=name
                        required
                        autofocus
                        autocomplete="username"
                        autocapitalize="none"
                        spellcheck="false"
                    />
                </label>
                <label class="field">
                    <span>"Password"</span>
                    <input type="password" name="password" required autocomplete="current-password" />
                </label>
                <button type="submit" class="button primary">
                    "Sign in"
                </button>
            </form>
        </section>
    }
    .into_any()
}
