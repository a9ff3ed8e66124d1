//! Silence and pings, under simulated time.

use std::io;
use std::pin::Pin;
use std::time::Instant as WallClock;

use ::bytes::Bytes;
use futures_util::SinkExt;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

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
    let dialler = Mux::new(dialled.unwrap(), Mode::Client, ANY_PORT, None);
    (dialler, Mux::new(accepted, Mode::Server, ANY_PORT, None))
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
    let dialler = Mux::new(dialled.unwrap(), Mode::Client, ANY_PORT, None);
    assert_eq!(dialler.closed().await, Lost::Idle);
    drop(silent);

    let (near, far) = duplex(64 * 1_024);
    let (dialled, accepted) = tokio::join!(dial(Box::new(near)), accept(Box::new(far)));
    let Ok(Wanted::Session(accepted)) = accepted else {
        panic!("a session was asked for")
    };
    let server = Mux::new(accepted, Mode::Server, ANY_PORT, None);
    assert_eq!(server.closed().await, Lost::Idle);
    drop(dialled);
}

/// A socket whose writes fail from some moment on, as TCP's do once the peer has closed.
#[derive(Debug)]
struct HalfGone {
    socket: DuplexStream,
    gone: Arc<AtomicBool>,
}

impl AsyncRead for HalfGone {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for HalfGone {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.gone.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn ses_8_1_the_reason_of_a_close_survives_a_write_that_fails_first() {
    let (near, far) = duplex(64 * 1_024);
    let gone = Arc::new(AtomicBool::new(false));
    let half_gone = HalfGone {
        socket: near,
        gone: gone.clone(),
    };
    let (dialled, accepted) = tokio::join!(dial(Box::new(half_gone)), accept(Box::new(far)));
    let Ok(Wanted::Session(mut accepted)) = accepted else {
        panic!("a session was asked for")
    };
    let dialler = Mux::new(dialled.unwrap(), Mode::Client, ANY_PORT, None);
    let mut stream = dialler.open().await.unwrap();
    gone.store(true, Ordering::Relaxed);
    // Fails in the task that drives the socket, before the peer's last word is there to be read.
    stream
        .write(&mut [Bytes::from_static(b"unheard")])
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    let last_word = CloseFrame {
        code: 4_007.into(),
        reason: "no more".into(),
    };
    accepted
        .send(Message::Close(Some(last_word)))
        .await
        .unwrap();
    let Lost::ClosedByPeer { code, reason } = dialler.closed().await else {
        panic!("the peer closed with a reason")
    };
    assert_eq!((code.number(), reason.as_str()), (7, "no more"));
}

/// Bytes that are missing in the middle would be read as something else.
#[tokio::test(start_paused = true)]
async fn ses_6_2_a_message_that_this_side_cannot_send_ends_the_connection() {
    const ROOM: usize = 1_024;
    let (near, far) = duplex(64 * 1_024);
    let narrow = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_write_buffer_size(ROOM);
    let near = Box::new(near) as Box<dyn Io>;
    let socket = WebSocketStream::from_raw_socket(near, Role::Client, Some(narrow)).await;
    let dialler = Mux::new(socket, Mode::Client, ANY_PORT, None);
    let mut stream = dialler.open().await.unwrap();
    stream
        .write(&mut [Bytes::from_static(&[7; ROOM + 1])])
        .await
        .unwrap();
    let lost = dialler.closed().await;
    assert!(matches!(lost, Lost::Fault { .. }), "{lost:?}");
    drop(far);
}
