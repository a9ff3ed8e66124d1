//! The file that keeps what is needed to prove what happened to one letter (EVD-5).
//!
//! Bytes in, a [`Bundle`] out whose form is right; what it proves is for whoever has the federation's root to find out.

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::code::Code;
use crate::codec::{self, CodecError};
use crate::id::{EnvelopeId, IdError};
use crate::limits::{BUNDLE_MAX, BUNDLE_PARTS_MAX, TRUST_FILES_MAX};
use crate::wire;

/// The version of bundles that this implementation writes and reads.
const VERSION: u32 = 1;

/// Why a file is no bundle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BundleError {
    /// EVD-5.1
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// EVD-5.1
    #[error("bundle version {got}, expected {VERSION}")]
    UnsupportedVersion { got: u32 },
    /// EVD-5.2
    #[error(transparent)]
    Id(#[from] IdError),
    /// EVD-5.2
    #[error("{got} {what}, at most {max} are allowed")]
    TooMany {
        what: &'static str,
        got: usize,
        max: usize,
    },
    /// EVD-5.2
    #[error("a proof names checkpoint {got}, and there are {count}")]
    NoCheckpoint { got: u32, count: usize },
    /// EVD-5.3
    #[error("the name {got:?} in the directory")]
    Name { got: String },
}

impl BundleError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Codec(error) => error.code(),
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::Id(error) => error.code(),
            Self::TooMany { .. } => Code::TooMany,
            Self::NoCheckpoint { .. } | Self::Name { .. } => Code::FieldInvalid,
        }
    }
}

/// What is kept of one letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// Which letter.
    pub id: EnvelopeId,
    /// The letter, if it is kept too.
    pub envelope: Option<Bytes>,
    /// Signed receipts.
    pub receipts: Vec<Bytes>,
    /// Each with the checkpoint to which it leads.
    pub proofs: Vec<wire::EventProof>,
    /// Signed notes.
    pub checkpoints: Vec<String>,
    /// Name and content of each file of the directory, ascending by name.
    pub directory: Vec<(String, Bytes)>,
}

impl Bundle {
    /// The bytes of the file.
    pub fn encode(&self) -> Bytes {
        let mut wire = wire::Bundle {
            version: VERSION,
            envelope: self.envelope.clone().unwrap_or_default(),
            envelope_id: Bytes::copy_from_slice(self.id.as_bytes()),
            receipts: self.receipts.clone(),
            proofs: self.proofs.clone(),
            checkpoints: self.checkpoints.clone(),
            directory: self.directory.iter().map(file).collect(),
            digest: Bytes::new(),
        };
        wire.digest = digest(&wire);
        codec::encode(&wire)
    }

    /// Reads a file; with whether its digest is that of its content. EVD-5.4: a digest that is not says that a byte is
    /// another one, and the checks of the parts say which.
    pub fn decode(encoded: &Bytes) -> Result<(Self, bool), BundleError> {
        let mut wire: wire::Bundle = codec::decode_canonical(encoded, BUNDLE_MAX)?;
        if wire.version != VERSION {
            return Err(BundleError::UnsupportedVersion { got: wire.version });
        }
        let id = EnvelopeId::from_slice(&wire.envelope_id)?;
        at_most("receipts", wire.receipts.len(), BUNDLE_PARTS_MAX)?;
        at_most("proofs", wire.proofs.len(), BUNDLE_PARTS_MAX)?;
        at_most("checkpoints", wire.checkpoints.len(), BUNDLE_PARTS_MAX)?;
        at_most(
            "files of the directory",
            wire.directory.len(),
            TRUST_FILES_MAX,
        )?;
        let count = wire.checkpoints.len();
        for proof in &wire.proofs {
            if proof.checkpoint as usize >= count {
                let got = proof.checkpoint;
                return Err(BundleError::NoCheckpoint { got, count });
            }
        }
        let mut before = "";
        for file in &wire.directory {
            let plain = file
                .name
                .split('/')
                .all(|part| !part.is_empty() && !part.starts_with('.'));
            if !plain || file.name.as_str() <= before || file.name.contains(['\\', '\0']) {
                let got = file.name.chars().take(80).collect();
                return Err(BundleError::Name { got });
            }
            before = &file.name;
        }
        let stated = std::mem::take(&mut wire.digest);
        let whole = stated == digest(&wire);
        let bundle = Self {
            id,
            envelope: Some(wire.envelope).filter(|envelope| !envelope.is_empty()),
            receipts: wire.receipts,
            proofs: wire.proofs,
            checkpoints: wire.checkpoints,
            directory: wire
                .directory
                .into_iter()
                .map(|file| (file.name, file.content))
                .collect(),
        };
        Ok((bundle, whole))
    }
}

