//! The use cases: ask for a deploy, read one, step in, read the board and the history.

mod intervene;

pub use intervene::{By, cancel, override_state};

use super::audit::Source;
use super::digest::sha256_hex;
use super::store::{Intent, Recorded, Store};
use super::tagged::Tagged;
use super::{Console, clock, outside};
use crate::domain::{
    Attempt, AuditAction, Board, Caller, Confirmation, ConfirmationMismatch, Deploy, DeployId, DeployPage,
    DeployRecord, DeployRequest, Health, HealthStatus, LogCursor, LogTail, NoDeploy, OutsideRun, Problem, Refusal,
    Site, SiteHistory, Slug, Tile,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// How much of an active deploy's log its tile shows, in bytes.
const TILE_LOG_BYTES: u64 = 4 * 1024;
/// How many deploys a page of history holds.
const PAGE: usize = 25;
const REASON_CHARS: usize = 500;
const REF_CHARS: usize = 255;
/// GitHub takes at most 25 inputs, and one of them is the deploy's id.
const MOST_INPUTS: usize = 24;
const INPUT_BYTES: usize = 16 * 1024;

/// The input that carries the deploy's id. Nobody else may set it.
pub const DEPLOY_ID_INPUT: &str = "console_deploy_id";

/// What recording an intent came to.
pub enum Created {
    /// A new deploy.
    New(Box<DeployRecord>),
    /// The same request made this one before.
    Again(Box<DeployRecord>),
}

/// Whose wish a deploy is, and from where.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// From where, for the audit trail.
    pub source: &'a Source,
    /// Their `Idempotency-Key`.
    pub key: Option<&'a str>,
}

/// Checks the request, commits the intent and wakes the dispatcher. A refusal is written down as well.
///
/// # Errors
/// A [`Refusal`]: 403, 404, 409, 422, 429 or 503. Then nothing was recorded.
pub async fn create(console: &Console, request: &DeployRequest, wish: Wish<'_>) -> Result<Created, Refusal> {
    let outcome = try_create(console, request, &wish).await;
    if let Err(refusal) = &outcome {
        let site: String = request.site.chars().take(80).collect();
        let entry = wish.source.does(AuditAction::DeployRefused).about(site);
        let entry = entry
            .with("status", refusal.status.to_string())
            .with("why", &refusal.detail);
        // The refusal stands, whether it could be written down or not; the store's own log says why not.
        if let Err(error) = console.store.record_audit(&entry).await {
            tracing::error!(%error, "a refused deploy could not be written down");
        }
    }
    outcome
}

async fn try_create(console: &Console, request: &DeployRequest, wish: &Wish<'_>) -> Result<Created, Refusal> {
    let site = console.site(&request.site).ok_or_else(|| unknown_site(&request.site))?;
    wish.caller.may_deploy(site)?;
    let _typed: Confirmation = Confirmation::check(&site.slug, &request.confirmation)?;
    let intent = intent(site, request, wish)?;
    match console
        .store
        .record_intent(&intent, console.limits.deploys_a_minute)
        .await?
    {
        Recorded::Created => {
            console.dispatcher.wake();
            Ok(Created::New(Box::new(
                record(&console.store, intent.deploy, LogTail::default()).await?,
            )))
        }
        Recorded::Again(deploy) => {
            let log = console.store.log_tail(deploy.attempt()).await?;
            Ok(Created::Again(Box::new(record(&console.store, *deploy, log).await?)))
        }
        Recorded::OtherRequest(id) => {
            let detail = "This Idempotency-Key belongs to a different request. Use a new key for a new request.";
            Err(Refusal::new(Problem::Invalid, detail)
                .with_field("Idempotency-Key")
                .with_deploy(id))
        }
        Recorded::SiteTaken(id) => {
            let detail = format!(
                "{} has an active deploy already. Wait until it has finished, or look at it.",
                site.slug
            );
            Err(Refusal::new(Problem::AlreadyActive, detail).with_deploy(id))
        }
        Recorded::TooMany => {
            let detail = format!("At most {} deploys a minute.", console.limits.deploys_a_minute);
            Err(Refusal::new(Problem::TooManyRequests, detail).with_retry_after(60))
        }
    }
}

