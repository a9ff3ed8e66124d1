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
use crate::store::Outcome;

/// Takes receipts of another home; all of them, or none if one does not verify.
pub async fn receive(
    relay: &Arc<Relay>,
    home: &AuthorityId,
    report: &wire::Report,
) -> Result<call_reply::Kind, CallEnd> {
    let count = report.receipts.len();
    if count == 0 || count > REPORT_RECEIPTS_MAX {
        return Err(CallEnd::Refuse(Code::TooMany));
    }
    let items = report
        .receipts
        .iter()
        .map(|encoded| check(relay, home, encoded))
        .collect::<Result<Vec<_>, _>>()
        .map_err(CallEnd::Refuse)?;
    let settlement = evidence::of_signed(report.receipts.clone(), items);
    relay
        .on_store(move |store| store.settle(&[settlement], &[]))
        .await?;
    Ok(call_reply::Kind::Done(wire::Done {}))
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
