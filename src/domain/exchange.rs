//! What is asked of the console, and what it answers.

use super::{DeployPage, Site, State, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an operator asks for. Unknown keys are refused: a misspelt `ref` must not deploy something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// The site's slug.
    pub site: String,
    /// The site's slug once more, as the operator typed it.
    pub confirmation: String,
    /// Why, for the record. At most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Another branch or tag than the site's own.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// Inputs of the workflow, over those that the site declares.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
}

/// What a callback is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// What became of the report.
    pub result: ReportResult,
    /// Where the deploy stands now.
    pub state: State,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportResult {
    /// Stored and applied.
    Applied,
    /// The same delivery was stored before.
    Duplicate,
    /// Stored; a newer report had come before it.
    Stale,
    /// Stored, not applied: the deploy is finished, or has a newer attempt.
    Stored,
}

/// A site and its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteHistory {
    /// The site.
    pub site: Site,
    /// A page of its deploys.
    pub page: DeployPage,
}

/// What every page says about the console it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Whose word a click is.
    pub operator: String,
    /// Set in a demo: where the stand-in for GitHub can be told what to do.
    pub stand_in: Option<String>,
    /// The version of the binary.
    pub version: String,
    /// The moment by the server's clock, so that a browser whose clock is wrong still counts right.
    pub now: Timestamp,
}
