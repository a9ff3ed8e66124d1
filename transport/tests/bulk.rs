//! R25: a bulk transfer to a slow reader arrives whole, and what waits for it is bounded.
//!
//! `PLI_BULK_MIB=1024 cargo test --release -p pli-transport --test bulk` runs the full gigabyte.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use support::*;

const FRAME: usize = 60 * 1_024;
const DEFAULT_MIB: usize = 64;
/// The reader stops this long, so many times in all.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSES: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r25_a_bulk_transfer_to_a_slow_reader_arrives_whole() {
    let mib: usize = std::env::var("PLI_BULK_MIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_MIB);
    let frames = (mib << 20) / FRAME;
    for via in VIAS {
        let (dialled, accepted, _server) = pair(via).await;
        let reader = tokio::spawn(async move {
            let mut call = accepted.accept_call().await.unwrap();
            let mut count = 0;
            while let Some(frame) = call.recv.next().await.unwrap() {
                assert_eq!(frame.len(), FRAME);
                assert_eq!(frame[..8], u64::to_be_bytes(count as u64), "{via}");
                assert!(frame[8..].iter().all(|byte| *byte == count as u8), "{via}");
                count += 1;
                if count % (frames / PAUSES).max(1) == 0 {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            (count, accepted)
        });
        let mut call = dialled.open_call().await.unwrap();
        for number in 0..frames {
            let mut body = vec![number as u8; FRAME];
            body[..8].copy_from_slice(&(number as u64).to_be_bytes());
            call.send.send(Bytes::from(body)).await.unwrap();
        }
        call.send.finish().await.unwrap();
        let (count, _accepted) = reader.await.unwrap();
        assert_eq!(count, frames, "{via}");
    }
}
