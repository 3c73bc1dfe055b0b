//! What a site wants to see of a callback, and whether a token is that of the deploy's own run.

use super::token::RunClaims;
use crate::domain::{Deploy, Report, Site};

/// What the callbacks of a site must show: `callback_auth` and `repository_id` in `console.toml`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallbackAuth {
    /// A signature with the shared secret.
    #[default]
    Secret,
    /// A token of the workflow's run, in the repository with this number.
    Oidc(u64),
    /// Both.
    SecretAndOidc(u64),
}

impl CallbackAuth {
    /// Whether a signature is needed.
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretAndOidc(_))
    }

    /// The repository whose token is needed, where one is.
    pub const fn repository_id(self) -> Option<u64> {
        match self {
            Self::Secret => None,
            Self::Oidc(id) | Self::SecretAndOidc(id) => Some(id),
        }
    }
}

impl RunClaims {
    /// Whether this is the token of the run that `report` speaks of, of the site's workflow, at the deploy's ref.
    ///
    /// # Errors
    /// The first claim that does not fit.
    pub fn check(&self, repository_id: u64, site: &Site, deploy: &Deploy, report: &Report) -> Result<(), &'static str> {
        // A name can be taken over once its owner has given it up. The number cannot.
        let fitting = [
            ("repository_id", self.repository_id == repository_id.to_string()),
            ("workflow_ref", self.is_workflow(site, &deploy.git_ref)),
            ("event_name", self.event_name == "workflow_dispatch"),
            ("run_id", self.run_id == report.run_id.to_string()),
            ("run_attempt", self.run_attempt == report.run_attempt.to_string()),
        ];
        match fitting.into_iter().find(|(_, fits)| !fits) {
            Some((claim, _)) => Err(claim),
            None => Ok(()),
        }
    }

    /// `OWNER/NAME/.github/workflows/FILE@REF`: of owners' and repositories' names GitHub does not tell the case apart.
    fn is_workflow(&self, site: &Site, git_ref: &str) -> bool {
        // A ref may hold an `@`; in front of it there is none.
        let Some((path, run_ref)) = self.workflow_ref.split_once('@') else {
            return false;
        };
        let Some((repository, file)) = path.split_once("/.github/workflows/") else {
            return false;
        };
        let short = ["refs/heads/", "refs/tags/"]
            .into_iter()
            .find_map(|prefix| run_ref.strip_prefix(prefix));
        repository.eq_ignore_ascii_case(&site.repository)
            && file == site.workflow
            && (run_ref == git_ref || short == Some(git_ref))
    }
}
