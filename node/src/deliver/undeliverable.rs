//! What will not be delivered is said so, signed, and kept for its sender (P3, CUS-6.6).

use std::collections::BTreeMap;
use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};

use super::{evidence, outbox};
use crate::relay::Relay;
use crate::store::{Outcome, Sender, StoreError, Untaken};

/// Signs and writes down that these will not be delivered, and why: 1 to 4,096 of them. Whichever its home has taken
/// meanwhile stays delivered.
pub async fn report(
    relay: &Arc<Relay>,
    envelopes: Vec<(EnvelopeId, Code)>,
) -> Result<(), StoreError> {
    let now = relay.clock.now();
    let mut receipts = Vec::with_capacity(envelopes.len());
    let mut outcomes = Vec::with_capacity(envelopes.len());
    for (id, code) in envelopes {
        tracing::warn!(envelope = %id, %code, "undeliverable");
        let counter = &relay.metrics.deliver.undeliverable_total;
        counter.of(code).increment(1);
        receipts.push(relay.receipt(id, Step::Undeliverable(code), now));
        let code = code.number();
        outcomes.push(Outcome::GivenUp { code });
    }
    let settlement = evidence::of_own(&receipts, outcomes, &relay.key);
    relay
        .on_store(move |store| store.settle(&[settlement], &[]))
        .await?;
    Ok(())
}

/// CUS-6.6: nobody took these from their mailboxes in time. Written down here, and told to their origins.
pub async fn report_untaken(relay: &Arc<Relay>, letters: Vec<Untaken>) -> Result<(), StoreError> {
    let relay_of_store = Arc::clone(relay);
    let origins = relay
        .on_store(move |store| {
            let relay = relay_of_store;
            let now = relay.clock.now();
            let mut by_origin: BTreeMap<AuthorityId, (Timestamp, Vec<Receipt>)> = BTreeMap::new();
            for letter in letters {
                let origin = match letter.sender {
                    Sender::Service(sender) => sender.authority().clone(),
                    // CUS-5.8: there is none yet.
                    Sender::Mailbox(_) => relay.authority.clone(),
                };
                let counter = &relay.metrics.deliver.undeliverable_total;
                counter.of(Code::Expired).increment(1);
                let expired = Step::Undeliverable(Code::Expired);
                let (until, receipts) = by_origin.entry(origin).or_default();
                *until = letter.forget_at.max(*until);
                receipts.push(relay.receipt(letter.id, expired, now));
            }
            let (mut settlements, mut reports) = (Vec::new(), Vec::new());
            for (origin, (until, receipts)) in &by_origin {
                let told = outbox::told(&relay, origin, receipts, *until);
                settlements.extend(told.0);
                reports.extend(told.1);
            }
            store.settle(&settlements, &reports)?;
            Ok(by_origin.into_keys())
        })
        .await?;
    for origin in origins.filter(|origin| *origin != relay.authority) {
        relay.router.wake_destination(&origin);
    }
    Ok(())
}
