//! Silence and pings, under simulated time.

use std::time::Instant as WallClock;

use ::bytes::Bytes;
use tokio::io::duplex;
use tokio::time::sleep;

use super::*;
use crate::support::ANY_PORT;
use crate::websocket::{Wanted, accept, dial};

/// Both ends of a WebSocket in memory.
async fn pair() -> (Mux, Mux) {
    let (near, far) = duplex(64 * 1_024);
    let (dialled, accepted) = tokio::join!(dial(Box::new(near)), accept(Box::new(far)));
    let Ok(Wanted::Session(accepted)) = accepted else {
        panic!("a session was asked for")
    };
    let dialler = Mux::new(dialled.unwrap(), Mode::Client, ANY_PORT);
    (dialler, Mux::new(accepted, Mode::Server, ANY_PORT))
}

#[tokio::test(start_paused = true)]
async fn ses_4_2_a_dialler_that_says_nothing_is_kept_by_its_pings() {
    let began = WallClock::now();
    let (dialler, server) = pair().await;
    sleep(20 * Duration::from_millis(limits::IDLE_TIMEOUT_MS)).await;
    assert_eq!((dialler.shared.lost(), server.shared.lost()), (None, None));
    let mut sent = dialler.open().await.unwrap();
    sent.write(&mut [Bytes::from_static(b"here")])
        .await
        .unwrap();
    let mut served = server.accept().await.unwrap();
    assert_eq!(
        served.read().await.unwrap(),
        Some(Bytes::from_static(b"here"))
    );
    assert!(began.elapsed() < Duration::from_secs(60), "simulated time");
}

#[tokio::test(start_paused = true)]
async fn ses_4_2_silence_ends_a_connection_on_both_sides() {
    let (near, far) = duplex(64 * 1_024);
    let (dialled, accepted) = tokio::join!(dial(Box::new(near)), accept(Box::new(far)));
    let Ok(Wanted::Session(silent)) = accepted else {
        panic!("a session was asked for")
    };
    // The server's socket stays open and answers nothing, not even pings.
    let dialler = Mux::new(dialled.unwrap(), Mode::Client, ANY_PORT);
    assert_eq!(dialler.closed().await, Lost::Idle);
    drop(silent);

    let (near, far) = duplex(64 * 1_024);
    let (dialled, accepted) = tokio::join!(dial(Box::new(near)), accept(Box::new(far)));
    let Ok(Wanted::Session(accepted)) = accepted else {
        panic!("a session was asked for")
    };
    let server = Mux::new(accepted, Mode::Server, ANY_PORT);
    assert_eq!(server.closed().await, Lost::Idle);
    drop(dialled);
}
