//! What `doctor` says: findings, for a person or for a program.

use crate::domain::Slug;
use serde::Serialize;
use std::fmt::{self, Write as _};

/// The most of a message that is shown, in characters: it may quote what others wrote.
const MOST_CHARS: usize = 600;
/// The width of the column of ids.
const ID_WIDTH: usize = 26;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be, or nothing to worry about.
    Ok,
    /// Deploys may work; something may go wrong, or could not be judged.
    Warning,
    /// Deploys do not work, go dark, or are cut off.
    Error,
}

/// One check, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its id, which stays; `docs/doctor.md` lists them.
    pub check: &'static str,
    /// The site that it is about; `None` when it is about the console.
    pub site: Option<Slug>,
    /// How bad it is.
    pub level: Level,
    /// What was found, in one line.
    pub message: String,
    /// How to mend it; `None` when there is nothing to mend.
    pub remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, message: impl AsRef<str>) -> Self {
        Self::new(check, Level::Ok, message.as_ref(), None)
    }

    /// Something that may go wrong, and how to mend it.
    pub fn warning(check: &'static str, message: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self::new(check, Level::Warning, message.as_ref(), Some(remedy.as_ref()))
    }

    /// Something that is wrong, and how to mend it.
    pub fn error(check: &'static str, message: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self::new(check, Level::Error, message.as_ref(), Some(remedy.as_ref()))
    }

    /// The same, about a site.
    #[must_use]
    pub fn of(mut self, site: &Slug) -> Self {
        self.site = Some(site.clone());
        self
    }

    /// The same, saying first what it is about.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.message = one_line(&format!("{what}: {}", self.message));
        self
    }

    fn new(check: &'static str, level: Level, message: &str, remedy: Option<&str>) -> Self {
        Self {
            check,
            site: None,
            level,
            message: one_line(message),
            remedy: remedy.map(one_line),
        }
    }
}

/// What others wrote must not draw on a terminal.
fn one_line(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(MOST_CHARS).collect()
}

/// A heading and the findings under it.
#[derive(Debug, Clone)]
struct Section {
    heading: String,
    findings: Vec<Finding>,
}

/// How often each level was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// As it should be.
    pub ok: usize,
    /// May go wrong.
    pub warnings: usize,
    /// Wrong.
    pub errors: usize,
}

/// Everything that was found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    sections: Vec<Section>,
}

impl Report {
    /// Adds findings under a heading.
    pub fn add(&mut self, heading: impl Into<String>, findings: Vec<Finding>) {
        let heading = one_line(&heading.into());
        self.sections.push(Section { heading, findings });
    }

    /// Every finding, in the order of the checks.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| &section.findings)
    }

    /// How often each level was found.
    pub fn summary(&self) -> Summary {
        let count = |level| self.findings().filter(|finding| finding.level == level).count();
        Summary {
            ok: count(Level::Ok),
            warnings: count(Level::Warning),
            errors: count(Level::Error),
        }
    }

    /// 0, or 1 when the worst is a warning, or 2 when it is an error.
    pub fn exit_code(&self) -> u8 {
        match self.findings().map(|finding| finding.level).max() {
            None | Some(Level::Ok) => 0,
            Some(Level::Warning) => 1,
            Some(Level::Error) => 2,
        }
    }

    /// One JSON object: `findings` and `summary`.
    pub fn to_json(&self) -> String {
        let findings: Vec<&Finding> = self.findings().collect();
        serde_json::json!({ "findings": findings, "summary": self.summary() }).to_string()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<8} {:<ID_WIDTH$} {}", self.level, self.check, self.message)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "\n           mend it: {remedy}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            writeln!(f, "{}", section.heading)?;
            for finding in &section.findings {
                writeln!(f, "{finding}")?;
            }
            f.write_char('\n')?;
        }
        write!(f, "{}", self.summary())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let (errors, warnings) = (many(self.errors, "error"), many(self.warnings, "warning"));
        write!(f, "{errors}, {warnings}, {} ok", self.ok)
    }
}
