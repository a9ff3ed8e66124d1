//! What a verified bundle says, typed: for the screen, for programs, for a page.

use std::collections::BTreeMap;

use pli_protocol::custody::{Receipt, Step};
use pli_protocol::envelope::Header;
use pli_protocol::evidence::{Cosignature, Entry, Event, EventKind, Noted, Origin};
use pli_protocol::id::{AuthorityId, EnvelopeId, KeyId, ServiceId, Timestamp};
use pli_protocol::merkle::Hash;
use pli_protocol::trust::{DisplayName, Versions};

/// A bundle whose every part is what it claims to be.
#[derive(Debug)]
pub struct Verified {
    /// Which letter.
    pub id: EnvelopeId,
    /// The letter, if the bundle holds it.
    pub letter: Option<LetterFacts>,
    /// The directory by which everything was checked.
    pub directory: DirectoryFacts,
    /// What nodes signed.
    pub receipts: Vec<ReceiptFacts>,
    /// What nodes logged, in the order of the times.
    pub events: Vec<EventFacts>,
    /// What a reader might think is proven, and is not.
    pub not_proven: Vec<NotProven>,
    /// What was read, so that a page can be held against it.
    pub read: Read,
}

/// SHA-256 of the files that a verification read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Read {
    /// The bundle.
    pub bundle: Hash,
    /// The federation's root.
    pub root: Hash,
}

/// The outside of the letter.
#[derive(Debug)]
pub struct LetterFacts {
    /// Who signed it.
    pub sender: ServiceId,
    /// Its name for citizens.
    pub sender_name: DisplayName,
    /// By which of its keys.
    pub key: KeyId,
    /// Whether the key had ended when the first node acted upon the letter: whoever else had it may have signed.
    pub key_had_ended: bool,
    /// Everything outside of the sealing.
    pub header: Header,
}

/// Which directory, of which day.
#[derive(Debug)]
pub struct DirectoryFacts {
    /// Versions of its roles.
    pub versions: Versions,
    /// Until when it was in force.
    pub expires: Timestamp,
    /// Authorities in it.
    pub authorities: usize,
    /// How many witnesses make evidence final.
    pub witnesses: usize,
    /// The names of those that appear here.
    pub names: BTreeMap<AuthorityId, DisplayName>,
}

/// A signed receipt.
#[derive(Debug)]
pub struct ReceiptFacts {
    /// What it says.
    pub receipt: Receipt,
    /// By which key of its node.
    pub key: KeyId,
    /// Whether an event of the same node and time is in its log.
    pub logged: bool,
}

/// An event in a log.
#[derive(Debug)]
pub struct EventFacts {
    /// What happened.
    pub event: Event,
    /// When the log took it in.
    pub logged: Timestamp,
    /// In which log,
    pub log: Origin,
    /// as which entry,
    pub index: u64,
    /// with these bytes,
    pub entry: Entry,
    /// of how many.
    pub size: u64,
    /// The log's head that it leads to, as it was signed.
    pub head: Noted,
    /// Which key signed the log's head.
    pub key: KeyId,
    /// Who else saw that head, ascending by name.
    pub witnesses: Vec<Cosignature>,
    /// Whether these are as many as the federation demands.
    pub is_final: bool,
}

/// What is not proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotProven {
    /// The bundle names the letter by its id alone: that these nodes are its sender's and its recipient's is not shown.
    Letter,
    /// The key that signed the letter had ended before a node acted upon it.
    KeyEnded,
    /// The directory of the bundle had expired when this event was logged: it does not know what was revoked since.
    OldDirectory(EventKind, AuthorityId),
    /// A receipt is signed, and its event is in no log of this bundle.
    NotLogged(Step, AuthorityId),
    /// Fewer witnesses than the federation demands saw this event's log.
    NotFinal(EventKind, AuthorityId),
    /// The federation demands no witnesses: the log is its node's word alone.
    NoWitnesses,
    /// The sender's authority keeps the recipient's mailbox too: nobody else says what happened to the letter.
    OneHand,
    /// Nothing says that it is in the citizen's mailbox.
    Consignment,
    /// Nothing says that a device has it.
    Handover,
    /// Nothing at all is in a log.
    Nothing,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Each event is in its node's log, and final.
    Proven,
    /// Everything is genuine, and something is missing that would make it final.
    Incomplete,
}

impl Verified {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let lacks = |lack: &NotProven| match lack {
            NotProven::Letter
            | NotProven::KeyEnded
            | NotProven::OldDirectory(..)
            | NotProven::NotLogged(..)
            | NotProven::NotFinal(..)
            | NotProven::Nothing => true,
            // True statements about what happened, or what the federation chose; no gap in the evidence.
            NotProven::NoWitnesses
            | NotProven::OneHand
            | NotProven::Consignment
            | NotProven::Handover => false,
        };
        match self.not_proven.iter().any(lacks) {
            true => Verdict::Incomplete,
            false => Verdict::Proven,
        }
    }
}

/// Whether a receipt and an event of one letter are one node's word about one moment.
pub(crate) fn says_the_same(receipt: &Receipt, event: &Event) -> bool {
    let same_step = match receipt.step {
        Step::Accepted => event.kind == EventKind::SubmissionAcceptance,
        Step::Stored => event.kind == EventKind::ContentConsignment,
        Step::Retrieved => event.kind == EventKind::ContentHandover,
        Step::Undeliverable(code) => {
            event.kind == EventKind::RelayFailure(code)
                || event.kind == EventKind::ContentHandoverFailure(code)
        }
        Step::Refused(code) => {
            event.kind == EventKind::SubmissionRejection(code)
                || event.kind == EventKind::RelayRejection(code)
        }
    };
    same_step && event.node == receipt.node && event.at == receipt.at
}
