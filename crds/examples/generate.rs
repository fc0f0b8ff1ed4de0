//! Writes `crds/yaml/*.yaml` from the types.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    for (name, text) in warren_crds::crd_files()? {
        std::fs::write(dir.join(name), text)?;
    }
    Ok(())
}
