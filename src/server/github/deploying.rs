//! Deployments: what GitHub shows of a deploy in the repository, beside its run.
//!
//! Sources: <https://docs.github.com/en/rest/deployments/deployments>,
//! <https://docs.github.com/en/rest/deployments/statuses>. Creating one is not idempotent: GitHub takes the same
//! one any number of times. So each is marked with its deploy's id, as its `task`, and can be looked for.

use super::{Github, LookupFailed, answer};
use crate::domain::{Deploy, DeploymentState, Site, Timestamp};
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

/// The longest description that GitHub takes, in characters.
const MOST_DESCRIPTION: usize = 140;

/// Why GitHub did not take what it was told.
#[derive(Debug, thiserror::Error)]
pub enum NotTold {
    /// It refused, and will again.
    #[error("{0}")]
    Refused(String),
    /// It was not reached, or could not now.
    #[error("{0}")]
    NotNow(#[from] LookupFailed),
}

/// What GitHub is told of a deployment.
#[derive(Debug, Clone)]
pub struct Status {
    /// How it stands.
    pub state: DeploymentState,
    /// The same in words; its end is cut off where GitHub takes no more.
    pub description: String,
    /// Our record of it.
    pub log_url: String,
}

/// `deployment`, as far as we read it.
#[derive(Deserialize)]
struct Deployment {
    id: i64,
    task: Option<String>,
}

impl Github {
    /// Looks for the deployment that was made for `deploy`.
    ///
    /// # Errors
    /// [`LookupFailed`] when GitHub gives no usable answer.
    pub async fn find_deployment(
        &self,
        site: &Site,
        deploy: &Deploy,
        now: Timestamp,
    ) -> Result<Option<i64>, LookupFailed> {
        let (path, task) = (path(site), task(deploy));
        let query = [("task", task.as_str()), ("environment", deploy.environment.as_str())];
        let found: Vec<Deployment> = self.get(&path, &query, now).await?;
        let ours = |found: &&Deployment| found.task.as_ref() == Some(&task);
        Ok(found.iter().find(ours).map(|found| found.id))
    }

    /// Creates a deployment for `deploy`, and returns its id.
    ///
    /// # Errors
    /// [`NotTold`]. After [`NotTold::NotNow`] it may be there all the same: look for it before trying again.
    pub async fn create_deployment(&self, site: &Site, deploy: &Deploy, now: Timestamp) -> Result<i64, NotTold> {
        let body = json!({
            "ref": deploy.head_sha.as_ref().unwrap_or(&deploy.git_ref),
            "task": task(deploy),
            // What is deployed was decided when the run was dispatched: nothing is merged, nothing is waited for.
            "auto_merge": false,
            "required_contexts": [],
            "environment": deploy.environment,
            "production_environment": site.is_production(),
            "description": shortened(&format!("Deploy of {}", site.name)),
            "payload": { "console_deploy_id": deploy.id, "run_id": deploy.run_id },
        });
        let created: Deployment = self.post(&path(site), &body, now).await?;
        Ok(created.id)
    }

    /// Tells how a deployment stands. Told twice, GitHub shows it twice, and nothing else happens.
    ///
    /// # Errors
    /// [`NotTold`].
    pub async fn tell_deployment(
        &self,
        site: &Site,
        deployment: i64,
        status: &Status,
        now: Timestamp,
    ) -> Result<(), NotTold> {
        let body = json!({
            "state": status.state.as_str(),
            "description": shortened(&status.description),
            "log_url": status.log_url,
            "environment_url": site.url,
        });
        let path = format!("{}/{deployment}/statuses", path(site));
        let _status: IgnoredAny = self.post(&path, &body, now).await?;
        Ok(())
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value, now: Timestamp) -> Result<T, NotTold> {
        // Nobody waits for this, so it leaves what is left of the budget to others, as reading does.
        self.budget.check(now)?;
        let url = format!("{}{path}", self.options.api_url);
        let request = self.reading.post(url).headers(self.headers(path).await?).json(body);
        let sent = request.send().await;
        let response = sent
            .map_err(|error| LookupFailed::because(format!("GitHub could not be told: {}", answer::chain(&error))))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.authority.answered(path, status);
        let body = answer::bounded_body(response).await.map_err(LookupFailed::because)?;
        self.budget.learn(status, &headers, &body, now)?;
        if status == StatusCode::CREATED {
            let unreadable =
                |error| LookupFailed::because(format!("GitHub's answer to a deployment cannot be read: {error}"));
            return Ok(serde_json::from_slice(&body).map_err(unreadable)?);
        }
        let (message, wanted) = (answer::message(&body), answer::wanted(&headers));
        let words = format!("GitHub answered {status}{message}{wanted}");
        // A token can be renewed, so 401 is not for good.
        if answer::is_refusal(status) && status != StatusCode::UNAUTHORIZED {
            return Err(NotTold::Refused(format!("{words}. {}", self.advice(status))));
        }
        Err(LookupFailed::because(words).into())
    }

    /// What an operator can do about a refusal.
    fn advice(&self, status: StatusCode) -> String {
        let identity = self.authority.named();
        match status {
            StatusCode::FORBIDDEN => format!(
                "Give {identity} the permission `deployments: write`, or take `github_deployments` from the site in \
                 console.toml."
            ),
            StatusCode::NOT_FOUND => format!(
                "Look at the site's repository in console.toml, and whether {identity} may write its deployments; or \
                 the deployment was deleted."
            ),
            _ => "Look at the site's repository and environment in console.toml, and at the ref of the deploy."
                .to_owned(),
        }
    }
}

fn path(site: &Site) -> String {
    format!("/repos/{}/deployments", site.repository)
}

/// What tells the deployment of a deploy from all others.
fn task(deploy: &Deploy) -> String {
    format!("console:{}", deploy.id)
}

fn shortened(text: &str) -> String {
    text.chars().take(MOST_DESCRIPTION).collect()
}
