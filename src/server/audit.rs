//! The audit trail: who did what, from where. Every row carries the hash of the one before, so that a
//! changed, removed or reordered row is found.

use super::clock;
use super::store::{AuditEntry, Store, StoreError};
use crate::domain::{AuditAction, AuditActor, AuditRow, Caller};
use std::collections::BTreeMap;

/// How many rows are read at a time.
const PIECE: i64 = 500;

/// Who does something, and from where: what the trail says of each action.
#[derive(Debug, Clone)]
pub struct Source {
    /// Who.
    pub actor: AuditActor,
    /// The client's address, where there is one.
    pub address: Option<String>,
}

impl Source {
    /// Somebody who runs a command on the console's own machine.
    pub fn command_line() -> Self {
        Self {
            actor: AuditActor::CommandLine,
            address: None,
        }
    }

    /// A signed-in operator, or a token of theirs.
    pub fn caller(caller: &Caller, address: &str) -> Self {
        let name = caller.name.to_string();
        let actor = match &caller.token {
            None => AuditActor::Operator(name),
            Some(token) => AuditActor::Token(format!("{name} ({})", token.name)),
        };
        Self {
            actor,
            address: Some(address.to_owned()),
        }
    }

    /// Somebody who is not signed in.
    pub fn nobody(address: &str) -> Self {
        Self {
            actor: AuditActor::Nobody,
            address: Some(address.to_owned()),
        }
    }

    /// The entry for something that this source does now.
    pub fn does(&self, action: AuditAction) -> AuditEntry {
        AuditEntry {
            at: clock::now(),
            actor: self.actor.clone(),
            address: self.address.clone(),
            action,
            subject: None,
            detail: BTreeMap::new(),
        }
    }
}

/// What reading the whole trail found.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every row is as it was written.
    Intact {
        /// How many there are.
        rows: i64,
        /// The last one's hash. Kept elsewhere, it also betrays a trail that was written anew as a whole.
        head: String,
    },
    /// A row is not what it was, or is not there.
    Broken {
        /// Its number.
        seq: i64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Reads the whole trail and checks every link of the chain.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn verify(store: &Store) -> Result<Verdict, StoreError> {
    let (head_seq, head_hash) = store.audit_head().await?;
    let (mut seq, mut hash) = (0, String::new());
    loop {
        let rows = store.audit_after(seq, PIECE).await?;
        for row in &rows {
            if let Some(problem) = problem(row, seq, &hash) {
                return Ok(problem);
            }
            seq = row.seq;
            hash.clone_from(&row.hash);
        }
        if rows.is_empty() {
            break;
        }
    }
    if seq < head_seq {
        return Ok(Verdict::Broken {
            seq: seq + 1,
            problem: "it was removed, and so was all that followed",
        });
    }
    if hash != head_hash {
        let problem = "it is not the row that was written last";
        return Ok(Verdict::Broken { seq, problem });
    }
    Ok(Verdict::Intact { rows: seq, head: hash })
}

/// What is wrong with `row`, which should follow the one with this number and hash.
fn problem(row: &AuditRow, before: i64, hash: &str) -> Option<Verdict> {
    if row.seq != before + 1 {
        return Some(Verdict::Broken {
            seq: before + 1,
            problem: "it was removed",
        });
    }
    let problem = if row.computed_hash() != row.hash {
        "it was changed"
    } else if row.previous_hash != hash {
        "it does not follow the row before it: one of them was replaced or moved"
    } else {
        return None;
    };
    Some(Verdict::Broken { seq: row.seq, problem })
}

/// A piece of the trail as JSON lines, oldest first, after the row with this number; and the last row's number.
/// `None` at the end.
///
/// # Errors
/// [`StoreError`] when the database fails.
pub async fn export_after(store: &Store, seq: i64) -> Result<Option<(String, i64)>, StoreError> {
    let rows = store.audit_after(seq, PIECE).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let mut text = String::new();
    for row in &rows {
        // Texts and numbers always have a JSON form.
        text.push_str(&serde_json::to_string(row).unwrap_or_default());
        text.push('\n');
    }
    Ok(Some((text, last.seq)))
}
