//! Receipts that a home sends back to the origin: a device has it (CUS-7.5).

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
use crate::store::{CustodyState, Outcome, Store, StoreError};

/// Takes receipts of another home; all of them, or none if one does not verify.
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
    let items = report
        .receipts
        .iter()
        .map(|encoded| check(relay, home, encoded))
        .collect::<Result<Vec<_>, _>>()
        .map_err(CallEnd::Refuse)?;
    let (home, signed) = (home.clone(), report.receipts.clone());
    relay
        .on_store(move |store| {
            for (id, _) in &items {
                if !is_home_of(store, &home, id)? {
                    return Ok(Err(CallEnd::Refuse(Code::UnknownEnvelope)));
                }
            }
            store.settle(&[evidence::of_signed(signed, items)], &[])?;
            Ok(Ok(()))
        })
        .await??;
    Ok(call_reply::Kind::Done(wire::Done {}))
}

// CUS-8.3: the home is known by the acknowledgement it signed, or by the queue that waits for it.
fn is_home_of(
    store: &dyn Store,
    home: &AuthorityId,
    envelope: &EnvelopeId,
) -> Result<bool, StoreError> {
    let Some(custody) = store.custody(envelope)? else {
        return Ok(false);
    };
    Ok(match &custody.state {
        CustodyState::Queued { destination, .. } => destination == home,
        _ => custody
            .evidence
            .iter()
            .any(|kept| evidence::is_acknowledged_by(kept, home)),
    })
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
    if receipt.step != Step::Retrieved {
        return Err(Code::FieldInvalid);
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
