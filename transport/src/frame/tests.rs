//! Peers that send what no frame is, over both ways.

use std::time::Duration;

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::limits;
use tokio::time::Instant;

use crate::support::{VIAS, pair, within};
use crate::{CallStream, DialledConnection, RecvError, SendError, Via};

/// After one call has failed, another is served as ever.
async fn assert_alive(dialled: &DialledConnection, accepted: &crate::AcceptedConnection) {
    let mut call = dialled.open_call().await.unwrap();
    call.send.send(vec![5; 10]).await.unwrap();
    let mut served = within(accepted.accept_call()).await.unwrap();
    assert_eq!(
        within(served.recv.next()).await,
        Ok(Some(vec![5; 10].into()))
    );
}

#[tokio::test]
async fn case_01_a_length_over_the_limit_cuts_the_call_and_no_other() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        for length in [limits::FRAME_MAX as u32 + 1, u32::MAX] {
            let mut call = dialled.open_call().await.unwrap();
            call.send
                .send_raw(length.to_be_bytes().to_vec())
                .await
                .unwrap();
            let mut served = within(accepted.accept_call()).await.unwrap();
            let refused = RecvError::TooLarge {
                got: length,
                limit: limits::FRAME_MAX,
            };
            assert_eq!(
                within(served.recv.next()).await,
                Err(refused.clone()),
                "{via}"
            );
            assert_eq!(
                within(served.recv.next()).await,
                Err(refused),
                "and stays cut"
            );
            if via == Via::Quic {
                let told = within(sending_fails(&mut call)).await;
                assert_eq!(told.code(), Some(Code::FrameTooLarge));
            }
        }
        assert_alive(&dialled, &accepted).await;
    }
}

async fn sending_fails(call: &mut CallStream) -> SendError {
    loop {
        if let Err(error) = call.send.send_raw(vec![0; 1_000]).await {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn ses_2_3_an_empty_frame_is_refused_over_quic() {
    let (dialled, accepted, _server) = pair(Via::Quic).await;
    let mut call = dialled.open_call().await.unwrap();
    call.send.send_raw(vec![0; 4]).await.unwrap();
    let mut served = within(accepted.accept_call()).await.unwrap();
    let refused = within(served.recv.next()).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::FrameEmpty));
    assert_alive(&dialled, &accepted).await;
}

/// SES-2.4
#[tokio::test]
async fn case_02_a_stream_that_ends_inside_a_frame_is_truncated_at_every_byte() {
    let stream: Vec<u8> = [&[0, 0, 0, 2, 1, 1][..], &[0, 0, 0, 3, 2, 2, 2]].concat();
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        for cut in 1..stream.len() {
            let mut call = dialled.open_call().await.unwrap();
            call.send.send_raw(stream[..cut].to_vec()).await.unwrap();
            let mut served = within(accepted.accept_call()).await.unwrap();
            if via == Via::Quic {
                call.send.finish().await.unwrap();
            } else {
                // A yamux stream that ends without the end mark.
                drop(call);
            }
            if cut >= 6 {
                let first = Bytes::from_static(&[1, 1]);
                assert_eq!(
                    within(served.recv.next()).await,
                    Ok(Some(first)),
                    "{via} {cut}"
                );
            }
            let got = if cut >= 6 { cut - 6 } else { cut };
            let end = within(served.recv.next()).await;
            if got == 0 && via == Via::Quic {
                assert_eq!(end, Ok(None), "the end between two frames");
            } else {
                assert_eq!(end, Err(RecvError::Truncated { got }), "{via} {cut}");
                assert_eq!(end.unwrap_err().code(), Some(Code::Truncated));
            }
        }
        assert_alive(&dialled, &accepted).await;
    }
}

/// SES-2.6: who ended a stream inside a frame still hears why that was refused, and the connection goes on.
#[tokio::test]
async fn case_02_a_refusal_reaches_the_peer_that_ended_inside_a_frame() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        for cut in [&[0, 0][..], &[0, 0, 0, 4, 1]] {
            let mut call = dialled.open_call().await.unwrap();
            call.send.send_raw(cut.to_vec()).await.unwrap();
            call.send.cut().await.unwrap();
            let mut served = within(accepted.accept_call()).await.unwrap();
            let refused = within(served.recv.next()).await.unwrap_err();
            assert_eq!(refused, RecvError::Truncated { got: cut.len() }, "{via}");
            served.send.send(vec![0xee]).await.unwrap();
            served.send.finish().await.unwrap();
            let said = Some(Bytes::from_static(&[0xee]));
            assert_eq!(within(call.recv.next()).await, Ok(said), "{via}");
            assert_eq!(within(call.recv.next()).await, Ok(None), "{via}");
        }
        assert_alive(&dialled, &accepted).await;
    }
}

