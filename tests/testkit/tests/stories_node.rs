//! All stories of level `node`: each site is a `muc-node` process, or three. `STORY=part-of-a-path` picks some, at the desk.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use warren_test_postgres::Server;
use warren_testkit::loopback::NodeStage;
use warren_testkit::story::{Level, load, run_all_at_once};

/// A story waits most of the time: for processes that start, and for what must not come.
const AT_ONCE: usize = 3;
/// One test after the other: more at once would make quiet places of slow ones.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn stories_on_processes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stories = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories")).unwrap();
    let report = run_all_at_once(&stories, Level::Node, AT_ONCE, NodeStage::new);
    warren_testkit::figure!("{report}");
    report.check(90);
}

/// All stories once more, each site three nodes on one PostgreSQL. The node that has the link owns none of the story's
/// rooms, nor decides about the service: everything that is said crosses between processes, to and fro.
#[test]
fn stories_on_three_processes_for_each_site() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stories = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories")).unwrap();
    let postgres = Server::shared();
    let report = run_all_at_once(&stories, Level::Node, AT_ONCE, |story| NodeStage::of_three(story, postgres));
    warren_testkit::figure!("{report}");
    report.check(90);
}