/// An attempt at a deploy with its timeline, and its log from the cursor on; without one, the log's end.
///
/// # Errors
/// A [`Refusal`]: 400 for a cursor that was never given out, 404, 503.
pub async fn read(console: &Console, attempt: Attempt, after: Option<&str>) -> Result<DeployRecord, Refusal> {
    let cursor = after
        .map(str::parse::<LogCursor>)
        .transpose()
        .map_err(|error| bad_cursor("after", error.to_string()))?;
    let found = console.store.attempt(attempt).await?;
    let deploy = found.ok_or_else(|| unknown_attempt(attempt))?;
    let log = match cursor {
        Some(cursor) => console.store.log_after(attempt, cursor).await?,
        None => console.store.log_tail(attempt).await?,
    };
    record(&console.store, deploy, log).await
}

/// The board as it was read, once for all who looked at the same time.
#[derive(Debug)]
pub struct BoardReading {
    /// For a page that is drawn here.
    pub board: Board,
    /// For whoever polls: a thousand browsers cost no more than one.
    pub answer: Tagged,
}

/// Every site with its health and its newest attempt at a deploy: one that is under way before any other.
///
/// # Errors
/// A [`Refusal`]: 503.
pub async fn board(console: &Console) -> Result<Arc<BoardReading>, Refusal> {
    let read = async {
        let board = read_board(console).await?;
        let answer = Tagged::json(&board).map_err(|error| unsayable(&error))?;
        Ok(Arc::new(BoardReading { board, answer }))
    };
    console.board.get(read).await
}

fn unsayable(error: &serde_json::Error) -> Refusal {
    tracing::error!(%error, "the board cannot be said in JSON");
    Refusal::new(
        Problem::Internal,
        "The console could not draw its board. Its log says why.",
    )
}

async fn read_board(console: &Console) -> Result<Board, Refusal> {
    let store = &console.store;
    let mut health = store.health_of_sites().await?;
    let mut newest = newest_attempts(store).await?;
    let outside = store.outside_on_board(console.outside.workflows()).await?;
    let mut logs = store.log_ends(TILE_LOG_BYTES).await?;
    let mut tiles = Vec::with_capacity(console.sites.len());
    for site in &console.sites {
        let outside = outside_of(console, site, &outside, newest.get(&site.slug));
        let latest = newest.remove(&site.slug).map(|deploy| {
            let log = logs.remove(&deploy.attempt()).filter(|_| deploy.is_active());
            tile_record(deploy, log)
        });
        let health = health_of(site, health.remove(site.slug.as_str()));
        tiles.push(Tile {
            site: site.clone(),
            health,
            latest,
            outside,
        });
    }
    Ok(Board { tiles })
}

/// The run from outside that a site's tile shows: one that is under way, or one that is newer than its newest deploy.
fn outside_of(console: &Console, site: &Site, runs: &[OutsideRun], latest: Option<&Deploy>) -> Option<OutsideRun> {
    let workflow = outside::workflow_of(site);
    let newest = runs
        .iter()
        .filter(|run| workflow.is_of(run))
        .max_by_key(|run| (run.state.is_active(), run.id))?;
    let is_newer = latest.is_none_or(|deploy| newest.started_at > deploy.began_at());
    (newest.state.is_active() || is_newer).then(|| with_sites(console, newest.clone()))
}

/// With the sites that its workflow deploys.
fn with_sites(console: &Console, run: OutsideRun) -> OutsideRun {
    let workflows = console
        .sites
        .iter()
        .map(|site| (outside::workflow_of(site), &site.slug));
    let here = workflows.filter(|(workflow, _)| workflow.is_of(&run));
    let sites = here.map(|(_, slug)| slug.clone()).collect();
    OutsideRun { sites, ..run }
}

