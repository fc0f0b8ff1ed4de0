//! The admin listener: `/live`, `/ready`, `/owner` and `/metrics` over HTTP/1.1, on a thread of its own, so that it answers
//! when the loop does not.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jid::BareJid;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use warren_model::Shard;

use crate::health::Health;
use crate::metrics::Exposed;

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// A request must have come in full within this time.
const REQUEST: Duration = Duration::from_secs(5);
/// Connections at once; others wait.
const CONNECTIONS: usize = 64;

/// What the listener shows.
#[derive(Debug)]
pub struct Admin {
    /// Liveness and readiness.
    pub health: Arc<Health>,
    /// Metrics.
    pub metrics: Exposed,
}

/// Binds and answers from now on. Returns the address, whose port differs from that asked for if that was 0.
///
/// # Errors
/// One sentence, when the port is taken or the address is not ours.
pub fn start(addr: SocketAddr, admin: Admin) -> anyhow::Result<SocketAddr> {
    let advice = || format!("the admin listener cannot have {addr}: name another address with --admin, or off");
    let listener = std::net::TcpListener::bind(addr).with_context(advice)?;
    listener.set_nonblocking(true).with_context(advice)?;
    let bound = listener.local_addr().with_context(advice)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no event loop for the admin listener")?;
    let run = move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => accept(listener, Arc::new(admin)).await,
                Err(error) => tracing::error!(%error, "the admin listener does not start"),
            }
        });
    };
    thread::Builder::new().name("admin".to_owned()).spawn(run).context("no thread for the admin listener")?;
    Ok(bound)
}

async fn accept(listener: TcpListener, admin: Arc<Admin>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                // Out of file descriptors, usually: it passes.
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let admin = admin.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&admin, &request);
                async { Ok::<_, Infallible>(response) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(REQUEST).max_buf_size(16 << 10);
            if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "admin connection");
            }
            drop(place);
        });
    }
}

fn answer<B>(admin: &Admin, request: &Request<B>) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/live" => match admin.health.hung() {
            None => text(StatusCode::OK, "live\n".to_owned()),
            Some(silent) => {
                text(StatusCode::SERVICE_UNAVAILABLE, format!("the loop has not turned for {} s\n", silent.as_secs()))
            }
        },
        "/ready" => match admin.health.missing().as_slice() {
            [] => text(StatusCode::OK, "ready\n".to_owned()),
            missing => text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", missing.join("\n"))),
        },
        "/owner" => owner(admin, request.uri().query()),
        "/metrics" => respond(StatusCode::OK, OPEN_METRICS, admin.metrics.text()),
        _ => text(StatusCode::NOT_FOUND, "there are /live, /ready, /owner?room=JID and /metrics\n".to_owned()),
    }
}

/// Whether a room is ours. Its address is taken as it stands, without escapes: what no room could be is not ours.
fn owner(admin: &Admin, query: Option<&str>) -> Response<Full<Bytes>> {
    match query.and_then(|query| query.strip_prefix("room=")).map(BareJid::new) {
        Some(Ok(room)) if admin.health.is_ours(Shard::of(&room)) => text(StatusCode::OK, "this node\n".to_owned()),
        Some(Ok(_)) => text(StatusCode::NOT_FOUND, "another node, or none\n".to_owned()),
        _ => text(StatusCode::BAD_REQUEST, "say which room: /owner?room=JID\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    respond(status, TEXT, body)
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
