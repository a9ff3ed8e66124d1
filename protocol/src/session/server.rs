//! The server's half of the handshake. Spec: SES-3.

use bytes::Bytes;

use super::{Authenticated, Nonce, Principal, SUPPORTED_VERSIONS, ServerIdentity, SessionRefusal};
use crate::crypto::contexts;
use crate::crypto::sign::PublicKey;
use crate::signed::{Signed, SignedError};
use crate::{codec, limits, wire};

/// What the server does next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a connection, and taken apart at once"
)]
pub enum ServerOutput {
    /// Send this frame body, then wait for the next frame.
    Send(Bytes),
    /// The dialler holds this key. Now ask the directory, and send
    /// [`encode_welcome`](super::encode_welcome) or [`encode_refusal`](super::encode_refusal).
    Authenticated(Authenticated),
}

/// Finds out who dials.
///
/// Contract: give each received frame body to [`handle`](Self::handle) and do what it says. On
/// an error send [`SessionRefusal::to_refusal`] and close. After that the machine is spent.
#[derive(Debug)]
pub struct ServerHandshake {
    own: ServerIdentity,
    nonce: Nonce,
    supported: &'static [u32],
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitHello,
    AwaitProof {
        version: u32,
        offered: Vec<u32>,
    },
    /// Finished or failed: nothing more is taken.
    Ended,
}

impl ServerHandshake {
    /// A machine for one connection, with a nonce for it alone.
    pub fn new(own: ServerIdentity, nonce: Nonce) -> Self {
        Self::with_supported(own, nonce, SUPPORTED_VERSIONS)
    }

    pub(super) fn with_supported(
        own: ServerIdentity,
        nonce: Nonce,
        supported: &'static [u32],
    ) -> Self {
        Self {
            own,
            nonce,
            supported,
            state: State::AwaitHello,
        }
    }

    /// Takes the body of the frame that the dialler sent.
    pub fn handle(&mut self, frame: &Bytes) -> Result<ServerOutput, SessionRefusal> {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (next, output) = match state {
            State::AwaitHello => {
                let (version, offered) = self.on_hello(frame)?;
                let hello = self.hello(version);
                (
                    State::AwaitProof { version, offered },
                    ServerOutput::Send(hello),
                )
            }
            State::AwaitProof { version, offered } => {
                let peer = self.on_proof(frame, version, &offered)?;
                (State::Ended, ServerOutput::Authenticated(peer))
            }
            State::Ended => return Err(SessionRefusal::OutOfTurn),
        };
        self.state = next;
        Ok(output)
    }

    // SES-3.1: the highest version in common. Version 0 never exists.
    fn on_hello(&self, frame: &Bytes) -> Result<(u32, Vec<u32>), SessionRefusal> {
        let hello: wire::DiallerHello = codec::decode_canonical(frame, limits::SIGNED_OBJECT_MAX)?;
        let offered = hello.versions;
        if offered.len() > limits::VERSIONS_MAX {
            return Err(SessionRefusal::TooManyVersions { got: offered.len() });
        }
        if !offered.is_sorted_by(|a, b| a < b) {
            return Err(SessionRefusal::VersionsNotAscending { got: offered });
        }
        let common = self
            .supported
            .iter()
            .rev()
            .find(|version| offered.contains(version));
        match common {
            Some(&version) if offered.first() != Some(&0) => Ok((version, offered)),
            _ => Err(SessionRefusal::UnsupportedVersion {
                offered,
                supported: self.supported.to_vec(),
            }),
        }
    }

    fn hello(&self, version: u32) -> Bytes {
        codec::encode(&wire::ServerHello {
            version,
            nonce: Bytes::copy_from_slice(&self.nonce.0),
            server_key: Bytes::copy_from_slice(self.own.key.as_bytes()),
            authority: self.own.authority.to_string(),
        })
    }

    // SES-3.4. The signature comes first: until it verifies, the fields are anybody's.
    fn on_proof(
        &self,
        frame: &Bytes,
        chosen: u32,
        offer: &[u32],
    ) -> Result<Authenticated, SessionRefusal> {
        if frame.len() > limits::SIGNED_OBJECT_MAX {
            return Err(SessionRefusal::MessageTooLong { got: frame.len() });
        }
        let signed = Signed::decode(frame.clone(), contexts::SESSION)?;
        let signers = signed.key_ids().count();
        if signers != 1 {
            return Err(SessionRefusal::SignatureCount { got: signers });
        }
        let proof: wire::SessionProof =
            codec::decode_canonical(signed.payload(), limits::SIGNED_OBJECT_MAX)?;
        let key = PublicKey::from_bytes(&proof.own_key)?;
        signed.verify(&key).map_err(|error| match error {
            SignedError::NotSignedBy { .. } => SessionRefusal::NotSignedByOwnKey,
            other => other.into(),
        })?;
        if proof.version != chosen || proof.offered_versions != offer {
            return Err(SessionRefusal::Downgrade {
                signed: proof.version,
                signed_offer: proof.offered_versions,
                chosen,
                offer: offer.to_vec(),
            });
        }
        if proof.nonce != self.nonce.0[..] {
            return Err(SessionRefusal::WrongNonce);
        }
        // A proof that another server asked for, and passed on to us, ends here.
        if proof.server_key != self.own.key.as_bytes()[..] {
            return Err(SessionRefusal::ProofForAnotherServer {
                expected: self.own.key.into(),
            });
        }
        let principal = Principal::from_wire(proof.role, &proof.name)?;
        Ok(Authenticated { principal, key })
    }
}
