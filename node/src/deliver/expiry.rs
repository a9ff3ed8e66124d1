//! What was not delivered in time is reported, never dropped (P3, CUS-6.6).

use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_protocol::code::Code;
use tokio::time::sleep;

use super::undeliverable;
use crate::relay::Relay;
use crate::shutdown::Shutdown;
use crate::store::{Due, Expiry, StoreError};

/// How soon after its expiry an envelope is reported.
const EVERY: Duration = Duration::from_secs(1);
/// Handled at once: one tree of receipts.
const PAGE: usize = 1_024;
/// How often the time that is believed is written down, for the next start.
const CONFIRMED_EVERY: Duration = Duration::from_secs(60);

/// Sweeps until the stop.
pub async fn run(relay: Arc<Relay>, mut shutdown: Shutdown) {
    let mut confirm_due = Instant::now();
    loop {
        match sweep(&relay, &mut confirm_due).await {
            Ok(true) if !shutdown.is_stopping() => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "expiry is put off"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = sleep(EVERY) => {}
        }
    }
}

/// One page; whether more is due.
async fn sweep(relay: &Arc<Relay>, confirm_due: &mut Instant) -> Result<bool, StoreError> {
    let (at, now) = (Instant::now(), relay.clock.now());
    // Case 17: what expires is gone for good. The alarm and `/readyz` say that nothing does.
    if relay.clock_watch.doubt(at, now).is_some() {
        return Ok(false);
    }
    if at >= *confirm_due {
        relay.on_store(move |store| store.confirm_time(now)).await?;
        *confirm_due = at + CONFIRMED_EVERY;
    }
    let Expiry {
        undelivered,
        untaken,
        more,
        behind_ms,
        ..
    } = relay.on_store(move |store| store.expire(now, PAGE)).await?;
    let behind_seconds = behind_ms as f64 / 1_000.0;
    relay
        .metrics
        .store
        .expiry_behind_seconds
        .set(behind_seconds);
    if !undelivered.is_empty() {
        let due = undelivered.iter().map(|due| (due.id, why(relay, due)));
        undeliverable::report(relay, due.collect()).await?;
    }
    if !untaken.is_empty() {
        undeliverable::report_untaken(relay, untaken).await?;
    }
    Ok(more)
}

/// Gives back the room of what is gone, until the stop. Beside the sweeps: a store that has much to expire has much to
/// give back, and would grow if it came second.
pub async fn compact(relay: Arc<Relay>, mut shutdown: Shutdown) {
    loop {
        match relay.on_store(move |store| store.compact()).await {
            Ok(0) => {}
            Ok(_) if !shutdown.is_stopping() => continue,
            Ok(_) => return,
            Err(error) => tracing::error!(%error, "compaction is put off"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = sleep(EVERY) => {}
        }
    }
}

// CUS-6.6: whether the home was there and time ran out, or it was not.
fn why(relay: &Relay, due: &Due) -> Code {
    if relay
        .destinations
        .reached(&due.destination, relay.clock.now())
    {
        Code::Expired
    } else {
        Code::Unreachable
    }
}
