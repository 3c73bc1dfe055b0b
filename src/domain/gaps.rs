//! A streamed log made whole: what the workflow could not send, taken from GitHub's log of its jobs.
//!
//! Both are copies of one output, so their lines tell where a piece of one lies in the other. What cannot be placed
//! for certain is left as it is: a gap that is seen is better than a line that stands twice.

use super::log::{LOG_CAP_BYTES, SENDER_GAP, without_escapes};
use std::cell::Cell;

/// What stands before lines that were filled in.
pub const FILLED: &str = "[filled in from GitHub's log of the job:]\n";
/// What stands after them, where the streamed log goes on.
pub const STREAMED_AGAIN: &str = "[end of what was filled in]\n";
/// Where the runner speaks again, after a step's own output.
const RUNNER_SPEAKS: [&str; 4] = [
    "##[group]Run ",
    "##[error]Process completed with exit code",
    "Post job cleanup.",
    "Cleaning up orphan processes",
];
/// The runner's commands, which it logs in another form: <https://docs.github.com/en/actions/reference/workflow-commands>.
const COMMANDS: [&str; 6] = ["group", "endgroup", "error", "warning", "notice", "debug"];
/// What a sender puts in place of a secret.
const MASKED: &str = "***";
/// How many lines are compared to tell where a piece begins.
const TELLING_LINES: usize = 50;
/// Texts with more lines, and comparisons that take more steps, are left alone: both texts are anybody's.
const MOST_LINES: usize = 400_000;
const MOST_STEPS: usize = 50_000_000;
/// How far ahead the next line of a piece is looked for: the runner's own lines stand between two steps.
const AHEAD: usize = 200;

/// The streamed log with its gaps, its lost end, or all of it, filled in from `job` (GitHub's log, without its times).
/// `None` when nothing is missing, or what is missing cannot be placed.
pub fn fill(streamed: &str, job: &str) -> Option<String> {
    if streamed.trim().is_empty() {
        return (!job.trim().is_empty()).then(|| format!("{FILLED}{job}"));
    }
    let is_long = |text: &str| text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count() > MOST_LINES;
    if is_long(job) || is_long(streamed) {
        return None;
    }
    let job = JobLog::new(job);
    let mut whole = Whole {
        text: String::new(),
        changed: false,
    };
    let mut placed = Placed::default();
    for (index, piece) in streamed.split(SENDER_GAP).enumerate() {
        let found = job.find(piece, index > 0, placed.end);
        let mut piece = piece;
        if index > 0 {
            match found {
                Some(found) if placed.is_certain && found.begin > placed.end => {
                    whole.add(&job.lines[placed.end..found.begin]);
                    whole.text.push_str(STREAMED_AGAIN);
                    piece = &piece[found.broken..];
                }
                _ => whole.text.push_str(SENDER_GAP),
            }
        }
        whole.text.push_str(piece);
        placed.take(piece, found);
    }
    if placed.is_certain {
        whole.add(job.rest_of_step(placed.end, whole.open_line()));
    }
    let fits = whole.text.len() as u64 <= LOG_CAP_BYTES;
    (whole.changed && fits).then_some(whole.text)
}

/// Up to where in the job's log all is placed, and whether what comes next there is known to be missing here.
struct Placed {
    end: usize,
    is_certain: bool,
}

impl Default for Placed {
    fn default() -> Self {
        Self {
            end: 0,
            is_certain: true,
        }
    }
}

impl Placed {
    fn take(&mut self, piece: &str, found: Option<Found>) {
        match found {
            Some(found) => (self.end, self.is_certain) = (found.end, found.to_its_end),
            None if piece.is_empty() => {}
            None => self.is_certain = false,
        }
    }
}

/// The text as it grows.
struct Whole {
    text: String,
    changed: bool,
}

impl Whole {
    /// What stands after the last line break.
    fn open_line(&self) -> &str {
        self.text.rsplit('\n').next().unwrap_or_default()
    }

    /// Adds whole lines of the job's log. A line that was cut off here is among them.
    fn add(&mut self, lines: &[&str]) {
        let Some(first) = lines.first() else { return };
        let open = self.open_line();
        if !open.is_empty() && first.starts_with(open) {
            self.text.truncate(self.text.len() - open.len());
        } else if !open.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(FILLED);
        self.text.extend(lines.iter().copied());
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.changed = true;
    }
}

/// GitHub's log, line by line, and what its lines are compared by.
struct JobLog<'a> {
    lines: Vec<&'a str>,
    keys: Vec<String>,
    /// How many more lines may be compared.
    steps: Cell<usize>,
}

/// Where a piece lies in the job's log.
#[derive(Clone, Copy)]
struct Found {
    begin: usize,
    end: usize,
    /// How many bytes of the piece are the end of a line that begins before it; the line at `begin` is the next one.
    broken: usize,
    /// Whether the piece's last line was found as well, so that nothing of it comes after `end`.
    to_its_end: bool,
    /// How many of its first lines follow each other there as they do in the piece.
    alike: usize,
}

