//! Grant: the citizen's permission for one authority to write to one mailbox.
//!
//! It is signed by the pairwise identity key that it carries: whoever holds it first pins that
//! key (the authority's service, the home), and a later grant must be by the same one.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{AccountError, AccountSecrets, VERSION};
use crate::codec;
use crate::content::extensions;
use crate::crypto::contexts::GRANT;
use crate::crypto::seal::{SUITE_XWING, SealError, SealingPublicKey};
use crate::crypto::sign::{PublicKey, SigningKey};
use crate::envelope::Class;
use crate::id::{AuthorityId, MailboxAddress, Timestamp};
use crate::limits;
use crate::signed::{Signed, sign_one};
use crate::wire;

/// What a grant says. Every key in it is made for this one authority.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Who the account is for this authority.
    pub identity: PublicKey,
    /// Who may write.
    pub authority: AuthorityId,
    /// Where to.
    pub mailbox: MailboxAddress,
    /// What to seal to.
    pub sealing: GrantedSealingKey,
    /// When it was made; the newest one counts.
    pub issued: Timestamp,
    /// What may be written.
    pub accepts: BTreeSet<Class>,
    /// Kept as they came.
    pub extensions: Vec<wire::Extension>,
}

/// A public sealing key of one epoch. The suite is X-Wing, the only one known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantedSealingKey {
    /// Of the account; names the secret that opens.
    pub epoch: u32,
    /// What to seal to.
    pub key: SealingPublicKey,
}

/// A grant whose signature was checked, with the exact bytes that prove it.
/// The only way to get one is [`SignedGrant::verify`] or to sign it.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedGrant {
    encoded: Bytes,
    grant: Grant,
}

impl SignedGrant {
    /// Grants `accepts` to `authority`, in the account's latest epoch, and signs it.
    pub fn make(
        secrets: &AccountSecrets,
        authority: AuthorityId,
        mailbox: MailboxAddress,
        accepts: BTreeSet<Class>,
        now: Timestamp,
    ) -> Self {
        let epoch = secrets.latest_epoch();
        let sealing = secrets
            .sealing(&authority, epoch)
            .expect("the latest epoch has a secret");
        let identity = secrets.identity(&authority);
        let grant = Grant {
            identity: *identity.public(),
            authority,
            mailbox,
            sealing: GrantedSealingKey {
                epoch,
                key: sealing.public(),
            },
            issued: now,
            accepts,
            extensions: Vec::new(),
        };
        grant.sign(&identity)
    }

    /// MBX-4.1. Reads a grant of the wire and checks the signature by its own identity key.
    ///
    /// This says that somebody with that key made it, not who: what it is good for depends on
    /// [`for_authority`](Self::for_authority), [`for_home`](Self::for_home) and
    /// [`replaces`](Self::replaces).
    pub fn verify(encoded: Bytes, now: Timestamp) -> Result<Self, AccountError> {
        let signed = Signed::decode(encoded, GRANT)?;
        let payload = codec::decode_canonical(signed.payload(), limits::SIGNED_OBJECT_MAX)?;
        let grant = Grant::from_wire(payload)?;
        signed.verify(&grant.identity)?;
        if grant.issued.since_ms(now) > limits::CLOCK_SKEW_MAX_MS {
            return Err(AccountError::NotYetValid {
                at: grant.issued,
                now,
            });
        }
        Ok(Self {
            encoded: signed.encoded().clone(),
            grant,
        })
    }

    /// MBX-4.2. Whether a service of `authority` may use it: a grant for another one is not for us (case 25).
    pub fn for_authority(&self, authority: &AuthorityId) -> Result<(), AccountError> {
        if self.grant.authority == *authority {
            return Ok(());
        }
        Err(AccountError::OtherAuthority {
            field: "the authority of the grant",
            got: self.grant.authority.clone(),
            expected: authority.clone(),
        })
    }

    /// Whether `home` is the node that keeps its mailbox.
    pub fn for_home(&self, home: &AuthorityId) -> Result<(), AccountError> {
        if self.grant.mailbox.home == *home {
            return Ok(());
        }
        let got = self.grant.mailbox.home.clone();
        Err(AccountError::WrongHome {
            got,
            expected: home.clone(),
        })
    }

