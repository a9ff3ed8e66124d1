//! Gossip: what one node learns reaches all, without a centre. In: announcements of this node, and what its peers pass
//! on. Out: each new thing to a [`Judge`] once, and on to the others only after that judge found it true. Spec:
//! `spec/gossip.md`. The only place that names libp2p.
//!
//! ```text
//! stranger ──▶ peers: only keys that the directory lists ──▶ meter: bytes ──▶ gossipsub: size, signature, score
//!                                                                                        │
//!   others ◀── passed on ◀── Accept ── judge ◀── budget: messages of one peer and topic ─┘
//! ```
//!
//! | Module | Holds |
//! |---|---|
//! | `peers` | who may be connected, by the directory, and where it is |
//! | `links` | whom to dial when, and who is cut off for a while |
//! | `meter` | what a connection may bring in, in bytes |
//! | `budget` | token buckets |
//! | `swarm` | libp2p, put together |
//! | `pairs` | one connection for each peer |
//! | `last` | the last word of each kind, for whoever connects |
//! | `listen`, `task` | the socket, the loop |
//! | `judges` | what this node makes of what it hears |

mod budget;
mod judges;
mod last;
mod links;
mod listen;
mod meter;
mod pairs;
mod peers;
mod swarm;
mod task;

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pli_protocol::id::AuthorityId;
use pli_protocol::limits::{GOSSIP_MESSAGE_MAX, NOTE_MAX, SPLIT_VIEW_MAX, TRUST_TIMESTAMP_MAX};
use pli_transport::PrivateNetworks;
use tokio::sync::mpsc;

use crate::alarm::Alarms;
use crate::api::status::GossipStatus;
use crate::clock::Clock;
use crate::federation::DirectoryWatch;
use crate::metrics::{GossipTopic, Metrics};

pub use judges::run;
pub use listen::Opened;

/// Announcements of this node that wait for the loop; one more is lost, and said again by whoever connects next.
const ANNOUNCED_MAX: usize = 256;

/// GOS-2.1: what is talked about.
pub type Topic = GossipTopic;

impl Topic {
    /// GOS-2.2: the most bytes of one message.
    fn max(self) -> usize {
        match self {
            Self::Trust => TRUST_TIMESTAMP_MAX as usize,
            Self::Checkpoints => NOTE_MAX,
            Self::Alerts => SPLIT_VIEW_MAX,
        }
    }

    /// As it is subscribed to.
    fn name(self) -> &'static str {
        match self {
            Self::Trust => "pli/1/trust",
            Self::Checkpoints => "pli/1/checkpoints",
            Self::Alerts => "pli/1/alerts",
        }
    }
}

const _: () = {
    assert!(TRUST_TIMESTAMP_MAX as usize <= GOSSIP_MESSAGE_MAX);
    assert!(NOTE_MAX <= GOSSIP_MESSAGE_MAX && SPLIT_VIEW_MAX <= GOSSIP_MESSAGE_MAX);
};

/// Something that was heard. Nothing of it is believed yet.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What it claims to be.
    pub topic: Topic,
    /// Who passed it on; who said it first, its own signatures say.
    pub from: AuthorityId,
    /// At most the bytes that its topic allows.
    pub payload: Bytes,
}

/// GOS-3.3: what becomes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// True and new: it goes on to the others, and is kept as the last word of its kind about this authority; about
    /// the whole federation if it is of none.
    Accept(Option<AuthorityId>),
    /// Known, or not to be judged here: it ends here, and nobody is blamed.
    Ignore,
    /// False: it ends here, and whoever passed it on did not check it.
    Reject,
}

/// Answers in its own time; what waits too long is forgotten, not passed on.
pub type Judging = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Judges what was heard. Sees each message once, as long as it is remembered.
pub trait Judge: Debug + Send + Sync + 'static {
    /// Checks signatures, and compares with what is known.
    fn judge(&self, heard: Heard) -> Judging;
}

/// What the loop needs.
#[derive(Clone, Debug)]
pub struct Around {
    /// Where private addresses may be dialled (SES-1.8).
    pub networks: PrivateNetworks,
    /// Who the others are.
    pub directory: DirectoryWatch,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is wrong.
    pub alarms: Alarms,
}

/// Speaks to the loop. Clones speak to the same one.
#[derive(Clone)]
pub struct Gossip {
    announce: mpsc::Sender<Announcement>,
    status: Arc<Mutex<GossipStatus>>,
}

/// Something that this node says, as the loop gets it.
#[derive(Debug)]
struct Announcement {
    topic: Topic,
    about: Option<AuthorityId>,
    payload: Bytes,
}

impl Debug for Gossip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gossip")
    }
}

impl Gossip {
    fn new() -> (Self, mpsc::Receiver<Announcement>) {
        let (announce, announced) = mpsc::channel(ANNOUNCED_MAX);
        let status = Arc::default();
        (Self { announce, status }, announced)
    }

    /// Says something that was checked to all who listen, and to whoever connects until there is a newer word about
    /// the same. Nothing happens if it is too long for its topic.
    pub fn publish(&self, topic: Topic, about: Option<AuthorityId>, payload: Bytes) {
        if payload.len() > topic.max() {
            tracing::error!(?topic, bytes = payload.len(), "too long to be said");
            return;
        }
        let announcement = Announcement {
            topic,
            about,
            payload,
        };
        if self.announce.try_send(announcement).is_err() {
            tracing::warn!(?topic, "not said: too much waits to be said");
        }
    }

    /// Who is connected, who is not and why.
    pub fn status(&self) -> GossipStatus {
        self.status.lock().clone()
    }
}

#[cfg(test)]
mod rogues;
#[cfg(test)]
mod tests;
