//! A backup of a console that is being written to, and what a console makes of it afterwards.

use crate::support::database::{database_of, execute, is_postgres, shared, sqlite_in};
use crate::support::people::{PASSWORD, browser};
use crate::support::{SITES, TestConsole, binary, config_on, console, repository, stand_in};
use raxx_console::domain::{DeployId, Role};
use raxx_console::server::audit::{Verdict, verify};
use raxx_console::server::demo::stand_in::Scenario;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

fn backup(url: &str, file: &Path) -> Output {
    let mut command = Command::new(binary());
    command.env_clear().env("DATABASE_URL", url);
    command.args(["db", "backup"]).arg(file).output().unwrap()
}

/// Takes no backup, and says all of `words` in one line.
fn refuses(url: &str, file: &Path, words: &[&str]) {
    let output = backup(url, file);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing in: {said}");
    }
}

/// One of PostgreSQL's own programs, from where its server is.
fn postgres(program: &str, arguments: &[&str]) {
    let find = "source scripts/lib.sh; find_postgres";
    let found = Command::new("bash")
        .args(["-c", find])
        .current_dir(repository())
        .output()
        .unwrap();
    let folder = String::from_utf8(found.stdout).unwrap();
    // What is there may be a link into the folder with all of them.
    let server = Path::new(folder.trim()).join("postgres").canonicalize().unwrap();
    let output = Command::new(server.with_file_name(program))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
}

/// As docs/database.md has it, for either kind.
fn back_up(url: &str, file: &Path) {
    let path = file.display().to_string();
    if is_postgres() {
        let file = format!("--file={path}");
        postgres(
            "pg_dump",
            &["--format=custom", "--no-owner", &file, &format!("--dbname={url}")],
        );
        return;
    }
    let output = backup(url, file);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with(&path) && said.contains("checked"), "{said}");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// As docs/database.md has it; returns the address of what was restored.
fn restore(file: &Path, folder: &Path) -> String {
    if !is_postgres() {
        let url = sqlite_in(folder);
        fs::copy(file, folder.join("console.db")).unwrap();
        return url;
    }
    let url = shared().empty("restored");
    let (to, from) = (format!("--dbname={url}"), file.display().to_string());
    postgres(
        "pg_restore",
        &["--no-owner", "--exit-on-error", "--single-transaction", &to, &from],
    );
    url
}

#[tokio::test]
async fn a_backup_of_a_busy_console_has_all_that_was_acknowledged_and_a_console_goes_on_from_it() {
    let console = console().await;
    console.person("grace", Role::Viewer).await;
    let deploy = console.deploy("api-prod").await.deploy.id;
    console.until(deploy, "queued").await;
    let callback = console.bound("docs").await;
    let taken = AtomicUsize::new(0);
    let line = |seq: usize| format!("line {seq}\n");
    let mut write = Box::pin(async {
        for seq in 1.. {
            let report = callback.number(i64::try_from(seq).unwrap()).prints(&line(seq));
            assert_eq!(console.report(&report).await.status(), 200);
            taken.store(seq, Ordering::SeqCst);
        }
    });
    // So much was acknowledged before the backup begins, and writing goes on while it is taken.
    while taken.load(Ordering::SeqCst) < 20 {
        tokio::select! {
            () = &mut write => {}
            () = tokio::task::yield_now() => {}
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (url, file) = (console.database(), folder.path().join("backup"));
    let before = taken.load(Ordering::SeqCst);
    let taking = tokio::task::spawn_blocking({
        let file = file.clone();
        move || back_up(&url, &file)
    });
    tokio::select! {
        () = &mut write => {}
        taken = taking => taken.unwrap(),
    }
    let after = taken.load(Ordering::SeqCst);
    assert!(after > before, "nothing was written while the backup was taken");
    drop(write);
    let id = callback.deploy;
    console.running.stop().await;

    let url = restore(&file, folder.path());
    let github = stand_in(Scenario::Queued).await;
    let console = TestConsole::start(config_on(url, &github.url(), SITES), github, folder).await;
    let record = console.read(id).await;
    let log = record["log"]["text"].as_str().unwrap();
    let whole: String = (1..=before).map(line).collect();
    assert!(log.starts_with(&whole), "all {before} pieces are there: {log}");
    assert_eq!(
        (&record["state"], &record["operator"]),
        (&"running".into(), &"ada".into())
    );
    let other: DeployId = console.read(deploy).await["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(other, deploy);
    assert_eq!(console.sign_in(&browser(), "grace", PASSWORD).await.status(), 303);
    assert_eq!(console.create("api-prod").await.status(), 409);
    let verdict = verify(console.running.store()).await.unwrap();
    assert!(matches!(verdict, Verdict::Intact { .. }), "{verdict:?}");
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    if is_postgres() {
        let url = database_of(folder.path());
        refuses(&url, &file, &["pg_dump --format=custom", "docs/database.md"]);
        return;
    }
    let console = console().await;
    let url = console.database();
    fs::write(&file, "mine").unwrap();
    refuses(&url, &file, &["is there already"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fs::remove_file(&file).unwrap();
    // A link to nowhere is seen only when the copy is to have its name, as is a file that came meanwhile.
    std::os::unix::fs::symlink(folder.path().join("nowhere.db"), &file).unwrap();
    refuses(&url, &file, &["is there already"]);
    fs::remove_file(&file).unwrap();
    refuses(&url, &folder.path().join("nowhere/backup.db"), &["nowhere/backup.db"]);
    let missing = format!("sqlite://{}/missing.db", folder.path().display());
    refuses(&missing, &file, &["missing.db", "no such database"]);
    // A database that is damaged: it holds what it cannot hold.
    console.deploy("docs").await;
    let sql = "PRAGMA ignore_check_constraints = ON; UPDATE console_deploys SET cancel_requested = 7";
    execute(&url, sql).await;
    refuses(&url, &file, &["damaged"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no part of it is left");
}
