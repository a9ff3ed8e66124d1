//! Answers `Evidence`: the proofs of what happened to one envelope, the home's behind this node's own (EVD-8).
//!
//! In: who asks, and which envelope. Out: proofs of this node's log; at the origin also those that the home gives.

use std::sync::Arc;

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::evidence::{Event, EventKind};
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, ServiceId};
use pli_protocol::limits::{EVENTS_PER_ENVELOPE_MAX, FRAME_MAX};
use pli_protocol::wire::{self, call, call_reply};
use prost::Message;

use super::folder::Keeper;
use super::log::Found;
use crate::deliver::evidence::Rebuilt;
use crate::ingress::calls::CallEnd;
use crate::relay::Relay;
use crate::store::{Custody, Place, Sender};

/// Who asks.
#[derive(Clone, Debug)]
pub enum Asker {
    /// A service, of what it submitted here.
    Service(ServiceId),
    /// The node of an origin, of what it forwarded here.
    Node(AuthorityId),
    /// A citizen's device, of what is in its account.
    Account(AccountId),
}

impl Asker {
    /// EVD-8.1
    fn may_see(&self, custody: &Custody) -> bool {
        match (self, &custody.sender, &custody.place) {
            (Self::Service(asker), Sender::Service(sender), _) => asker == sender,
            (Self::Node(asker), Sender::Service(sender), _) => asker == sender.authority(),
            (Self::Account(asker), _, Place::Mailbox { account, .. }) => asker == account,
            _ => false,
        }
    }
}

/// Answers a call.
pub async fn answer(
    relay: &Arc<Relay>,
    asker: Asker,
    asked: &wire::Evidence,
) -> Result<call_reply::Kind, CallEnd> {
    let id = EnvelopeId::from_slice(&asked.envelope_id)
        .map_err(|error| CallEnd::Refuse(error.code()))?;
    let known = known_to_asker(id, &asked.events)?;
    let Some(keeper) = relay.evidence.clone() else {
        return Err(CallEnd::Refuse(Code::UnsupportedCall));
    };
    let custody = relay.on_store(move |store| store.custody(&id)).await?;
    let custody = custody.filter(|custody| asker.may_see(custody));
    if custody.is_none() && known.is_empty() {
        return Err(CallEnd::Refuse(Code::UnknownEnvelope));
    }
    let own = relay.authority.clone();
    let (mut mine, mut others): (Vec<Event>, Vec<Event>) = (Vec::new(), Vec::new());
    let told = custody
        .iter()
        .flat_map(|custody| events_of(&own, id, custody));
    for event in told.chain(known) {
        let list = if event.node == own {
            &mut mine
        } else {
            &mut others
        };
        if !list.contains(&event) && list.len() < EVENTS_PER_ENVELOPE_MAX {
            list.push(event);
        }
    }
    let mut reply = prove(&keeper, mine).await?;
    // EVD-8.3: only for its own service. A node that is asked by another asks nobody else, so that no question goes in circles.
    if let Asker::Service(_) = asker {
        let home = custody
            .as_ref()
            .and_then(home_of)
            .or_else(|| others.first().map(|event| event.node.clone()));
        if let Some(home) = home.filter(|home| *home != own) {
            others.retain(|event| event.node == home);
            match ask_home(relay, &home, id, &others).await {
                Ok(theirs) => join(&mut reply, theirs),
                Err(code) => reply.home_code = code.number(),
            }
        }
    }
    Ok(call_reply::Kind::Evidence(reply))
}

/// Events of this envelope that the asker names. EVD-8.2.
fn known_to_asker(id: EnvelopeId, events: &[Bytes]) -> Result<Vec<Event>, CallEnd> {
    if events.len() > EVENTS_PER_ENVELOPE_MAX {
        return Err(CallEnd::Refuse(Code::TooMany));
    }
    let read = events.iter().map(|event| {
        let event = Event::decode(event).map_err(|error| CallEnd::Refuse(error.code()))?;
        match event.envelope == id {
            true => Ok(event),
            false => Err(CallEnd::Refuse(Code::FieldInvalid)),
        }
    });
    read.collect()
}

