//! Sessions and calls without a client's good manners: as whoever holds a key.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pli_client::{clock, reach};
use pli_protocol::id::AuthorityId;
use pli_protocol::session::Principal;
use pli_protocol::trust::Directory;
use pli_protocol::wire::{self, call, call_reply};
use pli_protocol::{codec, limits};
use pli_transport::{CallStream, Credential, DialledConnection, Dialler};
use pli_trust::keyfile;

use crate::{Error, Federation};

/// Until an answer is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session of one node with another, as whoever holds the key of the first has it.
pub async fn as_node(
    federation: &Federation,
    directory: &Directory,
    from: &AuthorityId,
    to: &AuthorityId,
) -> Result<DialledConnection, Error> {
    let file = federation.node(from.as_str()).home().join("keys/node.key");
    let key = keyfile::load(&file).map_err(|error| Error::unexpected("a node's key", error))?;
    let dialler = Dialler::new(Credential {
        principal: Principal::Node(from.clone()),
        key: Arc::new(key),
    });
    let session = reach::connect(&dialler, directory, to, clock::now()).await;
    session.map_err(|error| Error::unexpected(format!("a session with {to}"), error))
}

/// A call.
pub async fn open(connection: &DialledConnection, kind: call::Kind) -> Result<CallStream, Error> {
    let opened = connection.open_call().await;
    let mut stream = opened.map_err(|error| Error::unexpected("a call", error))?;
    let call = wire::Call { kind: Some(kind) };
    let sent = stream.send.send_message(&call).await;
    sent.map_err(|error| Error::unexpected("a call", error))?;
    Ok(stream)
}

/// The next reply; `None` when the call ended.
pub async fn reply(stream: &mut CallStream) -> Result<Option<call_reply::Kind>, Error> {
    let frame = tokio::time::timeout(PATIENCE, stream.recv.next())
        .await
        .map_err(|_| Error::Timeout {
            what: "a reply".into(),
            within: PATIENCE,
        })?;
    let Some(frame) = frame.map_err(|error| Error::unexpected("a reply", error))? else {
        return Ok(None);
    };
    let reply: wire::CallReply = codec::decode_canonical(&frame, limits::FRAME_MAX)
        .map_err(|error| Error::unexpected("a reply", error))?;
    Ok(reply.kind)
}

/// One call with one batch of envelopes; the answer to it.
pub async fn hand_over(
    connection: &DialledConnection,
    kind: call::Kind,
    envelopes: Vec<Bytes>,
) -> Result<call_reply::Kind, Error> {
    let mut stream = open(connection, kind).await?;
    let batch = wire::EnvelopeBatch { seq: 1, envelopes };
    let sent = stream.send.send_message(&batch).await;
    sent.map_err(|error| Error::unexpected("a batch", error))?;
    reply(&mut stream)
        .await?
        .ok_or_else(|| Error::unexpected("a batch", "the call ended without an answer"))
}

/// The code of each disposition of an acknowledgement; 0 where it is none.
pub fn codes(reply: &call_reply::Kind) -> Result<Vec<u32>, Error> {
    let call_reply::Kind::Ack(ack) = reply else {
        return Err(Error::unexpected(
            "an acknowledgement",
            format!("{reply:?}"),
        ));
    };
    Ok(ack.dispositions.iter().map(|one| one.code).collect())
}
