//! What was not delivered in time is reported, never dropped (P3, CUS-6.6).

use std::sync::Arc;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::custody::Step;
use tokio::time::sleep;

use super::evidence;
use crate::relay::Relay;
use crate::shutdown::Shutdown;
use crate::store::{Expiry, StoreError};

/// How soon after its expiry an envelope is reported.
const EVERY: Duration = Duration::from_secs(1);
/// Handled at once: one tree of receipts.
const PAGE: usize = 1_024;

/// Sweeps until the stop.
pub async fn run(relay: Arc<Relay>, mut shutdown: Shutdown) {
    loop {
        match sweep(&relay).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "expiry is put off"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = sleep(EVERY) => {}
        }
    }
}

/// One page; whether more is due.
async fn sweep(relay: &Arc<Relay>) -> Result<bool, StoreError> {
    let now = relay.clock.now();
    let Expiry {
        undelivered, more, ..
    } = relay.on_store(move |store| store.expire(now, PAGE)).await?;
    if !undelivered.is_empty() {
        let receipts: Vec<_> = undelivered
            .iter()
            .map(|due| relay.receipt(due.id, Step::Undeliverable(Code::Unreachable), now))
            .collect();
        for due in &undelivered {
            tracing::warn!(envelope = %due.id, destination = %due.destination, "undeliverable");
        }
        let count = receipts.len() as u64;
        let settlement = evidence::of_own(&receipts, &relay.key);
        relay
            .on_store(move |store| store.settle(&[settlement], &[]))
            .await?;
        let undeliverable = &relay.metrics.deliver.undeliverable_total;
        undeliverable.of(Code::Unreachable).increment(count);
    }
    if !more {
        relay.on_store(move |store| store.compact()).await?;
    }
    Ok(more)
}
