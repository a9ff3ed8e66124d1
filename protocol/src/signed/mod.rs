//! `Signed`: the one wrapper for everything signed, alone or in a Merkle batch (SIG-2 to SIG-5).
//!
//! ```text
//! leaf      = SHA-256(0x00 || context || 0x00 || payload)
//! message   = context || 0x00 || tree_size (u64, big-endian) || root
//! signature = Ed25519(key, message)
//! ```
//!
//! In: exact bytes of the wire. Out: a [`Signed`] whose payload is only trusted after
//! [`Signed::verify`]. Nobody encodes again to verify.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::code::Code;
use crate::codec::{self, CodecError};
use crate::crypto::contexts::Context;
use crate::crypto::sign::{PublicKey, SIGNATURE_LEN, SigningKey};
use crate::id::KeyId;
use crate::limits;
use crate::merkle::{self, Hash, Tree};
use crate::wire;

const LEAF: [u8; 1] = [0x00];
const SEPARATOR: [u8; 1] = [0x00];

/// Why a signed object is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignedError {
    /// SIG-1
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// SIG-3.3, SIG-3.4
    #[error("the inclusion path does not lead from leaf {index} of {tree_size} to a root")]
    BadInclusion { index: u32, tree_size: u32 },
    /// SIG-5.1
    #[error("{got} signatures, expected 1 to {}", limits::SIGNATURES_MAX)]
    SignatureCount { got: usize },
    /// SIG-5.2
    #[error("a signature or key id has a wrong length, or key ids are not ascending")]
    SignatureForm,
    /// SIG-5.3
    #[error("not signed by {expected}")]
    NotSignedBy { expected: KeyId },
    /// SIG-5.4
    #[error("the signature by {key} does not verify")]
    BadSignature { key: KeyId },
}

impl SignedError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Codec(error) => error.code(),
            Self::BadInclusion { .. } => Code::BadInclusion,
            Self::SignatureCount { got } if *got > limits::SIGNATURES_MAX => Code::TooMany,
            Self::SignatureCount { .. } => Code::SignatureCount,
            Self::SignatureForm => Code::FieldInvalid,
            Self::NotSignedBy { .. } => Code::UnknownKey,
            Self::BadSignature { .. } => Code::BadSignature,
        }
    }
}

/// The leaf hash of a payload; for an envelope, its id. SIG-2.2.
pub fn leaf_hash(context: Context, payload: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(LEAF);
    hasher.update(context.as_str());
    hasher.update(SEPARATOR);
    hasher.update(payload);
    hasher.finalize().into()
}

/// The bytes that a signature covers. SIG-2.3.
pub fn signed_message(context: Context, tree_size: usize, root: &Hash) -> Vec<u8> {
    let size = u64::try_from(tree_size).expect("a tree has at most 4,096 leaves");
    [
        context.as_str().as_bytes(),
        &SEPARATOR,
        &size.to_be_bytes(),
        root,
    ]
    .concat()
}

/// Remembers which signatures over roots have been checked, so that a batch costs one check.
///
/// The key of the memory is everything the check depends on, the signature's bytes included:
/// otherwise a garbage signature under a known root would be passed on.
pub trait VerifiedRoots {
    /// Whether this very check has succeeded before.
    fn contains(&self, check: &RootCheck) -> bool;
    /// Remembers a check that succeeded. Implementations bound what they keep.
    fn insert(&self, check: RootCheck);
}

/// SHA-256 over context, tree size, root, key and signature.
pub type RootCheck = Hash;

/// Remembers nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoMemory;

impl VerifiedRoots for NoMemory {
    fn contains(&self, _: &RootCheck) -> bool {
        false
    }
    fn insert(&self, _: RootCheck) {}
}

/// A signed object whose form has been checked, but no signature yet.
#[derive(Clone, Debug)]
pub struct Signed {
    context: Context,
    encoded: Bytes,
    payload: Bytes,
    leaf: Hash,
    root: Hash,
    tree_size: usize,
    signatures: Vec<(KeyId, [u8; SIGNATURE_LEN])>,
}

impl Signed {
    /// Decodes the exact bytes of a `Signed` of this context.
    pub fn decode(encoded: Bytes, context: Context) -> Result<Self, SignedError> {
        let wire: wire::Signed = codec::decode_canonical(&encoded, context.signed_max())?;
        let leaf = leaf_hash(context, &wire.payload);
        let inclusion = wire.inclusion.unwrap_or_default();
        let (index, tree_size) = (inclusion.index, inclusion.tree_size);
        let bad_inclusion = SignedError::BadInclusion { index, tree_size };
        if inclusion.path.len() > limits::INCLUSION_PATH_MAX {
            return Err(bad_inclusion);
        }
        let path: Vec<Hash> = inclusion
            .path
            .iter()
            .map(|hash| hash[..].try_into())
            .collect::<Result<_, _>>()
            .map_err(|_| bad_inclusion.clone())?;
        let (index, tree_size) = (index as usize, tree_size as usize);
        let root = merkle::root_from_path(leaf, index, tree_size, &path).ok_or(bad_inclusion)?;
        let signatures = signatures(&wire.signatures)?;
        Ok(Self {
            context,
            encoded,
            payload: wire.payload,
            leaf,
            root,
            tree_size,
            signatures,
        })
    }

