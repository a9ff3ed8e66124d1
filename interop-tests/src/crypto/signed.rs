//! The `Signed` wrapper. In: bytes and the context of the place they came from. Out: payload, leaf, signatures,
//! or a [`Refused`]. Spec: signed.md, in the order that it gives.

use super::contexts::{ENVELOPE, RECEIPT};
use super::keys::{PublicKey, SecretKey};
use super::{Hash, merkle};
use crate::codec::Message;
use crate::codec::schema::{INCLUSION, SIGNATURE, SIGNED};
use crate::validator::{Refused, canonical, refuse};

/// The exact bytes of a signed envelope.
pub const ENVELOPE_MAX: usize = 40_960;
/// The exact bytes of a signed receipt.
pub const RECEIPT_MAX: usize = 896;
/// The exact bytes of any other `Signed`, and of any message of the handshake.
pub const SIGNED_OBJECT_MAX: usize = 8_192;
pub const SIGNATURES_MAX: usize = 8;
const HASH_LEN: usize = 32;
const SIGNATURE_LEN: usize = 64;

/// A key id, and the signature that is said to be by that key.
pub type Claim = (Vec<u8>, Vec<u8>);

/// A wrapper whose form is right; nothing is said yet about its signatures being true.
#[derive(Clone, Debug)]
pub struct Signed {
    pub context: &'static str,
    pub payload: Vec<u8>,
    pub leaf: Hash,
    pub root: Hash,
    pub tree_size: u64,
    /// Ascending by key id.
    pub signatures: Vec<Claim>,
}

impl Signed {
    pub fn decode(context: &'static str, bytes: &[u8]) -> Result<Self, Refused> {
        // SIG-1.3: before anything is decoded.
        let (limit, code) = match context {
            ENVELOPE => (ENVELOPE_MAX, "ENVELOPE_TOO_LARGE"),
            RECEIPT => (RECEIPT_MAX, "TOO_LONG"),
            _ => (SIGNED_OBJECT_MAX, "TOO_LONG"),
        };
        if bytes.len() > limit {
            return refuse(code, "the encoded Signed");
        }
        let wrapper = canonical(&SIGNED, bytes)?;
        let payload = wrapper.bytes("payload").to_vec();
        let leaf = merkle::leaf(context, &payload);
        // None is one of size 0.
        let inclusion = wrapper
            .message("inclusion")
            .cloned()
            .unwrap_or(Message::new(&INCLUSION));
        let path: Option<Vec<Hash>> = inclusion
            .all_bytes("path")
            .into_iter()
            .map(|hash| hash.try_into().ok())
            .collect();
        let tree_size = inclusion.number("tree_size");
        // SIG-3.3, SIG-3.4
        let root =
            path.and_then(|path| merkle::climb(&leaf, inclusion.number("index"), tree_size, &path));
        let Some(root) = root else {
            return refuse("BAD_INCLUSION", "index, size and path do not fit");
        };
        let signatures = signatures_of(&wrapper)?;
        Ok(Self {
            context,
            payload,
            leaf,
            root,
            tree_size,
            signatures,
        })
    }

    /// SIG-5.1: the types of this version bear exactly one.
    pub fn only_one(&self) -> Result<(), Refused> {
        if self.signatures.len() == 1 {
            Ok(())
        } else {
            refuse("SIGNATURE_COUNT", "not exactly one signature")
        }
    }

    /// SIG-5.3, SIG-5.4
    pub fn verify(&self, key: &PublicKey) -> Result<(), Refused> {
        strong(key)?;
        let id = key.key_id();
        let Some((_, signature)) = self.signatures.iter().find(|(key_id, _)| key_id[..] == id)
        else {
            return refuse("UNKNOWN_KEY", "no signature by the expected key");
        };
        if key.verifies(
            &message(self.context, self.tree_size, &self.root),
            signature,
        ) {
            Ok(())
        } else {
            refuse("BAD_SIGNATURE", "over context, size and root")
        }
    }
}

/// SIG-4.3
pub fn strong(key: &PublicKey) -> Result<(), Refused> {
    if key.is_strong() {
        Ok(())
    } else {
        refuse("WEAK_KEY", "small order, or no point")
    }
}

/// SIG-5.1, SIG-5.2
fn signatures_of(wrapper: &Message) -> Result<Vec<Claim>, Refused> {
    let found = wrapper.messages("signatures");
    if found.is_empty() {
        return refuse("SIGNATURE_COUNT", "none");
    }
    if found.len() > SIGNATURES_MAX {
        return refuse("TOO_MANY", "signatures");
    }
    let mut out: Vec<Claim> = Vec::with_capacity(found.len());
    for signature in found {
        let (key_id, bytes) = (signature.bytes("key_id"), signature.bytes("signature"));
        if key_id.len() != HASH_LEN || bytes.len() != SIGNATURE_LEN {
            return refuse("FIELD_INVALID", "length of key_id or signature");
        }
        if out.last().is_some_and(|(last, _)| last[..] >= *key_id) {
            return refuse("FIELD_INVALID", "signatures not ascending by key_id");
        }
        out.push((key_id.to_vec(), bytes.to_vec()));
    }
    Ok(out)
}

/// SIG-2.3
pub fn message(context: &str, tree_size: u64, root: &Hash) -> Vec<u8> {
    [context.as_bytes(), &[0], &tree_size.to_be_bytes(), root].concat()
}

/// Signs one tree over all payloads: a `Signed` for each, in order.
pub fn sign_batch(context: &str, payloads: &[Vec<u8>], key: &SecretKey) -> Vec<Vec<u8>> {
    let leaves: Vec<Hash> = payloads
        .iter()
        .map(|payload| merkle::leaf(context, payload))
        .collect();
    let signature = signature_over(context, &leaves, key);
    payloads
        .iter()
        .enumerate()
        .map(|(index, payload)| {
            let inclusion = Message::new(&INCLUSION)
                .with("index", index as u64)
                .with("tree_size", leaves.len() as u64)
                .with_all("path", merkle::path(index, &leaves));
            Message::new(&SIGNED)
                .with("payload", &payload[..])
                .with("inclusion", inclusion)
                .with("signatures", signature.clone())
                .encode()
        })
        .collect()
}

/// A `Signed` that is a tree of one.
pub fn sign_one(context: &str, payload: &[u8], key: &SecretKey) -> Vec<u8> {
    sign_batch(context, &[payload.to_vec()], key).remove(0)
}

/// One `Signature` over the tree of these leaves.
pub fn signature_over(context: &str, leaves: &[Hash], key: &SecretKey) -> Message {
    let message = message(context, leaves.len() as u64, &merkle::root(leaves));
    Message::new(&SIGNATURE)
        .with("key_id", key.public().key_id())
        .with("signature", key.sign(&message))
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
