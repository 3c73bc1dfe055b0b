//! What becomes of a log: secrets go, and what is shown of it is text.
//!
//! In the corpus the byte FF stands where one report ends and the next begins.

use super::scene::{DISPATCH_TOKEN, PREVIOUS_SECRET, SECRET};
use raxx_console::domain::{mask_seam, without_escapes};
use raxx_console::server::github::{self, Github};
use raxx_console::server::mask::{Mask, clean};
use raxx_console::server::signature::Keys;
use raxx_console::ui::terminal::{Line, Style, lines};
use std::sync::LazyLock;

const SECRETS: [&str; 3] = [SECRET, PREVIOUS_SECRET, DISPATCH_TOKEN];
/// The most characters that are shown of one line.
const LINE_CHARS: usize = 4_096;

static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| {
    let keys = Keys {
        current: SECRET.parse().unwrap(),
        previous: Some(PREVIOUS_SECRET.parse().unwrap()),
    };
    let github = Github::new(github::Options {
        api_url: "http://127.0.0.1:9".to_owned(),
        api_version: "2022-11-28".to_owned(),
        identity: github::Identity::Token(DISPATCH_TOKEN.into()),
    });
    Mask::new(keys, github.unwrap()).secrets(None)
});

/// Checks one log.
pub(crate) fn check(data: &[u8]) {
    let pieces: Vec<String> = data
        .split(|byte| *byte == 0xff)
        .map(|piece| String::from_utf8_lossy(piece).into_owned())
        .collect();
    let stored = stored(&pieces);
    masked(&pieces, &stored);
    shown(&stored);
    shown(&pieces.concat());
}

/// What stands in the record once all pieces have come.
fn stored(pieces: &[String]) -> String {
    let mut stored = String::new();
    for piece in pieces {
        let mut piece = piece.clone();
        clean([&mut piece], &KNOWN);
        let once = piece.clone();
        clean([&mut piece], &KNOWN);
        assert_eq!(piece, once, "what is clean stays as it is");
        let length = stored.len();
        mask_seam(&mut stored, &mut piece, &KNOWN);
        assert_eq!(stored.len(), length, "places in the log stay places");
        stored.push_str(&piece);
    }
    stored
}

fn masked(pieces: &[String], stored: &str) {
    assert!(!stored.contains('\0'));
    for secret in SECRETS {
        assert!(!stored.contains(secret), "a secret came through: {stored:?}");
    }
    let said = pieces.concat().replace('\0', "");
    if SECRETS.iter().all(|secret| !said.contains(secret)) {
        assert_eq!(stored, said, "what is no secret is left alone");
    }
}

fn text(line: &Line) -> String {
    line.spans.iter().map(|span| span.text.as_str()).collect()
}

const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether all of a line shall be seen.
fn is_plain(line: &str) -> bool {
    !line.contains(|c: char| (c.is_control() && c != '\t') || is_bidi_control(c))
}

fn shown(log: &str) {
    let mut style = Style::default();
    let whole = lines(log, &mut style);
    for line in &whole {
        let text = text(line);
        assert!(is_plain(&text), "a control came through: {text:?}");
        assert!(text.chars().count() <= LINE_CHARS);
        for span in &line.spans {
            let mut classes = span.class.split(' ');
            assert!(
                span.class.is_empty() || classes.all(|class| class.starts_with("sgr-")),
                "{}",
                span.class
            );
        }
    }
    in_pieces(log, &whole, style);
    each_line(log, &whole);
    again(&whole);
    assert!(!without_escapes(log).contains('\u{1b}'));
}

/// A log that is read piece by piece, whole lines each, looks the same.
fn in_pieces(log: &str, whole: &[Line], style: Style) {
    let mut carried = Style::default();
    let pieces = log.split_inclusive('\n').flat_map(|piece| lines(piece, &mut carried));
    assert!(pieces.eq(whole.iter().cloned()));
    assert_eq!(carried, style);
}

/// What is plain is all there, whatever stands around it.
fn each_line(log: &str, whole: &[Line]) {
    let mut rest = whole.iter();
    for plain in log.lines().filter(|line| is_plain(line)) {
        let seen: String = plain.chars().take(LINE_CHARS).collect();
        let cut = plain.chars().count().saturating_sub(LINE_CHARS);
        let found = rest.any(|line| text(line) == seen && line.cut == cut);
        assert!(found, "a line is hidden: {plain:?}");
    }
}

/// What is shown holds nothing more to take out.
fn again(whole: &[Line]) {
    let shown: String = whole.iter().map(|line| text(line) + "\n").collect();
    let twice: Vec<String> = lines(&shown, &mut Style::default()).iter().map(text).collect();
    assert!(twice.iter().eq(whole.iter().map(text).collect::<Vec<_>>().iter()));
}
