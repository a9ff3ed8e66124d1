//! Verify: bytes that a home gave become a [`VerifiedLetter`], or are refused with the reason.
//!
//! Pure: the directory, the account's keys and the time of storing are arguments; works offline,
//! and again each time a letter is shown (P1). There is one constructor (R4). Spec: MBX-5.5.

use std::collections::HashSet;
use std::sync::Mutex;

use bytes::Bytes;
use pli_protocol::account::AccountSecrets;
use pli_protocol::code::Code;
use pli_protocol::content::{Content, ContentError};
use pli_protocol::crypto::seal::SealError;
use pli_protocol::envelope::{Header, HeaderError, Letter, LetterError, Sender};
use pli_protocol::id::{
    AuthorityId, EnvelopeId, KeyId, MailboxAddress, MailboxId, ServiceId, Timestamp,
};
use pli_protocol::limits;
use pli_protocol::signed::{RootCheck, SignedError, VerifiedRoots};
use pli_protocol::trust::{Directory, DisplayName, TrustRefusal};

use super::grants::Grants;

/// A letter that this device verified and opened. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedLetter {
    id: EnvelopeId,
    header: Header,
    sender: ServiceId,
    signer: KeyId,
    sender_name: DisplayName,
    clickable: bool,
    content: Result<Content, ContentError>,
}

impl VerifiedLetter {
    /// Its id.
    pub fn id(&self) -> EnvelopeId {
        self.id
    }

    /// Its outside.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Who signed it.
    pub fn sender(&self) -> &ServiceId {
        &self.sender
    }

    /// With which of its keys.
    pub fn signer(&self) -> KeyId {
        self.signer
    }

    /// The sender's name for citizens, which its authority signed.
    pub fn sender_name(&self) -> &DisplayName {
        &self.sender_name
    }

    /// Whether its link leads to a host that the sender's authority listed (TRU-3.4); any other
    /// link is shown as text.
    pub fn link_is_clickable(&self) -> bool {
        self.clickable
    }

    /// What it says; or why it cannot be shown although it is authentic.
    pub fn content(&self) -> Result<&Content, &ContentError> {
        self.content.as_ref()
    }
}

