//! What the fuzzer runs: one plain function per target, so that the stored corpus is also an ordinary test on a
//! stable compiler (`tests/corpus.rs`).
//!
//! Hostile bytes come in; nothing comes out. A broken promise of the protocol is a panic. The promises are written
//! beside each check; "does not panic" is the least of them.
//!
//! | Target | Bytes are | Spec |
//! |---|---|---|
//! | [`frame`] | a stream of frames | SES-2 |
//! | [`canonical`] | a message kind, then its bytes | SIG-1, ENV-4, ENV-7, MBX |
//! | [`signed`] | a context, then a `Signed` | SIG-2 to SIG-5 |
//! | [`envelope`] | a `Signed` envelope | ENV-3 to ENV-6 |
//! | [`session`] | what a middleman does to a handshake | SES-3 |
//! | [`custody`] | what two ends of a stream of batches do | CUS-3, CUS-4 |

#![forbid(unsafe_code)]

mod bytes_in;
mod custody;
mod objects;
mod session;

pub use custody::custody;
pub use objects::{canonical, envelope, frame, signed};
pub use session::session;

/// What takes the fuzzer's bytes.
pub type Target = fn(&[u8]);

/// A target by its name, for the stored corpus.
pub fn target(name: &str) -> Option<Target> {
    let targets: [(&str, Target); 6] = [
        ("frame", frame),
        ("canonical", canonical),
        ("signed", signed),
        ("envelope", envelope),
        ("session", session),
        ("custody", custody),
    ];
    targets
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, run)| *run)
}

/// The keys of the seeds in `corpus/`, so that the fuzzer starts from signatures that verify.
pub mod seeds {
    use pli_protocol::crypto::seal::SealingSecretKey;
    use pli_protocol::crypto::sign::SigningKey;

    /// Signs the seeds.
    pub fn signing_key() -> SigningKey {
        SigningKey::from_seed(&[7; 32])
    }

    /// Opens the seeds.
    pub fn sealing_key() -> SealingSecretKey {
        SealingSecretKey::from_seed(&[9; 32])
    }
}
