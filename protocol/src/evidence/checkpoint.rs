//! Checkpoints of a node's log, and the cosignatures of witnesses (EVD-3.1, EVD-7).
//!
//! ```text
//! interieur.gouv.fr/log/1800000000000
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — interieur.gouv.fr/log/1800000000000 <Ed25519 by the log key>
//! — social.gouv.fr/witness <Ed25519 with a time, by another node's log key>
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::note::{Algorithm, Note, NoteError, NoteSignature, key_hash};
use crate::code::Code;
use crate::crypto::sign::{PublicKey, SIGNATURE_LEN, SigningKey};
use crate::id::{AuthorityId, Timestamp};
use crate::limits::{INTEGER_MAX, NOTE_SIGNATURES_MAX};
use crate::merkle::Hash;

const LOG: &str = "/log/";
const WITNESS: &str = "/witness";

/// Which log: whose, and since when. EVD-3.1.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin {
    /// Whose node keeps it.
    pub authority: AuthorityId,
    /// When it began.
    pub start: Timestamp,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{LOG}{}", self.authority, self.start.as_ms())
    }
}

impl FromStr for Origin {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let wrong = || CheckpointError::Origin {
            got: text.chars().take(80).collect(),
        };
        let (authority, start) = text.split_once(LOG).ok_or_else(wrong)?;
        Ok(Self {
            authority: authority.parse().map_err(|_| wrong())?,
            start: Timestamp::from_ms(decimal(start).ok_or_else(wrong)?),
        })
    }
}

/// A decimal number as it is written: without sign or leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = text.parse().ok().filter(|_| plain)?;
    (number <= INTEGER_MAX).then_some(number)
}

/// Why a note is not a checkpoint, or not of whom it says.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckpointError {
    /// EVD-3.1
    #[error(transparent)]
    Note(#[from] NoteError),
    /// EVD-3.1
    #[error("{got:?} is not the origin of a log: expected <authority>/log/<Unix ms>")]
    Origin { got: String },
    /// EVD-3.1
    #[error("the checkpoint's {0} is not as it must be")]
    Malformed(&'static str),
    /// EVD-3.1
    #[error("the checkpoint of {origin} is not signed by the key {}", key.id())]
    NotSigned { origin: Origin, key: Box<PublicKey> },
}

impl CheckpointError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Note(error) => error.code(),
            Self::Origin { .. } | Self::Malformed(_) => Code::FieldInvalid,
            Self::NotSigned { .. } => Code::BadSignature,
        }
    }
}

/// The head of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

impl Checkpoint {
    /// What is signed: three lines.
    pub fn text(&self) -> String {
        let Self { origin, size, root } = self;
        format!("{origin}\n{size}\n{}\n", STANDARD.encode(root))
    }

    /// The note, signed by the log's key.
    pub fn sign(&self, key: &SigningKey) -> String {
        let (name, text) = (self.origin.to_string(), self.text());
        let signature = NoteSignature {
            key_hash: key_hash(&name, Algorithm::Ed25519, key.public()),
            signature: key.sign(text.as_bytes()).to_vec(),
            name,
        };
        let signatures = vec![signature];
        Note { text, signatures }.encode()
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let lines: Vec<&str> = text.split('\n').collect();
        // Extension lines mean nothing here, so nobody may add any.
        let [origin, size, root, ""] = lines[..] else {
            return Err(malformed("number of lines"));
        };
        let root = STANDARD.decode(root).map_err(|_| malformed("root"))?;
        Ok(Self {
            origin: origin.parse()?,
            size: decimal(size).ok_or(malformed("size"))?,
            root: root.try_into().map_err(|_| malformed("root"))?,
        })
    }
}

/// A cosignature that verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosignature {
    /// Whose node is the witness.
    pub witness: AuthorityId,
    /// When it cosigned, by its clock; whole seconds.
    pub at: Timestamp,
    /// By which key.
    pub key: PublicKey,
}

/// A note that says what a checkpoint says; no signature is checked yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Noted {
    checkpoint: Checkpoint,
    note: Note,
}

