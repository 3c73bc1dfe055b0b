//! What a deploy is, and how it moves. Pure: no clock, no network, no database.
//!
//! Everything here compiles for the server and for the browser, so that both speak of the same
//! things by the same names. One function, [`transition::apply`], moves a deploy from state to state;
//! nothing else does.

mod audit;
mod board;
mod confirmation;
mod deploy;
mod exchange;
pub mod gaps;
mod github_deployment;
mod log;
mod observation;
mod operator;
mod outside;
mod refusal;
mod report;
mod site;
mod steps;
mod timestamp;
pub mod transition;

pub use audit::{AuditAction, AuditActor, AuditFilter, AuditPage, AuditRow};
pub use board::{Board, DeployPage, DeployRecord, Health, HealthStatus, Tile, TimelineEntry};
pub use confirmation::{Confirmation, ConfirmationMismatch};
pub use deploy::{Attempt, ConfirmedBy, Deploy, DeployId, Failure, MOST_ATTEMPTS, Rerun, Run, State};
pub use exchange::{
    About, Account, CancelRequest, DeployRequest, Gate, NewToken, OneTimeLink, OverrideRequest, ReportAnswer,
    ReportResult, SiteHistory,
};
pub use github_deployment::{DeploymentState, GithubDeployment};
pub use log::{
    InvalidCursor, LOG_CAP_BYTES, LOG_MORE_BYTES, LOG_TAIL_BYTES, LogCursor, LogTail, MASKED, SENDER_GAP, mask_seam,
    without_escapes,
};
pub use observation::{Blocker, GuardedEnvironment, Holder, ListedSteps, Observation, Observed};
pub use operator::{
    Caller, InvalidName, InvalidRole, NoDeploy, Operator, OperatorId, OperatorName, Role, SessionInfo, SignInWay,
    TokenInfo, TokenScope,
};
pub use outside::OutsideRun;
pub use refusal::{Problem, Refusal};
pub use report::{InvalidReport, LogChunk, Report, ReportStatus};
pub use site::{InvalidSlug, Site, Slug};
pub use steps::{Step, StepStatus, StepTrace};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use transition::{Actor, Effect, Event, apply};
