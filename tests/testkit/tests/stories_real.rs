//! All stories of level `real`: accounts on Prosody and ejabberd. `STORY=part-of-a-path` picks some, at the desk.

use std::io::Write as _;
use std::path::Path;

use warren_testkit::real::{RealStage, Servers};
use warren_testkit::story::{Level, load, run_all};

#[test]
fn stories_with_real_users() {
    let stories = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories")).unwrap();
    let servers = Servers::start().unwrap();
    let report = run_all(&stories, Level::Real, |story| RealStage::new(&servers, story));
    // Past the capture of the test harness: people want to read how many there were.
    std::io::stdout().write_all(format!("{report}\n").as_bytes()).unwrap();
    report.check(30);
}
