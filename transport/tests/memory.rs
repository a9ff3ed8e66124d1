//! R12: what strangers leave behind in memory. The only test of this process, because the resident memory that it
//! compares is the whole process's.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::time::Duration;

use pli_transport::ListenerLimits;
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// R12 asks for 10^5: `PLI_CONNECTS=100000 cargo test --release -p pli-transport r12`.
#[tokio::test]
async fn r12_unauthenticated_connects_leave_no_memory_behind() {
    let connects: u32 = std::env::var("PLI_CONNECTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(2_000);
    let server = Server::with_limits(ListenerLimits {
        handshake_time: Duration::from_millis(200),
        ..ListenerLimits::default()
    });
    let address = server.listener.websocket_addr().unwrap();
    let round = async |count: u32| {
        for _ in 0..count {
            if let Ok(mut stranger) = TcpStream::connect(address).await {
                // The first bytes of what could be TLS.
                let _ = stranger.write_all(&[0x16, 0x03, 0x01]).await;
            }
        }
        within(async {
            while server.listener.stats().open > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    };
    round(500).await;
    let before = resident_kib();
    round(connects).await;
    let after = resident_kib();
    assert!(server.listener.stats().admitted >= u64::from(connects) / 2);
    println!("{before} KiB before, {after} KiB after {connects} connects");
    // 5 %, and what an allocator may keep of its own.
    assert!(
        after <= before + before / 20 + 4_096,
        "{before} KiB before, {after} KiB after"
    );
}
