use super::{DeployId, MOST_ATTEMPTS};
use serde::{Deserialize, Serialize};

const NAME_CHARS: usize = 128;
const MESSAGE_CHARS: usize = 1024;
const LOG_BYTES: usize = 32 * 1024;

/// What a workflow says about itself in one signed callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this shape; 1.
    pub schema: u32,
    /// The deploy that it speaks of. The URL is not signed, this is.
    pub deploy_id: DeployId,
    /// GitHub's id of the run.
    pub run_id: i64,
    /// GitHub's attempt of that run, from 1.
    pub run_attempt: i64,
    /// The job inside the run that speaks, at most 128 characters.
    pub job: String,
    /// Rises from report to report of one job, so that late ones can be told.
    pub seq: i64,
    /// How the job stands.
    pub status: ReportStatus,
    /// The step that it speaks of, at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// One line for people: the reason, when it failed. At most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the step has printed since the last report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogChunk>,
}

/// The sender's word for how a job stands, as `${{ job.status }}` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Under way.
    InProgress,
    /// Finished well.
    Success,
    /// Finished badly.
    Failure,
    /// Stopped on purpose.
    Cancelled,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogChunk {
    /// At most 32 KiB of UTF-8.
    pub text: String,
    /// Whether the sender had to leave something out before this text.
    pub truncated: bool,
}

/// Why a body is no report.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReport {
    /// Not JSON, a wrong type, a missing or an unknown key.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
    /// A value outside its bounds.
    #[error("`{field}` {problem}")]
    Field {
        /// The key of the value.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Report {
    /// Parses and checks a callback's body.
    ///
    /// # Errors
    /// [`InvalidReport`], which names the field.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidReport> {
        let report: Self = serde_json::from_slice(body)?;
        report.check()?;
        Ok(report)
    }

    fn check(&self) -> Result<(), InvalidReport> {
        let field = |field, problem| Err(InvalidReport::Field { field, problem });
        let too_long = |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.chars().count() > most);
        if self.schema != 1 {
            return field("schema", "must be 1: this console knows no other");
        }
        if self.run_id < 1 {
            return field("run_id", "must be a positive number");
        }
        if !(1..=MOST_ATTEMPTS).contains(&self.run_attempt) {
            return field("run_attempt", "must be a number from 1 to 1,000");
        }
        if self.seq < 0 {
            return field("seq", "must not be negative");
        }
        if self.job.chars().count() > NAME_CHARS {
            return field("job", "must be at most 128 characters");
        }
        if too_long(&self.step, NAME_CHARS) {
            return field("step", "must be at most 128 characters");
        }
        if too_long(&self.message, MESSAGE_CHARS) {
            return field("message", "must be at most 1,024 characters");
        }
        if self.log.as_ref().is_some_and(|log| log.text.len() > LOG_BYTES) {
            return field("log.text", "must be at most 32 KiB");
        }
        Ok(())
    }
}
