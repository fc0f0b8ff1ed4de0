//! An API server for the desk: prints what to set, and stays until it is told to end.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use warren_cluster::{ApiServer, definitions};

#[tokio::main]
async fn main() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let server = ApiServer::start().await?;
    let kubeconfig = server.admin().to_owned();
    definitions::install(&server.kubectl(&kubeconfig)).await?;
    println!("export KUBECONFIG={}", kubeconfig.display());
    println!("# Against this server: WARREN_KUBECONFIG=$KUBECONFIG WARREN_CAPABILITIES=crd,rbac,lease cargo test …");
    println!("# Ctrl-C ends it and removes everything.");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    server.shut_down().await
}
