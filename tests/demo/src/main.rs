//! Two Warren sites, a real Prosody and a real ejabberd between them, a cut, a kill: to be watched. See `make demo`.

mod account;
mod actor;
mod cluster;
mod lines;
mod stay;
mod story;
mod transcript;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use story::Story;
use transcript::{Transcript, plain};

/// The story takes about 40 s; who hangs for longer than this has failed.
const LIMIT: Duration = Duration::from_mins(2);

/// Alice and Hamlet talk in one room that lives on two sites, while the path between them is cut and a node is killed;
/// or, with `--cluster`, while everything of the one site is killed that Kubernetes and its operator have made.
///
/// Everything runs on loopback, on free ports, and is gone at the end, however that comes.
#[derive(Debug, Parser)]
#[command(name = "warren-demo", max_term_width = 100)]
struct Cli {
    /// Keep everything up after the story, and say how to join with an ordinary XMPP client
    #[arg(long)]
    stay: bool,
    /// One site is a cluster: a real API server, the operator twice, three nodes on one PostgreSQL
    #[arg(long, conflicts_with = "stay")]
    cluster: bool,
}

impl Cli {
    fn name(&self) -> &'static str {
        if self.cluster { "cluster-demo" } else { "demo" }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let transcript = Transcript::begin();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.context("no event loop").and_then(|runtime| {
        runtime.block_on(async {
            let mut signals = Signals::install()?;
            let told = tokio::select! {
                outcome = perform(&cli, &transcript) => return outcome.map(|()| None),
                signal = signals.next(), if !cli.stay => signal,
            };
            Ok(Some(told))
        })
    });
    // What the story has started is gone by now: its values are dropped.
    match outcome {
        Ok(None) => {
            plain(&format!("{}: ok", cli.name()));
            ExitCode::SUCCESS
        }
        Ok(Some(signal)) => {
            plain(&format!("{}: stopped by {signal}", cli.name()));
            ExitCode::from(130)
        }
        Err(error) => {
            plain(&format!("\n{error:#}\n\n{}: failed", cli.name()));
            ExitCode::FAILURE
        }
    }
}

async fn perform(cli: &Cli, transcript: &Transcript) -> Result<()> {
    if cli.cluster {
        let play = timeout(LIMIT, cluster::play(transcript));
        return play.await.map_err(|_| anyhow!("the story is not over after {LIMIT:?}"))?;
    }
    let mut signals = Signals::install()?;
    let play = async {
        let mut story = Story::begin(transcript).await?;
        match story.play().await {
            Ok(()) => Ok(story),
            Err(error) => Err(error.context(story.report())),
        }
    };
    let play = timeout(LIMIT, play);
    let story = tokio::select! {
        played = play => played.map_err(|_| anyhow!("the story is not over after {LIMIT:?}"))??,
        signal = signals.next(), if cli.stay => return Err(anyhow!("stopped by {signal} before the end")),
    };
    if cli.stay {
        plain(&story.invitation().await?);
        signals.next().await;
        transcript.direction("everything stops");
    }
    story.end().await
}

/// What asks us to end.
struct Signals([(Signal, &'static str); 3]);

impl Signals {
    fn install() -> Result<Self> {
        let kinds = [
            (SignalKind::interrupt(), "SIGINT"),
            (SignalKind::terminate(), "SIGTERM"),
            (SignalKind::hangup(), "SIGHUP"),
        ];
        let [first, second, third] = kinds.map(|(kind, name)| signal(kind).map(|signal| (signal, name)));
        Ok(Self([first?, second?, third?]))
    }

    async fn next(&mut self) -> &'static str {
        let [(first, a), (second, b), (third, c)] = &mut self.0;
        tokio::select! {
            _ = first.recv() => a,
            _ = second.recv() => b,
            _ = third.recv() => c,
        }
    }
}
