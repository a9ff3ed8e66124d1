//! Which call a stream is, and whether the peer may make it. Spec: SES-2, SES-7.1 to SES-7.4.
//!
//! A call is one task: a panic in it ends that stream only (case 56).

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::id::Timestamp;
use pli_protocol::limits::{CALL_TIMEOUT_MS, DETAIL_MAX, FRAME_MAX};
use pli_protocol::session::{Authenticated, Principal};
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{CallStream, FrameReader, FrameWriter, RecvError, SendError};

use super::batches;
use super::received::Way;
use super::retry::retry_after_ms;
use crate::deliver::{account, reports, sync, track};
use crate::evidence::answer::{self, Asker};
use crate::federation;
use crate::relay::Relay;
use crate::shutdown::Shutdown;

/// How a call ends other than in order.
#[derive(Debug)]
pub enum CallEnd {
    /// The peer gets a refusal on the stream; the connection goes on.
    Refuse(Code),
    /// The same with a word for a human.
    RefuseWith(Code, String),
    /// The peer broke the protocol: the connection is closed.
    Cut(Code),
    /// There is nobody to tell.
    Gone,
}

impl From<RecvError> for CallEnd {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lost(_) | RecvError::Reset { .. } => Self::Gone,
            // SES-2.6: a call that its dialler gave up over WebSocket looks like that.
            RecvError::Truncated { .. } => Self::Refuse(Code::Truncated),
            // SES-4.3, case 53: one slow stream costs only itself.
            RecvError::TooSlow { .. } => Self::Refuse(Code::TooSlow),
            // SES-2.5
            broken => broken.code().map_or(Self::Gone, Self::Cut),
        }
    }
}

impl From<SendError> for CallEnd {
    fn from(error: SendError) -> Self {
        tracing::debug!(%error, "the peer took no answer");
        Self::Gone
    }
}

impl From<crate::store::StoreError> for CallEnd {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Refuse(error.code())
    }
}

/// Runs one call to its end; gives the code for which the connection must be closed, if any.
/// `bad` counts what only a broken or hostile peer sends, over all calls of the connection.
pub async fn run(
    relay: Arc<Relay>,
    peer: Arc<Authenticated>,
    stream: CallStream,
    bad: Arc<AtomicU32>,
    shutdown: Shutdown,
) -> Option<Code> {
    let CallStream { mut recv, mut send } = stream;
    let kind = match first_frame(&mut recv).await {
        Ok(kind) => kind,
        Err(end) => return finish(end, send, relay.clock.now()).await,
    };
    let counted = &relay.metrics.session.calls_total;
    counted.of((&kind).into()).increment(1);
    // A stream of batches answers for itself: it owns both halves.
    let way = match (&kind, &peer.principal) {
        (call::Kind::Submit(_), Principal::Service(service)) => Way::Submit(service.clone()),
        (call::Kind::Forward(_), Principal::Node(node)) => Way::Forward(node.clone()),
        (call::Kind::Submit(_) | call::Kind::Forward(_), _) => {
            let end = CallEnd::Refuse(Code::RoleNotAllowed);
            return finish(end, send, relay.clock.now()).await;
        }
        _ => {
            let outcome = answer(&relay, &peer, kind, &mut recv, &mut send, shutdown).await;
            return match outcome {
                Ok(()) => {
                    // Gone or not: everything was said.
                    drop(send.finish().await);
                    None
                }
                Err(end) => finish(end, send, relay.clock.now()).await,
            };
        }
    };
    if let Way::Forward(node) = &way {
        relay.router.heard_from(node);
    }
    let clock = Arc::clone(&relay.clock);
    let (end, send) = batches::run(relay, way, recv, send, bad, shutdown).await;
    match end {
        Ok(()) => None,
        Err(end) => finish(end, send, clock.now()).await,
    }
}

async fn answer(
    relay: &Arc<Relay>,
    peer: &Authenticated,
    kind: call::Kind,
    recv: &mut FrameReader,
    send: &mut FrameWriter,
    shutdown: Shutdown,
) -> Result<(), CallEnd> {
    let reply = match (kind, &peer.principal) {
        (call::Kind::Track(asked), Principal::Service(service)) => {
            track::answer(relay, service, &asked).await?
        }
        (call::Kind::Report(report), Principal::Node(node)) => {
            relay.router.heard_from(node);
            reports::receive(relay, node, &report).await?
        }
        (call::Kind::Sync(asked), Principal::Device) => {
            return sync::run(relay, &peer.key, asked, recv, send, shutdown).await;
        }
        (
            call::Kind::Trust(asked),
            Principal::Node(_) | Principal::Service(_) | Principal::Device,
        ) => {
            return federation::answer::answer(&relay.mirror, asked, send).await;
        }
        (call::Kind::Handover(handover), Principal::Device) => {
            account::handover(relay, &peer.key, handover).await?
        }
        (call::Kind::Enrol(enrol), Principal::Device) => {
            account::enrol(relay, &peer.key, enrol).await?
        }
        (call::Kind::PublishGrant(publish), Principal::Device) => {
            account::publish_grant(relay, &peer.key, publish).await?
        }
        (call::Kind::Evidence(asked), principal) => {
            let asker = match principal {
                Principal::Service(service) => Asker::Service(service.clone()),
                Principal::Node(node) => Asker::Node(node.clone()),
                Principal::Device => Asker::Account(sync::account_of(relay, &peer.key).await?),
                Principal::Gateway(_) => return Err(CallEnd::Refuse(Code::RoleNotAllowed)),
            };
            answer::answer(relay, asker, &asked).await?
        }
        _ => return Err(CallEnd::Refuse(Code::RoleNotAllowed)),
    };
    send.send_message(&wire::CallReply { kind: Some(reply) })
        .await?;
    Ok(())
}

// SES-4.3: a stream that does not say soon what it is for is not kept.
async fn first_frame(recv: &mut FrameReader) -> Result<call::Kind, CallEnd> {
    let frame = tokio::time::timeout(Duration::from_millis(CALL_TIMEOUT_MS), recv.next())
        .await
        .map_err(|_| CallEnd::Refuse(Code::TooSlow))??
        .ok_or(CallEnd::Gone)?;
    let call: wire::Call =
        codec::decode_canonical(&frame, FRAME_MAX).map_err(|error| CallEnd::Cut(error.code()))?;
    call.kind.ok_or(CallEnd::Refuse(Code::UnsupportedCall))
}

/// Tells the peer why, as far as somebody is there to be told.
async fn finish(end: CallEnd, mut send: FrameWriter, now: Timestamp) -> Option<Code> {
    let (code, detail, cut) = match end {
        CallEnd::Refuse(code) => (code, String::new(), None),
        CallEnd::RefuseWith(code, detail) => (code, detail, None),
        CallEnd::Cut(code) => (code, String::new(), Some(code)),
        CallEnd::Gone => return None,
    };
    let detail: String = detail.chars().take(DETAIL_MAX / 4).collect();
    let refusal = wire::Refusal {
        code: code.number(),
        detail,
        retry_after_ms: retry_after_ms(code, now),
    };
    let reply = wire::CallReply {
        kind: Some(call_reply::Kind::Refusal(refusal)),
    };
    let closes = cut.is_some() || code == Code::ShuttingDown;
    if send.send_message(&reply).await.is_ok() && send.finish().await.is_ok() && closes {
        // A connection that is closed at once would overtake its own last word.
        drop(tokio::time::timeout(Duration::from_secs(1), send.taken()).await);
    }
    cut
}
