//! What happened to a letter, and its way into a log. Spec: EVD-1, EVD-2, EVD-4.

use super::log::{self, Noted};
use super::{INTEGER_MAX, Refused, canonical, names, refuse, version_1};
use crate::code;
use crate::codec::Message;
use crate::codec::schema::{EVENT, EVENT_PROOF};
use crate::crypto::keys::PublicKey;
use crate::crypto::merkle::{self, TREE_LEAVES_MAX};
use crate::crypto::{Hash, contexts, sha256};

const EVENT_MAX: usize = 512;
const LOG_PATH_MAX: usize = 64;
const PREFIX: &[u8] = b"pli/1/events\0";

/// The names of ETSI EN 319 522-1 by their numbers in `evidence.proto`, and whether a code says why.
const KINDS: &[(&str, bool)] = &[
    ("SubmissionAcceptance", false),
    ("SubmissionRejection", true),
    ("RelayAcceptance", false),
    ("RelayRejection", true),
    ("RelayFailure", true),
    ("NotificationForAcceptance", false),
    ("ContentConsignment", false),
    ("ContentConsignmentFailure", true),
    ("ContentHandover", false),
    ("ContentHandoverFailure", true),
];

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub kind: &'static str,
    pub node: String,
    pub envelope_id: Vec<u8>,
    pub at_ms: u64,
    pub code: Option<&'static str>,
    pub leaf: Hash,
}

impl Event {
    /// EVD-1.1, EVD-1.2, EVD-1.4
    pub fn check(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > EVENT_MAX {
            return refuse("TOO_LONG", "event");
        }
        let event = canonical(&EVENT, bytes)?;
        version_1(&event)?;
        let node = names::authority(event.text("node"))?.to_owned();
        let envelope_id = event.bytes("envelope_id").to_vec();
        let at_ms = event.number("at_ms");
        let known = usize::try_from(event.number("kind")).ok();
        let known = known.and_then(|number| KINDS.get(number.checked_sub(1)?));
        let Some((kind, failed)) = known else {
            return refuse("FIELD_INVALID", "kind");
        };
        if envelope_id.len() != 32 || at_ms == 0 || at_ms > INTEGER_MAX {
            return refuse("FIELD_INVALID", "envelope_id or at_ms");
        }
        let code = match (failed, event.number("code")) {
            (false, 0) => None,
            (true, number) if code::find(number).is_some() => code::find(number),
            _ => return refuse("FIELD_INVALID", "a code exactly where something failed"),
        };
        Ok(Self {
            kind,
            node,
            envelope_id,
            at_ms,
            code,
            leaf: merkle::leaf(contexts::EVENT, bytes),
        })
    }
}

/// An entry of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    pub at_ms: u64,
    pub size: u64,
    pub root: Hash,
}

impl Entry {
    /// EVD-2.2
    pub fn check(bytes: &[u8]) -> Result<Self, Refused> {
        let read = || {
            let fields = bytes.strip_prefix(PREFIX)?;
            let (at_ms, fields) = fields.split_first_chunk::<8>()?;
            let (size, root) = fields.split_first_chunk::<8>()?;
            Some(Self {
                at_ms: u64::from_be_bytes(*at_ms),
                size: u64::from_be_bytes(*size),
                root: root.try_into().ok()?,
            })
        };
        match read() {
            Some(entry) if (1..=TREE_LEAVES_MAX).contains(&entry.size) => Ok(entry),
            _ => refuse("FIELD_INVALID", "entry"),
        }
    }

    /// The leaf of RFC 6962 over the exact bytes.
    pub fn leaf(&self) -> Hash {
        let (at_ms, size) = (self.at_ms.to_be_bytes(), self.size.to_be_bytes());
        sha256(&[&[0], PREFIX, &at_ms, &size, &self.root])
    }
}

/// An event that a signed checkpoint proves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven {
    pub event: Event,
    pub logged_ms: u64,
    pub index: u64,
    pub noted: Noted,
}

/// EVD-4.1, EVD-4.3, in the order of EVD-4.4.
pub fn proof(bytes: &[u8], note: &str, key: &PublicKey) -> Result<Proven, Refused> {
    let proof = canonical(&EVENT_PROOF, bytes)?;
    let event = Event::check(proof.bytes("event"))?;
    let noted = Noted::check(note)?;
    if noted.authority() != event.node {
        return refuse("NOT_AUTHORITATIVE", "another node's log");
    }
    let logged_ms = proof.number("batch_at_ms");
    if logged_ms < event.at_ms {
        return refuse("BAD_INCLUSION", "logged before it happened");
    }
    let no = |why| Refused {
        code: "BAD_INCLUSION",
        why,
    };
    let batch = proof
        .message("in_batch")
        .ok_or(no("no place in the batch"))?;
    let size = batch.number("tree_size");
    let path = hashes(batch).ok_or(no("a hash of the batch"))?;
    let root = merkle::climb(&event.leaf, batch.number("index"), size, &path);
    let entry = Entry {
        at_ms: logged_ms,
        size,
        root: root.ok_or(no("the batch"))?,
    };
    let path = hashes(&proof).filter(|path| path.len() <= LOG_PATH_MAX);
    let path = path.ok_or(no("a hash of the log"))?;
    let index = proof.number("index");
    if log::climb(&entry.leaf(), index, noted.size, &path) != Some(noted.root) {
        return Err(no("the log"));
    }
    noted.signed_by(key)?;
    Ok(Proven {
        event,
        logged_ms,
        index,
        noted,
    })
}

fn hashes(message: &Message) -> Option<Vec<Hash>> {
    let hashes = message.all_bytes("path");
    hashes
        .into_iter()
        .map(|hash| hash.try_into().ok())
        .collect()
}
