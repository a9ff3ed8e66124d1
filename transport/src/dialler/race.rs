//! Several ways to one server: started one after the other, the first that stands wins.
//! After RFC 8305. Spec: SES-1.7, SES-1.8.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pli_protocol::limits;
use pli_protocol::session::SessionRefusal;
use tokio::time::{Instant, sleep_until};

use super::{Dialler, Endpoints, Target, attempt};
use crate::connection::{DialledConnection, Via};
use crate::error::{Attempt, AttemptError, ConnectError};

pub(super) async fn run(
    dialler: &Dialler,
    target: &Target<'_>,
    endpoints: &Endpoints,
) -> Result<DialledConnection, ConnectError> {
    if target.keys.is_empty() {
        return Err(ConnectError::NoKey);
    }
    let config = &dialler.0.config;
    let (allowed, mut failed) = config.private_networks.sort_out(endpoints);
    for Attempt {
        via,
        address,
        error,
    } in &failed
    {
        tracing::debug!(server = %target.authority, %via, %address, %error, "an address is left out");
    }
    let mut waiting = schedule(&allowed, Instant::now() + config.fallback_after);
    // Dropping it at the end closes the losers.
    let mut running = FuturesUnordered::new();
    let start = |via, address| async move {
        (
            via,
            address,
            attempt::run(dialler, target, via, address).await,
        )
    };
    loop {
        // With nothing under way, there is nothing to give a head start to.
        if running.is_empty() {
            match waiting.pop_front() {
                Some((via, address, _)) => running.push(start(via, address)),
                None if failed.is_empty() => return Err(ConnectError::NoEndpoint),
                None => return Err(ConnectError::Unreachable { attempts: failed }),
            }
        }
        let next_due = waiting.front().map(|(_, _, due)| *due);
        tokio::select! {
            Some((via, address, outcome)) = running.next() => match outcome {
                Ok(connection) => return Ok(connection),
                Err(AttemptError::Refused(refusal @ SessionRefusal::ByServer(_))) => {
                    return Err(ConnectError::Refused(refusal));
                }
                Err(error) => {
                    tracing::debug!(%via, %address, %error, "one way to the server failed");
                    failed.push(Attempt { via, address, error });
                }
            },
            () = sleep_until(next_due.unwrap_or_else(Instant::now)), if next_due.is_some() => {
                if let Some((via, address, _)) = waiting.pop_front() {
                    running.push(start(via, address));
                }
            }
        }
    }
}

/// Which way starts when: QUIC at once, WebSocket after its head start. Both lists are short by now.
fn schedule(endpoints: &Endpoints, fallback: Instant) -> VecDeque<(Via, SocketAddr, Instant)> {
    let spaced = |via, addresses: &[SocketAddr], from: Instant| {
        let apart = Duration::from_millis(limits::NEXT_ADDRESS_AFTER_MS);
        let dues = (0_u32..).map(move |nth| from + apart * nth);
        let ways = addresses.iter().zip(dues);
        ways.map(|(address, due)| (via, *address, due))
            .collect::<Vec<_>>()
    };
    let mut ways = spaced(Via::Quic, &endpoints.quic, Instant::now());
    ways.extend(spaced(Via::WebSocket, &endpoints.websocket, fallback));
    ways.sort_by_key(|(_, _, due)| *due);
    ways.into()
}
