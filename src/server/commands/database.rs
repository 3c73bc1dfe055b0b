//! `db`: what is done to the database as a whole.

use crate::server::config::{ConfigError, Place, target_database_url};
use crate::server::run::StartError;
use crate::server::store::{self, Progress, shown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a long table says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// What to do about the database.
#[derive(Debug, clap::Subcommand)]
pub enum DatabaseCommand {
    /// Copy the SQLite database of `DATABASE_URL` into a new file. The server may run meanwhile.
    Backup {
        /// The file; it must not be there yet.
        file: PathBuf,
    },
    /// Copy everything into an empty database, of either kind, and compare. Stop the server first.
    Copy {
        /// The address to copy from; that of `DATABASE_URL` unless given.
        #[arg(long)]
        from: Option<String>,
        /// The address to copy to; that of `TARGET_DATABASE_URL`, which others cannot see, unless given.
        #[arg(long)]
        to: Option<String>,
    },
}

/// Carries out a `db` command.
///
/// # Errors
/// [`StartError`], in one line.
pub async fn database(command: DatabaseCommand) -> Result<(), StartError> {
    match command {
        DatabaseCommand::Backup { file } => backup(&Place::from_env()?.database_url, &file).await,
        DatabaseCommand::Copy { from, to } => {
            let from = from.map_or_else(|| Place::from_env().map(|place| place.database_url), Ok)?;
            let Some(to) = to.map_or_else(target_database_url, |to| Ok(Some(to)))? else {
                let line = "say where to copy to: --to ADDRESS, or TARGET_DATABASE_URL, or TARGET_DATABASE_URL_FILE";
                return Err(ConfigError::new(line).into());
            };
            copy(&from, &to).await
        }
    }
}

async fn backup(url: &str, file: &Path) -> Result<(), StartError> {
    let copied = store::backup(url, file).await;
    let bytes = copied.map_err(|error| ConfigError::new(error.to_string()))?;
    println!("{}: {}, checked", file.display(), size(bytes));
    Ok(())
}

async fn copy(from: &str, to: &str) -> Result<(), StartError> {
    let (shown_from, shown_to) = (shown(from), shown(to));
    println!("Copying {shown_from} to {shown_to}");
    let (mut tables, mut all) = (0, 0);
    let mut said = Instant::now();
    let mut tell = |progress: Progress<'_>| {
        let Progress { table, rows, bytes, .. } = progress;
        if progress.is_done {
            println!("{table:<28} {rows:>10} rows {:>12}", size(bytes));
            (tables, all) = (tables + 1, all + rows);
        } else if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            eprintln!("{table}: {rows} rows so far, {}", size(bytes));
        }
    };
    let copied = store::copy(from, to, &mut tell).await;
    copied.map_err(|error| ConfigError::new(format!("{shown_from} to {shown_to}: {error}")))?;
    println!("{tables} tables with {all} rows, read back and found equal; then committed.");
    println!("Next: set DATABASE_URL to {shown_to}, with its password, and start the console. Nothing was changed in");
    println!("{shown_from}: keep it until all is well, and let no console start on it again.");
    Ok(())
}

/// A length as people read it.
fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    if bytes < KIB {
        return format!("{bytes} bytes");
    }
    if bytes < MIB {
        return format!("{} KiB", bytes / KIB);
    }
    format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB)
}
