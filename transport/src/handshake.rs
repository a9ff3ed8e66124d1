//! Drives the machines of `protocol::session` over the first call of a connection. Spec: SES-3.
//!
//! In: a fresh connection and who we are, or who we serve. Out: a welcome, or who dials. The
//! caller sets the time limit.

use std::future::Future;

use pli_protocol::limits;
use pli_protocol::session::{
    Authenticated, DiallerHandshake, DiallerOutput, Nonce, Refusal, Role, ServerHandshake,
    ServerIdentity, ServerOutput, SessionRefusal, Welcome, encode_refusal, encode_welcome,
};

use crate::connection::{CallStream, Link, Wire};
use crate::dialler::Credential;
use crate::error::{AttemptError, HandshakeError, Lost, RecvError, SendError};
use crate::quic;

/// The largest frame of the handshake, so that strangers cannot have 64 KiB reserved each.
const HANDSHAKE_FRAME_MAX: usize = limits::SIGNED_OBJECT_MAX;

/// As the dialler: proves who we are to a server whose key TLS has checked.
pub(crate) async fn dial(
    link: &Link,
    credential: &Credential,
    server: ServerIdentity,
) -> Result<Welcome, AttemptError> {
    let mut call = link.open().await?;
    call.recv.set_limit(HANDSHAKE_FRAME_MAX);
    let role = credential.principal.role();
    let (mut machine, hello) =
        DiallerHandshake::start(credential.principal.clone(), &credential.key, server);
    call.send.send(hello).await.map_err(of_send)?;
    let welcome = loop {
        let frame = call.recv.next().await.map_err(of_recv)?;
        let frame = frame.ok_or_else(|| of_recv(RecvError::Truncated { got: 0 }))?;
        match machine.handle(&frame)? {
            DiallerOutput::Send(proof) => call.send.send(proof).await.map_err(of_send)?,
            DiallerOutput::Welcome(welcome) => break welcome,
        }
    };
    call.send.finish().await.map_err(of_send)?;
    if let Wire::Mux(mux) = link.wire() {
        // Over QUIC the server says how many calls there may be; yamux has no such message.
        mux.admit(role.calls_max());
    }
    Ok(welcome)
}

/// As the server: finds out who dials, and asks `authorize` whether to let it in.
pub(crate) async fn answer<F, Answer>(
    link: &Link,
    own: ServerIdentity,
    authorize: F,
) -> Result<Authenticated, HandshakeError>
where
    F: FnOnce(Authenticated) -> Answer,
    Answer: Future<Output = Result<Welcome, Refusal>>,
{
    let mut call = link.accept().await?;
    call.recv.set_limit(HANDSHAKE_FRAME_MAX);
    match converse(&mut call, own, authorize).await {
        Ok((peer, welcome)) => {
            // The windows open before the dialler hears that it may use them.
            admit(link, peer.role());
            call.send.send(encode_welcome(&welcome)).await?;
            call.send.finish().await?;
            Ok(peer)
        }
        Err(HandshakeError::Refused(refusal)) => {
            refuse(&mut call, &refusal).await?;
            Err(HandshakeError::Refused(refusal))
        }
        Err(error) => {
            // SES-2.5: the stream may end at the dialler before the connection does.
            if let Some(code) = error.code() {
                call.send.reset(code);
            }
            Err(error)
        }
    }
}

async fn converse<F, Answer>(
    call: &mut CallStream,
    own: ServerIdentity,
    authorize: F,
) -> Result<(Authenticated, Welcome), HandshakeError>
where
    F: FnOnce(Authenticated) -> Answer,
    Answer: Future<Output = Result<Welcome, Refusal>>,
{
    let mut nonce = [0; limits::NONCE_LEN];
    getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
    let mut machine = ServerHandshake::new(own, Nonce::from_random(nonce));
    loop {
        let frame = match call.recv.next().await {
            Ok(frame) => frame.ok_or(RecvError::Truncated { got: 0 })?,
            // SES-3.2: a frame that any later call could have, but no handshake.
            Err(RecvError::TooLarge { got, .. }) if got as usize <= limits::FRAME_MAX => {
                return Err(SessionRefusal::MessageTooLong { got: got as usize }.into());
            }
            Err(error) => return Err(error.into()),
        };
        match machine.handle(&frame)? {
            ServerOutput::Send(hello) => call.send.send(hello).await?,
            ServerOutput::Authenticated(peer) => {
                let role = peer.role();
                let welcome = authorize(peer.clone())
                    .await
                    .map_err(|refusal| SessionRefusal::NotLetIn { role, refusal })?;
                return Ok((peer, welcome));
            }
        }
    }
}

/// Waits until the dialler has the refusal: closing at once could overtake it. The time limit
/// of the handshake bounds the wait.
async fn refuse(call: &mut CallStream, refusal: &SessionRefusal) -> Result<(), HandshakeError> {
    call.send
        .send(encode_refusal(&refusal.to_refusal()))
        .await?;
    call.send.finish().await?;
    call.send.taken().await;
    Ok(())
}

/// Opens what was narrow for a stranger.
fn admit(link: &Link, role: Role) {
    match link.wire() {
        Wire::Quic(connection) => quic::admit(connection, role),
        Wire::Mux(mux) => mux.admit(role.calls_max()),
    }
}

fn of_recv(error: RecvError) -> AttemptError {
    AttemptError::Lost(match error {
        RecvError::Lost(lost) => lost,
        other => Lost::Fault {
            detail: format!("in the handshake: {other}"),
        },
    })
}

fn of_send(error: SendError) -> AttemptError {
    AttemptError::Lost(match error {
        SendError::Lost(lost) => lost,
        other => Lost::Fault {
            detail: format!("in the handshake: {other}"),
        },
    })
}
