//! `raxx-console doctor`: whether deploys would work, and how to mend what is in their way.
//!
//! It only looks. It makes no database, starts no run, and leaves nothing on the record. It goes on after each
//! failure as far as it can, so that one call names everything that is wrong. `docs/doctor.md` lists the checks.

mod callback;
mod console;
mod database;
mod finding;
mod settings;
mod site;
mod token;
mod workflow;

pub use finding::{Finding, Level, Report, Summary};

use super::config::{Survey, Variables};
use super::github::{Github, Greeting};
use crate::domain::Site;
use futures::StreamExt as _;

/// How many sites are looked at side by side.
const SIDE_BY_SIDE: usize = 4;

/// What `doctor` was told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The slug of the one site to look at; every site unless given.
    pub site: Option<String>,
    /// Whether to send the running console a signed callback.
    pub callback: bool,
}

/// GitHub, when it answers, and what its first answer said.
struct Reached {
    github: Github,
    greeting: Greeting,
}

/// Looks at everything.
pub async fn run(options: &Options, variables: Variables<'_>) -> Report {
    let survey = Survey::take(variables);
    let mut report = Report::default();
    let mut findings = console::configuration(&survey);
    if let Some(url) = &survey.database_url {
        findings.extend(database::check(url).await);
    }
    let (about_github, reached) = console::github(&survey).await;
    findings.extend(about_github);
    if options.callback {
        findings.push(callback::round_trip(&survey).await);
    }
    let (sites, unknown) = chosen(options, &survey);
    findings.extend(unknown);
    report.add("Console", findings);
    let public_url = survey.public_url.as_deref();
    let reached = reached.as_ref();
    let checked = futures::stream::iter(sites)
        .map(|site| {
            let auth = survey
                .file
                .as_ref()
                .ok()
                .and_then(|file| file.callback_auth.get(&site.slug));
            let auth = auth.copied().unwrap_or_default();
            async move { (site, site::check(site, auth, reached, public_url).await) }
        })
        .buffered(SIDE_BY_SIDE);
    for (site, findings) in checked.collect::<Vec<_>>().await {
        let heading = format!("Site {} ({}, {})", site.slug, site.repository, site.workflow);
        report.add(heading, findings);
    }
    report
}

/// The sites to look at, and what is wrong with the choice.
fn chosen<'a>(options: &Options, survey: &'a Survey) -> (Vec<&'a Site>, Option<Finding>) {
    let Ok(file) = &survey.file else {
        return (Vec::new(), None);
    };
    let Some(slug) = &options.site else {
        return (file.sites.iter().collect(), None);
    };
    let found: Vec<&Site> = file.sites.iter().filter(|site| site.slug.as_str() == slug).collect();
    if !found.is_empty() {
        return (found, None);
    }
    let known: Vec<&str> = file.sites.iter().map(|site| site.slug.as_str()).collect();
    let message = format!("{} declares no site `{slug}`", survey.path.display());
    let remedy = format!("give one of: {}", known.join(", "));
    (found, Some(Finding::error("site.known", message, remedy)))
}
