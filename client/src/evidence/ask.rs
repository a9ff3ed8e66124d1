//! Asks a node for the proofs of what happened to one envelope (EVD-8).

use pli_protocol::evidence::Event;
use pli_protocol::id::EnvelopeId;
use pli_protocol::wire;
use pli_transport::DialledConnection;

use crate::call::{self, CallError};

/// One call. What comes back is checked when a bundle is made of it, and again by whoever gets that.
pub async fn ask(
    connection: &DialledConnection,
    id: EnvelopeId,
    known: &[Event],
) -> Result<wire::EvidenceReply, CallError> {
    let kind = wire::call::Kind::Evidence(wire::Evidence {
        envelope_id: id.as_bytes().to_vec().into(),
        events: known.iter().map(Event::encode).collect(),
    });
    match call::ask(connection, kind, "evidence").await? {
        wire::call_reply::Kind::Evidence(reply) => Ok(reply),
        other => {
            let (got, expected) = (call::name(&other), "evidence");
            Err(CallError::Unexpected { got, expected })
        }
    }
}
