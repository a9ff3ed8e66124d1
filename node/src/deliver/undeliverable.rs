//! What will not be delivered is said so, signed, and kept for its sender (P3, CUS-6.6).

use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::custody::Step;
use pli_protocol::id::EnvelopeId;

use super::evidence;
use crate::relay::Relay;
use crate::store::StoreError;

/// Signs and writes down that these will not be delivered, and why: 1 to 4,096 of them.
pub async fn report(
    relay: &Arc<Relay>,
    envelopes: Vec<(EnvelopeId, Code)>,
) -> Result<(), StoreError> {
    let now = relay.clock.now();
    let mut receipts = Vec::with_capacity(envelopes.len());
    for (id, code) in envelopes {
        tracing::warn!(envelope = %id, %code, "undeliverable");
        let counter = &relay.metrics.deliver.undeliverable_total;
        counter.of(code).increment(1);
        receipts.push(relay.receipt(id, Step::Undeliverable(code), now));
    }
    let settlement = evidence::of_own(&receipts, &relay.key);
    relay
        .on_store(move |store| store.settle(&[settlement], &[]))
        .await?;
    Ok(())
}
