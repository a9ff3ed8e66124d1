//! The same calls over both ways: QUIC and WebSocket.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::limits;
use pli_protocol::session::{Principal, Refusal, SessionRefusal};
use pli_protocol::wire;
use pli_transport::{
    AcceptedConnection, CallStream, ConnectError, DialledConnection, HandshakeError,
    ListenerLimits, Lost, OpenError, RecvError, SendError, Via,
};
use support::*;
use tokio::task::JoinHandle;

/// Answers every frame with itself until the peer has finished.
async fn echo(mut call: CallStream) {
    while let Some(frame) = call.recv.next().await.expect("whole frames") {
        call.send.send(frame).await.expect("the peer reads");
    }
    call.send.finish().await.expect("the peer reads");
}

/// Serves one call, and leaves the connection to its holder.
fn serve_echo(accepted: &AcceptedConnection) -> JoinHandle<()> {
    let accepted = accepted.clone();
    tokio::spawn(async move { echo(accepted.accept_call().await.unwrap()).await })
}

#[tokio::test]
async fn ses_2_1_frames_of_every_size_come_back() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        assert_eq!((dialled.via(), accepted.via()), (via, via));
        let _serving = serve_echo(&accepted);
        let mut call = dialled.open_call().await.unwrap();
        for length in [1, 2, 255, 1_199, 8_192, 8_193, 65_535, limits::FRAME_MAX] {
            let body: Bytes = (0..length).map(|i| (i * 31) as u8).collect();
            call.send.send(body.clone()).await.unwrap();
            let back = within(call.recv.next()).await.unwrap();
            assert_eq!(back.as_ref(), Some(&body), "{via} {length}");
        }
        call.send.finish().await.unwrap();
        assert_eq!(within(call.recv.next()).await, Ok(None));
        assert_eq!(
            within(call.recv.next()).await,
            Ok(None),
            "the end stays the end"
        );
    }
}

#[tokio::test]
async fn ses_2_1_many_frames_at_once_stay_whole_and_in_order() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let _serving = serve_echo(&accepted);
        let CallStream { mut recv, mut send } = dialled.open_call().await.unwrap();
        let bodies: Vec<Bytes> = (1..400_usize)
            .map(|n| vec![n as u8; n * 37 % 20_000 + 1].into())
            .collect();
        let sending = bodies.clone();
        let sender = tokio::spawn(async move {
            send.send_many(sending).await.unwrap();
            send.finish().await.unwrap();
        });
        for body in &bodies {
            assert_eq!(
                within(recv.next()).await.unwrap().as_ref(),
                Some(body),
                "{via}"
            );
        }
        assert_eq!(within(recv.next()).await, Ok(None));
        sender.await.unwrap();
    }
}

#[tokio::test]
async fn messages_are_encoded_into_frames() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let _serving = serve_echo(&accepted);
        let mut call = dialled.open_call().await.unwrap();
        let batch = wire::EnvelopeBatch {
            seq: 1,
            envelopes: vec![vec![7; 3_000].into()],
        };
        call.send.send_message(&batch).await.unwrap();
        let back = within(call.recv.next()).await.unwrap().unwrap();
        assert_eq!(pli_protocol::codec::encode(&batch), back);
    }
}

#[tokio::test]
async fn ses_2_2_this_side_sends_no_frame_that_the_peer_must_refuse() {
    for via in VIAS {
        let (dialled, _accepted, _server) = pair(via).await;
        let mut call = dialled.open_call().await.unwrap();
        let (got, limit) = (limits::FRAME_MAX + 1, limits::FRAME_MAX);
        assert_eq!(
            call.send.send(vec![0; got]).await,
            Err(SendError::TooLarge { got, limit })
        );
        assert_eq!(call.send.send(Bytes::new()).await, Err(SendError::Empty));
        call.send.finish().await.unwrap();
        assert_eq!(call.send.send(vec![1]).await, Err(SendError::Ended));
    }
}

