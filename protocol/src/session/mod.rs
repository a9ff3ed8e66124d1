//! Session: who is at the other end. A dialler and a server exchange four frames, after which the
//! server knows the dialler's key and name, and the dialler knows that its proof was taken.
//!
//! In: the bodies of frames, keys and a nonce. Out: the bodies of frames to send, and in the end
//! [`Authenticated`] or [`Welcome`]. Spec: SES-3. Pure: sockets, time limits and randomness are
//! the caller's; so is the question whether the directory knows the key that proved itself.
//!
//! ```text
//!   DiallerHandshake                    ServerHandshake
//!   DiallerHello    ------------------>
//!                   <------------------ ServerHello            nonce, server key
//!   SessionProof    ------------------>                        signed by the dialler's own key
//!                                       Authenticated { principal, key }
//!                   <------------------ SessionReply           welcome or refusal
//! ```
//!
//! At any turn the server may answer with a `SessionReply` that holds a refusal.

mod dialler;
mod error;
mod principal;
mod reply;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::crypto::sign::PublicKey;
use crate::id::AuthorityId;
use crate::limits;

pub use dialler::{DiallerHandshake, DiallerOutput};
pub use error::SessionRefusal;
pub use principal::{Principal, Role};
pub use reply::{Refusal, Welcome, encode_refusal, encode_welcome};
pub use server::{ServerHandshake, ServerOutput};

/// The versions of the session that this implementation speaks, ascending. SES-3.1.
pub const SUPPORTED_VERSIONS: &[u32] = &[1];

/// The server's challenge: fresh random bytes for every handshake. SES-3.3.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Nonce([u8; limits::NONCE_LEN]);

impl Nonce {
    /// From fresh random bytes. Used twice, it would let an observer replay a proof.
    pub const fn from_random(bytes: [u8; limits::NONCE_LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// A server as the directory, an invitation or the server itself knows it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServerIdentity {
    /// Whose node it is.
    pub authority: AuthorityId,
    /// The node's key, which is also the key of its TLS certificate.
    pub key: PublicKey,
}

/// A dialler that proved to hold `key`. Whether that key may bear that name is for the
/// directory to say, and the caller to ask.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Authenticated {
    /// The role and the name it claims with this key.
    pub principal: Principal,
    /// The key that signed the proof.
    pub key: PublicKey,
}

impl Authenticated {
    /// The claimed role.
    pub fn role(&self) -> Role {
        self.principal.role()
    }
}
