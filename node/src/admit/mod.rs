//! Admit: a [`Verified`] envelope becomes [`Admitted`], or is refused. Spec: CUS-5.
//!
//! Permission of the directory, the mailbox's grant, quotas. What it needs to know of mailboxes
//! it asks the [`Mailboxes`], so that it runs without a disk in tests.

mod quota;

use pli_protocol::code::Code;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, MailboxId, Timestamp};
use pli_protocol::trust::Directory;

use crate::ingress::received::{Refused, Way};
use crate::store::{Entry, Lane, Place, Sender};
use crate::verify::Verified;

pub use quota::{Charge, QuotaLimits, Quotas, sync_again_ms};

/// What is known here of a mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Whose it is.
    pub account: AccountId,
    /// Who alone may write to it.
    pub authority: AuthorityId,
    /// Which classes the citizen accepts, by wire number.
    pub accepts: Vec<i32>,
}

/// Where mailboxes are looked up.
pub trait Mailboxes {
    /// The mailbox, if this home keeps it. The code is for the peer when the disk fails.
    fn mailbox(&self, mailbox: &MailboxId) -> Result<Option<Mailbox>, Code>;
    /// When this node took in this very envelope before.
    fn took(&self, envelope: &EnvelopeId) -> Result<Option<Timestamp>, Code>;
}

/// Third token: allowed in, and where it belongs.
#[derive(Debug)]
pub struct Admitted {
    entry: Entry,
    /// What it costs its sender if it is new. `None`: it is known to be a duplicate.
    charge: Option<Charge>,
}

impl Admitted {
    #[cfg(test)]
    pub(crate) fn of(entry: Entry) -> Self {
        Self {
            entry,
            charge: None,
        }
    }

    /// Bytes of the envelope.
    pub(crate) fn encoded_len(&self) -> usize {
        self.entry.bytes.len()
    }

    /// What the store is given, with the time of its group.
    pub(crate) fn into_entry(self, accepted_at: Timestamp) -> (Entry, Option<Charge>) {
        let entry = Entry {
            accepted_at,
            ..self.entry
        };
        (entry, self.charge)
    }
}

/// What admission asks besides the envelope itself.
#[derive(Debug)]
pub struct Admission<'a, M> {
    /// This node's authority.
    pub own: &'a AuthorityId,
    /// The directory of this moment.
    pub directory: &'a Directory,
    /// The mailboxes kept here.
    pub mailboxes: &'a M,
    /// What senders have used up.
    pub quotas: &'a Quotas,
    /// R13: too few witnesses have cosigned this node's log lately (EVD-9.2).
    pub unwitnessed: bool,
    /// The time of the batch.
    pub now: Timestamp,
}

impl<M: Mailboxes> Admission<'_, M> {
    /// Lets one envelope in, or says why not.
    pub fn admit(&self, verified: Verified, way: &Way) -> Result<Admitted, Refused> {
        match self.place(&verified, way) {
            Ok((place, charge)) => Ok(Admitted {
                entry: self.entry(&verified, place),
                charge,
            }),
            Err(code) => Err(verified.refuse(code)),
        }
    }

    fn place(&self, verified: &Verified, way: &Way) -> Result<(Place, Option<Charge>), Code> {
        let header = verified.letter().header();
        let sender = verified.sender();
        self.directory
            .may_send(sender, header.class, header.importance)
            .map_err(|refusal| refusal.code())?;
        let home = &header.recipient.home;
        let place = if home == self.own {
            self.own_mailbox(verified)?
        } else {
            // CUS-5.2: a node that is neither origin nor home refuses, so nothing can loop.
            if let Way::Forward(_) = way {
                return Err(Code::WrongHome);
            }
            self.directory
                .home(home, self.now)
                .map_err(|refusal| refusal.code())?;
            let lane = if header.is_priority() {
                Lane::Priority
            } else {
                Lane::Bulk
            };
            Place::Queue {
                destination: home.clone(),
                lane,
            }
        };
        // Last, so that what was refused for another reason costs the sender nothing.
        let charge = match self.unwitnessed {
            true => Err(Code::Unwitnessed),
            false => self.charge(verified),
        };
        match charge {
            // CUS-5.3: a duplicate takes no room, and refusing it now would take back a receipt.
            Err(_) if self.mailboxes.took(&verified.letter().id())?.is_some() => Ok((place, None)),
            Err(code) => Err(code),
            Ok(charge) => Ok((place, Some(charge))),
        }
    }

    // The room of mailboxes and queues is decided by the store, where nothing comes in between.
    fn charge(&self, verified: &Verified) -> Result<Charge, Code> {
        let sender = verified.sender();
        let authority = self
            .directory
            .authority(sender.authority())
            .map_err(|refusal| refusal.code())?;
        let mailbox = &verified.letter().header().recipient.mailbox;
        self.quotas
            .take(sender, mailbox, &authority.quotas, self.now)
    }

    // CUS-5.4, MBX-4.4: the mailbox is this authority's alone; another one's knowledge of it is worth nothing.
    fn own_mailbox(&self, verified: &Verified) -> Result<Place, Code> {
        let header = verified.letter().header();
        let id = header.recipient.mailbox;
        let mailbox = self.mailboxes.mailbox(&id)?.ok_or(Code::UnknownMailbox)?;
        let accepted = mailbox.accepts.contains(&header.class.number());
        if mailbox.authority != *verified.sender().authority() || !accepted {
            return Err(Code::NotGranted);
        }
        Ok(Place::Mailbox {
            account: mailbox.account,
            mailbox: id,
        })
    }

    fn entry(&self, verified: &Verified, place: Place) -> Entry {
        let letter = verified.letter();
        Entry {
            id: letter.id(),
            bytes: letter.encoded().clone(),
            accepted_at: self.now,
            expires: letter.header().expires,
            sender: Sender::Service(verified.sender().clone()),
            place,
        }
    }
}

#[cfg(test)]
mod tests;