/// What this node remembers that happened, here and at the home.
fn events_of(own: &AuthorityId, id: EnvelopeId, custody: &Custody) -> Vec<Event> {
    let event = |node: &AuthorityId, kind, at| Event {
        kind,
        node: node.clone(),
        envelope: id,
        at,
    };
    let (relayed, mailbox) = match (&custody.place, &custody.sender) {
        (Place::Queue { .. }, _) => (false, false),
        (Place::Mailbox { .. }, Sender::Service(service)) => (service.authority() != own, true),
        (Place::Mailbox { .. }, Sender::Mailbox(_)) => (true, true),
    };
    let first = match relayed {
        true => EventKind::RelayAcceptance,
        false => EventKind::SubmissionAcceptance,
    };
    let mut events = vec![event(own, first, custody.accepted_at)];
    if mailbox {
        events.push(event(
            own,
            EventKind::ContentConsignment,
            custody.accepted_at,
        ));
    }
    let mut rebuilt = Rebuilt::default();
    for evidence in &custody.evidence {
        let receipt = rebuilt
            .receipt(evidence)
            .and_then(|receipt| Receipt::decode(receipt).ok());
        let Some((receipt, _)) = receipt.filter(|(receipt, _)| receipt.envelope == id) else {
            continue;
        };
        let said = said_by(&receipt, own, mailbox);
        events.extend(
            said.iter()
                .map(|kind| event(&receipt.node, *kind, receipt.at)),
        );
    }
    events
}

/// The events that a receipt stands for. EVD-1.3.
fn said_by(receipt: &Receipt, own: &AuthorityId, in_own_mailbox: bool) -> Vec<EventKind> {
    let gave_up = receipt.node == *own && !in_own_mailbox;
    match receipt.step {
        Step::Accepted => vec![EventKind::SubmissionAcceptance],
        Step::Stored => vec![EventKind::RelayAcceptance, EventKind::ContentConsignment],
        Step::Retrieved => vec![EventKind::ContentHandover],
        Step::Undeliverable(code) if gave_up => vec![EventKind::RelayFailure(code)],
        Step::Undeliverable(code) => vec![EventKind::ContentHandoverFailure(code)],
        Step::Refused(code) => vec![EventKind::RelayRejection(code)],
    }
}

fn home_of(custody: &Custody) -> Option<AuthorityId> {
    match &custody.place {
        Place::Queue { destination, .. } => Some(destination.clone()),
        Place::Mailbox { .. } => None,
    }
}

/// EVD-8.4: looks for events in this node's logs, off the tasks that must not wait for a disk.
async fn prove(keeper: &Arc<Keeper>, events: Vec<Event>) -> Result<wire::EvidenceReply, CallEnd> {
    let keeper = Arc::clone(keeper);
    let found = tokio::task::spawn_blocking(move || {
        let mut reply = wire::EvidenceReply::default();
        for event in events {
            match keeper.find(&event)? {
                Found::Proof(proof, note) => add(&mut reply, proof, note),
                Found::Pending => reply.pending += 1,
                // Not recorded yet, or never: nothing that is remembered is older than the log, but a moment.
                Found::Nothing => reply.pending += 1,
            }
        }
        Ok::<_, std::io::Error>(reply)
    });
    let found = found.await.map_err(|_| CallEnd::Refuse(Code::Internal))?;
    found.map_err(|error| {
        tracing::error!(%error, "the log cannot be read");
        CallEnd::Refuse(Code::Internal)
    })
}

/// Adds a proof, if the answer still fits a frame with it.
fn add(reply: &mut wire::EvidenceReply, proof: wire::EventProof, note: String) {
    let place = reply.checkpoints.iter().position(|known| *known == note);
    let before = reply.clone();
    let place = place.unwrap_or_else(|| {
        reply.checkpoints.push(note);
        reply.checkpoints.len() - 1
    });
    let checkpoint = u32::try_from(place).expect("a few checkpoints");
    reply.proofs.push(wire::EventProof {
        checkpoint,
        ..proof
    });
    // Room for the wrapper of the call.
    if reply.encoded_len() + 64 > FRAME_MAX {
        *reply = before;
        reply.pending += 1;
    }
}

async fn ask_home(
    relay: &Arc<Relay>,
    home: &AuthorityId,
    id: EnvelopeId,
    known: &[Event],
) -> Result<wire::EvidenceReply, Code> {
    let call = call::Kind::Evidence(wire::Evidence {
        envelope_id: Bytes::copy_from_slice(id.as_bytes()),
        events: known.iter().map(Event::encode).collect(),
    });
    match relay.neighbours.ask(relay, home, call).await? {
        call_reply::Kind::Evidence(reply) => Ok(reply),
        _ => Err(Code::UnexpectedMessage),
    }
}

/// What the home says is passed on as it is: whoever asked checks it.
fn join(reply: &mut wire::EvidenceReply, theirs: wire::EvidenceReply) {
    reply.pending = reply.pending.saturating_add(theirs.pending);
    for proof in theirs.proofs.into_iter().take(EVENTS_PER_ENVELOPE_MAX) {
        if let Some(note) = theirs.checkpoints.get(proof.checkpoint as usize) {
            add(reply, proof, note.clone());
        }
    }
}
