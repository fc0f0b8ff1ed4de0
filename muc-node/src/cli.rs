//! What a stranger sees: commands, flags, environment variables and exit codes.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::check::CheckArgs;
use crate::log::LogRoomArgs;
use crate::logging::LogArgs;
use crate::serve::ServeArgs;
use crate::{check, log, logging, serve};

/// Serves chat rooms (XEP-0045) that federate with other sites (XEP-0289), as a component (XEP-0114) of an XMPP server.
#[derive(Debug, Parser)]
#[command(
    name = "muc-node",
    version,
    max_term_width = 100,
    after_help = "\
Every flag can be given as an environment variable instead; its name stands at the flag.

Exit codes: 0 after an orderly stop (SIGTERM, SIGINT), or when all is well; 1 when something is wrong, \
with the reason on standard error; 2 when the command line is wrong.

To begin: copy examples/minimal, write your domain and your server into it, then
  muc-node check DIR
  muc-node serve --manifests DIR --store sqlite:rooms.db"
)]
pub struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve rooms until SIGTERM
    Serve(Box<ServeArgs>),
    /// Say what is wrong with a directory of manifests, without serving it
    Check(CheckArgs),
    /// Print the log of a room
    Log(LogRoomArgs),
}

/// Runs the command. Everything that went wrong is on standard error by then.
pub fn run(cli: &Cli) -> ExitCode {
    match dispatch(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // With its causes, on as few lines as they have. If nobody reads it, the code still says it.
            let _ = writeln!(io::stderr(), "muc-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<bool> {
    logging::start(&cli.log)?;
    match &cli.command {
        Command::Serve(args) => serve::run(args).map(|()| true),
        Command::Check(args) => Ok(check::run(args, &mut io::stdout().lock())?),
        Command::Log(args) => {
            let mut out = io::BufWriter::new(io::stdout().lock());
            log::run(args, &mut out)?;
            match out.flush() {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e.into()),
                _ => Ok(true),
            }
        }
    }
}
