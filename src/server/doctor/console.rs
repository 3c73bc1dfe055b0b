//! The console's own half: its configuration, and whether GitHub knows it.

use super::{Finding, Reached, token};
use crate::server::auth::provider::ProviderDoor;
use crate::server::config::Survey;
use crate::server::github::{Github, Identity, NotRead, Options};
use url::{Host, Url};

/// Beyond so much a clock is worth a warning, and an error: callbacks may be 300 s old.
const CLOCK_WARNING_MS: u64 = 5_000;
const CLOCK_ERROR_MS: u64 = 60_000;

/// The variables and the file of sites.
pub(super) fn configuration(survey: &Survey) -> Vec<Finding> {
    let mut findings: Vec<Finding> = survey
        .wrong
        .iter()
        .map(|error| {
            let remedy = "set the variable as docs/configuration.md says, for `doctor` as for `serve`";
            Finding::error("config.variables", error.to_string(), remedy)
        })
        .collect();
    if findings.is_empty() {
        let message = "every variable that `serve` needs is there and can be read";
        findings.push(Finding::ok("config.variables", message));
    }
    findings.push(file(survey));
    findings.push(public_url(survey));
    findings
}

fn file(survey: &Survey) -> Finding {
    let check = "config.file";
    let file = match &survey.file {
        Ok(file) => file,
        Err(error) => {
            let remedy = "mend that line; src/server/demo/console.toml is an annotated example. No site was looked at";
            return Finding::error(check, error.to_string(), remedy);
        }
    };
    let base_url = survey.public_url.as_deref().unwrap_or("http://127.0.0.1:3000");
    let door = file
        .provider
        .clone()
        .map(|provider| ProviderDoor::new(provider, survey.provider_secret.clone(), base_url));
    if let Some(Err(error)) = door {
        let remedy = "mend [oidc] as docs/operators.md says";
        return Finding::error(check, format!("{}: [oidc]: {error}", survey.path.display()), remedy);
    }
    let count = file.sites.len();
    let message = format!("{} can be read; sites: {count}", survey.path.display());
    Finding::ok(check, message)
}

fn public_url(survey: &Survey) -> Finding {
    let check = "config.public_url";
    match &survey.public_url {
        None => Finding::ok(
            check,
            "CONSOLE_URL is not set: the console is known by the address that it listens on",
        ),
        Some(url) if is_safe(url) => Finding::ok(check, format!("people open {url}")),
        Some(url) => Finding::warning(
            check,
            format!("CONSOLE_URL is {url}: passwords and logs travel in clear"),
            "put a proxy with TLS in front, and set CONSOLE_URL to its https:// address",
        ),
    }
}

/// Whether nobody can listen in between: https, or this machine.
pub(super) fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || loopback
}

/// Whether GitHub answers, what it says about the token, and what time it has.
pub(super) async fn github(survey: &Survey) -> (Vec<Finding>, Option<Reached>) {
    let Some(options) = survey.github.clone() else {
        let message = "GitHub was not asked: how to speak to it is not configured";
        let remedy = "set what config.variables names, then run `doctor` again";
        return (vec![Finding::error("github.reachable", message, remedy)], None);
    };
    let options = seeing_more(options);
    let (api_url, is_app) = (options.api_url.clone(), matches!(options.identity, Identity::App(_)));
    let github = match Github::new(options) {
        Ok(github) => github,
        Err(error) => {
            let message = format!("GITHUB_DISPATCH_TOKEN, GITHUB_API_VERSION: {error}");
            let remedy = "copy the token again, without spaces or line breaks in it";
            return (vec![Finding::error("token.valid", message, remedy)], None);
        }
    };
    let reachable = Finding::ok("github.reachable", format!("{api_url} answers"));
    match github.greet().await {
        Ok(greeting) => {
            let findings = vec![
                reachable,
                token::known(&greeting),
                token::expiry(&greeting, crate::server::clock::now()),
                clock(greeting.ahead_ms),
            ];
            (findings, Some(Reached { github, greeting }))
        }
        Err(refused @ (NotRead::Unauthorized(_) | NotRead::Forbidden(_))) => {
            (vec![reachable, token::refused(&refused, is_app)], None)
        }
        Err(error) => {
            let remedy = "look at GITHUB_API_URL, the network and its proxies, and githubstatus.com; nothing of GitHub was checked";
            let message = format!("{api_url}: {error}");
            (vec![Finding::error("github.reachable", message, remedy)], None)
        }
    }
}

/// An App borrows what it needs for deploys, and here what it takes to look, as far as it has it.
fn seeing_more(mut options: Options) -> Options {
    if let Identity::App(key) = &mut options.identity {
        let more = ["contents", "secrets", "actions_variables", "environments"];
        key.also.extend(more.map(|permission| (permission, "read")));
    }
    options
}

fn clock(ahead_ms: Option<i64>) -> Finding {
    let check = "clock";
    let remedy = "let the machine keep its time by NTP, such as `timedatectl set-ntp true`: callbacks more than 300 s off are refused";
    let Some(ahead_ms) = ahead_ms else {
        let message = "GitHub's answer had no Date, so the clock could not be compared";
        return Finding::warning(check, message, remedy);
    };
    let seconds = ahead_ms.unsigned_abs().div_ceil(1000);
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let message = format!("this machine's clock is at least {seconds} s {side} GitHub's");
    match ahead_ms.unsigned_abs() {
        0..=CLOCK_WARNING_MS => Finding::ok(check, "this machine's clock agrees with GitHub's within 5 s"),
        ms if ms <= CLOCK_ERROR_MS => Finding::warning(check, message, remedy),
        _ => Finding::error(check, message, remedy),
    }
}