/// The attempt that each site's tile shows.
async fn newest_attempts(store: &Store) -> Result<HashMap<Slug, Deploy>, Refusal> {
    let deploys = store.newest_of_each_site().await?;
    let mut newest: HashMap<Slug, Deploy> = deploys
        .into_iter()
        .map(|deploy| (deploy.site.clone(), deploy))
        .collect();
    for rerun in store.reruns_on_board().await? {
        if let Some(shown) = newest.get_mut(&rerun.site)
            && !shown.is_active()
            && (rerun.is_active() || rerun.attempt() > shown.attempt())
        {
            *shown = rerun;
        }
    }
    Ok(newest)
}

/// A page of all deploys and runs from outside, newest first.
///
/// # Errors
/// A [`Refusal`]: 400 for a cursor that was never given out, 503.
pub async fn history(console: &Console, site: Option<&Site>, before: Option<&str>) -> Result<DeployPage, Refusal> {
    let before = before.map(str::parse::<DeployId>).transpose();
    let before =
        before.map_err(|_| bad_cursor("before", "`before` must be a cursor from an earlier answer".to_owned()))?;
    // One more than a page tells whether there is another.
    let most = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let store = &console.store;
    let mut deploys = store.history(site.map(|site| &site.slug), before, most).await?;
    let workflow = site.map(outside::workflow_of);
    let mut outside = store.outside_history(workflow.as_ref(), before, most).await?;
    let mut ids: Vec<String> = deploys.iter().map(|deploy| deploy.id.to_string()).collect();
    ids.extend(outside.iter().map(|run| run.id.to_string()));
    ids.sort_unstable_by(|a, b| b.cmp(a));
    let next = (ids.len() > PAGE).then(|| ids.swap_remove(PAGE - 1));
    if let Some(last) = &next {
        deploys.retain(|deploy| deploy.id.to_string() >= *last);
        outside.retain(|run| run.id.to_string() >= *last);
    }
    let outside = outside.into_iter().map(|run| with_sites(console, run)).collect();
    Ok(DeployPage { deploys, outside, next })
}

/// A site and a page of its deploys.
///
/// # Errors
/// A [`Refusal`]: 400, 404 for a site that `console.toml` does not declare, 503.
pub async fn site_history(console: &Console, slug: &str, before: Option<&str>) -> Result<SiteHistory, Refusal> {
    let site = console.site(slug).ok_or_else(|| unknown_site(slug))?;
    Ok(SiteHistory {
        site: site.clone(),
        page: history(console, Some(site), before).await?,
    })
}

/// The refusal for a deploy that is not on record.
pub fn unknown_deploy(id: DeployId) -> Refusal {
    Refusal::new(Problem::NotFound, format!("There is no deploy {id}."))
}

fn unknown_attempt(Attempt { deploy, number }: Attempt) -> Refusal {
    if number == 1 {
        return unknown_deploy(deploy);
    }
    Refusal::new(
        Problem::NotFound,
        format!("There is no attempt {number} at deploy {deploy}."),
    )
}

async fn record(store: &Store, deploy: Deploy, log: LogTail) -> Result<DeployRecord, Refusal> {
    let timeline = store.timeline(deploy.attempt()).await?;
    let github_deployment = store.github_deployment(deploy.id).await?;
    Ok(DeployRecord {
        active: deploy.is_active(),
        timeline,
        log,
        github_deployment,
        deploy,
    })
}

/// What a tile needs of a deploy: the log's end while it is active, and no more of its story.
fn tile_record(deploy: Deploy, log: Option<LogTail>) -> DeployRecord {
    DeployRecord {
        active: deploy.is_active(),
        timeline: Vec::new(),
        log: log.unwrap_or_default(),
        github_deployment: None,
        deploy,
    }
}

fn health_of(site: &Site, found: Option<Health>) -> Health {
    let nothing = |status| Health {
        status,
        detail: None,
        since: None,
    };
    match (&site.health_url, found) {
        (None, _) => nothing(HealthStatus::Unwatched),
        (Some(_), None) => nothing(HealthStatus::Unknown),
        (Some(_), Some(health)) => health,
    }
}

