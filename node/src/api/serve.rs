//! Serves a router with every resource bounded: connections in total and per address, time for a
//! head, length of a head and of a body, life of a connection. Quality cases 54, 68, 69.
//!
//! `axum::serve` sets none of these, so hyper is driven directly.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use pli_protocol::limits::WITNESS_REQUEST_MAX;

use crate::evidence::witness::ADD_CHECKPOINT;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;

/// From the acceptance, or from the answer before, to the end of a request's head (case 69).
pub const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
pub const HEAD_MAX: usize = 16_384;
/// Header lines of a request.
pub const HEADERS_MAX: usize = 64;
/// Almost nothing here reads a body, so elsewhere a body is a mistake or an attack (case 68).
const BODIES_MAX: [(&str, u64); 1] = [(ADD_CHECKPOINT, WITNESS_REQUEST_MAX as u64)];
/// Life of a connection: a reader as slow as 90 kB/s still gets the largest trust file.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(120);
/// The answer under way when a connection's life or the node ends.
pub const LAST_ANSWER: Duration = Duration::from_secs(5);
/// Out of descriptors: pause, then accept again (case 54).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Of the cap in total, one address has at most this share. Loopback is exempt: behind it is a
/// reverse proxy, or the operator.
const SHARE_OF_ONE_ADDRESS: usize = 8;

/// Serves until the stop; then no new connection, and at most [`LAST_ANSWER`] for those there are.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    metrics: Arc<Metrics>,
    mut shutdown: Shutdown,
) {
    let slots = Arc::new(Semaphore::new(connections_max));
    let addresses = Addresses::new((connections_max / SHARE_OF_ONE_ADDRESS).max(1));
    let mut connections = JoinSet::new();
    loop {
        let next = tokio::select! {
            () = shutdown.begun() => break,
            Some(_) = connections.join_next() => continue,
            next = accept(&listener, &slots) => next,
        };
        let (stream, peer, slot) = match next {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "accepting pauses");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = addresses.enter(peer) else {
            metrics.process.http_refused_total.increment(1);
            continue;
        };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        let metrics = Arc::clone(&metrics);
        connections.spawn(async move {
            if !connection(stream, router, shutdown).await {
                metrics.process.http_refused_total.increment(1);
            }
            drop((slot, place));
        });
    }
    drop(listener);
    let _ = timeout(LAST_ANSWER, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

/// Serves connections that another listener hands over, which has counted them already.
pub async fn serve_handed<S>(
    mut handed: mpsc::Receiver<S>,
    router: Router,
    metrics: Arc<Metrics>,
    mut shutdown: Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.begun() => break,
            Some(_) = connections.join_next() => continue,
            stream = handed.recv() => stream,
        };
        let Some(stream) = stream else { break };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        let metrics = Arc::clone(&metrics);
        connections.spawn(async move {
            if !connection(stream, router, shutdown).await {
                metrics.process.http_refused_total.increment(1);
            }
        });
    }
    let rest = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(LAST_ANSWER, rest).await;
}

/// Waits for a slot first: at the cap the kernel's backlog holds the rest.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slot))
}

/// One connection, of whatever carries it; its place among the others is the caller's affair.
/// `false` if it had to be cut.
pub async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    mut shutdown: Shutdown,
) -> bool {
    let router = router.layer(middleware::from_fn(refuse_bodies));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(served);
    tokio::select! {
        ended = served.as_mut() => return ended.is_ok(),
        () = sleep(CONNECTION_LIFE) => {}
        () = shutdown.begun() => {}
    }
    served.as_mut().graceful_shutdown();
    matches!(timeout(LAST_ANSWER, served).await, Ok(Ok(())))
}

async fn refuse_bodies(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let announced = length
        .and_then(|value| value.parse::<u64>().ok())
        .unwrap_or(0);
    let path = request.uri().path();
    let allowed = BODIES_MAX.iter().find(|(reads, _)| *reads == path);
    if announced > allowed.map_or(0, |(_, most)| *most)
        || headers.contains_key(header::TRANSFER_ENCODING)
    {
        // The body is not read: the connection ends with this answer.
        return (
            StatusCode::PAYLOAD_TOO_LARGE,
            [(header::CONNECTION, "close")],
        )
            .into_response();
    }
    next.run(request).await
}

/// Connections by address.
#[derive(Debug)]
struct Addresses {
    /// Invariant: no entry is 0, so there are at most as many as slots.
    open: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
}

/// The place of one connection; leaves when dropped.
#[derive(Debug)]
struct Place(Arc<Addresses>, Option<IpAddr>);

impl Addresses {
    fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            max,
        })
    }

    fn enter(self: &Arc<Self>, peer: SocketAddr) -> Option<Place> {
        let network = network(peer.ip());
        if network.is_loopback() {
            return Some(Place(Arc::clone(self), None));
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place(Arc::clone(self), Some(network)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(network) = self.1 else { return };
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

/// An IPv4 address, or the /64 of an IPv6 one: that is what one subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let prefix = u128::from(v6) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 1)
    }

    #[test]
    fn r15_one_address_has_its_share_and_no_more() {
        let addresses = Addresses::new(2);
        let places: Vec<_> = ["2001:db8::1", "2001:db8::2"]
            .map(|one| addresses.enter(peer(one)).unwrap())
            .into();
        assert!(
            addresses.enter(peer("2001:db8::ffff:3")).is_none(),
            "the same /64"
        );
        assert!(
            addresses.enter(peer("2001:db8:0:1::1")).is_some(),
            "another /64"
        );
        assert!(addresses.enter(peer("192.0.2.1")).is_some());
        assert!(addresses.enter(peer("::ffff:192.0.2.1")).is_some());
        drop(places);
        assert!(addresses.enter(peer("2001:db8::3")).is_some());
        assert!(
            addresses.open.lock().unwrap().is_empty(),
            "nothing is kept of who left"
        );
    }

    #[test]
    fn loopback_is_exempt() {
        let addresses = Addresses::new(1);
        let places: Vec<_> = ["127.0.0.1", "127.0.0.1", "::1"]
            .map(|one| addresses.enter(peer(one)))
            .into();
        assert!(places.iter().all(Option::is_some));
    }
}
