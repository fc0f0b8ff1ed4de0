//! How much may be read from the link: what comes in must not make more output than the link takes.
//!
//! One stanza can make a thousand, so the bound on what is read follows how much output a byte of input has made
//! lately. What is not read stays with the server, which feels it as TCP's back-pressure.

/// Bytes that were read and are not durable yet, at most; several commits' worth at full speed.
pub const UNCOMMITTED: usize = 512 << 10;
/// Bytes of output that may wait for the link, for what is read to be read. Well below what a path may hold before it
/// overflows (`warren_egress::Settings::path_budget`).
pub const OUTPUT: usize = 8 << 20;
/// So much may be read at any time: a few stanzas, which may be the answers that output waits for.
const LEAST: usize = 1 << 10;
/// A new estimate is made after so much input.
const SAMPLE: u64 = 512;
/// Output that a byte of input makes, as long as nothing is known: that of a room of some hundred.
const FIRST: u64 = 1024;

/// What the loop knows when it decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Bytes that were read and are not durable yet.
    pub uncommitted: usize,
    /// Bytes of output that wait.
    pub queued: usize,
    /// Whether output flows: there is some that may be written, and the socket takes it.
    pub flowing: bool,
}

/// Counts input and output.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    read: u64,
    written: u64,
    /// Input that was durable, and output that had been made, when the estimate was last made.
    sampled: (u64, u64),
    /// Bytes of output that a byte of input makes.
    gain: u64,
}

impl Default for Flow {
    fn default() -> Self {
        Self { read: 0, written: 0, sampled: (0, 0), gain: FIRST }
    }
}

impl Flow {
    /// Bytes that may be read now; 0: the link is not to be read.
    pub fn allowance(&self, load: Load) -> usize {
        let left = OUTPUT.saturating_sub(load.queued);
        if left == 0 && load.flowing {
            return 0;
        }
        let gain = usize::try_from(self.gain).unwrap_or(usize::MAX).max(1);
        (left / gain).clamp(LEAST, UNCOMMITTED).saturating_sub(load.uncommitted)
    }

    /// So many bytes were read.
    pub fn read(&mut self, bytes: usize) {
        self.read += bytes as u64;
    }

    /// So many bytes of output left the queues.
    pub fn written(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Makes a new estimate, when there is enough to make it of.
    pub fn sample(&mut self, load: Load) {
        let durable = self.read.saturating_sub(load.uncommitted as u64);
        let made = self.written + load.queued as u64;
        let input = durable.saturating_sub(self.sampled.0);
        if input < SAMPLE {
            return;
        }
        let gain = made.saturating_sub(self.sampled.1) / input;
        self.sampled = (durable, made);
        // Up at once, since that is dangerous; down slowly.
        self.gain = if gain > self.gain { gain } else { self.gain - (self.gain - gain) / 8 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_room_is_read_in_small_pieces() {
        let mut flow = Flow::default();
        let idle = Load::default();
        assert_eq!(flow.allowance(idle), OUTPUT / 1024);
        flow.read(1000);
        flow.written(2_000_000);
        flow.sample(idle);
        assert_eq!(flow.allowance(idle), OUTPUT / 2000, "up at once");
        for _ in 0..100 {
            flow.read(1000);
            flow.written(1000);
            flow.sample(idle);
        }
        assert_eq!(flow.allowance(idle), UNCOMMITTED, "down in the end");
        assert_eq!(flow.allowance(Load { uncommitted: UNCOMMITTED, ..idle }), 0);
    }

    #[test]
    fn output_that_waits_for_an_answer_does_not_keep_the_answer_out() {
        let full = Load { queued: OUTPUT + 1, uncommitted: 0, flowing: true };
        let flow = Flow::default();
        assert_eq!(flow.allowance(full), 0);
        assert_eq!(flow.allowance(Load { flowing: false, ..full }), LEAST);
    }

    #[test]
    fn what_is_not_durable_has_made_nothing_yet() {
        let mut flow = Flow::default();
        flow.read(100_000);
        flow.sample(Load { uncommitted: 100_000, ..Load::default() });
        assert_eq!(flow.gain, FIRST);
    }
}
