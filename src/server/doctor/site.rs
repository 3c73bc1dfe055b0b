//! One site: its repository, its workflow, and what the workflow needs.

use super::{Finding, Reached, settings, token, workflow};
use crate::domain::Site;
use crate::server::github::{NotRead, Repository};
use crate::server::keyless::CallbackAuth;

/// Checks a site at GitHub.
pub(super) async fn check(
    site: &Site,
    auth: CallbackAuth,
    reached: Option<&Reached>,
    public_url: Option<&str>,
) -> Vec<Finding> {
    let findings = match reached {
        Some(reached) => check_at_github(site, auth, reached, public_url).await,
        None => vec![Finding::warning(
            "repository",
            "the site was not checked: GitHub could not be asked",
            "mend what is said above about GitHub and its token, then run `doctor` again",
        )],
    };
    findings.into_iter().map(|finding| finding.of(&site.slug)).collect()
}

async fn check_at_github(site: &Site, auth: CallbackAuth, reached: &Reached, public_url: Option<&str>) -> Vec<Finding> {
    let repository = match reached.github.repository(&site.repository).await {
        Ok(repository) => repository,
        Err(error) => return vec![unread_repository(site, &error)],
    };
    let mut findings = vec![
        standing(site, &repository),
        token::may_dispatch(&reached.greeting, &repository),
        state(site, reached).await,
    ];
    let (found, text) = files(site, &repository, reached).await;
    findings.extend(found);
    if let Some(text) = text {
        let checked = workflow::check(&text, &site.inputs, auth);
        findings.extend(checked.findings);
        findings.extend(settings::check(site, &checked.uses, reached, public_url).await);
    }
    findings
}

fn unread_repository(site: &Site, error: &NotRead) -> Finding {
    let (check, message) = ("repository", format!("{} was not read: {error}", site.repository));
    match error {
        NotRead::Moved => Finding::error(
            check,
            message,
            "give its new name in console.toml: a dispatch does not follow",
        ),
        NotRead::NotLent(_) => Finding::error(
            check,
            message,
            "what is said here keeps every deploy of this site from being sent: mend it in the App's settings",
        ),
        NotRead::Failed(_) => Finding::warning(check, message, "run `doctor` again; githubstatus.com says more"),
        _ => Finding::error(
            check,
            message,
            "look at the site's `repository` in console.toml; if it is right, give the token access to it",
        ),
    }
}

fn standing(site: &Site, repository: &Repository) -> Finding {
    let (check, name) = ("repository", &site.repository);
    if repository.archived {
        let remedy = "unarchive it in its settings, or take the site out of console.toml";
        return Finding::error(check, format!("{name} is archived: nothing runs in it"), remedy);
    }
    if repository.disabled {
        let remedy = "ask GitHub's support why";
        return Finding::error(
            check,
            format!("{name} is disabled by GitHub: nothing runs in it"),
            remedy,
        );
    }
    Finding::ok(
        check,
        format!(
            "{name} can be seen; its default branch is {}",
            repository.default_branch
        ),
    )
}

/// Whether GitHub runs the workflow at all.
async fn state(site: &Site, reached: &Reached) -> Finding {
    let (check, file) = ("workflow.state", &site.workflow);
    match reached.github.workflow_state(&site.repository, file).await {
        Ok(state) if state == "active" => Finding::ok(check, format!("GitHub has {file} as active")),
        Ok(state) => Finding::error(
            check,
            format!("GitHub does not run {file}: its state is {state}"),
            format!(
                "`gh workflow enable {file} --repo {}`, or the button on its page",
                site.repository
            ),
        ),
        Err(NotRead::Missing(_)) => Finding::error(
            check,
            format!("GitHub knows no workflow {file} in {}", site.repository),
            "look at the site's `workflow` in console.toml; GitHub learns of a file once it is on the default branch",
        ),
        Err(error) => Finding::warning(
            check,
            format!("whether {file} is active was not read: {error}"),
            "give the token Actions: read and write",
        ),
    }
}

/// The findings about where the file is, and the text that decides how a deploy runs.
async fn files(site: &Site, repository: &Repository, reached: &Reached) -> (Vec<Finding>, Option<String>) {
    let branch = &repository.default_branch;
    let (finding, text) = file(site, reached, "workflow.file", branch).await;
    let mut findings = vec![finding];
    if site.git_ref.trim_start_matches("refs/heads/") == branch {
        return (findings, text);
    }
    // GitHub starts what it finds on the default branch, and then runs the file as it is at the ref.
    if let Some(text) = text {
        findings.push(workflow::check_trigger(&text).about(&format!("on {branch}, the default branch")));
    }
    let (finding, text) = file(site, reached, "workflow.ref", &site.git_ref).await;
    findings.push(finding);
    (findings, text)
}

async fn file(site: &Site, reached: &Reached, check: &'static str, git_ref: &str) -> (Finding, Option<String>) {
    let file = &site.workflow;
    let error = match reached.github.workflow_file(&site.repository, file, git_ref).await {
        Ok(text) => return (Finding::ok(check, format!("{file} is on {git_ref}")), Some(text)),
        Err(error) => error,
    };
    let finding = match (&error, check) {
        (NotRead::Missing(_), "workflow.ref") => Finding::error(
            check,
            format!("{file} is not on {git_ref}, the site's `ref`, or there is no such branch or tag: {error}"),
            "bring the file there, or change the site's `ref` in console.toml",
        ),
        (NotRead::Missing(_), _) => Finding::error(
            check,
            format!("{file} is not on {git_ref}, the default branch, and GitHub dispatches only what is: {error}"),
            "bring it there as .github/workflows/; if it is there, give the token Contents: read",
        ),
        (NotRead::Forbidden(_), _) => Finding::warning(
            check,
            format!("{file} was not read, so nothing in it was checked: {error}"),
            "give the token Contents: read; deploys work without, and `doctor` sees more with it",
        ),
        _ => Finding::warning(
            check,
            format!("{file} was not read, so nothing in it was checked: {error}"),
            "run `doctor` again; githubstatus.com says more",
        ),
    };
    (finding, None)
}
