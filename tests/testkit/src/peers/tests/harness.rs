//! The harness around the servers: what it cleans up and what it says when something is missing.

use std::{path::Path, time::Duration};

use crate::peers::{
    Child, RunDir,
    child::{Program, require},
    xml::{Incoming, StreamReader},
};
use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

fn sleeper(seconds: &str) -> Program {
    Program {
        name: "sh",
        packages: "dash",
        args: ["-c", "echo begun; echo trouble >&2; sleep \"$0\"", seconds].map(Into::into).to_vec(),
        env: vec![],
        logs: vec![],
    }
}

#[tokio::test]
async fn child_dies_with_its_value_and_shows_its_output() -> Result<()> {
    let mut child = Child::start(sleeper("60")).await?;
    child.wait_for_line("begun", Duration::from_secs(5)).await?;
    let error = child.wait_for_line("never", Duration::from_millis(200)).await.err().context("no error")?;
    ensure!(error.to_string().contains("trouble"), "{error}");
    let process = format!("/proc/{}/stat", child.pid().context("it runs")?);
    drop(child);
    for _ in 0..100 {
        let state = std::fs::read_to_string(&process).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("it lives on")
}

#[tokio::test]
async fn child_that_ends_early_is_told_apart_from_a_slow_one() -> Result<()> {
    let mut child = Child::start(sleeper("0")).await?;
    let error = child.wait_for_line("never", Duration::from_secs(5)).await.err().context("no error")?;
    ensure!(error.to_string().contains("ended with exit status: 0"), "{error}");
    Ok(())
}

#[test]
fn missing_binary_is_named_with_its_packages() {
    let error = require("no-such-server", "some-package").unwrap_err().to_string();
    assert!(error.contains("`no-such-server`") && error.contains("install -y --no-install-recommends some-package"));
}

#[test]
fn run_directory_goes_with_its_value() -> Result<()> {
    let dir = RunDir::new()?;
    let path = dir.path().to_owned();
    std::fs::write(path.join("log"), "text")?;
    drop(dir);
    ensure!(!Path::exists(&path), "{} is still there", path.display());
    Ok(())
}

#[test]
fn reader_takes_a_stream_in_any_pieces() -> Result<()> {
    let text = "<?xml version='1.0'?><s:stream xmlns='a' xmlns:s='b' id='7'><m to='x'><body>1 &lt; 2</body></m> <p/></s:stream>";
    for size in [1, 7, text.len()] {
        let mut reader = StreamReader::default();
        let mut seen = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            for incoming in reader.feed(piece)? {
                seen.push(match incoming {
                    Incoming::Header(header) => format!("header {}", header.attr("id").unwrap_or_default()),
                    Incoming::Stanza(stanza) => {
                        format!("{} {} {}", stanza.name(), stanza.ns(), stanza.children().count())
                    }
                    Incoming::End => "end".to_owned(),
                });
            }
        }
        ensure!(seen == ["header 7", "m a 1", "p a 0", "end"], "in pieces of {size}: {seen:?}");
    }
    Ok(())
}
