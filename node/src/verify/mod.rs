//! Verify: a [`Received`] envelope becomes [`Verified`], or is refused. Spec: CUS-1.3, CUS-5.
//!
//! Signature, directory, time. Pure: the time and the directory are arguments. Every way in
//! passes this one door, and each node checks for itself, whoever the envelope came from.

mod roots;

use pli_protocol::code::Code;
use pli_protocol::envelope::{Letter, Sender};
use pli_protocol::id::{AuthorityId, ServiceId, Timestamp};
use pli_protocol::signed::VerifiedRoots;
use pli_protocol::trust::Directory;

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
    let key = directory
        .sender_key(sender, &signer, now)
        .map_err(|refusal| refusal.code())?;
    letter
        .signed()
        .verify_with(key, roots)
        .map_err(|error| error.code())?;
    Ok(sender.clone())
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
