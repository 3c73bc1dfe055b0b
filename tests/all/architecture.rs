//! The arrows between the rooms: who may know whom.

use crate::support::repository;
use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The lines of code of every file under `folder` (or of that file) that match, as `file:line`.
fn lines(folder: &str, matches: impl Fn(&str) -> bool) -> Vec<String> {
    let top = repository().join("src").join(folder);
    let files = if top.is_dir() { rust_files(&top) } else { vec![top] };
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            if matches(code) {
                found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn domain_knows_no_one() {
    none(
        lines("domain", |code| {
            ["crate::api", "crate::ui", "crate::server"]
                .iter()
                .any(|room| code.contains(room))
        }),
        "domain is pure",
    );
    let allowed = [
        "std",
        "serde",
        "serde_json",
        "thiserror",
        "time",
        "uuid",
        "super",
        "crate",
        "self",
    ];
    let foreign = |code: &str| {
        let Some(path) = code.trim().strip_prefix("use ") else {
            return false;
        };
        let root = path.split([':', ' ', ';']).next().unwrap();
        !allowed.contains(&root)
    };
    none(
        lines("domain", foreign),
        "domain uses std, serde, thiserror, time and uuid",
    );
}

#[test]
fn ui_knows_api_and_domain() {
    none(
        lines("ui", |code| {
            code.contains("crate::server") || code.contains("sqlx") || code.contains("axum")
        }),
        "ui is not the server",
    );
}

#[test]
fn api_reaches_the_server_only_inside_bodies() {
    none(
        lines("api", |code| code.trim_start().starts_with("use crate::server")),
        "signatures speak of the domain",
    );
    none(
        lines("api", |code| code.contains("crate::ui")),
        "api does not know the pages",
    );
}

#[test]
fn of_the_server_only_the_router_knows_pages_and_server_functions() {
    let found = lines("server", |code| {
        code.contains("crate::ui") || code.contains("crate::api")
    });
    none(
        found
            .into_iter()
            .filter(|line| !line.contains("/server/router/"))
            .collect(),
        "only the router imports ui and api",
    );
}

#[test]
fn the_store_alone_speaks_sql_and_calls_nobody() {
    none(
        lines("server/store", |code| {
            code.contains("server::github") || code.contains("super::github")
        }),
        "the store never calls GitHub",
    );
    let found = lines("server", |code| code.contains("sqlx::"));
    none(
        found
            .into_iter()
            .filter(|line| !line.contains("/server/store/"))
            .collect(),
        "SQL has one room",
    );
}

#[test]
fn the_doctor_starts_nothing() {
    let rooms = ["server/doctor", "server/github/inspecting.rs"];
    let calls = [".post(", ".put(", ".patch(", ".delete(", ".dispatch(", "/dispatches"];
    let found = rooms
        .into_iter()
        .flat_map(|room| lines(room, |code| calls.iter().any(|call| code.contains(call))));
    none(
        // Its one POST goes to the console itself.
        found.filter(|line| !line.contains("/doctor/callback.rs:")).collect(),
        "the doctor only looks",
    );
    none(
        lines("server/doctor/workflow", |code| {
            code.contains("server::github") || code.contains("async ")
        }),
        "what a workflow says is judged without asking anybody",
    );
}

#[test]
fn cfg_stays_in_lib() {
    let found = lines("", |code| {
        code.contains("cfg(feature") || code.contains("cfg_attr(feature")
    });
    none(
        found
            .into_iter()
            .filter(|line| !line.contains("/src/lib.rs:"))
            .collect(),
        "features are switched in lib.rs",
    );
}
