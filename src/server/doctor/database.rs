//! The console's record: whether it is there, up to date, and kept safely. Nothing is made.

use super::Finding;
use crate::server::store::{Standing, Weakness, shown};

/// How the database stands, and on a server how safely it keeps things.
pub(super) async fn check(url: &str) -> Vec<Finding> {
    let stands = standing(url).await;
    let mut findings = vec![stands];
    // A server that cannot be asked is a finding already; a file has nothing to tell.
    if url.starts_with("postgres")
        && let Ok(weaknesses) = Weakness::all_of(url).await
    {
        findings.push(durability(&weaknesses));
    }
    findings
}

async fn standing(url: &str) -> Finding {
    let check = "database";
    let (is_server, shown) = (url.starts_with("postgres"), shown(url));
    let standing = match Standing::of(url).await {
        Ok(standing) => standing,
        Err(error) => {
            let remedy = if is_server {
                "give DATABASE_URL a PostgreSQL database that exists and answers, with a user who may make tables in it"
            } else {
                "give DATABASE_URL a file that the console may read and write, such as sqlite://data/console.db, \
                 or a postgres:// address"
            };
            return Finding::error(check, format!("DATABASE_URL={shown}: {error}"), remedy);
        }
    };
    let copy = if is_server {
        "Back it up first"
    } else {
        "Copy the file first"
    };
    match standing {
        Standing::Current => Finding::ok(check, format!("{shown} answers, and its tables are up to date")),
        Standing::Missing => Finding::warning(
            check,
            format!("{shown} is not there yet"),
            "start the console: `serve` makes it. If there should be one, look at DATABASE_URL and the folder",
        ),
        Standing::ReadOnly => Finding::warning(
            check,
            format!("{shown} may not be written by the user who runs this"),
            if is_server {
                "give DATABASE_URL the server that takes writes, and a user who owns the tables"
            } else {
                "run `doctor` as the console's own user; if you did, give that user the file"
            },
        ),
        Standing::Pending(count) => Finding::warning(
            check,
            format!("{shown}: migrations that are pending: {count}"),
            format!("start the console: `serve` applies them. {copy}"),
        ),
        Standing::Newer(version) => Finding::error(
            check,
            format!("{shown} is newer than this binary, which knows no migration {version}"),
            "run the newer binary, or go back to the copy of the database from before it",
        ),
        Standing::Other(version) => Finding::error(
            check,
            format!("{shown}: migration {version} is not the one of this binary, or stopped midway"),
            "run the binary that made this database, or go back to a copy of it",
        ),
    }
}

fn durability(weaknesses: &[Weakness]) -> Finding {
    let check = "database.durability";
    if weaknesses.is_empty() {
        return Finding::ok(check, "what the server has acknowledged survives a loss of power");
    }
    let settings: Vec<&str> = weaknesses.iter().map(|weakness| weakness.setting()).collect();
    let message = format!(
        "PostgreSQL may lose what it has acknowledged: off is {}",
        settings.join(", ")
    );
    let remedy = "set what is named to `on` in postgresql.conf, or with ALTER SYSTEM, ALTER DATABASE or ALTER ROLE; \
         synchronous_commit the console turns on for itself, other programs do not";
    Finding::warning(check, message, remedy)
}
