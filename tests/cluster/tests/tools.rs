//! `build-tools` without a compiler: with a `go` that only pretends, so that what goes wrong can be arranged.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use warren_testkit::peers::RunDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/build-tools");

/// Notes its calls in `$STAGE/calls`; fails as often as `$STAGE/fail-list` or `fail-build` has lines.
const GO: &str = r#"#!/bin/sh
[ "$1" != env ] || { echo "go$(cat "$STAGE/version")"; exit 0; }
echo "$1" >> "$STAGE/calls"
if [ -s "$STAGE/fail-$1" ]; then
    sed -i 1d "$STAGE/fail-$1"
    echo "the network is down" >&2
    exit 1
fi
[ "$1" = build ] || exit 0
while [ "$1" != -o ]; do shift; done
case $2 in
    */) set -- "$2kube-apiserver" "$2kubectl" ;;
    *) set -- "$2" ;;
esac
for program; do echo '#!/bin/sh' > "$program"; chmod +x "$program"; done
"#;

/// A directory with the pretender, a cache and what the pretender is to do.
struct Stage(RunDir);

impl Stage {
    fn new() -> Self {
        let stage = Self(RunDir::new().expect("a directory"));
        stage.set("version", "1.26.9");
        stage.set("go", GO);
        fs::set_permissions(stage.path("go"), fs::Permissions::from_mode(0o755)).expect("a file of ours");
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn set(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the stage can be written");
    }

    fn command(&self) -> Command {
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(SCRIPT);
        command.env("PATH", path).env("STAGE", self.0.path()).env("XDG_CACHE_HOME", self.path("cache"));
        command.env_remove("TESTCLUSTER_BIN").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self) -> Output {
        self.command().output().expect("build-tools runs")
    }

    fn place(&self) -> PathBuf {
        let output = self.command().arg("--where").output().expect("build-tools runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("a path").trim_end().into()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.path("calls")).unwrap_or_default().replace('\n', " ")
    }
}

fn complete(dir: &Path) -> bool {
    ["kube-apiserver", "kubectl", "etcd"].iter().all(|name| dir.join(name).is_file())
}

#[test]
fn built_once_and_then_silent() {
    let stage = Stage::new();
    let place = stage.place();
    assert!(!place.exists(), "asking builds nothing");
    let first = stage.run();
    assert!(first.status.success() && complete(&place), "{first:?}");
    assert_eq!(stage.calls(), "list build list build ");
    let second = stage.run();
    assert!(second.status.success() && second.stdout.is_empty() && second.stderr.is_empty(), "{second:?}");
    assert_eq!(stage.calls(), "list build list build ");
    let left: Vec<_> = fs::read_dir(place.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the programs and a lock, no caches of compiler and modules: {left:?}");
}

#[test]
fn another_compiler_is_another_place() {
    let stage = Stage::new();
    let place = stage.place();
    stage.set("version", "1.26.10");
    assert_ne!(stage.place(), place);
    // Too old to build, new enough to fetch the pinned one.
    stage.set("version", "1.21.0");
    let fetched = stage.place();
    stage.set("version", "1.25.3");
    assert_eq!(stage.place(), fetched);
    assert_ne!(fetched, place);
    // A directory that is given is used as it is, or refused.
    let given = |dir: &Path| stage.command().env("TESTCLUSTER_BIN", dir).output().unwrap();
    let empty = given(stage.0.path());
    assert!(!empty.status.success() && String::from_utf8_lossy(&empty.stderr).contains("TESTCLUSTER_BIN"), "{empty:?}");
    assert!(stage.run().status.success());
    assert!(given(&stage.place()).status.success());
}

#[test]
fn downloads_are_tried_twice_and_builds_once() {
    let stage = Stage::new();
    stage.set("fail-list", "once\n");
    let output = stage.run();
    assert!(output.status.success() && complete(&stage.place()), "{output:?}");
    assert_eq!(stage.calls(), "list list build list build ");

    let stage = Stage::new();
    stage.set("fail-list", "once\ntwice\n");
    let output = stage.run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !stage.place().exists());
    assert!(said.contains("the network is down") && said.contains("fetching modules failed twice"), "{said}");

    let stage = Stage::new();
    stage.set("fail-build", "once\n");
    let output = stage.run();
    assert!(!output.status.success() && !stage.place().exists(), "nothing half-done is left to be used");
    assert!(stage.run().status.success() && complete(&stage.place()), "the next attempt builds");
}

#[test]
fn two_runs_at_once_build_once() {
    let stage = Stage::new();
    let both = [stage.command().spawn().unwrap(), stage.command().spawn().unwrap()];
    let said: Vec<_> = both.into_iter().map(|run| run.wait_with_output().unwrap()).collect();
    assert!(said.iter().all(|output| output.status.success()), "{said:?}");
    assert_eq!(stage.calls(), "list build list build ");
    let waited = said.iter().filter(|output| String::from_utf8_lossy(&output.stdout).contains("another run")).count();
    assert_eq!(waited, 1, "{said:?}");
}
