use super::when_loaded;
use crate::api::{change_password, create_token, end_sessions, get_account, revoke_token};
use crate::domain::{Account, NewToken, SessionInfo, SignInWay, Slug, TokenInfo};
use crate::ui::act::Act;
use crate::ui::clock;
use crate::ui::components::{Moment, Refused, Reveal};
use crate::ui::form::Filled;
use crate::ui::words;
use leptos::prelude::*;
use leptos_meta::Title;

/// `/account`: one's own password, sessions and API tokens.
#[component]
pub(in crate::ui) fn AccountPage() -> impl IntoView {
    let loaded = Resource::new_blocking(|| (), |()| get_account());
    when_loaded(loaded, |account| view! { <LiveAccount account /> })
}

#[component]
fn LiveAccount(account: Account) -> impl IntoView {
    let account = RwSignal::new(account);
    let read = Act::new();
    let refresh = Callback::new(move |()| read.start(get_account(), move |newer| account.set(newer)));
    let operator = account.read_untracked().operator.clone();
    let has_password = operator.sign_in == SignInWay::Password;
    view! {
        <Title text="Your account" />
        <h1>"Your account"</h1>
        <dl class="facts card">
            <dt>"Name"</dt>
            <dd>{operator.name.to_string()}</dd>
            <dt>"Role"</dt>
            <dd>{words::role(operator.role)}</dd>
            <dt>"Sign-in"</dt>
            <dd>{words::sign_in_way(operator.sign_in)}</dd>
        </dl>
        <Refused refusal=read.refusal />
        <div class="pair">
            <div class="stack">
                <Sessions account refresh />
                {has_password.then(|| view! { <Password refresh /> })}
            </div>
            <Tokens account refresh />
        </div>
    }
}

/// The browsers that are signed in, and how to end each.
#[component]
fn Sessions(account: RwSignal<Account>, refresh: Callback<()>) -> impl IntoView {
    let act = Act::new();
    let end = Callback::new(move |handle: Option<String>| act.start(end_sessions(handle), move |()| refresh.run(())));
    let row = move |session: SessionInfo| {
        let handle = session.handle.clone();
        let label = format!(
            "End the session from {} that began {}",
            session.address,
            words::exact(session.signed_in_at)
        );
        let here = session.current;
        view! {
            <li class="row">
                <div class="row-main">
                    <strong>{words::browser(&session.user_agent)}</strong>
                    {here.then(|| view! { <span class="mark-here">"This one"</span> })}
                    <p class="quiet">
                        "from " <code>{session.address}</code> ", signed in " <Moment at=session.signed_in_at />
                        ", last seen " <Moment at=session.last_seen_at />
                    </p>
                </div>
                {(!here).then(|| view! {
                    <button type="button" class="button" aria-label=label disabled=act.busy on:click=move |_| end.run(Some(handle.clone()))>
                        "End"
                    </button>
                })}
            </li>
        }
    };
    view! {
        <section class="card" aria-labelledby="sessions-title">
            <h2 id="sessions-title">"Sessions"</h2>
            <p class="quiet">"Browsers that are signed in as you. End what you do not know."</p>
            <ul class="rows">
                <For each=move || account.get().sessions key=|session| (session.handle.clone(), session.last_seen_at) children=row />
            </ul>
            <Refused refusal=act.refusal />
            <div class="actions">
                <button type="button" class="button" disabled=act.busy on:click=move |_| end.run(None)>
                    "Sign out everywhere"
                </button>
            </div>
        </section>
    }
}

