//! All stories of level `real`: accounts on Prosody and ejabberd. `STORY=part-of-a-path` picks some, at the desk.

use std::path::Path;

use warren_testkit::real::{RealStage, Servers};
use warren_testkit::story::{Level, load, run_all};

#[test]
fn stories_with_real_users() {
    let stories = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories")).unwrap();
    let servers = Servers::start().unwrap();
    let report = run_all(&stories, Level::Real, |story| RealStage::new(&servers, story));
    warren_testkit::figure!("{report}");
    report.check(30);
}
