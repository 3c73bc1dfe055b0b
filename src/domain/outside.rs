use super::{Slug, State, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// A run of a site's workflow that was started outside the console: by hand, or by another program.
///
/// It is never one of ours: nobody typed a name for it here, and nothing but GitHub's word is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideRun {
    /// A UUIDv7 of the moment it was started at, so that it sorts among deploys.
    pub id: Uuid,
    /// GitHub's id of the run.
    pub run_id: i64,
    /// The attempt that the rest is about, from 1.
    pub attempt: i64,
    /// `owner/name`, in lower case.
    pub repository: String,
    /// The workflow's file name.
    pub workflow: String,
    /// The sites that this workflow deploys. Which of them a run was for, GitHub does not say.
    #[serde(default)]
    pub sites: Vec<Slug>,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: State,
    /// Who started it, by their name on GitHub.
    pub started_by: Option<String>,
    /// The branch or tag that it was started on.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    /// The commit that it runs on.
    pub head_sha: Option<String>,
    /// Its page, for people.
    pub run_url: Option<String>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When GitHub last changed it; of one that has ended, about when it did.
    pub changed_at: Timestamp,
}

impl OutsideRun {
    /// The id of a run that was started at this moment: always the same one.
    pub fn id_of(run_id: i64, started_at: Timestamp) -> Uuid {
        let mut rest = [0; 10];
        rest[2..].copy_from_slice(&run_id.to_be_bytes());
        Builder::from_unix_timestamp_millis(started_at.as_millis().unsigned_abs(), &rest).into_uuid()
    }
}
