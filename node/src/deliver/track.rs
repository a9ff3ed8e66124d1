//! A service asks what became of its envelopes (CUS-8.1, CUS-8.2).

use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::crypto::contexts::RECEIPT;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::id::{EnvelopeId, ServiceId};
use pli_protocol::limits::TRACK_IDS_MAX;
use pli_protocol::signed::sign_batch;
use pli_protocol::wire::{self, call_reply};

use super::evidence;
use crate::ingress::calls::CallEnd;
use crate::relay::Relay;
use crate::store::{Custody, CustodyState, Sender, Store, StoreError};

/// Answers in the order asked. An envelope of somebody else is as unknown as one that never was.
pub async fn answer(
    relay: &Arc<Relay>,
    service: &ServiceId,
    asked: &wire::Track,
) -> Result<call_reply::Kind, CallEnd> {
    match asked.envelope_ids.len() {
        0 => return Err(CallEnd::Refuse(Code::FieldMissing)),
        1..=TRACK_IDS_MAX => {}
        _ => return Err(CallEnd::Refuse(Code::TooMany)),
    }
    let ids = asked
        .envelope_ids
        .iter()
        .map(|id| EnvelopeId::from_slice(id))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CallEnd::Refuse(error.code()))?;
    let asker = Sender::Service(service.clone());
    let relay_of_store = Arc::clone(relay);
    // Trees are built again and receipts signed: with the disk, off the tasks that must not wait.
    let envelopes = relay
        .on_store(move |store| {
            let found = look_up(store, ids, &asker)?;
            Ok(said(&relay_of_store, found))
        })
        .await?;
    Ok(call_reply::Kind::Track(wire::TrackReply { envelopes }))
}

fn look_up(
    store: &dyn Store,
    ids: Vec<EnvelopeId>,
    asker: &Sender,
) -> Result<Vec<(EnvelopeId, Option<Custody>)>, StoreError> {
    let one = |id| {
        Ok((
            id,
            store
                .custody(&id)?
                .filter(|custody| custody.sender == *asker),
        ))
    };
    ids.into_iter().map(one).collect()
}

fn said(relay: &Relay, found: Vec<(EnvelopeId, Option<Custody>)>) -> Vec<wire::Custody> {
    let own: Vec<Receipt> = found
        .iter()
        .filter_map(|(id, custody)| Some((*id, custody.as_ref()?)))
        .flat_map(|(id, custody)| {
            let steps = own_steps(&custody.state).1.iter();
            steps.map(move |step| relay.receipt(id, *step, custody.accepted_at))
        })
        .collect();
    let payloads: Vec<_> = own.iter().map(Receipt::encode).collect();
    // One signature for the whole answer: at most two receipts of each envelope.
    let signed = match payloads.is_empty() {
        true => Vec::new(),
        false => sign_batch(RECEIPT, payloads, &relay.key).expect("a reply is less than a tree"),
    };
    let mut signed = signed.into_iter();
    let mut rebuilt = evidence::Rebuilt::default();
    let envelopes = found.into_iter().map(|(id, custody)| {
        let envelope_id = id.as_bytes().to_vec().into();
        let Some(custody) = custody else {
            return wire::Custody {
                envelope_id,
                step: 0,
                receipts: Vec::new(),
            };
        };
        let (step, own) = own_steps(&custody.state);
        let mut receipts: Vec<_> = signed.by_ref().take(own.len()).collect();
        let kept = custody.evidence.iter();
        receipts.extend(kept.filter_map(|kept| rebuilt.receipt(kept)));
        wire::Custody {
            envelope_id,
            step: step.into(),
            receipts,
        }
    });
    envelopes.collect()
}

/// The last step, and those that this node says itself.
fn own_steps(state: &CustodyState) -> (wire::Step, &'static [Step]) {
    match state {
        CustodyState::Queued { .. } => (wire::Step::Accepted, &[Step::Accepted]),
        // Origin and home are this one node: one fsync was both.
        CustodyState::Stored { .. } | CustodyState::Expired => {
            (wire::Step::Stored, &[Step::Accepted, Step::Stored])
        }
        CustodyState::Delivered => (wire::Step::Stored, &[Step::Accepted]),
        CustodyState::Retrieved => (wire::Step::Retrieved, &[Step::Accepted]),
        CustodyState::Refused { .. } => (wire::Step::Refused, &[Step::Accepted]),
        CustodyState::Undeliverable { .. } => (wire::Step::Undeliverable, &[Step::Accepted]),
    }
}
