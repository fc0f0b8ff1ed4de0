//! The history checker: pure functions from what happened to what must not have happened.
//!
//! It knows operations whose outcome nobody can know: a message with neither a reflection nor an error may be
//! in the log or not. What it excuses is exactly what `docs/limits.md` admits, and it counts it.

mod federation;
mod messages;
mod occupants;
mod receipts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Entry, History, Token, What};

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: &'static str,
    /// What about it.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}

/// What the checker found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Broken rules.
    pub violations: Vec<Violation>,
    /// Messages that a user behind S2S missed with every ping answered.
    pub excused: usize,
}

impl Findings {
    fn add(&mut self, rule: &'static str, text: String) {
        self.violations.push(Violation { rule, text });
    }
}

/// Checks everything.
pub fn check(history: &History) -> Findings {
    let mut found = Findings::default();
    for text in &history.broken {
        found.add("the run itself", text.clone());
    }
    messages::check(history, &mut found);
    federation::check(history, &mut found);
    receipts::check(history, &mut found);
    occupants::check(history, &mut found);
    found
}

/// Name of a site's room in messages.
fn site_name(site: usize) -> &'static str {
    ["rabbithole", "elsinore"][site]
}

/// The rows of a message in a log.
fn by_token(log: &[Entry]) -> BTreeMap<Token, Vec<&Entry>> {
    let mut rows: BTreeMap<Token, Vec<&Entry>> = BTreeMap::new();
    for entry in log {
        if let What::Message(token) = entry.what {
            rows.entry(token).or_default().push(entry);
        }
    }
    rows
}
