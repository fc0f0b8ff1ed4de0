//! All stories of level `node`: each site is a `muc-node` process. `STORY=part-of-a-path` picks some, at the desk.

use std::io::Write as _;
use std::path::Path;

use warren_testkit::loopback::NodeStage;
use warren_testkit::story::{Level, load, run_all};

#[test]
fn stories_on_processes() {
    let stories = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories")).unwrap();
    let report = run_all(&stories, Level::Node, NodeStage::new);
    // Past the capture of the test harness: people want to read how many there were.
    std::io::stdout().write_all(format!("{report}\n").as_bytes()).unwrap();
    report.check(90);
}