/// SES-4.3
#[tokio::test]
async fn case_53_a_frame_that_does_not_end_in_time_ends_its_call_only() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut slow = dialled.open_call().await.unwrap();
        slow.send.send_raw(vec![0, 0, 0, 9, 1]).await.unwrap();
        let mut served = within(accepted.accept_call()).await.unwrap();
        served.recv.set_frame_time(Some(Duration::from_millis(200)));
        // It goes on sending, a byte now and then: the time is that of the whole frame.
        let dripping = tokio::spawn(async move {
            for _ in 0..7 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if slow.send.send_raw(vec![1]).await.is_err() {
                    break;
                }
            }
            slow
        });
        let started = Instant::now();
        let refused = within(served.recv.next()).await.unwrap_err();
        assert_eq!(refused, RecvError::TooSlow { limit_ms: 200 });
        assert_eq!(refused.code(), Some(Code::TooSlow));
        assert!(started.elapsed() >= Duration::from_millis(150));
        assert_alive(&dialled, &accepted).await;
        dripping.await.unwrap();
    }
}

#[tokio::test]
async fn case_53_waiting_between_frames_is_not_slow() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut call = dialled.open_call().await.unwrap();
        call.send.send(vec![1]).await.unwrap();
        let mut served = within(accepted.accept_call()).await.unwrap();
        served.recv.set_frame_time(Some(Duration::from_millis(50)));
        within(served.recv.next()).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(200), served.recv.next()).await;
        assert!(waited.is_err(), "still waiting");
        call.send.send(vec![2]).await.unwrap();
        assert_eq!(
            within(served.recv.next()).await,
            Ok(Some(Bytes::from_static(&[2])))
        );
    }
}

#[tokio::test]
async fn case_30_a_peer_that_does_not_read_ends_its_call_only() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut call = dialled.open_call().await.unwrap();
        call.send.send(vec![1]).await.unwrap();
        let mut served = within(accepted.accept_call()).await.unwrap();
        served.send.set_send_time(Some(Duration::from_millis(300)));
        let body = Bytes::from(vec![7; limits::FRAME_MAX]);
        let mut sent = 0_u64;
        let refused = loop {
            match within(served.send.send(body.clone())).await {
                Ok(()) => sent += body.len() as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, SendError::TooSlow { limit_ms: 300 });
        // R25: what waits for it is bounded by the windows of both sides.
        assert!(
            sent <= 2 * limits::CONNECTION_WINDOW_MAX,
            "{via}: {sent} bytes waiting"
        );
        assert_alive(&dialled, &accepted).await;
        // The peer sees that the call broke off, after what had arrived.
        let end = loop {
            match within(call.recv.next()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{via}: a cut call looks like one that ended"),
                Err(error) => break error,
            }
        };
        assert!(!matches!(end, RecvError::Lost(_)), "{via}: {end}");
    }
}

#[tokio::test]
async fn a_read_that_was_cancelled_loses_nothing() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut call = dialled.open_call().await.unwrap();
        call.send.send_raw(vec![0, 0, 0, 3, 1]).await.unwrap();
        let mut served = within(accepted.accept_call()).await.unwrap();
        let cancelled = tokio::time::timeout(Duration::from_millis(100), served.recv.next()).await;
        assert!(cancelled.is_err());
        call.send.send_raw(vec![2, 3]).await.unwrap();
        assert_eq!(
            within(served.recv.next()).await,
            Ok(Some(Bytes::from_static(&[1, 2, 3])))
        );
    }
}

#[tokio::test]
async fn a_send_that_was_cancelled_goes_out_whole_with_the_next() {
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let mut call = dialled.open_call().await.unwrap();
        call.send.set_send_time(None);
        call.send.send(vec![1]).await.unwrap();
        let mut served = within(accepted.accept_call()).await.unwrap();
        let body = Bytes::from(vec![7; limits::FRAME_MAX]);
        let mut sent = 1;
        // Until the windows are full.
        let soon = Duration::from_millis(300);
        while tokio::time::timeout(soon, call.send.send(body.clone()))
            .await
            .is_ok()
        {
            sent += 1;
        }
        let reading = tokio::spawn(async move {
            let mut lengths = Vec::new();
            while let Some(frame) = served.recv.next().await.unwrap() {
                lengths.push(frame.len());
            }
            lengths
        });
        call.send.send(vec![2, 2]).await.unwrap();
        call.send.finish().await.unwrap();
        let lengths = within(reading).await.unwrap();
        assert_eq!(
            lengths.len(),
            sent + 2,
            "{via}: the cancelled frame and the last one"
        );
        assert_eq!(
            (lengths[0], lengths[sent], lengths[sent + 1]),
            (1, limits::FRAME_MAX, 2)
        );
    }
}
