//! Signed notes, as C2SP has them (<https://c2sp.org/signed-note>): a text, and lines that sign it.
//!
//! ```text
//! text lines, each ended by LF
//!
//! — <name> <base64(key hash 4 | signature)>
//! ```
//!
//! In: the exact text of a note. Out: its text and its signatures, of which none is checked yet.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::code::Code;
use crate::crypto::sign::PublicKey;
use crate::limits::{NOTE_MAX, NOTE_SIGNATURES_MAX};

const DASH: &str = "\u{2014} ";

/// Why a text is not a note.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// EVD-3.1
    #[error("the note has {got} bytes, at most {NOTE_MAX} are allowed")]
    TooLong { got: usize },
    /// EVD-3.1
    #[error("the note has more than {NOTE_SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// EVD-3.1
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
}

impl NoteError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::TooLong,
            Self::TooManySignatures => Code::TooMany,
            Self::Malformed(_) => Code::FieldInvalid,
        }
    }
}

/// What a signature line is an instance of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// Ed25519 over the text.
    Ed25519 = 0x01,
    /// Ed25519 over the text with a time (<https://c2sp.org/tlog-cosignature>).
    Cosignature = 0x04,
}

/// The first four bytes of SHA-256 over name, LF, algorithm and key.
pub fn key_hash(name: &str, algorithm: Algorithm, key: &PublicKey) -> [u8; 4] {
    let hasher = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', algorithm as u8]);
    let hash: [u8; 32] = hasher.chain_update(key.as_bytes()).finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// One line of signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    /// Who is said to have signed.
    pub name: String,
    /// By which key.
    pub key_hash: [u8; 4],
    /// What follows the key hash; its form is the algorithm's.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// The line, its LF included.
    pub fn line(&self) -> String {
        let bytes = [&self.key_hash[..], &self.signature].concat();
        format!("{DASH}{} {}\n", self.name, STANDARD.encode(bytes))
    }

    /// Reads a line without its LF.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let line = line
            .strip_prefix(DASH)
            .ok_or(malformed("a signature line does not begin with a dash"))?;
        let (name, text) = line
            .split_once(' ')
            .ok_or(malformed("a signature line has no name"))?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(malformed("the name of a signature"));
        }
        // Strict: other spellings of the same bytes are refused.
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| malformed("the base64 of a signature"))?;
        let (key_hash, signature) = bytes
            .split_first_chunk()
            .ok_or(malformed("a signature is too short"))?;
        if signature.is_empty() {
            return Err(malformed("a signature is empty"));
        }
        Ok(Self {
            name: name.to_owned(),
            key_hash: *key_hash,
            signature: signature.to_vec(),
        })
    }
}

/// A note whose form is right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// What is signed, its last LF included.
    pub text: String,
    /// 1 to `NOTE_SIGNATURES_MAX`, in their order.
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// Reads the exact text of a note.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        if note.len() > NOTE_MAX {
            return Err(NoteError::TooLong { got: note.len() });
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(malformed("a control character"));
        }
        // The last empty line: the text may hold others.
        let end = note
            .rfind("\n\n")
            .ok_or(malformed("no empty line before the signatures"))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines
            .strip_suffix('\n')
            .ok_or(malformed("the last line is not ended"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == NOTE_SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(NoteSignature::parse(line)?);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The exact text of the whole note.
    pub fn encode(&self) -> String {
        let lines = self.signatures.iter().map(NoteSignature::line);
        format!("{}\n{}", self.text, lines.collect::<String>())
    }

    /// The signatures that claim to be by this key.
    pub fn by<'a>(
        &'a self,
        name: &'a str,
        algorithm: Algorithm,
        key: &PublicKey,
    ) -> impl Iterator<Item = &'a NoteSignature> {
        let hash = key_hash(name, algorithm, key);
        let signatures = self.signatures.iter();
        signatures.filter(move |one| one.name == name && one.key_hash == hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a line\n\nand another\n";

    fn signature(name: &str) -> NoteSignature {
        NoteSignature {
            name: name.into(),
            key_hash: [1, 2, 3, 4],
            signature: vec![7; 64],
        }
    }

    #[test]
    fn evd_3_1_a_note_reads_back_byte_by_byte() {
        let note = Note {
            text: TEXT.into(),
            signatures: vec![signature("log.example/1"), signature("witness.example")],
        };
        let encoded = note.encode();
        assert!(encoded.contains("\n\n\u{2014} log.example/1 "));
        assert_eq!(Note::parse(&encoded), Ok(note));
    }

    #[test]
    fn evd_3_1_what_is_no_note_is_refused() {
        let good = Note {
            text: TEXT.into(),
            signatures: vec![signature("a")],
        }
        .encode();
        for bad in [
            String::new(),
            TEXT.into(),
            format!("{TEXT}\n"),
            good.trim_end().into(),
            format!("{good}\n"),
            good.replace('\n', "\r\n"),
            good.replace("\u{2014} a", "- a"),
            good.replace("\u{2014} a ", "\u{2014} a b "),
            good.replace("\u{2014} a ", "\u{2014}  "),
            good.replace("\u{2014} a ", "\u{2014} a+b "),
            good.replace("AQIDBA", "AQID BA"),
            format!("{TEXT}\n\u{2014} a AQIDBA==\n"),
            format!("{TEXT}\n\u{2014} a AQIDBAe=\n"),
        ] {
            assert!(Note::parse(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn r15_a_note_has_at_most_so_many_bytes_and_signatures() {
        let note = |count| Note {
            text: TEXT.into(),
            signatures: vec![signature("a"); count],
        };
        assert!(Note::parse(&note(NOTE_SIGNATURES_MAX).encode()).is_ok());
        let error = Note::parse(&note(NOTE_SIGNATURES_MAX + 1).encode());
        assert_eq!(error, Err(NoteError::TooManySignatures));
        let long = |length| Note {
            text: format!("{}\n", "x".repeat(length)),
            signatures: vec![signature("a")],
        };
        let rest = long(0).encode().len();
        assert!(Note::parse(&long(NOTE_MAX - rest).encode()).is_ok());
        let error = Note::parse(&long(NOTE_MAX - rest + 1).encode());
        assert_eq!(error, Err(NoteError::TooLong { got: NOTE_MAX + 1 }));
    }

    #[test]
    fn evd_3_1_the_key_hash_is_the_one_of_the_text_of_c2sp() {
        // https://c2sp.org/signed-note: PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
        let verifier = STANDARD
            .decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
            .unwrap();
        assert_eq!(verifier[0], Algorithm::Ed25519 as u8);
        let key = PublicKey::from_bytes(&verifier[1..]).unwrap();
        let hash = key_hash("PeterNeumann", Algorithm::Ed25519, &key);
        assert_eq!(crate::id::to_hex(&hash), "c74f20a3");
    }

    /// The example of <https://pkg.go.dev/golang.org/x/mod/sumdb/note>, whose format signed-note describes.
    #[test]
    fn evd_3_1_a_note_that_another_program_signed_verifies() {
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let note = Note::parse(&format!("{text}\n{line}\n")).unwrap();
        assert_eq!(note.text, text);
        let verifier = STANDARD.decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        let key = PublicKey::from_bytes(&verifier.unwrap()[1..]).unwrap();
        let found: Vec<_> = note.by("PeterNeumann", Algorithm::Ed25519, &key).collect();
        let signature = found[0].signature[..].try_into().unwrap();
        assert!(key.verify(text.as_bytes(), signature));
        assert!(!key.verify(&text.as_bytes()[1..], signature));
    }
}
