//! A service asks what became of its envelopes (CUS-8.1, CUS-8.2).

use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::custody::Step;
use pli_protocol::id::{EnvelopeId, ServiceId};
use pli_protocol::limits::TRACK_IDS_MAX;
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
    let found = relay
        .on_store(move |store| look_up(store, ids, &asker))
        .await?;
    let envelopes = found
        .into_iter()
        .map(|(id, custody)| wire_custody(relay, id, custody));
    Ok(call_reply::Kind::Track(wire::TrackReply {
        envelopes: envelopes.collect(),
    }))
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

fn wire_custody(relay: &Relay, id: EnvelopeId, custody: Option<Custody>) -> wire::Custody {
    let Some(custody) = custody else {
        let envelope_id = id.as_bytes().to_vec().into();
        return wire::Custody {
            envelope_id,
            step: 0,
            receipts: Vec::new(),
        };
    };
    let (step, own) = match custody.state {
        CustodyState::Queued { .. } => (wire::Step::Accepted, vec![Step::Accepted]),
        // Origin and home are this one node: one fsync was both.
        CustodyState::Stored { .. } | CustodyState::Expired => {
            (wire::Step::Stored, vec![Step::Accepted, Step::Stored])
        }
        CustodyState::Delivered => (wire::Step::Stored, vec![Step::Accepted]),
        CustodyState::Retrieved => (wire::Step::Retrieved, vec![Step::Accepted]),
        CustodyState::Refused { .. } => (wire::Step::Refused, vec![Step::Accepted]),
        CustodyState::Undeliverable { .. } => (wire::Step::Undeliverable, vec![Step::Accepted]),
    };
    let own = own.into_iter().map(|step| {
        relay
            .receipt(id, step, custody.accepted_at)
            .sign(&relay.key)
    });
    let kept = custody.evidence.iter().filter_map(evidence::receipt);
    wire::Custody {
        envelope_id: id.as_bytes().to_vec().into(),
        step: step.into(),
        receipts: own.chain(kept).collect(),
    }
}
