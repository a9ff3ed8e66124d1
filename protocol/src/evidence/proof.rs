//! The way from an event to a checkpoint (EVD-4.1).

use bytes::Bytes;

use super::checkpoint::{Checkpoint, CheckpointError, Noted};
use super::entry::Entry;
use super::event::{Event, EventError};
use super::tree::root_from_inclusion;
use crate::code::Code;
use crate::id::Timestamp;
use crate::limits::{INCLUSION_PATH_MAX, LOG_PATH_MAX};
use crate::merkle::{Hash, root_from_path};
use crate::wire;

/// Why a proof proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// EVD-1
    #[error("the event: {0}")]
    Event(#[from] EventError),
    /// EVD-4.1
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// EVD-4.1
    #[error("{0} does not lead to the root")]
    Inclusion(&'static str),
    /// EVD-4.3
    #[error("the event of {event} is in an entry dated {entry}, before it")]
    Early { event: Timestamp, entry: Timestamp },
    /// EVD-4.3
    #[error("an event of {event} is in the log of {log}")]
    AnothersLog { event: String, log: String },
}

impl ProofError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Event(error) => error.code(),
            Self::Checkpoint(error) => error.code(),
            Self::Inclusion(_) | Self::Early { .. } => Code::BadInclusion,
            Self::AnothersLog { .. } => Code::NotAuthoritative,
        }
    }
}

/// An event that is in the tree of a checkpoint. What the checkpoint is worth, its signatures say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InLog {
    /// What happened.
    pub event: Event,
    /// When the log took it in.
    pub logged: Timestamp,
    /// Its entry,
    pub entry: Entry,
    /// and the entry's number.
    pub index: u64,
    /// The head of the log; no signature is checked yet.
    pub noted: Noted,
}

impl InLog {
    /// Follows a proof from its event to the root of `checkpoint`, a signed note. In the order of EVD-4.4.
    pub fn follow(proof: &wire::EventProof, checkpoint: &str) -> Result<Self, ProofError> {
        let event = Event::decode(&proof.event)?;
        let noted = Noted::parse(checkpoint)?;
        let head = noted.checkpoint();
        let (of_event, of_log) = (&event.node, &head.origin.authority);
        if of_event != of_log {
            return Err(ProofError::AnothersLog {
                event: of_event.to_string(),
                log: of_log.to_string(),
            });
        }
        let logged = Timestamp::from_ms(proof.batch_at_ms);
        if logged < event.at {
            return Err(ProofError::Early {
                event: event.at,
                entry: logged,
            });
        }
        let entry = entry(proof, &event, logged).ok_or(ProofError::Inclusion("the event"))?;
        let root = path(&proof.path, LOG_PATH_MAX)
            .and_then(|path| root_from_inclusion(entry.leaf(), proof.index, head.size, &path));
        if root != Some(head.root) {
            return Err(ProofError::Inclusion("the entry"));
        }
        Ok(Self {
            event,
            logged,
            entry,
            index: proof.index,
            noted,
        })
    }

    /// The head that it is in.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.noted.checkpoint()
    }
}

fn entry(proof: &wire::EventProof, event: &Event, at: Timestamp) -> Option<Entry> {
    let inclusion = proof.in_batch.as_ref()?;
    let (index, size) = (inclusion.index as usize, inclusion.tree_size as usize);
    let path = path(&inclusion.path, INCLUSION_PATH_MAX)?;
    let root = root_from_path(event.leaf(), index, size, &path)?;
    Some(Entry { at, size, root })
}

