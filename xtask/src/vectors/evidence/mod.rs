//! Events and logs: EVD-1 to EVD-4, EVD-7 and EVD-10. Here is the log that the cases are about.

mod checkpoints;
mod events;
mod proofs;

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::{Checkpoint, Entry, Event, EventKind, Noted};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::merkle::{Hash, Tree};
use serde_json::Value;

use super::annotate::Annotator;
use super::case::File;
use super::samples::{NOW_MS, hex};

const NODE: &str = "social.gouv.fr";
const ORIGIN: &str = "social.gouv.fr/log/1790000000000";
const WITNESS: &str = "interieur.gouv.fr";
/// Events of the batch that is looked into, and entries of the log.
const EVENTS: u8 = 5;
const ENTRIES: usize = 7;
/// The entry of that batch, and the event of the letter.
const ENTRY: usize = 2;
const EVENT: usize = 3;
const LOGGED_MS: u64 = NOW_MS + 700;

pub(super) fn file(annotator: &Annotator) -> File {
    let about =
        "Events, entries of a log, its checkpoints and their cosignatures, proofs, split views";
    let mut file = File::new("evidence", "L1", about);
    events::events(&mut file, annotator);
    events::entries(&mut file);
    checkpoints::checkpoints(&mut file);
    checkpoints::cosignatures(&mut file);
    proofs::consistency(&mut file);
    proofs::proofs(&mut file, annotator);
    checkpoints::submissions(&mut file);
    checkpoints::split_views(&mut file);
    file
}

fn log_key() -> SigningKey {
    SigningKey::from_seed(&[0x51; 32])
}

fn witness_key() -> SigningKey {
    SigningKey::from_seed(&[0x52; 32])
}

fn event(number: u8, kind: EventKind) -> Event {
    Event {
        kind,
        node: NODE.parse().expect("an authority id"),
        envelope: EnvelopeId::new([number; 32]),
        at: Timestamp::from_ms(NOW_MS),
    }
}

fn entry(root: Hash) -> Entry {
    Entry {
        at: Timestamp::from_ms(LOGGED_MS),
        size: usize::from(EVENTS),
        root,
    }
}

fn batch() -> Tree {
    let leaves = (0..EVENTS).map(|number| event(number, EventKind::ContentHandover).leaf());
    Tree::new(leaves.collect()).expect("a few leaves")
}

/// The leaves of the log.
fn log() -> Vec<Hash> {
    let root = |index| {
        if index == ENTRY {
            batch().root()
        } else {
            [index as u8; 32]
        }
    };
    (0..ENTRIES)
        .map(|index| entry(root(index)).leaf())
        .collect()
}

fn root(leaves: &[Hash]) -> Hash {
    Tree::new(leaves.to_vec()).expect("a few leaves").root()
}

fn checkpoint(size: usize) -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.parse().expect("an origin"),
        size: size as u64,
        root: root(&log()[..size]),
    }
}

fn note() -> String {
    checkpoint(ENTRIES).sign(&log_key())
}

/// The same note, with a cosignature of the witness.
fn cosigned() -> Noted {
    let mut noted = Noted::parse(&note()).expect("written here");
    let witness: AuthorityId = WITNESS.parse().expect("an authority id");
    let line = noted.cosign(&witness, Timestamp::from_ms(NOW_MS + 1_999), &witness_key());
    assert!(noted.add(line));
    noted
}

fn key(key: &SigningKey) -> Value {
    hex(key.public().as_bytes())
}
