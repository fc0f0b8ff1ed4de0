//! Makes Rust of the protocol, without protoc.

#[cfg(feature = "grpc")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/mesh.proto"], ["proto"])?;
    // Slices of what was received, not copies of it.
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}

#[cfg(not(feature = "grpc"))]
fn main() {}
