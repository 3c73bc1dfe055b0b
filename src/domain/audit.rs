use super::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that was done, or was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// Somebody signed in.
    SignedIn,
    /// Somebody could not.
    SignInFailed,
    /// Somebody signed out.
    SignedOut,
    /// A session was ended from another one.
    SessionEnded,
    /// A deploy was asked for.
    DeployRequested,
    /// A request to deploy was refused.
    DeployRefused,
    /// Somebody asked to stop a deploy.
    CancelRequested,
    /// A deploy was closed by hand.
    DeployClosed,
    /// Somebody asked for what their role does not allow.
    AccessRefused,
    /// An API token was made.
    TokenCreated,
    /// An API token was revoked.
    TokenRevoked,
    /// Somebody was put on the list of operators.
    OperatorAdded,
    /// An operator's role changed.
    RoleChanged,
    /// An operator may not come in any more.
    OperatorDisabled,
    /// An operator may come in again.
    OperatorEnabled,
    /// A one-time link was given out.
    LinkIssued,
    /// A password was set.
    PasswordSet,
}

impl AuditAction {
    /// Every action.
    pub const ALL: [Self; 17] = [
        Self::SignedIn,
        Self::SignInFailed,
        Self::SignedOut,
        Self::SessionEnded,
        Self::DeployRequested,
        Self::DeployRefused,
        Self::CancelRequested,
        Self::DeployClosed,
        Self::AccessRefused,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::OperatorAdded,
        Self::RoleChanged,
        Self::OperatorDisabled,
        Self::OperatorEnabled,
        Self::LinkIssued,
        Self::PasswordSet,
    ];

    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SignedOut => "signed_out",
            Self::SessionEnded => "session_ended",
            Self::DeployRequested => "deploy_requested",
            Self::DeployRefused => "deploy_refused",
            Self::CancelRequested => "cancel_requested",
            Self::DeployClosed => "deploy_closed",
            Self::AccessRefused => "access_refused",
            Self::TokenCreated => "token_created",
            Self::TokenRevoked => "token_revoked",
            Self::OperatorAdded => "operator_added",
            Self::RoleChanged => "role_changed",
            Self::OperatorDisabled => "operator_disabled",
            Self::OperatorEnabled => "operator_enabled",
            Self::LinkIssued => "link_issued",
            Self::PasswordSet => "password_set",
        }
    }

    /// The action that [`Self::as_str`] calls so, if any does.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

/// Whose doing it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub enum AuditActor {
    /// An operator in a browser.
    Operator(String),
    /// An operator's API token: `name (token)`.
    Token(String),
    /// Whoever may run commands on the console's machine.
    CommandLine,
    /// The console itself.
    Console,
    /// Somebody who is not signed in.
    Nobody,
}

impl AuditActor {
    /// The word of its kind, and the name where it has one: how the database keeps it.
    pub fn columns(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Operator(name) => ("operator", Some(name)),
            Self::Token(name) => ("token", Some(name)),
            Self::CommandLine => ("command_line", None),
            Self::Console => ("console", None),
            Self::Nobody => ("nobody", None),
        }
    }

    /// The actor that [`Self::columns`] gives so, if any does.
    pub fn from_columns(kind: &str, name: Option<String>) -> Option<Self> {
        match (kind, name) {
            ("operator", Some(name)) => Some(Self::Operator(name)),
            ("token", Some(name)) => Some(Self::Token(name)),
            ("command_line", None) => Some(Self::CommandLine),
            ("console", None) => Some(Self::Console),
            ("nobody", None) => Some(Self::Nobody),
            _ => None,
        }
    }
}

/// One row of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its number, from 1, without a gap.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: AuditActor,
    /// From which address.
    pub address: Option<String>,
    /// What.
    pub action: AuditAction,
    /// To whom or what: a site, a deploy, an operator, a token.
    pub subject: Option<String>,
    /// What else is worth knowing.
    pub detail: BTreeMap<String, String>,
    /// The hash of the row before; empty for the first.
    pub previous_hash: String,
    /// SHA-256 in lower-case hex over all of the above.
    pub hash: String,
}

/// Which rows are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFilter {
    /// Of this action only, by its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// By this operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// About this subject only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Older than the row with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

/// A page of the audit trail, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// At most 100.
    pub rows: Vec<AuditRow>,
    /// What to ask for as `before` for older ones; `None` on the last page.
    pub next: Option<i64>,
}
