//! What happened, line by line, and as one number.

use std::fmt::Write;

use crate::names::Micros;

/// Keeps lines only when it is asked to: they cost more than the run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Without lines.
    pub fn silent() -> Self {
        Self::default()
    }

    /// With lines.
    pub fn verbose() -> Self {
        Self { hash: 0, lines: Some(Vec::new()) }
    }

    /// Two runs with the same number did the same.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The lines, if they were kept.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Takes a value into the number.
    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = (self.hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Takes bytes into the number.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    /// Adds a line, made only if lines are kept.
    pub(crate) fn line(&mut self, at: Micros, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let mut line = String::new();
            // Writing to a string cannot fail.
            let _ = write!(line, "{:>9.3} {}", seconds(at), text());
            lines.push(line);
        }
    }
}

#[allow(clippy::cast_precision_loss)] // a run lasts minutes
fn seconds(at: Micros) -> f64 {
    at as f64 / 1e6
}