fn file((name, content): &(String, Bytes)) -> wire::DirectoryFile {
    wire::DirectoryFile {
        name: name.clone(),
        content: content.clone(),
    }
}

fn at_most(what: &'static str, got: usize, max: usize) -> Result<(), BundleError> {
    match got <= max {
        true => Ok(()),
        false => Err(BundleError::TooMany { what, got, max }),
    }
}

/// Of a bundle without one.
fn digest(wire: &wire::Bundle) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(wire.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        Bundle {
            id: EnvelopeId::new([1; 32]),
            envelope: None,
            receipts: vec![Bytes::from_static(b"receipt")],
            proofs: vec![wire::EventProof::default()],
            checkpoints: vec!["note".into()],
            directory: vec![
                ("metadata/1.root.json".into(), Bytes::from_static(b"{}")),
                (
                    "targets/a.fr/00.node.json".into(),
                    Bytes::from_static(b"{}"),
                ),
            ],
        }
    }

    fn refused(edit: impl FnOnce(&mut Bundle)) -> Code {
        let mut bundle = bundle();
        edit(&mut bundle);
        Bundle::decode(&bundle.encode())
            .expect_err("must be refused")
            .code()
    }

    #[test]
    fn evd_5_1_a_bundle_reads_back() {
        assert_eq!(Bundle::decode(&bundle().encode()), Ok((bundle(), true)));
        let with_letter = Bundle {
            envelope: Some(Bytes::from_static(b"letter")),
            ..bundle()
        };
        assert_eq!(
            Bundle::decode(&with_letter.encode()),
            Ok((with_letter, true))
        );
    }

    #[test]
    fn evd_5_4_no_byte_of_a_bundle_can_be_another_unseen() {
        let encoded = bundle().encode();
        for at in 0..encoded.len() {
            for bit in 0..8 {
                let mut bytes = encoded.to_vec();
                bytes[at] ^= 1 << bit;
                let read = Bundle::decode(&bytes.into());
                assert!(!matches!(read, Ok((_, true))), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn evd_5_2_and_5_3_what_is_no_bundle() {
        assert_eq!(refused(|b| b.checkpoints.clear()), Code::FieldInvalid);
        for name in [
            "",
            "../a",
            "a//b",
            "/a",
            "a/",
            "a/.b",
            "a\\b",
            "metadata/1.root.json",
        ] {
            let named = |b: &mut Bundle| b.directory[1].0 = name.into();
            assert_eq!(refused(named), Code::FieldInvalid, "{name:?}");
        }
    }

    #[test]
    fn r15_a_bundle_has_at_most_so_many_parts() {
        let many = |count| vec![Bytes::from_static(b"r"); count];
        let mut most = bundle();
        most.receipts = many(BUNDLE_PARTS_MAX);
        assert!(Bundle::decode(&most.encode()).is_ok());
        assert_eq!(
            refused(|b| b.receipts = many(BUNDLE_PARTS_MAX + 1)),
            Code::TooMany
        );
        assert_eq!(
            refused(|b| b.proofs = vec![wire::EventProof::default(); BUNDLE_PARTS_MAX + 1]),
            Code::TooMany
        );
        assert_eq!(
            refused(|b| b.checkpoints = vec!["n".into(); BUNDLE_PARTS_MAX + 1]),
            Code::TooMany
        );
        let long = Bytes::from(vec![b'x'; BUNDLE_MAX]);
        assert_eq!(refused(|b| b.directory[0].1 = long), Code::TooLong);
    }
}
