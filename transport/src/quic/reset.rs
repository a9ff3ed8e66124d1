//! What makes a peer notice at once that a server was killed and started again (RFC 9000, section 10.3).
//!
//! A server that lost its memory answers what it does not know with a stateless reset. The dialler believes it by a
//! token that only this server can make, so the key behind the tokens must outlive the process: it is derived from
//! the server's secret key. With a key of each process's own, as quinn has it, diallers would wait for their idle
//! timeout, a minute, before they come back.

use std::time::Duration;

use hkdf::Hkdf;
use pli_protocol::crypto::sign::SigningKey;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator};
use sha2::Sha256;

/// Local to this program: it separates what the server's key is used for, and no peer derives the same.
const SALT: &[u8] = b"pli-transport/1/stateless-reset";
const CONNECTION_ID_LEN: usize = 8;
/// Tokens are cut from this.
const PRF_LEN: usize = 32;

/// Makes the tokens.
#[derive(Clone)]
pub(crate) struct ResetKey(Hkdf<Sha256>);

impl ResetKey {
    /// The same for the same server key, over every restart.
    pub(crate) fn of(key: &SigningKey) -> Self {
        Self(Hkdf::new(Some(SALT), key.seed().as_slice()))
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], out: &mut [u8]) {
        self.0
            .expand(data, out)
            .expect("32 bytes are less than the 8,160 that HKDF-SHA256 can give");
    }

    fn signature_len(&self) -> usize {
        PRF_LEN
    }

    // A server never checks its own tokens; the dialler compares them with what it was told.
    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let mut expected = [0; PRF_LEN];
        self.sign(data, &mut expected);
        if signature == expected {
            Ok(())
        } else {
            Err(CryptoError)
        }
    }
}

/// Connection ids of 64 random bits. A token is given out with its id, so an id must not come again for as long as
/// the key lives; quinn's own generator has 24 bits, and takes those of a former process for invalid.
#[derive(Debug)]
pub(crate) struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_LEN];
        getrandom::fill(&mut id).expect("the system's generator works or nothing does");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
