//! The fuzz targets over their corpus, without a fuzzer: whatever once came to light stays so.

use crate::support::repository;
use std::fs;

#[path = "../../fuzz/checks/mod.rs"]
mod checks;

/// Runs a target over each file of its corpus.
fn each(target: &str, check: impl Fn(&[u8])) {
    let folder = repository().join("fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 5, "{} has hardly any files", folder.display());
    for path in paths {
        // The last one that is named is the one that a failure is about.
        println!("{}", path.display());
        check(&fs::read(&path).unwrap());
    }
}

#[test]
fn callbacks() {
    each("callback", checks::callback::check);
}

#[test]
fn console_toml() {
    each("console_toml", checks::console_toml::check);
}

#[test]
fn logs() {
    each("log", checks::log::check);
}

#[test]
fn webhooks() {
    each("webhook", checks::webhook::check);
}