#[tokio::test]
async fn ses_3_the_server_knows_who_dials() {
    for via in VIAS {
        for principal in [
            node(),
            Principal::Service("rdv@interieur.gouv.fr".parse().unwrap()),
            Principal::Gateway("interieur.gouv.fr".parse().unwrap()),
            Principal::Device,
        ] {
            let mut server = Server::start();
            let dialled = server.dial(&dialler_of(principal.clone(), 7), via).await;
            let accepted = server.session().await;
            assert_eq!(accepted.peer().principal, principal);
            assert_eq!(accepted.peer().key, *key(7).public());
            assert_eq!(dialled.welcome(), welcome());
            assert_eq!(dialled.server(), &server.identity);
        }
    }
}

#[tokio::test]
async fn ses_3_6_a_refusal_reaches_the_dialler_with_its_code() {
    let refusal = Refusal::new(Code::UnknownAuthority, "nobody knows you").retry_after_ms(5_000);
    for via in VIAS {
        let said = refusal.clone();
        let mut server = Server::with(ListenerLimits::default(), None, move |_| Err(said.clone()));
        let refused = within(dialler(1).connect(&server.identity, &server.only(via))).await;
        let expected = ConnectError::Refused(SessionRefusal::ByServer(refusal.clone()));
        assert_eq!(refused.unwrap_err(), expected, "{via}");
        let outcome = server.outcome().await.unwrap_err();
        assert!(
            matches!(
                &outcome,
                HandshakeError::Refused(SessionRefusal::NotLetIn { .. })
            ),
            "{outcome}"
        );
        assert_eq!(outcome.code(), Some(Code::UnknownAuthority));
    }
}

#[tokio::test]
async fn a_call_that_breaks_off_is_not_taken_for_one_that_ended() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut call = dialled.open_call().await.unwrap();
        call.send.send(vec![1]).await.unwrap();
        let mut served = accepted.accept_call().await.unwrap();
        assert_eq!(
            within(served.recv.next()).await,
            Ok(Some(Bytes::from_static(&[1])))
        );
        // The dialler's task is cancelled or panics between two frames.
        drop(call);
        let end = within(served.recv.next()).await.unwrap_err();
        match via {
            Via::Quic => assert!(matches!(end, RecvError::Reset { .. }), "{end}"),
            Via::WebSocket => assert_eq!(end, RecvError::Truncated { got: 0 }),
        }
    }
}

#[tokio::test]
async fn case_56_a_call_given_up_with_a_code_leaves_the_others_alone() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut other = dialled.open_call().await.unwrap();
        other.send.send(vec![1]).await.unwrap();
        let served_other = accepted.accept_call().await.unwrap();
        let mut call = dialled.open_call().await.unwrap();
        call.send.send(vec![2]).await.unwrap();
        let mut served = accepted.accept_call().await.unwrap();
        served.send.reset(Code::Internal);
        let end = within(call.recv.next()).await.unwrap_err();
        if via == Via::Quic {
            // yamux resets without a code.
            assert_eq!(end.code(), Some(Code::Internal));
        }
        tokio::spawn(echo(served_other));
        assert_eq!(
            within(other.recv.next()).await,
            Ok(Some(Bytes::from_static(&[1])))
        );
    }
}

#[tokio::test]
async fn ses_8_1_closing_tells_the_peer_why() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut call = dialled.open_call().await.unwrap();
        call.send.send(vec![1]).await.unwrap();
        let mut served = accepted.accept_call().await.unwrap();
        accepted.close(Some(Code::PeerCut), "too many bad signatures");
        let lost = within(dialled.closed()).await;
        assert_eq!(lost.code(), Some(Code::PeerCut), "{via}: {lost}");
        assert!(
            matches!(&lost, Lost::ClosedByPeer { reason, .. } if reason == "too many bad signatures"),
            "{via}: {lost:?}"
        );
        assert_eq!(
            within(call.recv.next()).await,
            Err(RecvError::Lost(lost.clone()))
        );
        assert_eq!(
            within(dialled.open_call()).await.unwrap_err(),
            OpenError::Lost(lost)
        );
        // This side's own calls end as well, and say whose doing it was.
        let mut last = within(served.recv.next()).await;
        if last.is_ok() {
            // What had arrived over WebSocket may still be read.
            last = within(served.recv.next()).await;
        }
        assert_eq!(last, Err(RecvError::Lost(Lost::ClosedHere)));
        assert_eq!(
            within(accepted.accept_call()).await.unwrap_err(),
            Lost::ClosedHere
        );
    }
}