    /// MBX-4.3. Whether it may take the place of `pinned`, a grant for the same authority and mailbox:
    /// same account, newer, and no return to an earlier sealing epoch (case 59).
    pub fn replaces(&self, pinned: &Grant) -> Result<(), AccountError> {
        let stale = |reason| Err(AccountError::StaleGrant { reason });
        if self.grant.authority != pinned.authority
            || self.grant.mailbox.mailbox != pinned.mailbox.mailbox
        {
            return stale("it is for another authority or mailbox");
        }
        if self.grant.identity != pinned.identity {
            return stale("it is by another identity key");
        }
        if self.grant.issued <= pinned.issued {
            return stale("it is not newer");
        }
        if self.grant.sealing.epoch < pinned.sealing.epoch {
            return stale("its sealing epoch is older");
        }
        Ok(())
    }

    /// What it says.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The exact bytes of the `Signed`.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

impl Grant {
    /// Signs it. The key must be the one it names.
    pub fn sign(self, identity: &SigningKey) -> SignedGrant {
        assert_eq!(
            *identity.public(),
            self.identity,
            "a grant is signed by the key it names"
        );
        let encoded = sign_one(GRANT, codec::encode(&self.to_wire()), identity);
        SignedGrant {
            encoded,
            grant: self,
        }
    }

    fn from_wire(grant: wire::Grant) -> Result<Self, AccountError> {
        let missing = |field| AccountError::Missing { field };
        if grant.version != VERSION {
            let (got, expected) = (grant.version, VERSION);
            return Err(AccountError::UnsupportedVersion { got, expected });
        }
        extensions::check(&grant.extensions)?;
        let mailbox = grant.mailbox.ok_or(missing("mailbox"))?;
        let sealing = grant.sealing_key.ok_or(missing("sealing_key"))?;
        if sealing.suite != SUITE_XWING {
            return Err(SealError::UnknownSuite { got: sealing.suite }.into());
        }
        if sealing.epoch == 0 {
            return Err(missing("sealing_key.epoch"));
        }
        Ok(Self {
            identity: PublicKey::from_bytes(&grant.identity_key)?,
            authority: AuthorityId::new(&grant.authority)?,
            mailbox: MailboxAddress::from_wire(&mailbox)?,
            sealing: GrantedSealingKey {
                epoch: sealing.epoch,
                key: SealingPublicKey::from_bytes(&sealing.public_key)?,
            },
            issued: time(grant.issued_ms, "issued_ms")?,
            accepts: classes(&grant.accepts)?,
            extensions: grant.extensions,
        })
    }

    fn to_wire(&self) -> wire::Grant {
        wire::Grant {
            version: VERSION,
            identity_key: self.identity.as_bytes().to_vec().into(),
            authority: self.authority.to_string(),
            mailbox: Some(self.mailbox.to_wire()),
            sealing_key: Some(wire::SealingKey {
                suite: SUITE_XWING,
                epoch: self.sealing.epoch,
                public_key: self.sealing.key.to_bytes(),
            }),
            issued_ms: self.issued.as_ms(),
            accepts: self.accepts.iter().map(|class| class.number()).collect(),
            extensions: self.extensions.clone(),
        }
    }
}

/// Ascending, each once, at least one: one form, and a grant that allows nothing is a mistake.
fn classes(accepts: &[i32]) -> Result<BTreeSet<Class>, AccountError> {
    if accepts.is_empty() {
        return Err(AccountError::Missing { field: "accepts" });
    }
    if accepts.len() > limits::GRANT_CLASSES_MAX {
        return Err(AccountError::TooManyClasses { got: accepts.len() });
    }
    if !accepts.is_sorted_by(|a, b| a < b) {
        return Err(AccountError::ClassOrder);
    }
    accepts
        .iter()
        .map(|got| match (*got, Class::from_number(*got)) {
            (_, Some(class)) => Ok(class),
            (0, None) => Err(AccountError::Missing { field: "accepts" }),
            (got, None) => Err(AccountError::UnknownClass { got }),
        })
        .collect()
}

/// A time that must be there and that every implementation can hold (case 10).
pub(super) fn time(ms: u64, field: &'static str) -> Result<Timestamp, AccountError> {
    match ms {
        0 => Err(AccountError::Missing { field }),
        got if got > limits::INTEGER_MAX => Err(AccountError::OutOfRange { field, got }),
        ms => Ok(Timestamp::from_ms(ms)),
    }
}
