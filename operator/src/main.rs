//! `warren-operator`: see [`warren_operator`].

use std::process::ExitCode;

use clap::Parser;
use warren_operator::cli::{Args, run};

fn main() -> ExitCode {
    run(&Args::parse())
}