#[tokio::test]
async fn a_dialler_that_is_done_closes_without_blame() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        drop(dialled);
        let lost = within(accepted.closed()).await;
        assert_eq!(lost.code(), None, "{lost}");
        assert!(matches!(lost, Lost::ClosedByPeer { .. }), "{via}: {lost:?}");
    }
}

/// QUIC announces room for further calls in steps of an eighth, so the last one may be out of
/// reach; never is there one too many.
#[tokio::test]
async fn ses_5_2_one_call_more_than_the_role_has_waits_for_others_to_end() {
    let most = limits::CALLS_DEVICE_MAX as usize;
    for via in VIAS {
        let mut server = Server::start();
        let dialled = server.dial(&dialler_of(Principal::Device, 7), via).await;
        let accepted = server.session().await;
        let mut calls = Vec::new();
        // So many there must be, however long they take on a busy machine.
        for _ in 0..most - most / 8 {
            let call = within(open_one(&dialled)).await;
            calls.push((call, within(accepted.accept_call()).await.unwrap()));
        }
        while let Some(call) = open_soon(&dialled).await {
            assert!(
                calls.len() < most,
                "{via}: no call beyond the role's number"
            );
            calls.push((call, within(accepted.accept_call()).await.unwrap()));
        }
        calls.truncate(calls.len() - most / 4);
        let mut call = within(dialled.open_call()).await.unwrap();
        call.send.send(vec![0xff]).await.unwrap();
        let mut served = within(accepted.accept_call()).await.unwrap();
        assert_eq!(
            within(served.recv.next()).await,
            Ok(Some(Bytes::from_static(&[0xff])))
        );
    }
}

/// CUS-6.3
#[tokio::test]
async fn ses_5_2_a_server_that_grants_no_call_is_not_waited_for() {
    let limit_ms = limits::REPLY_TIMEOUT_MS;
    for via in VIAS {
        let mut server = Server::start();
        let dialled = server.dial(&dialler_of(Principal::Device, 7), via).await;
        // It takes none of them, and so none ends.
        let _accepted = server.session().await;
        let mut calls = Vec::new();
        tokio::time::pause();
        let refused = within(async {
            loop {
                match dialled.open_call().await {
                    Ok(call) => calls.push(call),
                    Err(error) => break error,
                }
            }
        })
        .await;
        tokio::time::resume();
        assert_eq!(refused, OpenError::TimedOut { limit_ms }, "{via}");
        assert_eq!(refused.code(), Some(Code::TooSlow));
        assert!(calls.len() <= limits::CALLS_DEVICE_MAX as usize, "{via}");
    }
}

/// SES-7.5: over QUIC the server waits until its last word is taken; over WebSocket it comes in order.
#[tokio::test]
async fn ses_8_1_a_peer_that_only_writes_can_still_read_why_it_cannot() {
    let (dialled, accepted, _server) = pair(Via::WebSocket).await;
    let mut call = dialled.open_call().await.unwrap();
    call.send.send(vec![1]).await.unwrap();
    let mut served = within(accepted.accept_call()).await.unwrap();
    served.send.send(vec![2]).await.unwrap();
    served.send.finish().await.unwrap();
    accepted.close(Some(Code::ShuttingDown), "enough");
    let broken = within(async {
        loop {
            if let Err(error) = call.send.send(vec![0; limits::FRAME_MAX]).await {
                break error;
            }
        }
    })
    .await;
    assert_eq!(broken.code(), Some(Code::ShuttingDown), "{broken}");
    let last_word = Bytes::from_static(&[2]);
    assert_eq!(within(call.recv.next()).await, Ok(Some(last_word)));
    assert_eq!(within(call.recv.next()).await, Ok(None));
}

async fn open_one(dialled: &DialledConnection) -> CallStream {
    let mut call = dialled.open_call().await.unwrap();
    call.send.send(vec![1]).await.unwrap();
    call
}

async fn open_soon(dialled: &DialledConnection) -> Option<CallStream> {
    tokio::time::timeout(Duration::from_millis(1_500), open_one(dialled))
        .await
        .ok()
}