fn path(hashes: &[Bytes], max: usize) -> Option<Vec<Hash>> {
    let hash = |hash: &Bytes| Hash::try_from(&hash[..]).ok();
    hashes
        .iter()
        .map(hash)
        .collect::<Option<Vec<_>>>()
        .filter(|path| path.len() <= max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::SigningKey;
    use crate::evidence::EventKind;
    use crate::id::EnvelopeId;
    use crate::merkle::Tree;

    const AT: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn bytes(path: Vec<Hash>) -> Vec<Bytes> {
        path.iter()
            .map(|hash| Bytes::copy_from_slice(hash))
            .collect()
    }

    /// A log of three entries, the second of which has five events.
    fn proof() -> (wire::EventProof, String) {
        let event = |number: u8| Event {
            kind: EventKind::ContentHandover,
            node: "social.gouv.fr".parse().unwrap(),
            envelope: EnvelopeId::new([number; 32]),
            at: AT,
        };
        let batch = Tree::new((0..5).map(|number| event(number).leaf()).collect()).unwrap();
        let entry = |root| Entry {
            at: AT.plus_ms(700),
            size: 5,
            root,
        };
        let leaves = [[1; 32], batch.root(), [3; 32]].map(|root| entry(root).leaf());
        let log = Tree::new(leaves.to_vec()).unwrap();
        let checkpoint = Checkpoint {
            origin: "social.gouv.fr/log/1790000000000".parse().unwrap(),
            size: 3,
            root: log.root(),
        };
        let proof = wire::EventProof {
            event: event(3).encode(),
            in_batch: Some(wire::Inclusion {
                index: 3,
                tree_size: 5,
                path: bytes(batch.path(3).unwrap()),
            }),
            batch_at_ms: AT.plus_ms(700).as_ms(),
            index: 1,
            path: bytes(log.path(1).unwrap()),
            checkpoint: 0,
        };
        (proof, checkpoint.sign(&SigningKey::from_seed(&[4; 32])))
    }

    fn refused(edit: impl FnOnce(&mut wire::EventProof)) -> ProofError {
        let (mut proof, note) = proof();
        edit(&mut proof);
        InLog::follow(&proof, &note).expect_err("must be refused")
    }

    #[test]
    fn evd_4_1_a_proof_leads_to_the_checkpoint() {
        let (proof, note) = proof();
        let found = InLog::follow(&proof, &note).unwrap();
        assert_eq!(found.event.envelope, EnvelopeId::new([3; 32]));
        assert_eq!((found.index, found.checkpoint().size), (1, 3));
    }

    #[test]
    fn evd_4_1_a_proof_for_another_place_or_tree_is_refused() {
        let inclusion = |what| ProofError::Inclusion(what);
        assert_eq!(refused(|p| p.index = 0), inclusion("the entry"));
        assert_eq!(refused(|p| p.index = 3), inclusion("the entry"));
        assert_eq!(refused(|p| p.path.clear()), inclusion("the entry"));
        assert_eq!(refused(|p| p.path.swap(0, 1)), inclusion("the entry"));
        assert_eq!(refused(|p| p.in_batch = None), inclusion("the event"));
        let batch = |p: &mut wire::EventProof, edit: fn(&mut wire::Inclusion)| {
            edit(p.in_batch.as_mut().unwrap());
        };
        assert_eq!(
            refused(|p| batch(p, |i| i.index = 2)),
            inclusion("the entry")
        );
        assert_eq!(
            refused(|p| batch(p, |i| i.tree_size = 6)),
            inclusion("the entry")
        );
        assert_eq!(
            refused(|p| batch(p, |i| i.path.truncate(1))),
            inclusion("the event")
        );
        assert_eq!(
            refused(|p| batch(p, |i| i.path[0] = Bytes::new())),
            inclusion("the event")
        );
        let later = |p: &mut wire::EventProof| p.batch_at_ms += 1;
        assert_eq!(refused(later), inclusion("the entry"));
    }

    #[test]
    fn evd_4_3_an_event_of_another_node_or_after_its_entry_is_refused() {
        let early = |p: &mut wire::EventProof| p.batch_at_ms = AT.as_ms() - 1;
        assert!(matches!(refused(early), ProofError::Early { .. }));
        let anothers = refused(|p| {
            let event = Event::decode(&p.event).unwrap();
            let node = "interieur.gouv.fr".parse().unwrap();
            p.event = Event { node, ..event }.encode();
        });
        assert!(matches!(anothers, ProofError::AnothersLog { .. }));
    }
}
