//! Receipts that a home sends back to the origin: a device has it (CUS-7.5), or none took it in time (CUS-6.6).

use std::sync::Arc;

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::REPORT_RECEIPTS_MAX;
use pli_protocol::trust::KeyOwner;
use pli_protocol::wire::{self, call_reply};

use super::evidence;
use crate::ingress::calls::CallEnd;
use crate::relay::Relay;
use crate::store::{Outcome, Place, Store, StoreError};
use crate::verify::is_of_the_directory;

/// Takes receipts of another home; none if one does not verify.
pub async fn receive(
    relay: &Arc<Relay>,
    home: &AuthorityId,
    report: &wire::Report,
) -> Result<call_reply::Kind, CallEnd> {
    let count = report.receipts.len();
    match count {
        0 => return Err(CallEnd::Refuse(Code::FieldMissing)),
        1..=REPORT_RECEIPTS_MAX => {}
        _ => return Err(CallEnd::Refuse(Code::TooMany)),
    }
    let (home, receipts) = (home.clone(), report.receipts.clone());
    let relay_of_store = Arc::clone(relay);
    relay
        .on_store(move |store| settle(&relay_of_store, store, &home, receipts))
        .await?
        .map_err(CallEnd::Refuse)?;
    Ok(call_reply::Kind::Done(wire::Done {}))
}

/// CUS-8.3: what is not of that home's mailboxes, or not remembered any more, is left out; a report of
/// nothing else is refused.
fn settle(
    relay: &Relay,
    store: &dyn Store,
    home: &AuthorityId,
    receipts: Vec<Bytes>,
) -> Result<Result<(), Code>, StoreError> {
    let (mut signed, mut items) = (Vec::new(), Vec::new());
    for encoded in receipts {
        match check(relay, home, &encoded) {
            Err(code) => {
                if is_of_the_directory(code) {
                    relay.directory.want_newer();
                }
                return Ok(Err(code));
            }
            Ok(item) if is_home_of(store, home, &item.0)? => {
                signed.push(encoded);
                items.push(item);
            }
            Ok((envelope, _)) => tracing::debug!(%envelope, %home, "a receipt of no letter"),
        }
    }
    if items.is_empty() {
        return Ok(Err(Code::UnknownEnvelope));
    }
    let settled = store.settle(&[evidence::of_signed(signed, items)], &[])?;
    let reported = &relay.metrics.deliver.reported_total;
    reported.increment(settled.applied as u64);
    Ok(Ok(()))
}

// CUS-8.3: the home is the one that the letter was queued for.
fn is_home_of(
    store: &dyn Store,
    home: &AuthorityId,
    envelope: &EnvelopeId,
) -> Result<bool, StoreError> {
    let custody = store.custody(envelope)?;
    Ok(custody.is_some_and(
        |custody| matches!(&custody.place, Place::Queue { destination, .. } if destination == home),
    ))
}

// A home reports what happened at its own mailboxes, and nothing else.
fn check(
    relay: &Relay,
    home: &AuthorityId,
    encoded: &Bytes,
) -> Result<(EnvelopeId, Outcome), Code> {
    let (receipt, signed) = Receipt::decode(encoded.clone()).map_err(|error| error.code())?;
    if receipt.node != *home {
        return Err(Code::NotAuthoritative);
    }
    match receipt.step {
        Step::Retrieved | Step::Undeliverable(Code::Expired) => {}
        _ => return Err(Code::FieldInvalid),
    }
    let mut signers = signed.key_ids();
    let (Some(signer), None) = (signers.next(), signers.next()) else {
        return Err(Code::SignatureCount);
    };
    let directory = relay.directory();
    let owner = KeyOwner::node(home.clone());
    let now = relay.clock.now();
    let key = directory
        .current_key(&owner, &signer, now)
        .map_err(|refusal| refusal.code())?;
    signed
        .verify_with(key, &relay.roots)
        .map_err(|error| error.code())?;
    Ok((receipt.envelope, evidence::outcome_of(receipt.step)))
}