fn intent(site: &Site, request: &DeployRequest, wish: &Wish<'_>) -> Result<Intent, Refusal> {
    let git_ref = checked_ref(request.git_ref.as_deref(), site)?;
    let reason = checked_reason(request.reason.as_deref())?;
    let inputs = checked_inputs(site, &request.inputs)?;
    let key = wish.key.map(checked_key).transpose()?;
    let body = serde_json::to_vec(request).map_err(|error| Refusal::new(Problem::Invalid, error.to_string()))?;
    let id = DeployId::from_uuid(Uuid::now_v7());
    let requested = Deploy::requested(id, site, wish.caller.name.as_str(), clock::now());
    let deploy = Deploy {
        reason,
        git_ref,
        inputs,
        ..requested
    };
    Ok(Intent {
        deploy,
        idempotency_key: key,
        request_sha256: sha256_hex(&body),
        entry: wish
            .source
            .does(AuditAction::DeployRequested)
            .about(site.slug.as_str())
            .with("deploy", id.to_string()),
    })
}

fn checked_ref(asked: Option<&str>, site: &Site) -> Result<String, Refusal> {
    let Some(git_ref) = asked else {
        return Ok(site.git_ref.clone());
    };
    // What git-check-ref-format(1) allows nowhere; GitHub knows the rest.
    let odd = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    if git_ref.is_empty() || git_ref.len() > REF_CHARS || git_ref.starts_with('-') || git_ref.chars().any(odd) {
        return Err(invalid(
            "ref",
            "`ref` must be the name of a branch or tag, such as `main` or `v1.2.3`",
        ));
    }
    Ok(git_ref.to_owned())
}

fn checked_reason(reason: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(reason) = reason.map(str::trim).filter(|reason| !reason.is_empty()) else {
        return Ok(None);
    };
    if reason.chars().count() > REASON_CHARS {
        return Err(invalid("reason", "`reason` must be at most 500 characters"));
    }
    if reason.contains('\0') {
        return Err(invalid("reason", "`reason` must not contain a NUL character"));
    }
    Ok(Some(reason.to_owned()))
}

fn checked_inputs(site: &Site, asked: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal> {
    let mut inputs = site.inputs.clone();
    inputs.extend(asked.clone());
    if inputs.contains_key(DEPLOY_ID_INPUT) {
        return Err(invalid(
            "inputs",
            "`inputs` must not set `console_deploy_id`: the console does",
        ));
    }
    if inputs.len() > MOST_INPUTS {
        return Err(invalid(
            "inputs",
            "`inputs` must be at most 24: GitHub takes 25, and the deploy's id is one of them",
        ));
    }
    if inputs
        .iter()
        .any(|(name, value)| name.is_empty() || name.len() + value.len() > INPUT_BYTES || value.contains('\0'))
    {
        return Err(invalid(
            "inputs",
            "an input must have a name, at most 16 KiB and no NUL character",
        ));
    }
    Ok(inputs)
}

fn checked_key(key: &str) -> Result<String, Refusal> {
    if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(key.to_owned());
    }
    Err(invalid(
        "Idempotency-Key",
        "Idempotency-Key must be 1 to 255 visible ASCII characters",
    ))
}

fn invalid(field: &str, detail: &str) -> Refusal {
    Refusal::new(Problem::Invalid, detail).with_field(field)
}

fn bad_cursor(field: &str, detail: String) -> Refusal {
    Refusal::new(Problem::Malformed, detail).with_field(field)
}

fn unknown_site(slug: &str) -> Refusal {
    let shown: String = slug.chars().take(80).collect();
    Refusal::new(
        Problem::NotFound,
        format!("There is no site `{shown}`. `console.toml` declares the sites."),
    )
    .with_field("site")
}

impl From<NoDeploy> for Refusal {
    fn from(why: NoDeploy) -> Self {
        Self::new(Problem::NotAllowed, why.to_string()).with_field("site")
    }
}

impl From<ConfirmationMismatch> for Refusal {
    fn from(mismatch: ConfirmationMismatch) -> Self {
        Self::new(Problem::ConfirmationMismatch, mismatch.to_string()).with_field("confirmation")
    }
}
