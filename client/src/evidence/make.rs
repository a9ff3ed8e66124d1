//! Makes a bundle of what nodes said and of the directory of this moment (EVD-5).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::evidence::{Bundle, Event, EventKind};
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::{limits, wire};

use crate::directory;
use crate::folder::{self, FileError};

/// What a bundle is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Which letter.
    pub id: EnvelopeId,
    /// The letter itself, if it is at hand.
    pub envelope: Option<Bytes>,
    /// Signed receipts.
    pub receipts: Vec<Bytes>,
    /// What the node answered to `Evidence`.
    pub reply: wire::EvidenceReply,
    /// The verified copy of the directory: `metadata/` and `targets/`.
    pub directory: &'a Path,
}

/// Puts them together. Nothing is checked here: whoever makes a bundle verifies it as its readers will.
pub fn make(parts: Parts<'_>) -> Result<Bundle, FileError> {
    let Parts {
        id,
        envelope,
        receipts,
        reply,
        directory,
    } = parts;
    let read = |(name, path): (String, PathBuf)| {
        let file = folder::read(&path, limits::TRUST_TARGETS_MAX)?;
        Ok((name, file.into()))
    };
    let files = directory::files(directory)?.into_iter().map(read);
    let known = reply.checkpoints.len();
    let mut proofs = reply.proofs;
    proofs.retain(|proof| (proof.checkpoint as usize) < known);
    proofs.truncate(limits::BUNDLE_PARTS_MAX);
    Ok(Bundle {
        id,
        envelope,
        receipts,
        proofs,
        checkpoints: reply.checkpoints,
        directory: files.collect::<Result<_, FileError>>()?,
    })
}

/// The events that signed receipts tell of: what to ask the nodes for, although they may have forgotten (EVD-8.2).
pub fn events_of(receipts: &[Receipt], origin: &AuthorityId) -> Vec<Event> {
    let mut events = Vec::new();
    for receipt in receipts {
        let is_origin = receipt.node == *origin;
        let kinds = match receipt.step {
            Step::Accepted => vec![EventKind::SubmissionAcceptance],
            Step::Stored if is_origin => vec![EventKind::ContentConsignment],
            Step::Stored => vec![EventKind::RelayAcceptance, EventKind::ContentConsignment],
            Step::Retrieved => vec![EventKind::ContentHandover],
            Step::Undeliverable(code) if is_origin => vec![EventKind::RelayFailure(code)],
            Step::Undeliverable(code) => vec![EventKind::ContentHandoverFailure(code)],
            Step::Refused(code) if is_origin => vec![EventKind::SubmissionRejection(code)],
            Step::Refused(code) => vec![EventKind::RelayRejection(code)],
        };
        events.extend(kinds.into_iter().map(|kind| Event {
            kind,
            node: receipt.node.clone(),
            envelope: receipt.envelope,
            at: receipt.at,
        }));
    }
    events.truncate(limits::EVENTS_PER_ENVELOPE_MAX);
    events
}
