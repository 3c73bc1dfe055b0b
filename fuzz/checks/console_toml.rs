//! `console.toml`: what parses is within bounds, and what does not is said in one clear line.

use raxx_console::domain::{Role, Site};
use raxx_console::server::config::{ConsoleFile, Provider, parse_file};
use std::collections::BTreeSet;

/// The longest time that makes sense anywhere: a hundred years, in milliseconds.
const CENTURY_MS: i64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// Checks one file.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_file(text, "console.toml") {
        Ok(file) => hold(&file),
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("console.toml:"), "{line:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(line.len() > "console.toml: ".len(), "{line:?}");
        }
    }
}

fn hold(file: &ConsoleFile) {
    assert!(!file.sites.is_empty());
    let slugs: BTreeSet<&str> = file.sites.iter().map(|site| site.slug.as_str()).collect();
    assert_eq!(slugs.len(), file.sites.len());
    file.sites.iter().for_each(site);
    for site in &file.sites {
        assert!(file.callback_auth.contains_key(&site.slug));
    }
    for age in [file.sessions.idle_ms, file.sessions.absolute_ms] {
        assert!((60_000..=CENTURY_MS).contains(&age), "{age}");
    }
    let age = file.retention.age_ms;
    assert!(
        age.is_none_or(|age| (86_400_000..=CENTURY_MS).contains(&age)),
        "{age:?}"
    );
    if let Some(provider) = &file.provider {
        provider_holds(provider);
    }
}

fn site(site: &Site) {
    let slug = site.slug.as_str();
    assert!((1..=64).contains(&slug.len()) && !slug.starts_with('-') && !slug.ends_with('-'));
    let in_slug = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(slug.bytes().all(in_slug), "{slug}");
    assert!(!site.name.trim().is_empty());
    let (owner, name) = site.repository.split_once('/').unwrap();
    // They stand in paths of GitHub's API.
    for part in [owner, name, site.workflow.as_str()] {
        let in_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(
            !part.is_empty() && part.bytes().all(in_part) && part != "." && part != "..",
            "{part}"
        );
    }
    for url in std::iter::once(&site.url).chain(&site.health_url) {
        let parsed = url::Url::parse(url).unwrap();
        assert!(
            matches!(parsed.scheme(), "http" | "https") && parsed.has_host(),
            "{url}"
        );
        assert!(!url.contains(char::is_control) && !url.ends_with('/'), "{url:?}");
    }
    assert!(
        (1000..=CENTURY_MS).contains(&site.silent_after_ms),
        "{}",
        site.silent_after_ms
    );
    assert!((0..=CENTURY_MS).contains(&site.grace_ms), "{}", site.grace_ms);
    assert!(!site.inputs.contains_key("console_deploy_id"));
}

fn provider_holds(provider: &Provider) {
    assert!(!provider.roles.is_empty());
    assert!(provider.roles.values().all(|role| Role::ALL.contains(role)));
    let issuer = url::Url::parse(&provider.issuer).unwrap();
    assert!(matches!(issuer.scheme(), "http" | "https"));
}
