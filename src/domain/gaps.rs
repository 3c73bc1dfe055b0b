//! A streamed log made whole: what the workflow could not send, taken from GitHub's log of its jobs.
//!
//! Both are copies of one output, so their lines tell where a piece of one lies in the other. What cannot be placed
//! for certain is left as it is: a gap that is seen is better than a line that stands twice.

use super::log::{SENDER_GAP, without_escapes};
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
/// How many lines are compared to tell where a piece begins.
const TELLING_LINES: usize = 50;
/// A job's log with more lines, and a comparison that takes more steps, are left alone: the text is anybody's.
const MOST_LINES: usize = 400_000;
const MOST_STEPS: usize = 20_000_000;
/// How far ahead the next line of a piece is looked for: the runner's own lines stand between two steps.
const AHEAD: usize = 200;

/// The streamed log with its gaps, its lost end, or all of it, filled in from `job` (GitHub's log, without its times).
/// `None` when nothing is missing, or what is missing cannot be placed.
pub fn fill(streamed: &str, job: &str) -> Option<String> {
    if streamed.trim().is_empty() {
        return (!job.trim().is_empty()).then(|| format!("{FILLED}{job}"));
    }
    if job.bytes().filter(|byte| *byte == b'\n').count() > MOST_LINES {
        return None;
    }
    let job = JobLog::new(job);
    let mut whole = Whole {
        text: String::new(),
        changed: false,
    };
    // Up to which line of the job's log all is placed; `None` after a piece that cannot be found in it.
    let mut placed = Some(0);
    for (index, piece) in streamed.split(SENDER_GAP).enumerate() {
        let found = placed.and_then(|from| job.find(piece, index > 0, from));
        let mut piece = piece;
        if index > 0 {
            match (placed, found) {
                (Some(from), Some(found)) if found.begin > from => {
                    whole.add(&job.lines[from..found.begin]);
                    whole.text.push_str(STREAMED_AGAIN);
                    piece = &piece[found.broken..];
                }
                _ => whole.text.push_str(SENDER_GAP),
            }
        }
        whole.text.push_str(piece);
        if !piece.is_empty() {
            placed = found.map(|found| found.end);
        }
    }
    if let Some(from) = placed {
        whole.add(job.rest_of_step(from, whole.open_line()));
    }
    whole.changed.then_some(whole.text)
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
}

impl<'a> JobLog<'a> {
    fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let keys = lines.iter().map(|line| key(line)).collect();
        let steps = Cell::new(MOST_STEPS);
        Self { lines, keys, steps }
    }

    /// Finds a piece at line `from` or later. After a gap its first line may be the end of one.
    fn find(&self, piece: &str, after_gap: bool, from: usize) -> Option<Found> {
        let complete = &piece[..piece.rfind('\n').map_or(0, |end| end + 1)];
        let lines: Vec<&str> = complete.split_inclusive('\n').collect();
        let keys: Vec<String> = lines.iter().map(|line| key(line)).collect();
        let whole = self.place(&keys, from, 0);
        let broken = keys.split_first().filter(|_| after_gap).and_then(|(first, rest)| {
            let (alike, found) = self.place(rest, from, lines[0].len())?;
            let cut = self.keys[..found.begin].last()?;
            cut.ends_with(first.as_str()).then_some((alike + 1, found))
        });
        let better = match (whole, broken) {
            (Some(whole), Some(broken)) if broken.0 > whole.0 => Some(broken),
            (whole, broken) => whole.or(broken),
        };
        better.map(|(_, found)| found)
    }

    /// The place where most of the first lines follow each other as they do in the piece, and how many do.
    fn place(&self, keys: &[String], from: usize, broken: usize) -> Option<(usize, Found)> {
        let first = keys.first()?;
        let most = self.keys.len() - from + keys.len() * AHEAD;
        let begins = self.keys[from..].iter().filter(|key| *key == first).count();
        let left = self.steps.get().checked_sub(most + begins * TELLING_LINES)?;
        self.steps.set(left);
        let alike = |begin: usize| {
            let both = self.keys[begin..].iter().zip(keys).take(TELLING_LINES);
            both.take_while(|(ours, theirs)| ours == theirs).count()
        };
        let begins = (from..self.keys.len()).filter(|at| self.keys[*at] == *first);
        let begin = begins.max_by_key(|at| (alike(*at), std::cmp::Reverse(*at)))?;
        let end = keys.iter().fold(begin, |next, key| {
            let ahead = &self.keys[next..self.keys.len().min(next + AHEAD)];
            ahead
                .iter()
                .position(|line| line == key)
                .map_or(next, |at| next + at + 1)
        });
        Some((alike(begin), Found { begin, end, broken }))
    }

    /// What the step printed from line `from` on. It may be there already, without its line break.
    fn rest_of_step(&self, from: usize, open_line: &str) -> &[&'a str] {
        let there = !open_line.is_empty() && self.keys.get(from).is_some_and(|line| *line == key(open_line));
        let from = self.lines.len().min(from + usize::from(there));
        let rest = &self.lines[from..];
        let speaks = |line: &&str| RUNNER_SPEAKS.iter().any(|words| line.starts_with(words));
        &rest[..rest.iter().position(speaks).unwrap_or(rest.len())]
    }
}

/// A line without colours and what stands at its end: what the sender and the runner may have treated differently.
fn key(line: &str) -> String {
    without_escapes(line).trim_end().to_owned()
}
