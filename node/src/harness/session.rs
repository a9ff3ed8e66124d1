//! The handshake, each side alone.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::session::{
    DiallerHandshake, DiallerOutput, Nonce, Principal, ServerHandshake, ServerIdentity,
    ServerOutput,
};
use pli_protocol::{codec, limits, wire};
use serde_json::Value;

use super::fault::Fault;
use super::input::{Input, hexadecimal};
use super::{Output, output};

/// The server's first turn.
pub(super) fn hello(input: &Input) -> Result<Output, Fault> {
    // Neither the key nor the nonce matters to the choice of a version.
    let key = *SigningKey::from_seed(&[1; 32]).public();
    let (_, server_hello) = opened(key, [0; 32], &input.bytes("hello")?)?;
    let hello: wire::ServerHello =
        codec::decode_canonical(&server_hello, limits::SIGNED_OBJECT_MAX)?;
    Ok(output([("version", Value::from(hello.version))]))
}

/// The server's second turn, up to the question for the directory.
pub(super) fn proof(input: &Input) -> Result<Output, Fault> {
    let key = PublicKey::from_bytes(&input.bytes("server_key")?)?;
    let (mut server, _) = opened(key, input.exact("nonce")?, &input.bytes("hello")?)?;
    match server.handle(&input.bytes("proof")?)? {
        ServerOutput::Authenticated(peer) => Ok(output([
            ("role", Value::from(peer.role().to_string())),
            ("name", Value::from(peer.principal.name())),
            ("key", hexadecimal(peer.key.as_bytes())),
        ])),
        ServerOutput::Send(_) => Err(Fault::Refused(Code::UnexpectedMessage)),
    }
}

fn opened(
    key: PublicKey,
    nonce: [u8; limits::NONCE_LEN],
    hello: &Bytes,
) -> Result<(ServerHandshake, Bytes), Fault> {
    let authority = "server.example".parse().expect("a well-formed authority");
    let own = ServerIdentity { authority, key };
    let mut server = ServerHandshake::new(own, Nonce::from_random(nonce));
    match server.handle(hello)? {
        ServerOutput::Send(frame) => Ok((server, frame)),
        ServerOutput::Authenticated(_) => Err(Fault::Refused(Code::UnexpectedMessage)),
    }
}

/// The dialler's answer to a `ServerHello`.
pub(super) fn answer(input: &Input) -> Result<Output, Fault> {
    let principal = match input.text("role")? {
        "node" => Principal::Node(input.name("name")?),
        "gateway" => Principal::Gateway(input.name("name")?),
        "service" => Principal::Service(input.name("name")?),
        "device" => Principal::Device,
        other => return Err(Fault::Request(format!("role: {other} is not a role"))),
    };
    let key = SigningKey::from_seed(&input.exact("seed")?);
    let server = ServerIdentity {
        authority: input.name("authority")?,
        key: PublicKey::from_bytes(&input.bytes("server_key")?)?,
    };
    let (mut dialler, _) = DiallerHandshake::start(principal, &key, server);
    match dialler.handle(&input.bytes("server_hello")?)? {
        DiallerOutput::Send(proof) => Ok(output([("proof", hexadecimal(&proof))])),
        DiallerOutput::Welcome(_) => Err(Fault::Refused(Code::UnexpectedMessage)),
    }
}
