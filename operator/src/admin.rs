//! `/live`, `/ready` and `/metrics`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Whether everything has been listed once.
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<AtomicBool>);

impl Ready {
    /// It has.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers from now on; returns the address.
///
/// # Errors
/// When the address cannot be had.
pub async fn start(addr: SocketAddr, ready: Ready, metrics: Metrics) -> anyhow::Result<SocketAddr> {
    let advice = || format!("the admin listener cannot have {addr}: name another address with --admin");
    let listener = TcpListener::bind(addr).await.with_context(advice)?;
    let bound = listener.local_addr().with_context(advice)?;
    tokio::spawn(async move {
        loop {
            let Ok((socket, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            };
            let (ready, metrics) = (ready.clone(), metrics.clone());
            tokio::spawn(async move {
                let service = service_fn(|request: Request<_>| {
                    let response = answer(request.uri().path(), &ready, &metrics);
                    async { Ok::<_, Infallible>(response) }
                });
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5)).max_buf_size(16 << 10);
                if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                    tracing::debug!(%error, "admin connection");
                }
            });
        }
    });
    Ok(bound)
}

fn answer(path: &str, ready: &Ready, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, body) = match path {
        "/live" => (StatusCode::OK, "live\n".to_owned()),
        "/ready" if ready.0.load(Ordering::Relaxed) => (StatusCode::OK, "ready\n".to_owned()),
        "/ready" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not everything has been listed yet: are the definitions (crds/yaml) installed, and may we read?\n"
                .to_owned(),
        ),
        "/metrics" => (StatusCode::OK, metrics.text()),
        _ => (StatusCode::NOT_FOUND, "there are /live, /ready and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
