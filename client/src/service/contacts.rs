//! Contacts: the grants that citizens gave this service's authority, checked once and pinned.
//! Spec: MBX-4.
//!
//! A contact has the name that the service calls it by (a file number, a `recipient_fc_hash`, or
//! nothing but its mailbox). Each is a file of its own, found by a hash of the name, so that a
//! million of them cost no memory and a name never becomes a path.
//!
//! ```text
//! contacts/names/3f/3f…      JSON: name, mailbox
//! contacts/mailboxes/9a/9a…  the exact bytes of the signed grant
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pli_protocol::account::{AccountError, Grant, SignedGrant};
use pli_protocol::content::Line;
use pli_protocol::id::{AuthorityId, IdError, MailboxAddress, Timestamp, to_hex};
use pli_protocol::limits;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::folder::{self, FileError, Secrecy};

/// Bytes of a contact's name.
pub const NAME_MAX: usize = 256;
const NAME_FILE_MAX: u64 = 4_096;
/// Grants kept decoded: expanding a sealing key costs as much as sealing to it.
const DECODED_MAX: usize = 8_192;

/// A citizen as this service knows them.
#[derive(Clone, Debug)]
pub struct Contact {
    /// What the service calls it.
    pub name: String,
    /// The pinned grant.
    pub grant: Arc<Grant>,
}

/// Why a contact cannot be used or added.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// The files.
    #[error(transparent)]
    File(#[from] FileError),
    /// The grant.
    #[error("the grant is refused ({code}): {0}", code = .0.code())]
    Grant(#[from] AccountError),
    /// Nobody of that name.
    #[error(
        "no contact is called {name:?}; add their grant with: pli service contact add --name {name:?} FILE"
    )]
    Unknown { name: String },
    /// A name that cannot be shown or kept.
    #[error("a contact's name is one line of 1 to {NAME_MAX} bytes: {problem}")]
    Name { problem: String },
    /// The name is taken by somebody else.
    #[error("{name:?} is already the name of {mailbox}; choose another name")]
    NameTaken { name: String, mailbox: String },
    /// The file of a contact was damaged.
    #[error("{}: {problem}; add the contact again", .path.display())]
    Damaged { path: PathBuf, problem: String },
}

/// What became of an import.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Added {
    /// The mailbox was not known.
    New,
    /// A newer grant of the same account took the place of the pinned one.
    Replaced,
    /// The same bytes were pinned already.
    Same,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NameFile {
    name: String,
    mailbox: String,
}

/// The contacts of one service.
#[derive(Debug)]
pub struct Contacts {
    folder: PathBuf,
    authority: AuthorityId,
    decoded: Mutex<HashMap<String, Contact>>,
}

impl Contacts {
    /// The contacts in `folder`, for services of `authority`.
    pub fn open(folder: PathBuf, authority: AuthorityId) -> Result<Self, ContactError> {
        for part in [NAMES, MAILBOXES] {
            folder::create_folder(&folder.join(part))?;
        }
        Ok(Self {
            folder,
            authority,
            decoded: Mutex::default(),
        })
    }