impl Noted {
    /// Reads the exact text of a signed checkpoint.
    pub fn parse(note: &str) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        Ok(Self { checkpoint, note })
    }

    /// What it says, to be believed after [`Noted::verify`].
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The exact text.
    pub fn encode(&self) -> String {
        self.note.encode()
    }

    /// Whether the log's key signed it.
    pub fn verify(&self, key: &PublicKey) -> Result<&Checkpoint, CheckpointError> {
        let origin = &self.checkpoint.origin;
        let name = origin.to_string();
        let verified = |one: &NoteSignature| {
            let signature = one.signature.first_chunk::<SIGNATURE_LEN>();
            let exact = one.signature.len() == SIGNATURE_LEN;
            exact
                && signature
                    .is_some_and(|signature| key.verify(self.note.text.as_bytes(), signature))
        };
        if self.note.by(&name, Algorithm::Ed25519, key).any(verified) {
            return Ok(&self.checkpoint);
        }
        Err(CheckpointError::NotSigned {
            origin: origin.clone(),
            key: (*key).into(),
        })
    }

    /// The same with the signature by this key alone; `None` if it has none that verifies.
    pub fn signed_by(&self, key: &PublicKey) -> Option<Self> {
        let Checkpoint { origin, .. } = self.verify(key).ok()?;
        let name = origin.to_string();
        let signatures = self.note.by(&name, Algorithm::Ed25519, key);
        let mut alone = signatures.map(|signature| Self {
            checkpoint: self.checkpoint.clone(),
            note: Note {
                text: self.note.text.clone(),
                signatures: vec![signature.clone()],
            },
        });
        alone.find(|alone| alone.verify(key).is_ok())
    }

    /// The line by which a witness says that it saw this head at `at`, and none that contradicts it. EVD-7.1.
    pub fn cosign(&self, witness: &AuthorityId, at: Timestamp, key: &SigningKey) -> NoteSignature {
        let name = format!("{witness}{WITNESS}");
        let seconds = at.as_ms() / 1_000;
        let signature = key.sign(cosigned(seconds, &self.note.text).as_bytes());
        NoteSignature {
            key_hash: key_hash(&name, Algorithm::Cosignature, key.public()),
            signature: [&seconds.to_be_bytes()[..], &signature].concat(),
            name,
        }
    }

    /// Whether a line is this witness's by this key.
    pub fn cosignature(
        &self,
        line: &NoteSignature,
        witness: &AuthorityId,
        key: &PublicKey,
    ) -> Option<Cosignature> {
        let name = format!("{witness}{WITNESS}");
        let ours =
            line.name == name && line.key_hash == key_hash(&name, Algorithm::Cosignature, key);
        let (seconds, signature) = line.signature.split_first_chunk()?;
        let seconds = u64::from_be_bytes(*seconds);
        let text = cosigned(seconds, &self.note.text);
        let verified = ours && key.verify(text.as_bytes(), signature.try_into().ok()?);
        verified.then(|| Cosignature {
            witness: witness.clone(),
            at: Timestamp::from_ms(seconds.saturating_mul(1_000)),
            key: *key,
        })
    }

    /// Who is said to have cosigned.
    pub fn claimed_witnesses(&self) -> impl Iterator<Item = (AuthorityId, &NoteSignature)> {
        self.note.signatures.iter().filter_map(|line| {
            let witness = line.name.strip_suffix(WITNESS)?.parse().ok()?;
            Some((witness, line))
        })
    }

    /// The cosignatures that verify, the newest of each witness; `keys` gives the keys that a witness may use.
    pub fn cosignatures<K: AsRef<[PublicKey]>>(
        &self,
        keys: impl Fn(&AuthorityId) -> K,
    ) -> Vec<Cosignature> {
        let mut found: Vec<Cosignature> = Vec::new();
        for (witness, line) in self.claimed_witnesses() {
            let keys = keys(&witness);
            let mut verified = keys
                .as_ref()
                .iter()
                .filter_map(|key| self.cosignature(line, &witness, key));
            let Some(cosignature) = verified.next() else {
                continue;
            };
            match found.iter_mut().find(|known| known.witness == witness) {
                Some(known) if known.at < cosignature.at => *known = cosignature,
                Some(_) => {}
                None => found.push(cosignature),
            }
        }
        found
    }

    /// The same note with this line, which replaces one of the same name and key. `false` if there is no room.
    pub fn add(&mut self, line: NoteSignature) -> bool {
        let signatures = &mut self.note.signatures;
        let same = |one: &NoteSignature| one.name == line.name && one.key_hash == line.key_hash;
        match signatures.iter().position(same) {
            Some(known) => signatures[known] = line,
            None if signatures.len() < NOTE_SIGNATURES_MAX => signatures.push(line),
            None => return false,
        }
        true
    }
}