/// Why something is not shown as a message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LetterRefusal {
    /// Its form.
    #[error("not a well-formed envelope: {0}")]
    Form(#[from] LetterError),
    /// A citizen cannot write to a citizen.
    #[error("the sender {sender} is not a service")]
    NotFromAService { sender: String },
    /// ENV-4.6, ENV-4.7: no honest home stores it.
    #[error("the home says that it stored it at {stored}, when it was not valid: {source}")]
    NotValidWhenStored {
        stored: Timestamp,
        source: HeaderError,
    },
    /// A home that dates letters ahead could bring a key back to life.
    #[error("the home says that it stored it at {stored}, but the clock reads {now}")]
    StoredInTheFuture { stored: Timestamp, now: Timestamp },
    /// ENV-4.10
    #[error("it is for the mailbox {got}, which is not of this account")]
    NotOurs { got: MailboxAddress },
    /// P5, case 25: only the authority that was granted this mailbox writes to it.
    #[error("{got} writes to the mailbox that was granted to {granted}")]
    NotGranted {
        got: AuthorityId,
        granted: AuthorityId,
    },
    /// MBX-4
    #[error("the grant to {authority} does not accept this class of envelope")]
    ClassNotGranted { authority: AuthorityId },
    /// ENV-3.4
    #[error("{got} signatures, expected 1")]
    SignatureCount { got: usize },
    /// TRU-4.6
    #[error(transparent)]
    Directory(#[from] TrustRefusal),
    /// SIG-5.4
    #[error(transparent)]
    Signature(#[from] SignedError),
    /// Sealed to an epoch that this device has no secret of.
    #[error("sealed to the account's epoch {epoch}, whose secret this device does not have")]
    UnknownEpoch { epoch: u32 },
    /// ENV-6.6
    #[error("it does not open: {0}")]
    Sealed(#[from] SealError),
}

impl LetterRefusal {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Form(error) => error.code(),
            Self::NotFromAService { .. } => Code::FieldInvalid,
            Self::NotValidWhenStored { source, .. } => source.code(),
            Self::StoredInTheFuture { .. } => Code::NotYetValid,
            Self::NotOurs { .. } => Code::UnknownMailbox,
            Self::NotGranted { .. } | Self::ClassNotGranted { .. } => Code::NotGranted,
            Self::SignatureCount { .. } => Code::SignatureCount,
            Self::Directory(refusal) => refusal.code(),
            Self::Signature(error) => error.code(),
            Self::UnknownEpoch { .. } => Code::OpenFailed,
            Self::Sealed(error) => error.code(),
        }
    }

    /// Whether another, earlier state of the directory might have said otherwise.
    pub(super) fn is_of_directory(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

/// What verification needs besides the letter.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'a> {
    /// Who signs for whom.
    pub directory: &'a Directory,
    /// Which mailbox was granted to whom.
    pub grants: &'a Grants,
    /// Opens.
    pub secrets: &'a AccountSecrets,
    /// The time.
    pub now: Timestamp,
    /// Saves a signature check per letter of a campaign.
    pub roots: &'a Roots,
}

/// Verifies and opens what the home says that it stored at `stored`.
pub fn verify(
    encoded: Bytes,
    stored: Timestamp,
    with: Verifier<'_>,
) -> Result<VerifiedLetter, LetterRefusal> {
    let letter = Letter::decode(encoded)?;
    let header = letter.header();
    let sender = match &header.sender {
        Sender::Service(service) => service.clone(),
        Sender::Citizen(mailbox) => {
            return Err(LetterRefusal::NotFromAService {
                sender: mailbox.to_string(),
            });
        }
    };
    if stored.since_ms(with.now) > limits::CLOCK_SKEW_MAX_MS {
        return Err(LetterRefusal::StoredInTheFuture {
            stored,
            now: with.now,
        });
    }
    header
        .check_time(stored)
        .map_err(|source| LetterRefusal::NotValidWhenStored { stored, source })?;
    check_recipient(header, &sender, with.grants)?;

    let got = letter.signed().key_ids().count();
    if got != 1 {
        return Err(LetterRefusal::SignatureCount { got });
    }
    let signer = letter.signed().key_ids().next().expect("counted above");
    // TRU-4.8: it may have waited at its origin while the key's time ended.
    let key = with
        .directory
        .service_key_accepted(&sender, &signer, header.created, stored)?;
    letter.signed().verify_with(key, with.roots)?;
    let record = with.directory.service(&sender)?;

    let epoch = letter.epoch();
    let secret = with
        .secrets
        .sealing(sender.authority(), epoch)
        .ok_or(LetterRefusal::UnknownEpoch { epoch })?;
    let plain = letter.open(&secret)?;
    let content = Content::decode(&Bytes::copy_from_slice(&plain));
    let link = content
        .as_ref()
        .ok()
        .and_then(|content| content.notice().link.as_ref());
    let clickable = link.is_some_and(|link| {
        record
            .link_hosts
            .iter()
            .any(|host| host.as_str() == link.url.host())
    });
    Ok(VerifiedLetter {
        id: letter.id(),
        header: header.clone(),
        sender,
        signer,
        sender_name: record.name.clone(),
        clickable,
        content,
    })
}

fn check_recipient(
    header: &Header,
    sender: &ServiceId,
    grants: &Grants,
) -> Result<(), LetterRefusal> {
    let recipient = &header.recipient;
    let not_ours = || LetterRefusal::NotOurs {
        got: recipient.clone(),
    };
    let grant = grants.of_mailbox(&recipient.mailbox).ok_or_else(not_ours)?;
    if grant.mailbox.home != recipient.home {
        return Err(not_ours());
    }
    if grant.authority != *sender.authority() {
        return Err(LetterRefusal::NotGranted {
            got: sender.authority().clone(),
            granted: grant.authority.clone(),
        });
    }
    if !grant.accepts.contains(&header.class) {
        return Err(LetterRefusal::ClassNotGranted {
            authority: grant.authority.clone(),
        });
    }
    Ok(())
}

/// Remembers the signatures over roots that verified: a campaign costs one check, not one a letter.
#[derive(Debug, Default)]
pub struct Roots(Mutex<HashSet<RootCheck>>);

/// Forgotten all at once beyond that.
const ROOTS_MAX: usize = 4_096;

impl VerifiedRoots for Roots {
    fn contains(&self, check: &RootCheck) -> bool {
        self.0
            .lock()
            .expect("no code panics while it holds this lock")
            .contains(check)
    }

    fn insert(&self, check: RootCheck) {
        let mut roots = self
            .0
            .lock()
            .expect("no code panics while it holds this lock");
        if roots.len() >= ROOTS_MAX {
            roots.clear();
        }
        roots.insert(check);
    }
}

/// By mailbox, for the one that a letter names.
pub(super) type MailboxKey = MailboxId;

#[cfg(test)]
#[path = "verify_tests.rs"]
pub(crate) mod tests;