    /// Checks a signed grant and pins it under a name; without one, under its mailbox.
    pub fn add(
        &self,
        encoded: Bytes,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<(Contact, Added), ContactError> {
        let grant = SignedGrant::verify(encoded, now)?;
        grant.for_authority(&self.authority)?;
        let mailbox = grant.grant().mailbox.to_string();
        let name = name.unwrap_or(&mailbox).to_owned();
        Line::new(name.as_str(), NAME_MAX).map_err(|problem| ContactError::Name {
            problem: problem.to_string(),
        })?;
        if let Some(taken) = self.name_file(&name)?
            && mailbox_hex(&taken.mailbox) != mailbox_hex(&mailbox)
        {
            return Err(ContactError::NameTaken {
                name,
                mailbox: taken.mailbox,
            });
        }

        let path = self.mailbox_path(&mailbox);
        let added = match self.pinned(&path)? {
            Some(pinned) if pinned.encoded() == grant.encoded() => Added::Same,
            Some(pinned) => {
                grant.replaces(pinned.grant())?;
                Added::Replaced
            }
            None => Added::New,
        };
        if added != Added::Same {
            self.write(&path, grant.encoded())?;
        }
        let entry = NameFile {
            name: name.clone(),
            mailbox,
        };
        let json = serde_json::to_vec(&entry).expect("two strings are JSON");
        self.write(&self.name_path(&name), &json)?;
        self.decoded().clear();
        Ok((
            Contact {
                name,
                grant: Arc::new(grant.grant().clone()),
            },
            added,
        ))
    }

    /// The contact of this name.
    pub fn find(&self, name: &str) -> Result<Contact, ContactError> {
        if let Some(contact) = self.decoded().get(name) {
            return Ok(contact.clone());
        }
        let unknown = || ContactError::Unknown {
            name: shorten(name),
        };
        let entry = self.name_file(name)?.ok_or_else(unknown)?;
        let path = self.mailbox_path(&entry.mailbox);
        let grant = self.pinned(&path)?.ok_or_else(unknown)?;
        let contact = Contact {
            name: entry.name,
            grant: Arc::new(grant.grant().clone()),
        };
        let mut decoded = self.decoded();
        if decoded.len() >= DECODED_MAX {
            decoded.clear();
        }
        decoded.insert(name.to_owned(), contact.clone());
        Ok(contact)
    }

    /// Every contact, in no order; a damaged one is an error of its own.
    pub fn list(
        &self,
    ) -> Result<impl Iterator<Item = Result<Contact, ContactError>>, ContactError> {
        let names = self.folder.join(NAMES);
        let mut paths = Vec::new();
        for shard in entries(&names)? {
            paths.extend(entries(&shard)?);
        }
        Ok(paths.into_iter().map(|path| {
            let entry = self.read_name(&path)?;
            self.find(&entry.name)
        }))
    }

    fn name_file(&self, name: &str) -> Result<Option<NameFile>, ContactError> {
        match self.read_name(&self.name_path(name)) {
            Ok(entry) if entry.name == name => Ok(Some(entry)),
            Ok(_) => Ok(None),
            Err(ContactError::File(error)) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_name(&self, path: &Path) -> Result<NameFile, ContactError> {
        let bytes = folder::read(path, NAME_FILE_MAX)?;
        serde_json::from_slice(&bytes).map_err(|error| ContactError::Damaged {
            path: path.to_owned(),
            problem: error.to_string(),
        })
    }

    /// The pinned grant of a mailbox. Its time was checked when it was pinned.
    fn pinned(&self, path: &Path) -> Result<Option<SignedGrant>, ContactError> {
        let bytes = match folder::read(path, limits::SIGNED_OBJECT_MAX as u64) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let forever = Timestamp::from_ms(limits::INTEGER_MAX);
        match SignedGrant::verify(bytes.into(), forever) {
            Ok(grant) => Ok(Some(grant)),
            Err(error) => {
                let problem = error.to_string();
                Err(ContactError::Damaged {
                    path: path.to_owned(),
                    problem,
                })
            }
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), ContactError> {
        let shard = path.parent().expect("a file in a shard");
        folder::create_folder(shard)?;
        Ok(folder::write(path, bytes, Secrecy::Owner)?)
    }

    fn name_path(&self, name: &str) -> PathBuf {
        let hash = to_hex(&Sha256::digest(name.as_bytes()));
        self.folder.join(NAMES).join(&hash[..2]).join(hash)
    }

    // The home is not in it: a mailbox keeps its bytes when the citizen moves.
    fn mailbox_path(&self, mailbox: &str) -> PathBuf {
        let hex = mailbox_hex(mailbox);
        self.folder
            .join(MAILBOXES)
            .join(hex.get(..2).unwrap_or("00"))
            .join(hex)
    }

    fn decoded(&self) -> std::sync::MutexGuard<'_, HashMap<String, Contact>> {
        self.decoded
            .lock()
            .expect("no code panics while it holds this lock")
    }
}

/// The text form in which a citizen hands a grant over: `pli:grant?g=<base64url>`. MBX-4.5.
pub const GRANT_SCHEME: &str = "pli:grant?g=";

/// Whether a text is an address rather than a name that the service chose.
pub fn as_address(text: &str) -> Result<MailboxAddress, IdError> {
    text.parse()
}

fn mailbox_hex(address: &str) -> &str {
    address.split_once('@').map_or(address, |(hex, _)| hex)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ContactError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(FileError::at(folder))? {
        let entry = entry.map_err(FileError::at(folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn shorten(name: &str) -> String {
    name.chars().take(NAME_MAX).collect()
}

const NAMES: &str = "names";
const MAILBOXES: &str = "mailboxes";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pli_protocol::account::AccountSecrets;
    use pli_protocol::code::Code;
    use pli_protocol::envelope::Class;
    use pli_protocol::id::MailboxId;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

    fn authority() -> AuthorityId {
        "interieur.gouv.fr".parse().expect("a domain")
    }

    fn grant(account: u8, mailbox: u8, authority: &str, at: Timestamp) -> Bytes {
        let secrets = AccountSecrets::new([account; 32], [account; 32]);
        let home = "social.gouv.fr".parse().expect("a domain");
        let mailbox = MailboxAddress {
            mailbox: MailboxId::new([mailbox; 16]),
            home,
        };
        let to = authority.parse().expect("a domain");
        SignedGrant::make(&secrets, to, mailbox, BTreeSet::from([Class::Message]), at)
            .encoded()
            .clone()
    }

    fn code(error: ContactError) -> Code {
        match error {
            ContactError::Grant(error) => error.code(),
            other => panic!("a refused grant was expected, not {other}"),
        }
    }

    #[test]
    fn mbx_4_2_mbx_4_3_grants_are_checked_once_and_pinned() {
        let folder = tempfile::tempdir().expect("a folder");
        let contacts = Contacts::open(folder.path().join("c"), authority()).expect("made");
        let first = grant(1, 7, "interieur.gouv.fr", NOW);
        let (contact, added) = contacts
            .add(first.clone(), Some("dossier 42"), NOW)
            .expect("good");
        assert_eq!(added, Added::New);
        assert_eq!(
            contacts.find("dossier 42").expect("added").grant,
            contact.grant
        );
        assert_eq!(
            contacts
                .add(first, Some("dossier 42"), NOW)
                .expect("same")
                .1,
            Added::Same
        );

        let newer = grant(1, 7, "interieur.gouv.fr", NOW.plus_ms(1));
        let (_, added) = contacts.add(newer, Some("dossier 42"), NOW).expect("newer");
        assert_eq!(added, Added::Replaced);
        assert_eq!(
            contacts.find("dossier 42").expect("there").grant.issued,
            NOW.plus_ms(1)
        );

        let stranger = grant(2, 7, "interieur.gouv.fr", NOW.plus_ms(2));
        let stolen = contacts
            .add(stranger, Some("dossier 42"), NOW)
            .expect_err("another key");
        assert_eq!(code(stolen), Code::StaleGrant);
        let old = grant(1, 7, "interieur.gouv.fr", NOW);
        assert_eq!(
            code(contacts.add(old, None, NOW).expect_err("old")),
            Code::StaleGrant
        );
        let other = grant(1, 8, "social.gouv.fr", NOW);
        assert_eq!(
            code(contacts.add(other, None, NOW).expect_err("not ours")),
            Code::NotAuthoritative
        );
    }

    #[test]
    fn a_name_means_one_mailbox_and_is_never_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let contacts = Contacts::open(folder.path().join("c"), authority()).expect("made");
        contacts
            .add(grant(1, 7, "interieur.gouv.fr", NOW), Some("../../x"), NOW)
            .expect("a name");
        let taken = contacts.add(grant(2, 8, "interieur.gouv.fr", NOW), Some("../../x"), NOW);
        assert!(matches!(taken, Err(ContactError::NameTaken { .. })));
        contacts
            .add(grant(2, 8, "interieur.gouv.fr", NOW), None, NOW)
            .expect("under its mailbox");
        let mailbox = format!("{}@social.gouv.fr", "08".repeat(16));
        assert_eq!(contacts.find(&mailbox).expect("added").name, mailbox);
        assert_eq!(
            contacts
                .list()
                .expect("readable")
                .filter_map(Result::ok)
                .count(),
            2
        );
        for bad in ["", "a\nb", "a\u{202e}b", &"a".repeat(NAME_MAX + 1)] {
            let refused = contacts.add(grant(3, 9, "interieur.gouv.fr", NOW), Some(bad), NOW);
            assert!(matches!(refused, Err(ContactError::Name { .. })), "{bad:?}");
        }
        assert!(matches!(
            contacts.find("nobody"),
            Err(ContactError::Unknown { .. })
        ));
    }
}
