//! Verify: a [`Received`] envelope becomes [`Verified`], or is refused. Spec: CUS-1.3, CUS-5.
//!
//! Signature, directory, time. Pure: the time and the directory are arguments. Every way in
//! passes this one door, and each node checks for itself, whoever the envelope came from.

mod roots;

use pli_protocol::code::Code;
use pli_protocol::envelope::{Letter, Sender};
use pli_protocol::id::{AuthorityId, ServiceId, Timestamp};
use pli_protocol::signed::VerifiedRoots;
use pli_protocol::trust::{Directory, TrustRefusal};

use crate::ingress::received::{Received, Refused, Way};

pub use roots::RootMemory;

/// Second token: signed by a service that the directory names, at this time.
///
/// R4: [`verify`] is its only constructor.
#[derive(Debug)]
pub struct Verified {
    letter: Letter,
    sender: ServiceId,
}

impl Verified {
    /// The envelope.
    pub fn letter(&self) -> &Letter {
        &self.letter
    }

    /// Who signed, and is also the sender in the header (R8).
    pub fn sender(&self) -> &ServiceId {
        &self.sender
    }

    pub(crate) fn refuse(&self, code: Code) -> Refused {
        Refused {
            id: self.letter.id(),
            code,
        }
    }
}

/// Checks one envelope as if nobody had before. ENV-4.6, ENV-4.7, TRU-4, SIG-5.
pub fn verify(
    received: Received,
    way: &Way,
    own: &AuthorityId,
    directory: &Directory,
    roots: &impl VerifiedRoots,
    now: Timestamp,
) -> Result<Verified, Refused> {
    match check(&received, way, own, directory, roots, now) {
        Ok(sender) => Ok(Verified {
            letter: received.into_letter(),
            sender,
        }),
        Err(code) => Err(received.refuse(code)),
    }
}

fn check(
    received: &Received,
    way: &Way,
    own: &AuthorityId,
    directory: &Directory,
    roots: &impl VerifiedRoots,
    now: Timestamp,
) -> Result<ServiceId, Code> {
    let letter = received.letter();
    letter
        .header()
        .check_time(now)
        .map_err(|error| error.code())?;
    let Sender::Service(sender) = &letter.header().sender else {
        // CUS-5.8: a citizen's reply is signed by the pairwise identity of a grant, which only its home
        // can check; no call carries replies yet.
        return Err(Code::ClassNotAllowed);
    };
    check_way(way, sender, own)?;
    // ENV-3.4: a message is signed by its sender, and by nobody else.
    let mut signers = letter.signed().key_ids();
    let (Some(signer), None) = (signers.next(), signers.next()) else {
        return Err(Code::SignatureCount);
    };
    let key = match way {
        Way::Submit(_) => directory.sender_key(sender, &signer, now),
        // TRU-4.8: the sender's own node took it when the key was valid; since then it may have waited.
        Way::Forward(_) => directory.accepted_key(sender, &signer, letter.header().created, now),
    };
    let key = key.map_err(|refusal| refusal.code())?;
    letter
        .signed()
        .verify_with(key, roots)
        .map_err(|error| error.code())?;
    Ok(sender.clone())
}

/// Whether whoever sends this may learn that it was taken before (CUS-5.3): its sender's service or node.
pub(crate) fn is_of_its_sender(received: &Received, way: &Way, own: &AuthorityId) -> bool {
    match &received.letter().header().sender {
        Sender::Service(sender) => check_way(way, sender, own).is_ok(),
        Sender::Citizen(_) => false,
    }
}

/// CUS-6.8: whether this directory still lets a letter that was accepted before go to its home. Its signature
/// was checked when it was accepted.
pub fn still_allowed(
    letter: &Letter,
    directory: &Directory,
    now: Timestamp,
) -> Result<(), TrustRefusal> {
    let header = letter.header();
    let Sender::Service(sender) = &header.sender else {
        return Ok(());
    };
    for signer in letter.signed().key_ids() {
        directory.accepted_key(sender, &signer, header.created, now)?;
    }
    directory.may_send(sender, header.class, header.importance)?;
    directory.home(&header.recipient.home, now)?;
    Ok(())
}

/// Refusals that another state of the directory would not give (TRU-4.2 to TRU-4.5).
pub fn is_of_the_directory(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownKey
            | Code::KeyNotValid
            | Code::UnknownAuthority
            | Code::UnknownService
            | Code::Suspended
            | Code::ClassNotAllowed
            | Code::CannotHost
    )
}

// R8, CUS-5.1, CUS-5.2: inner sender = authenticated peer. A node speaks only for its own authority's services
// (case 25), and an envelope goes over one hop only (case 28).
fn check_way(way: &Way, sender: &ServiceId, own: &AuthorityId) -> Result<(), Code> {
    match way {
        Way::Submit(service) if service == sender => Ok(()),
        Way::Submit(service) if service.authority() == sender.authority() => {
            Err(Code::SenderMismatch)
        }
        Way::Submit(_) => Err(Code::NotAuthoritative),
        Way::Forward(peer) if peer == own => Err(Code::WrongHome),
        Way::Forward(peer) if peer == sender.authority() => Ok(()),
        Way::Forward(_) => Err(Code::NotAuthoritative),
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