/// One's API tokens, and how to make and revoke them.
#[component]
fn Tokens(account: RwSignal<Account>, refresh: Callback<()>) -> impl IntoView {
    let act = Act::new();
    let row = move |token: TokenInfo| {
        let (id, label) = (token.id.clone(), format!("Revoke the token {}", token.name));
        let sites: Vec<&str> = token.sites.iter().map(Slug::as_str).collect();
        let sites = if sites.is_empty() {
            "every site".to_owned()
        } else {
            sites.join(", ")
        };
        let now = clock::now();
        let valid = token.is_valid(now.get_untracked());
        let end = words::token_end(&token, now.get_untracked());
        let revoke = move |_| act.start(revoke_token(id.clone()), move |()| refresh.run(()));
        view! {
            <li class="row">
                <div class="row-main">
                    <strong>{token.name}</strong>
                    <p class="quiet">
                        {sites} " · made " <Moment at=token.created_at /> " · " {end} " · "
                        {token.last_used_at.map_or_else(|| "never used".into_any(), |at| view! { "used " <Moment at /> }.into_any())}
                    </p>
                </div>
                {valid.then(|| view! {
                    <button type="button" class="button" aria-label=label disabled=act.busy on:click=revoke>
                        "Revoke"
                    </button>
                })}
            </li>
        }
    };
    view! {
        <section class="card" aria-labelledby="tokens-title">
            <h2 id="tokens-title">"API tokens"</h2>
            <p class="quiet">
                "For scripts: " <code>"Authorization: Bearer rxc_…"</code> ". A token may do what you may, on its sites."
            </p>
            <Show when=move || account.read().tokens.is_empty()>
                <p class="quiet">"There is none yet."</p>
            </Show>
            <ul class="rows">
                <For
                    each=move || account.get().tokens
                    key=|token| (token.id.clone(), token.revoked_at, token.last_used_at)
                    children=row
                />
            </ul>
            <Refused refusal=act.refusal />
            <NewTokenForm sites=account.read_untracked().sites.clone() refresh />
        </section>
    }
}

#[component]
fn NewTokenForm(sites: Vec<Slug>, refresh: Callback<()>) -> impl IntoView {
    let act = Act::new();
    let made = RwSignal::new(None::<NewToken>);
    let submit = move |event: leptos::ev::SubmitEvent| {
        let Some(filled) = Filled::take(&event) else { return };
        let chosen = filled.ticked("site");
        let sites = chosen
            .into_iter()
            .filter_map(|slug| Slug::try_from(slug).ok())
            .collect();
        let asked = create_token(filled.text("name"), sites, filled.text("days").parse().ok());
        act.start(asked, move |token| {
            made.set(Some(token));
            filled.reset();
            refresh.run(());
        });
    };
    let choices = sites.into_iter().map(|slug| {
        let shown = slug.to_string();
        view! {
            <label class="choice">
                <input type="checkbox" name="site" value=shown.clone() />
                <span>{shown}</span>
            </label>
        }
    });
    view! {
        {move || made.get().map(|made| view! {
            <Reveal label="New token" text=made.text note="Copy it now: it is not shown again." />
        })}
        <form class="form" on:submit=submit>
            <h3>"New token"</h3>
            <label class="field">
                <span>"What will use it"</span>
                <input type="text" name="name" required maxlength="64" autocomplete="off" />
            </label>
            <label class="field">
                <span>"Ends after"</span>
                <select name="days">
                    <option value="30">"30 days"</option>
                    <option value="90" selected>"90 days"</option>
                    <option value="365">"A year"</option>
                    <option value="never">"Never"</option>
                </select>
            </label>
            <fieldset class="choices">
                <legend>"Sites (all, unless you choose)"</legend>
                {choices.collect_view()}
            </fieldset>
            <Refused refusal=act.refusal />
            <div class="actions">
                <button type="submit" class="button primary" disabled=act.busy>
                    "Create token"
                </button>
            </div>
        </form>
    }
}

#[component]
fn Password(refresh: Callback<()>) -> impl IntoView {
    let act = Act::new();
    let done = RwSignal::new(false);
    let submit = move |event: leptos::ev::SubmitEvent| {
        let Some(filled) = Filled::take(&event) else { return };
        done.set(false);
        act.start(change_password(filled.text("old"), filled.text("new")), move |()| {
            filled.reset();
            done.set(true);
            refresh.run(());
        });
    };
    view! {
        <section class="card" aria-labelledby="password-title">
            <h2 id="password-title">"Password"</h2>
            <form class="form" on:submit=submit>
                <label class="field">
                    <span>"Present password"</span>
                    <input type="password" name="old" required autocomplete="current-password" />
                </label>
                <label class="field">
                    <span>"New password"</span>
                    <input type="password" name="new" required minlength="12" autocomplete="new-password" />
                </label>
                <Refused refusal=act.refusal />
                <p role="status" class="quiet">
                    {move || done.get().then_some("Changed. Your other sessions have ended.")}
                </p>
                <div class="actions">
                    <button type="submit" class="button" disabled=act.busy>
                        "Change password"
                    </button>
                </div>
            </form>
        </section>
    }
}
