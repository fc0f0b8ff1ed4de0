//! Bounds on speed. Each is a ratio of two things measured in the same run, so that a slow or a busy machine
//! does not matter; nanoseconds are printed for people. Exit status 1 when a bound is broken.

mod cluster;
mod codec;
mod node;
mod room;
mod server;
mod splice;
mod time;

use std::process::ExitCode;

use anyhow::{Result, bail};

/// One measured ratio and what it may be.
pub struct Bound {
    /// What was compared.
    pub what: &'static str,
    /// The measured ratio.
    pub ratio: f64,
    /// What it must keep to.
    pub limit: Limit,
    /// The figures behind it, for people.
    pub figures: String,
}

/// A limit of a ratio.
#[derive(Clone, Copy)]
pub enum Limit {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
    /// None: a figure of this machine under this load, for people.
    Shown,
}

impl Bound {
    fn holds(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.ratio <= limit,
            Limit::AtLeast(limit) => self.ratio >= limit,
            Limit::Shown => true,
        }
    }
}

fn main() -> ExitCode {
    match measure() {
        Ok(bounds) => {
            let mut broken = 0;
            for bound in &bounds {
                let (sign, limit) = match bound.limit {
                    Limit::AtMost(limit) => ("<=", limit),
                    Limit::AtLeast(limit) => (">=", limit),
                    Limit::Shown => {
                        println!("shown  {:<58} {:>7.0} {:8} {}", bound.what, bound.ratio, "", bound.figures);
                        continue;
                    }
                };
                let verdict = if bound.holds() { "ok    " } else { "BROKEN" };
                println!("{verdict} {:<58} {:>7.3} {sign} {limit:<5} {}", bound.what, bound.ratio, bound.figures);
                broken += usize::from(!bound.holds());
            }
            let shown = bounds.iter().filter(|bound| matches!(bound.limit, Limit::Shown)).count();
            println!("{} passed, {broken} failed", bounds.len() - broken - shown);
            if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// All, or those parts that the command line names: codec, room, splice, node, cluster.
fn measure() -> Result<Vec<Bound>> {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let known = ["codec", "room", "splice", "node", "cluster"];
    if let Some(unknown) = parts.iter().find(|part| !known.contains(&part.as_str())) {
        bail!("there is no part {unknown}: name some of {}, or none for all", known.join(", "));
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let pass = codec::pass();
    let mut bounds = Vec::new();
    if wanted("codec") {
        bounds.push(codec::against_rxml());
    }
    if wanted("room") {
        bounds.extend(room::bounds(pass));
    }
    if wanted("splice") {
        bounds.push(splice::against_memcpy());
    }
    if wanted("node") {
        bounds.extend(node::bounds()?);
    }
    if wanted("cluster") {
        bounds.extend(cluster::bounds()?);
    }
    Ok(bounds)
}
