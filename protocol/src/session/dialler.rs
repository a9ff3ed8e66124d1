//! The dialler's half of the handshake. Spec: SES-3.

use bytes::Bytes;

use super::{Principal, Refusal, SUPPORTED_VERSIONS, ServerIdentity, SessionRefusal, Welcome};
use crate::crypto::contexts;
use crate::crypto::sign::{PublicKey, SigningKey};
use crate::id::AuthorityId;
use crate::{codec, limits, signed, wire};

/// What the dialler does next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DiallerOutput {
    /// Send this frame body, then wait for the next frame.
    Send(Bytes),
    /// The session stands.
    Welcome(Welcome),
}

/// Proves to one server who we are.
///
/// Contract: send what [`start`](Self::start) returns, then give each received frame body to
/// [`handle`](Self::handle) and do what it says. After an error or a welcome the machine is spent.
#[derive(Debug)]
pub struct DiallerHandshake<'key> {
    principal: Principal,
    key: &'key SigningKey,
    /// Invariant: what the TLS connection has proven, or is about to prove, to be the server.
    server: ServerIdentity,
    offered: &'static [u32],
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitServerHello,
    AwaitReply,
    /// Finished or failed: nothing more is taken.
    Ended,
}

impl<'key> DiallerHandshake<'key> {
    /// The machine and the first frame body to send.
    pub fn start(
        principal: Principal,
        key: &'key SigningKey,
        server: ServerIdentity,
    ) -> (Self, Bytes) {
        Self::start_with(principal, key, server, SUPPORTED_VERSIONS)
    }

    pub(super) fn start_with(
        principal: Principal,
        key: &'key SigningKey,
        server: ServerIdentity,
        offered: &'static [u32],
    ) -> (Self, Bytes) {
        let hello = codec::encode(&wire::DiallerHello {
            versions: offered.to_vec(),
        });
        (
            Self {
                principal,
                key,
                server,
                offered,
                state: State::AwaitServerHello,
            },
            hello,
        )
    }

    /// Takes the body of the frame that the server sent.
    pub fn handle(&mut self, frame: &Bytes) -> Result<DiallerOutput, SessionRefusal> {
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (next, output) = match state {
            State::AwaitServerHello => {
                let proof = self.on_server_hello(frame)?;
                (State::AwaitReply, DiallerOutput::Send(proof))
            }
            State::AwaitReply => {
                let welcome = on_reply(frame)?;
                (State::Ended, DiallerOutput::Welcome(welcome))
            }
            State::Ended => return Err(SessionRefusal::OutOfTurn),
        };
        self.state = next;
        Ok(output)
    }

    fn on_server_hello(&self, frame: &Bytes) -> Result<Bytes, SessionRefusal> {
        if let Some(refusal) = early_refusal(frame)? {
            return Err(SessionRefusal::ByServer(refusal));
        }
        let hello: wire::ServerHello = codec::decode_canonical(frame, limits::SIGNED_OBJECT_MAX)?;
        if !self.offered.contains(&hello.version) {
            return Err(SessionRefusal::UnsupportedVersion {
                offered: self.offered.to_vec(),
                supported: vec![hello.version],
            });
        }
        if hello.nonce.len() != limits::NONCE_LEN {
            return Err(SessionRefusal::NonceLength {
                got: hello.nonce.len(),
            });
        }
        // SES-3.3: we sign for the server whose key TLS has proven, never for the key that it
        // merely names: otherwise it could collect our proof for somebody else.
        let got = PublicKey::from_bytes(&hello.server_key)?;
        if got != self.server.key {
            return Err(SessionRefusal::ServerKeyMismatch {
                got: got.into(),
                expected: self.server.key.into(),
            });
        }
        let got = AuthorityId::new(&hello.authority)?;
        if got != self.server.authority {
            return Err(SessionRefusal::WrongAuthority {
                got,
                expected: self.server.authority.clone(),
            });
        }
        let proof = wire::SessionProof {
            version: hello.version,
            offered_versions: self.offered.to_vec(),
            nonce: hello.nonce,
            server_key: hello.server_key,
            role: self.principal.role().to_wire().into(),
            own_key: Bytes::copy_from_slice(self.key.public().as_bytes()),
            name: self.principal.name(),
        };
        Ok(signed::sign_one(
            contexts::SESSION,
            codec::encode(&proof),
            self.key,
        ))
    }
}

/// A refusal in place of the `ServerHello`. The two cannot be mistaken for each other: a
/// `ServerHello` opens with a varint field 1, a `SessionReply` has none. SES-3.6.
fn early_refusal(frame: &Bytes) -> Result<Option<Refusal>, SessionRefusal> {
    let reply = codec::decode_canonical::<wire::SessionReply>(frame, limits::SIGNED_OBJECT_MAX);
    match reply.map(|reply| reply.outcome) {
        Ok(Some(wire::session_reply::Outcome::Refusal(refusal))) => {
            Refusal::from_wire(&refusal).map(Some)
        }
        Ok(Some(wire::session_reply::Outcome::Welcome(_))) => Err(SessionRefusal::OutOfTurn),
        Ok(None) | Err(_) => Ok(None),
    }
}

fn on_reply(frame: &Bytes) -> Result<Welcome, SessionRefusal> {
    let reply: wire::SessionReply = codec::decode_canonical(frame, limits::SIGNED_OBJECT_MAX)?;
    match reply.outcome.ok_or(SessionRefusal::EmptyReply)? {
        wire::session_reply::Outcome::Welcome(welcome) => Welcome::from_wire(&welcome),
        wire::session_reply::Outcome::Refusal(refusal) => {
            Err(SessionRefusal::ByServer(Refusal::from_wire(&refusal)?))
        }
    }
}
