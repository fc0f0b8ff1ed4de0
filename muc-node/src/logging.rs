//! Logs: text for people, JSON for collectors, both on standard error.
//!
//! Levels: `error` needs somebody, `warn` somebody should know, `info` is what an operator wants to read of a normal
//! day (starts, links, paths), `debug` and `trace` are for developers. What people write is never logged at `info`.

use std::io::IsTerminal;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How logs look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text if standard error is a terminal, else JSON.
    #[default]
    Auto,
    /// A line of text for each event.
    Text,
    /// A JSON object on a line for each event.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// What is logged: a level (error, warn, info, debug, trace) for everything, or levels for parts of the program,
    /// such as "info,warren_muc_node::link=debug"
    #[arg(
        id = "log_filter",
        help_heading = "Logs",
        long = "log",
        env = "WARREN_LOG",
        value_name = "FILTER",
        default_value = "info",
        global = true
    )]
    filter: String,
    /// How logs look on standard error
    #[arg(
        id = "log_format",
        help_heading = "Logs",
        long = "log-format",
        env = "WARREN_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "auto",
        global = true
    )]
    format: Format,
}

/// Begins to log. To be called once.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(args: &LogArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&args.filter).with_context(|| {
        format!("{:?} is not a log filter; write a level such as info (--log, WARREN_LOG)", args.filter)
    })?;
    let text = match args.format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Text => true,
        Format::Json => false,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if text {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    };
    started.map_err(|e| anyhow!("logging has been started before: {e}"))
}
