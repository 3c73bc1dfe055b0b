//! What is asked of the console, and what it answers.

use super::{Caller, DeployPage, Operator, OperatorName, SessionInfo, Site, Slug, State, Timestamp, TokenInfo};
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

/// How a deploy is to be stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Whether GitHub shall stop it without letting the run tidy up; only after a plain cancel did not help.
    #[serde(default)]
    pub force: bool,
    /// The attempt that is meant; without it, the one that is under way.
    #[serde(default)]
    pub attempt: Option<i64>,
}

/// What an operator vouches for when a deploy is closed by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// The finished state.
    pub state: State,
    /// How the operator knows, for the record. 1 to 500 characters.
    pub reason: String,
    /// The attempt that is meant; without it, the one that is under way.
    #[serde(default)]
    pub attempt: Option<i64>,
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
    /// Stored, not applied: the deploy, or its re-run that this is about, is finished.
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
    /// Whose word a click is; `None` before sign-in.
    pub me: Option<Caller>,
    /// What the page at the door shows, where this is one.
    pub gate: Option<Gate>,
    /// Set in a demo: where the stand-in for GitHub can be told what to do.
    pub stand_in: Option<String>,
    /// The version of the binary.
    pub version: String,
    /// The moment by the server's clock, so that a browser whose clock is wrong still counts right.
    pub now: Timestamp,
}

/// The pages at the door: what the server fills into them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gate {
    /// Name and password, or the OpenID provider.
    SignIn {
        /// What was typed as the name before.
        name: String,
        /// Why the last try did not succeed.
        problem: Option<String>,
        /// Where to go afterwards; a path of this console.
        return_to: String,
        /// What the OpenID provider is called, where there is one.
        provider: Option<String>,
    },
    /// A one-time link that opens: the first admin, or an operator who sets a password.
    SetUp {
        /// Whom it is for; `None` for the first admin, who is still to say their name.
        operator: Option<OperatorName>,
        /// What was typed as the name before.
        name: String,
        /// Why the last try did not succeed.
        problem: Option<String>,
    },
    /// A one-time link that opens nothing any more.
    LinkGone,
}

/// One's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Who one is.
    pub operator: Operator,
    /// The browsers that are signed in.
    pub sessions: Vec<SessionInfo>,
    /// One's API tokens, newest first.
    pub tokens: Vec<TokenInfo>,
    /// The sites that a token can be for.
    pub sites: Vec<Slug>,
}

/// A token that was just made: the only time that its text is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// What goes behind `Authorization: Bearer`.
    pub text: String,
    /// The rest.
    pub token: TokenInfo,
}

/// A one-time link that was just given out: the only time that it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeLink {
    /// The link.
    pub url: String,
    /// Until when it opens.
    pub expires_at: Timestamp,
}
