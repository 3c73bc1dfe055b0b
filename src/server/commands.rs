//! The commands beside `serve`, for whoever may run them on the console's machine: people, tokens, the trail,
//! the database.

mod database;

pub use database::{DatabaseCommand, database};

use super::audit::{self, Source, Verdict};
use super::auth::people::{self, IssuedLink};
use super::auth::token;
use super::config::{ConfigError, Place, read_file};
use super::run::{StartError, open_store};
use super::store::Store;
use crate::domain::{OperatorName, Refusal, Role, Slug};
use std::time::Duration;

/// What to do about people.
#[derive(Debug, clap::Subcommand)]
pub enum OperatorCommand {
    /// Put somebody on the list, and print the one-time link by which they set their password.
    Add {
        /// What they are called.
        name: OperatorName,
        /// viewer reads, deployer deploys, admin does everything.
        #[arg(long)]
        role: Role,
    },
    /// Print everybody: name, role, how they sign in, and whether they may.
    List,
    /// Change what somebody may do.
    Role {
        /// Whose.
        name: OperatorName,
        /// viewer, deployer or admin.
        role: Role,
    },
    /// Keep somebody out, and end their sessions.
    Disable {
        /// Whom.
        name: OperatorName,
    },
    /// Let somebody in again.
    Enable {
        /// Whom.
        name: OperatorName,
    },
    /// Print a one-time link by which somebody sets a new password.
    Reset {
        /// Who.
        name: OperatorName,
    },
}

/// What to do about API tokens.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print it alone. It is shown this once.
    Create {
        /// Whose word it will be.
        #[arg(long)]
        operator: OperatorName,
        /// What will use it.
        #[arg(long, default_value = "made on the command line")]
        name: String,
        /// A site that it may deploy; again for more. Without one, all that its operator may.
        #[arg(long = "site")]
        sites: Vec<Slug>,
        /// After which time it ends, such as `90d`. Without it, never.
        #[arg(long, value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// Print every token: id, operator, name, sites, and when it ends.
    List,
    /// Revoke a token.
    Revoke {
        /// Its id, as `list` prints it.
        id: String,
    },
}

/// What to do about the audit trail.
#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Check that no row was changed, removed or moved. Exit code 1 when one was.
    Verify,
    /// Print the whole trail, oldest first, one JSON object a line.
    Export,
}

/// Carries out an `operator` command.
///
/// # Errors
/// [`StartError`], in one line.
pub async fn operator(command: OperatorCommand) -> Result<(), StartError> {
    let place = Place::from_env()?;
    let store = open_store(&place.database_url).await?;
    let source = Source::command_line();
    let done = match command {
        OperatorCommand::Add { name, role } => {
            let added = people::add(&store, name, role, &source).await;
            added.map(|link| print_link(&place, &link))
        }
        OperatorCommand::Reset { name } => {
            let reset = people::reset(&store, &name, &source).await;
            reset.map(|link| print_link(&place, &link))
        }
        OperatorCommand::Role { name, role } => people::set_role(&store, &name, role, &source).await,
        OperatorCommand::Disable { name } => people::set_disabled(&store, &name, true, &source).await,
        OperatorCommand::Enable { name } => people::set_disabled(&store, &name, false, &source).await,
        OperatorCommand::List => {
            for operator in store.operators().await? {
                let sign_in = serde_json::to_value(operator.sign_in).unwrap_or_default();
                let state = operator
                    .disabled_at
                    .map_or_else(String::new, |at| format!("\tdisabled since {at}"));
                let sign_in = sign_in.as_str().unwrap_or_default();
                println!("{}\t{}\t{sign_in}{state}", operator.name, operator.role);
            }
            Ok(())
        }
    };
    store.close().await;
    said(done)
}

/// Carries out a `token` command.
///
/// # Errors
/// [`StartError`], in one line.
pub async fn token(command: TokenCommand) -> Result<(), StartError> {
    let place = Place::from_env()?;
    let store = open_store(&place.database_url).await?;
    let source = Source::command_line();
    let done = match command {
        TokenCommand::Create {
            operator,
            name,
            sites,
            expires,
        } => {
            let lives_ms = expires.map(|lives| i64::try_from(lives.as_millis()).unwrap_or(i64::MAX));
            let declared: Vec<Slug> = read_file(&place.file)?
                .sites
                .into_iter()
                .map(|site| site.slug)
                .collect();
            let wanted = token::Wanted { name, sites, lives_ms };
            make_token(&store, &declared, &operator, wanted, &source).await
        }
        TokenCommand::List => {
            for token in store.tokens(None).await? {
                let sites: Vec<&str> = token.sites.iter().map(Slug::as_str).collect();
                let sites = if sites.is_empty() {
                    "every site".to_owned()
                } else {
                    sites.join(",")
                };
                let end = match (token.revoked_at, token.expires_at) {
                    (Some(at), _) => format!("revoked {at}"),
                    (None, Some(at)) => format!("until {at}"),
                    (None, None) => "never ends".to_owned(),
                };
                println!("{}\t{}\t{}\t{sites}\t{end}", token.id, token.operator, token.name);
            }
            Ok(())
        }
        TokenCommand::Revoke { id } => token::revoke(&store, &id, None, &source).await,
    };
    store.close().await;
    said(done)
}

/// Carries out an `audit` command. `false` when the trail is not what was written.
///
/// # Errors
/// [`StartError`], in one line.
pub async fn audit(command: AuditCommand) -> Result<bool, StartError> {
    let place = Place::from_env()?;
    let store = open_store(&place.database_url).await?;
    let intact = match command {
        AuditCommand::Verify => match audit::verify(&store).await? {
            Verdict::Intact { rows, head } => {
                println!("{rows} rows, each as it was written. The last one's hash is {head}");
                true
            }
            Verdict::Broken { seq, problem } => {
                println!("Row {seq} is not as it was written: {problem}.");
                false
            }
        },
        AuditCommand::Export => {
            let mut after = 0;
            while let Some((lines, last)) = audit::export_after(&store, after).await? {
                print!("{lines}");
                after = last;
            }
            true
        }
    };
    store.close().await;
    Ok(intact)
}

async fn make_token(
    store: &Store,
    declared: &[Slug],
    operator: &OperatorName,
    wanted: token::Wanted,
    source: &Source,
) -> Result<(), Refusal> {
    let operator = people::find(store, operator).await?.operator;
    let (text, _) = token::create(store, declared, &operator, wanted, source).await?;
    println!("{text}");
    Ok(())
}

fn print_link(place: &Place, link: &IssuedLink) {
    let base = place
        .public_url
        .clone()
        .unwrap_or_else(|| format!("http://{}", place.addr));
    println!("{base}/set-up/{}", link.token);
    eprintln!("It opens once, until {}.", link.expires_at);
}

/// A refusal as the one line that a command ends with.
fn said(outcome: Result<(), Refusal>) -> Result<(), StartError> {
    outcome.map_err(|refusal| ConfigError::new(refusal.detail).into())
}
