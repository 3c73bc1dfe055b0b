//! Whether GitHub has the secrets and variables that the workflow hands to the action.
//!
//! To look, a token needs more than to dispatch. One that may not look is none the worse for that.

use super::console::is_safe;
use super::workflow::Uses;
use super::{Finding, Reached};
use crate::domain::Site;
use crate::server::github::{Kind, NotRead, Place};

const SECRET: &str = "settings.secret";
const URL: &str = "settings.console_url";

/// What came of looking for a setting in every place.
enum Search {
    Found {
        place: String,
        value: Option<String>,
    },
    Nowhere,
    /// Some place was not read; which, and why.
    Unsure(String),
    /// The token may not look where such things mostly are.
    Hidden,
}

/// Checks every secret, and every variable that says where the console is.
pub(super) async fn check(site: &Site, uses: &Uses, reached: &Reached, public_url: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in &uses.secrets {
        let search = search(site, uses, reached, Kind::Secret, name).await;
        findings.push(secret(name, search));
    }
    for name in &uses.variables {
        let search = search(site, uses, reached, Kind::Variable, name).await;
        findings.push(variable(name, search, public_url));
    }
    findings.extend(uses.addresses.iter().map(|url| address("console-url", url, public_url)));
    findings
}

/// Looks in the order in which GitHub does.
async fn search(site: &Site, uses: &Uses, reached: &Reached, kind: Kind, name: &str) -> Search {
    let environments = uses.environments.iter().map(|name| Place::Environment(name));
    let places: Vec<Place<'_>> = environments.chain([Place::Repository, Place::Organization]).collect();
    let (mut unread, mut hidden, mut failed): (Vec<String>, bool, bool) = (Vec::new(), false, false);
    if uses.unknown_environment {
        unread.push("the environment, whose name is known only when it runs".to_owned());
    }
    for place in &places {
        match reached.github.setting(&site.repository, *place, kind, name).await {
            Ok(value) => {
                let place = words(*place);
                return Search::Found { place, value };
            }
            Err(NotRead::Missing(_)) => {}
            Err(NotRead::Forbidden(_)) => {
                hidden |= *place == Place::Repository;
                unread.push(format!("{}, where the token may not look", words(*place)));
            }
            Err(error) => {
                failed = true;
                unread.push(format!("{} ({error})", words(*place)));
            }
        }
    }
    if hidden && !failed {
        Search::Hidden
    } else if unread.is_empty() {
        Search::Nowhere
    } else {
        Search::Unsure(unread.join("; "))
    }
}

fn words(place: Place<'_>) -> String {
    match place {
        Place::Environment(name) => format!("the environment {name}"),
        Place::Repository => "the repository".to_owned(),
        Place::Organization => "the organisation".to_owned(),
    }
}

fn secret(name: &str, search: Search) -> Finding {
    let remedy = format!("`gh secret set {name}`, with the console's CONSOLE_CALLBACK_SECRET as its value");
    match search {
        Search::Found { place, .. } => {
            let message =
                format!("the secret {name} is there: {place} has it. Only a run can tell whether it is the right one");
            Finding::ok(SECRET, message)
        }
        Search::Hidden => Finding::ok(SECRET, hidden("secret", name, "Secrets")),
        Search::Nowhere => {
            let message =
                format!("no secret {name} is there: not in the environment, the repository or the organisation");
            Finding::error(SECRET, message, remedy)
        }
        Search::Unsure(unread) => Finding::warning(SECRET, unsure("secret", name, &unread), remedy),
    }
}

fn variable(name: &str, search: Search, public_url: Option<&str>) -> Finding {
    let own = public_url.unwrap_or("ADDRESS");
    let remedy = format!("`gh variable set {name} --body {own}`");
    match search {
        Search::Found { place, value } => {
            let what = format!("the variable {name} of {place}");
            address(&what, value.as_deref().unwrap_or_default(), public_url)
        }
        Search::Hidden => Finding::ok(URL, hidden("variable", name, "Variables")),
        Search::Nowhere => {
            let message =
                format!("no variable {name} is there: not in the environment, the repository or the organisation");
            Finding::error(URL, message, remedy)
        }
        Search::Unsure(unread) => Finding::warning(URL, unsure("variable", name, &unread), remedy),
    }
}

/// An address to which callbacks are sent.
fn address(what: &str, url: &str, public_url: Option<&str>) -> Finding {
    let url = url.trim().trim_end_matches('/');
    let remedy = format!(
        "set it to {}",
        public_url.unwrap_or("the console's public https:// address")
    );
    if url.is_empty() {
        return Finding::error(URL, format!("{what} is empty"), remedy);
    }
    if let Some(own) = public_url.filter(|own| *own != url) {
        let message = format!("{what} is {url}, and the console's CONSOLE_URL is {own}: callbacks may go elsewhere");
        return Finding::warning(URL, message, remedy);
    }
    if !is_safe(url) {
        return Finding::warning(
            URL,
            format!("{what} is {url}: callbacks and logs travel in clear"),
            remedy,
        );
    }
    Finding::ok(URL, format!("{what} is {url}"))
}

fn hidden(kind: &str, name: &str, permission: &str) -> String {
    format!(
        "whether the {kind} {name} is there was not checked: the token may not look (it lacks {permission}: read, which no deploy needs)"
    )
}

fn unsure(kind: &str, name: &str, unread: &str) -> String {
    format!("no {kind} {name} was found; it may be in {unread}")
}
