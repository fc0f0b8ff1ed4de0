//! `muc-node check DIR`: what `serve` would say of a directory, without serving.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use warren_crds::manifests::{self, Severity};

use crate::apply::one_service;

/// What `check` needs to know.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Directory of manifests, or one file
    #[arg(value_name = "DIR", env = "WARREN_MANIFESTS")]
    manifests: PathBuf,
}

/// Writes the report to `out`: each thing that is wrong with file, line, column, document, object, field and remedy.
/// Returns whether the node would serve this.
///
/// # Errors
/// When nothing can be written.
pub fn run(args: &CheckArgs, out: &mut impl Write) -> io::Result<bool> {
    let manifests = manifests::read(&args.manifests);
    for diagnostic in &manifests.diagnostics {
        writeln!(out, "{diagnostic}")?;
    }
    let count = |severity| manifests.diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let source = args.manifests.display().to_string();
    let summary = match manifests.into_objects() {
        Err(_) => Err(format!("{errors} errors, {warnings} warnings: nothing would be applied")),
        Ok(objects) => match one_service(&source, &objects) {
            Err(why) => Err(why.to_string()),
            Ok(service) => {
                let rooms = objects.iter().filter(|o| matches!(o.body, warren_model::Body::Room { .. })).count();
                let peers = objects.len() - rooms - 1;
                Ok(format!("right: {} with {rooms} rooms and {peers} peers, {warnings} warnings", service.domain))
            }
        },
    };
    let (right, summary) = match summary {
        Ok(summary) => (true, summary),
        Err(summary) => (false, summary),
    };
    writeln!(out, "{source}: {summary}")?;
    Ok(right)
}
