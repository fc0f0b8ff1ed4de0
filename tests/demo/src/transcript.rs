//! What the audience reads: two screens side by side, and stage directions.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Instant,
};

use warren_testkit::peers::Site;

/// Characters of one screen.
const SCREEN: usize = 46;

/// Prints lines with the time since the beginning. Clones print the same transcript.
#[derive(Clone, Debug)]
pub struct Transcript(Arc<Instant>);

impl Transcript {
    /// Begins now.
    pub fn begin() -> Self {
        Self(Arc::new(Instant::now()))
    }

    /// What happens to all.
    pub fn direction(&self, text: &str) {
        self.line(&format!("── {text}"));
    }

    /// A line on the screen of a site's user.
    pub fn screen(&self, site: Site, text: &str) {
        match site {
            Site::Wonderland => self.line(&format!("{text:SCREEN$}│")),
            Site::Denmark => self.line(&format!("{:SCREEN$}│ {text}", "")),
        }
    }

    /// For how long it has been going on, in seconds.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn line(&self, text: &str) {
        plain(&format!("{:7.2}  {text}", self.seconds()));
    }
}

/// A line without time.
pub fn plain(text: &str) {
    // Nobody to read it is no reason to stop in the middle and leave things behind.
    writeln!(io::stdout().lock(), "{text}").ok();
}

/// The heads of the two screens.
pub fn heads() {
    let [left, right] = ["what alice sees at wonderland.lit", "what hamlet sees at denmark.lit"];
    plain(&format!("\n         {left:SCREEN$}│ {right}   (* with the time when it was said)"));
    plain(&format!("         {}┼{}", "─".repeat(SCREEN), "─".repeat(SCREEN)));
}
