//! All stories of level `core`, on sites in memory. `STORY=part-of-a-path` picks some, at the desk.

use std::path::Path;

use warren_testkit::memory::CoreStage;
use warren_testkit::story::{Level, load, run_all};

#[test]
fn stories_on_the_core() {
    let stories = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories")).unwrap();
    let report = run_all(&stories, Level::Core, CoreStage::new);
    warren_testkit::figure!("{report}");
    report.check(90);
}

#[test]
fn stories_on_three_pods_for_each_site() {
    let stories = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories")).unwrap();
    let report = run_all(&stories, Level::Core, CoreStage::of_three);
    warren_testkit::figure!("{report}");
    report.check(90);
}
