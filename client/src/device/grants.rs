//! The grants that this account has given: one mailbox and one set of keys for each authority.
//! Spec: MBX-3, MBX-4.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pli_protocol::account::{AccountError, AccountSecrets, Grant, SignedGrant};
use pli_protocol::envelope::Class;
use pli_protocol::id::{AuthorityId, MailboxAddress, MailboxId, Timestamp};
use pli_protocol::limits;

use super::verify::MailboxKey;
use crate::folder::{self, FileError, Secrecy};
use crate::service::contacts::GRANT_SCHEME;

const SUFFIX: &str = "grant";

/// Why the grants cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GrantsError {
    /// The files.
    #[error(transparent)]
    File(#[from] FileError),
    /// One of them.
    #[error("{}: {source}", .path.display())]
    Damaged { path: PathBuf, source: AccountError },
    /// The system.
    #[error("no random bytes: {0}")]
    Random(String),
}

/// All grants of one account.
#[derive(Debug, Default)]
pub struct Grants {
    by_authority: BTreeMap<AuthorityId, SignedGrant>,
    by_mailbox: BTreeMap<MailboxKey, AuthorityId>,
}

impl Grants {
    /// Reads them from their folder.
    pub fn read(folder: &Path) -> Result<Self, GrantsError> {
        folder::create_folder(folder)?;
        let mut grants = Self::default();
        for entry in std::fs::read_dir(folder).map_err(FileError::at(folder))? {
            let path = entry.map_err(FileError::at(folder))?.path();
            if path.extension().is_none_or(|suffix| suffix != SUFFIX) {
                continue;
            }
            let bytes = folder::read(&path, limits::SIGNED_OBJECT_MAX as u64)?;
            // Its time was checked when it was made.
            let forever = Timestamp::from_ms(limits::INTEGER_MAX);
            match SignedGrant::verify(bytes.into(), forever) {
                Ok(grant) => grants.insert(grant),
                Err(source) => return Err(GrantsError::Damaged { path, source }),
            }
        }
        Ok(grants)
    }

    /// The grant to an authority.
    pub fn to(&self, authority: &AuthorityId) -> Option<&SignedGrant> {
        self.by_authority.get(authority)
    }

    /// What was granted about a mailbox.
    pub fn of_mailbox(&self, mailbox: &MailboxId) -> Option<&Grant> {
        let authority = self.by_mailbox.get(mailbox)?;
        self.by_authority.get(authority).map(SignedGrant::grant)
    }

    /// All of them, by authority.
    pub fn iter(&self) -> impl Iterator<Item = &SignedGrant> {
        self.by_authority.values()
    }

    /// Makes a grant to `authority` and keeps it; durable when it returns. The mailbox stays the
    /// same for an authority that has one.
    pub fn make(
        &mut self,
        folder: &Path,
        secrets: &AccountSecrets,
        authority: &AuthorityId,
        home: &AuthorityId,
        accepts: BTreeSet<Class>,
        now: Timestamp,
    ) -> Result<&SignedGrant, GrantsError> {
        let (mailbox, now) = match self.to(authority).map(SignedGrant::grant) {
            // A clock that went back must not make a grant that is older than the last one.
            Some(before) => (before.mailbox.mailbox, now.max(before.issued.plus_ms(1))),
            None => (MailboxId::new(random()?), now),
        };
        let address = MailboxAddress {
            mailbox,
            home: home.clone(),
        };
        let grant = SignedGrant::make(secrets, authority.clone(), address, accepts, now);
        let path = folder.join(authority.as_str()).with_added_extension(SUFFIX);
        folder::write(&path, grant.encoded(), Secrecy::Owner)?;
        self.insert(grant);
        Ok(self.to(authority).expect("inserted above"))
    }

    pub(super) fn insert(&mut self, grant: SignedGrant) {
        let (authority, mailbox) = (
            grant.grant().authority.clone(),
            grant.grant().mailbox.mailbox,
        );
        self.by_mailbox.insert(mailbox, authority.clone());
        self.by_authority.insert(authority, grant);
    }
}

/// The text in which a citizen hands a grant over.
pub fn to_text(grant: &SignedGrant) -> String {
    format!(
        "{GRANT_SCHEME}{}",
        BASE64_URL_SAFE_NO_PAD.encode(grant.encoded())
    )
}

fn random<const N: usize>() -> Result<[u8; N], GrantsError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| GrantsError::Random(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MBX-3.1
    #[test]
    fn an_authority_keeps_its_mailbox_and_two_have_none_in_common() {
        let folder = tempfile::tempdir().expect("a folder");
        let secrets = AccountSecrets::new([1; 32], [2; 32]);
        let home = AuthorityId::new("social.gouv.fr").expect("a domain");
        let names = ["interieur.gouv.fr", "sante.gouv.fr"]
            .map(|name| AuthorityId::new(name).expect("a domain"));
        let now = Timestamp::from_ms(1_795_000_000_000);
        let accepts = BTreeSet::from([Class::Message]);
        let mut grants = Grants::read(folder.path()).expect("empty");
        let make = |grants: &mut Grants, name: &AuthorityId, now| {
            let made = grants.make(folder.path(), &secrets, name, &home, accepts.clone(), now);
            made.expect("made").clone()
        };
        let first = make(&mut grants, &names[0], now);
        let other = make(&mut grants, &names[1], now);
        assert_ne!(first.grant().mailbox.mailbox, other.grant().mailbox.mailbox);
        // Even with a clock that went back the newer one replaces the older one.
        let again = make(
            &mut grants,
            &names[0],
            Timestamp::from_ms(now.as_ms() - 60_000),
        );
        again.replaces(first.grant()).expect("newer, same mailbox");

        let read = Grants::read(folder.path()).expect("written above");
        assert_eq!(read.iter().count(), 2);
        assert_eq!(read.to(&names[0]), Some(&again));
        let mailbox = other.grant().mailbox.mailbox;
        assert_eq!(
            read.of_mailbox(&mailbox).map(|grant| &grant.authority),
            Some(&names[1])
        );
        // MBX-4.5
        let text = to_text(&first);
        let encoded =
            BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix("pli:grant?g=").expect("the scheme"));
        assert_eq!(encoded.expect("base64url, no padding"), first.encoded()[..]);
    }
}
