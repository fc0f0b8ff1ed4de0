//! `muc-node`: see [`warren_muc_node`].

use std::process::ExitCode;

use clap::Parser;
use warren_muc_node::cli::{Cli, run};

/// Rooms are many small allocations of all ages: the system's allocator keeps far more memory than they need.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    run(&Cli::parse())
}