    /// The exact bytes that were decoded: what is stored and passed on. SIG-1.5.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// The signed bytes. Not to be believed before [`verify`](Self::verify).
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The leaf hash of the payload: what it is known by, however often it is signed. SIG-2.4.
    pub fn leaf(&self) -> &Hash {
        &self.leaf
    }

    /// Whose signatures it claims to bear, ascending.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.iter().map(|(key, _)| *key)
    }

    /// For the types that bear exactly one signature (SIG-5.1). Otherwise a relay could add
    /// signatures, and one letter would travel in many forms.
    pub fn one_signature(&self) -> Result<(), SignedError> {
        match self.signatures.len() {
            1 => Ok(()),
            got => Err(SignedError::SignatureCount { got }),
        }
    }

    /// Checks the signature by `key`. SIG-5.3, SIG-5.4.
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignedError> {
        self.verify_with(key, &NoMemory)
    }

    /// Like [`verify`](Self::verify), at the cost of one hash when the root is known.
    pub fn verify_with(
        &self,
        key: &PublicKey,
        roots: &impl VerifiedRoots,
    ) -> Result<(), SignedError> {
        let id = key.id();
        let (_, signature) = self
            .signatures
            .iter()
            .find(|(signer, _)| *signer == id)
            .ok_or(SignedError::NotSignedBy { expected: id })?;
        let message = signed_message(self.context, self.tree_size, &self.root);
        let check: RootCheck = Sha256::new()
            .chain_update(&message)
            .chain_update(key.as_bytes())
            .chain_update(signature)
            .finalize()
            .into();
        if roots.contains(&check) {
            return Ok(());
        }
        if !key.verify(&message, signature) {
            return Err(SignedError::BadSignature { key: id });
        }
        roots.insert(check);
        Ok(())
    }
}

// SIG-5.1, SIG-5.2: ascending key ids, each once: one form only.
fn signatures(wire: &[wire::Signature]) -> Result<Vec<(KeyId, [u8; SIGNATURE_LEN])>, SignedError> {
    if wire.is_empty() || wire.len() > limits::SIGNATURES_MAX {
        return Err(SignedError::SignatureCount { got: wire.len() });
    }
    let mut signatures: Vec<(KeyId, [u8; SIGNATURE_LEN])> = Vec::with_capacity(wire.len());
    for signature in wire {
        let key = KeyId::from_slice(&signature.key_id).map_err(|_| SignedError::SignatureForm)?;
        let bytes = signature.signature[..]
            .try_into()
            .map_err(|_| SignedError::SignatureForm)?;
        if signatures
            .last()
            .is_some_and(|(previous, _)| *previous >= key)
        {
            return Err(SignedError::SignatureForm);
        }
        signatures.push((key, bytes));
    }
    Ok(signatures)
}

/// Signs one object: a tree of one.
pub fn sign_one(context: Context, payload: Bytes, key: &SigningKey) -> Bytes {
    let mut batch = sign_batch(context, vec![payload], key).expect("one is not too many");
    batch.pop().expect("as many come out as went in")
}

/// Signs 1 to [`limits::TREE_LEAVES_MAX`] objects with one signature; `None` outside of that.
///
/// What comes out, in the same order, are the exact bytes of a `Signed` each.
pub fn sign_batch(context: Context, payloads: Vec<Bytes>, key: &SigningKey) -> Option<Vec<Bytes>> {
    let leaves = payloads
        .iter()
        .map(|payload| leaf_hash(context, payload))
        .collect();
    let tree = Tree::new(leaves)?;
    let signature = sign_root(context, tree.size(), &tree.root(), key);
    let signed = payloads
        .into_iter()
        .enumerate()
        .map(|(index, payload)| encode(payload, &tree, index, signature.clone()))
        .collect();
    Some(signed)
}

/// The signature over the root of a tree.
pub fn sign_root(
    context: Context,
    tree_size: usize,
    root: &Hash,
    key: &SigningKey,
) -> wire::Signature {
    let signature = key.sign(&signed_message(context, tree_size, root));
    wire::Signature {
        key_id: key.public().id().as_bytes().to_vec().into(),
        signature: signature.to_vec().into(),
    }
}

/// The bytes of a `Signed` for leaf `index` of a tree whose root bears `signature`.
pub fn encode(payload: Bytes, tree: &Tree, index: usize, signature: wire::Signature) -> Bytes {
    let path = tree.path(index).expect("a leaf of this tree");
    codec::encode(&wire::Signed {
        payload,
        inclusion: Some(wire::Inclusion {
            index: u32::try_from(index).expect("a tree has at most 4,096 leaves"),
            tree_size: u32::try_from(tree.size()).expect("a tree has at most 4,096 leaves"),
            path: path
                .iter()
                .map(|hash| Bytes::copy_from_slice(hash))
                .collect(),
        }),
        signatures: vec![signature],
    })
}

#[cfg(test)]
mod tests;
