//! An outside auditor of nodes' logs: follows them, computes everything again, and keeps what it saw.
//!
//! In: what nodes serve over HTTP, none of it believed, and evidence bundles that others hand in. Out: [`Finding`]s, and a state on disk that a log must be
//! consistent with the next time. Nothing here can be told by the node that it watches.

mod bundles;
mod claims;
mod fetch;
mod frontier;
mod look;
mod reading;
mod state;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::evidence::Origin;
use pli_protocol::id::{AuthorityId, Timestamp};

pub use bundles::Bundles;
pub use claims::Claims;
pub use look::Monitor;
pub use state::StateError;

/// What is wrong with a log.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Alarm {
    /// Nobody answers, or with an error.
    Unreachable,
    /// No cosignature of enough witnesses is young enough.
    Stale,
    /// Fewer witnesses than the federation asks for have cosigned.
    TooFewWitnesses,
    /// A bundle is not what it claims to be.
    BrokenBundle,
    /// A log says what happened, and no bundle has the receipt that its node must have signed.
    MissingReceipt,
    /// A node signed what happened, and no bundle proves that its log says so.
    MissingEvent,
    /// What is served is no checkpoint, entry or tile.
    Malformed,
    /// The checkpoint is not signed by a key of the log.
    NotSigned,
    /// A tile is not what the entries make of it.
    TilesDiffer,
    /// An entry is dated before the one before it.
    TimeWentBack,
    /// Entries that were there are gone.
    Shrunk,
    /// What was there is not the beginning of what there is: two checkpoints convict the log.
    Forked,
}

impl Alarm {
    /// As JSON and people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Stale => "stale",
            Self::TooFewWitnesses => "too_few_witnesses",
            Self::BrokenBundle => "broken_bundle",
            Self::MissingReceipt => "missing_receipt",
            Self::MissingEvent => "missing_event",
            Self::Malformed => "malformed",
            Self::NotSigned => "not_signed",
            Self::TilesDiffer => "tiles_differ",
            Self::TimeWentBack => "time_went_back",
            Self::Shrunk => "shrunk",
            Self::Forked => "forked",
        }
    }

    /// Whether only somebody who breaks the protocol causes it.
    pub fn misbehaves(self) -> bool {
        self >= Self::Malformed
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Whose node, if it is one's.
    pub authority: Option<AuthorityId>,
    /// Which log, if it is one's.
    pub origin: Option<Origin>,
    /// What.
    pub alarm: Alarm,
    /// For people.
    pub detail: String,
}

/// What is known of a node that is followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Whose.
    pub authority: AuthorityId,
    /// All keys that the directory ever listed for its logs.
    pub keys: Vec<PublicKey>,
    /// Where it is asked, in the order to try.
    pub bases: Vec<String>,
}

/// A log as it was found: right, as far as no finding says otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Which.
    pub origin: Origin,
    /// Its entries.
    pub size: u64,
    /// Its entries when it was seen before this; `None` if it never was: it is consistent with itself alone.
    pub before: Option<u64>,
    /// The time of its last entry.
    pub last_at: Option<Timestamp>,
    /// Who has cosigned, and when.
    pub witnesses: Vec<(AuthorityId, Timestamp)>,
}

impl Seen {
    /// A log without entries.
    fn nothing(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            size: 0,
            before: None,
            last_at: None,
            witnesses: Vec::new(),
        }
    }
}

/// What one look found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Looked {
    /// The logs that could be checked.
    pub seen: Vec<Seen>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

#[cfg(test)]
mod tests;