impl<'a> JobLog<'a> {
    fn new(text: &'a str) -> Self {
        let lines = lines(text);
        let keys = lines.iter().map(|line| key(line)).collect();
        let steps = Cell::new(MOST_STEPS);
        Self { lines, keys, steps }
    }

    /// Finds a piece at line `from` or later. After a gap its first line may be the end of one.
    fn find(&self, piece: &str, after_gap: bool, from: usize) -> Option<Found> {
        let complete = &piece[..piece.rfind('\n').map_or(0, |end| end + 1)];
        let lines = lines(complete);
        let keys: Vec<String> = lines.iter().map(|line| key(line)).collect();
        let whole = self.place(&keys, from, 0);
        let broken = keys.split_first().filter(|_| after_gap).and_then(|(first, rest)| {
            let found = self.place(rest, from, lines[0].len())?;
            let cut = self.keys[..found.begin].last()?;
            cut.ends_with(first.as_str()).then_some(Found {
                alike: found.alike + 1,
                ..found
            })
        });
        match (whole, broken) {
            (Some(whole), Some(broken)) if broken.alike > whole.alike => Some(broken),
            (whole, broken) => whole.or(broken),
        }
    }

    /// The one place where most of the first lines follow each other as they do in the piece. `None` when there are
    /// several as good.
    fn place(&self, keys: &[String], from: usize, broken: usize) -> Option<Found> {
        let first = keys.first()?;
        self.take_steps(self.keys.len() - from)?;
        let (mut best, mut is_only) = (None::<(usize, usize)>, false);
        for begin in (from..self.keys.len()).filter(|at| same(&self.keys[*at], first)) {
            let both = self.keys[begin..].iter().zip(keys).take(TELLING_LINES);
            let alike = both.take_while(|(ours, theirs)| same(ours, theirs)).count();
            self.take_steps(alike)?;
            match best {
                Some((most, _)) if alike < most => {}
                Some((most, _)) if alike == most => is_only = false,
                _ => (best, is_only) = (Some((alike, begin)), true),
            }
        }
        let (alike, begin) = best.filter(|_| is_only)?;
        let (mut end, mut to_its_end) = (begin, false);
        for key in keys {
            let ahead = &self.keys[end..self.keys.len().min(end + AHEAD)];
            let found = ahead.iter().position(|line| same(line, key));
            self.take_steps(found.unwrap_or(ahead.len()))?;
            to_its_end = found.is_some();
            end += found.map_or(0, |at| at + 1);
        }
        Some(Found {
            begin,
            end,
            broken,
            to_its_end,
            alike,
        })
    }

    /// `None` once it took too many.
    fn take_steps(&self, taken: usize) -> Option<()> {
        self.steps.set(self.steps.get().checked_sub(taken)?);
        Some(())
    }

    /// What the step printed from line `from` on. It may be there already, without its line break.
    fn rest_of_step(&self, from: usize, open_line: &str) -> &[&'a str] {
        let is_open = |line: &String| same(line, &key(open_line));
        let there = !open_line.is_empty() && self.keys.get(from).is_some_and(is_open);
        let from = self.lines.len().min(from + usize::from(there));
        let rest = &self.lines[from..];
        let speaks = |line: &&str| RUNNER_SPEAKS.iter().any(|words| line.starts_with(words));
        &rest[..rest.iter().position(speaks).unwrap_or(rest.len())]
    }
}

/// The lines with their ends. The runner takes a lone carriage return for an end, too.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\n', '\r']) {
        let length = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        let (line, after) = rest.split_at(end + length);
        lines.push(line);
        rest = after;
    }
    lines.extend(Some(rest).filter(|rest| !rest.is_empty()));
    lines
}

/// A line without what the sender and the runner treat differently: colours, white space at its end, commands.
fn key(line: &str) -> String {
    let plain = without_escapes(line);
    let plain = plain.trim_end();
    // `::error file=app.js,line=1::Missing semicolon` is logged as `##[error]Missing semicolon`.
    let command = plain.strip_prefix("::").and_then(|rest| rest.split_once("::"));
    match command {
        Some((name, rest)) if COMMANDS.contains(&name.split(' ').next().unwrap_or_default()) => {
            format!("##[{}]{rest}", name.split(' ').next().unwrap_or_default())
        }
        _ => plain.to_owned(),
    }
}

/// Whether a line of the job's log and a streamed one are the same. The sender may have masked what GitHub did not.
fn same(ours: &str, theirs: &str) -> bool {
    if ours == theirs || !theirs.contains(MASKED) {
        return ours == theirs;
    }
    let mut parts = theirs.split(MASKED);
    let Some(mut rest) = parts.next().and_then(|first| ours.strip_prefix(first)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || ours.ends_with(last)
}
