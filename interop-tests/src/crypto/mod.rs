//! The suite's own hashing, trees, signatures and sealing, put together from primitives.
//! Spec: signed.md, envelope.md (sealing); `spec/registry/contexts.toml`, `suites.toml`.

pub mod account;
pub mod contexts;
pub mod hpke;
pub mod keys;
pub mod merkle;
pub mod padding;
pub mod signed;

use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// SHA-256 over the parts one after another.
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut state = Sha256::new();
    for part in parts {
        state.update(part);
    }
    state.finalize().into()
}

/// `N` bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}