/// The message of a cosignature/v1.
fn cosigned(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "interieur.gouv.fr/log/1790000000000".parse().unwrap(),
            size: 20_852_163,
            root: [9; 32],
        }
    }

    fn witness() -> AuthorityId {
        "social.gouv.fr".parse().unwrap()
    }

    #[test]
    fn evd_3_1_a_checkpoint_reads_back_and_is_its_key_s() {
        let noted = Noted::parse(&checkpoint().sign(&key(1))).unwrap();
        assert_eq!(noted.verify(key(1).public()), Ok(&checkpoint()));
        let other = noted.verify(key(2).public());
        assert!(matches!(other, Err(CheckpointError::NotSigned { .. })));
    }

    #[test]
    fn evd_3_1_an_origin_has_one_spelling() {
        for text in [
            "interieur.gouv.fr/log/0",
            "interieur.gouv.fr/log/1790000000000",
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), text);
        }
        for text in [
            "",
            "interieur.gouv.fr",
            "interieur.gouv.fr/log/",
            "interieur.gouv.fr/log/01",
            "interieur.gouv.fr/log/+1",
            "interieur.gouv.fr/log/1/log/2",
            "Interieur.gouv.fr/log/1",
            "interieur.gouv.fr/log/9007199254740992",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn evd_3_1_no_byte_of_a_checkpoint_can_be_another() {
        let note = checkpoint().sign(&key(1));
        for at in 0..note.len() {
            for flip in [1, 0x20, 0x80] {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= flip;
                let Ok(text) = String::from_utf8(bytes) else {
                    continue;
                };
                let read = Noted::parse(&text).ok();
                let verified = read.is_some_and(|noted| noted.verify(key(1).public()).is_ok());
                assert!(!verified, "byte {at} ^ {flip}");
            }
        }
    }

    #[test]
    fn evd_3_1_extension_lines_and_other_counts_of_lines_are_refused() {
        let text = checkpoint().text();
        for text in [
            format!("{text}more\n"),
            text.replacen('\n', "\n\n", 1),
            "one\n".into(),
        ] {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn evd_7_1_a_cosignature_is_its_witness_s_at_its_time() {
        let mut noted = Noted::parse(&checkpoint().sign(&key(1))).unwrap();
        let line = noted.cosign(&witness(), AT, &key(2));
        assert!(noted.add(line.clone()));
        let noted = Noted::parse(&noted.encode()).unwrap();
        let keys = |of: &AuthorityId| match *of == witness() {
            true => vec![*key(3).public(), *key(2).public()],
            false => vec![],
        };
        let expected = Cosignature {
            witness: witness(),
            at: AT,
            key: *key(2).public(),
        };
        assert_eq!(noted.cosignatures(keys), [expected]);
        assert!(noted.cosignatures(|_| [*key(3).public()]).is_empty());
        // Another time, another head, another name.
        let mut later = line.clone();
        later.signature[7] ^= 1;
        assert_eq!(noted.cosignature(&later, &witness(), key(2).public()), None);
        let other = Checkpoint {
            size: 1,
            ..checkpoint()
        };
        let other = Noted::parse(&other.sign(&key(1))).unwrap();
        assert_eq!(other.cosignature(&line, &witness(), key(2).public()), None);
        let name = "justice.gouv.fr".parse().unwrap();
        assert_eq!(noted.cosignature(&line, &name, key(2).public()), None);
    }

    #[test]
    fn evd_7_1_a_newer_cosignature_replaces_the_older_of_the_same_key() {
        let mut noted = Noted::parse(&checkpoint().sign(&key(1))).unwrap();
        for seconds in [0, 5] {
            let line = noted.cosign(&witness(), AT.plus_ms(seconds * 1_000), &key(2));
            assert!(noted.add(line));
        }
        let found = noted.cosignatures(|_| [*key(2).public()]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].at, AT.plus_ms(5_000));
        assert_eq!(noted.encode().lines().count(), 6);
    }
}
