//! Bytes that are no frame, or frames that are no message, first in the handshake, then in a call.
//! Spec: SES-2, SES-6.4; cases 1, 2, 4, R27.

use std::time::Duration;

use super::super::{Level, Run, Went, fail, refused};
use super::{Ground, calls};
use crate::codec::frame::{self, FRAME_MAX, PREFIX_LEN};
use crate::crypto::signed::SIGNED_OBJECT_MAX;
use crate::dial::{Ended, SOON, Via};
use crate::session::{Failed, Session, hello_offering, reply, server_hello};

/// How long a server may think about a prefix.
const PREFIX_IS_ENOUGH: Duration = Duration::from_secs(1);

/// (case, title, the bytes on the stream, codes that are right).
type Bad = (&'static str, &'static str, Vec<u8>, &'static [&'static str]);

/// What stands on a stream before it is finished.
fn bad(first: &[u8]) -> Vec<Bad> {
    let prefix = |length: u32| length.to_be_bytes().to_vec();
    let over = u32::try_from(FRAME_MAX).expect("FRAME_MAX is small") + 1;
    let mut cut = prefix(first.len() as u32 + 1);
    cut.extend_from_slice(first);
    let mut repeated = first.to_vec();
    repeated.extend_from_slice(first);
    vec![
        (
            "frame-4gib",
            "a length prefix of 4 GiB",
            prefix(u32::MAX),
            &["FRAME_TOO_LARGE"],
        ),
        (
            "frame-65537",
            "a length prefix of FRAME_MAX + 1",
            prefix(over),
            &["FRAME_TOO_LARGE"],
        ),
        (
            "frame-truncated",
            "a stream that ends inside a frame",
            cut,
            &["TRUNCATED"],
        ),
        (
            "frame-prefix-cut",
            "a stream that ends inside a prefix",
            vec![0, 0],
            &["TRUNCATED"],
        ),
        (
            "frame-garbage",
            "a first frame that is no protobuf",
            frame::write(&[0xff; 64]),
            &["DECODE"],
        ),
        (
            "frame-unknown-field",
            "a first frame with an unknown field",
            frame::write(&[0xf8, 0x7f, 1]),
            &["NOT_CANONICAL"],
        ),
        (
            "frame-repeated",
            "a first frame with its field twice",
            frame::write(&repeated),
            &["NOT_CANONICAL"],
        ),
    ]
}

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    for (case, title, bytes, codes) in bad(&hello_offering(&[1])) {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-2.2", "SES-2.4", "SES-2.5", "SES-2.6", "SIG-1"],
            async { refused(ground.via, in_handshake(ground, &bytes).await, codes) },
        )
        .await;
    }
    run.case(
        Level::Session,
        &ground.name("frame-empty"),
        "a first frame of length zero",
        &["SES-2.3", "SES-6.4"],
        async {
            // Over WebSocket the empty frame ends the stream, before its first message.
            let codes: &[&str] = if ground.via == Via::Quic {
                &["FRAME_EMPTY"]
            } else {
                &["FRAME_EMPTY", "TRUNCATED", "UNEXPECTED_MESSAGE"]
            };
            refused(ground.via, in_handshake(ground, &[0; 4]).await, codes)
        },
    )
    .await;
    run.case(
        Level::Session,
        &ground.name("hello-long"),
        "a first message of SIGNED_OBJECT_MAX + 1 bytes",
        &["SES-3.2"],
        async { refused(ground.via, too_long(ground).await, &["TOO_LONG"]) },
    )
    .await;
    run.case(
        Level::Session,
        &ground.name("call-frame-largest"),
        "a frame of exactly FRAME_MAX bytes is read to its end",
        &["SES-2.2"],
        async {
            // Rubbish, but not for its length.
            in_call(ground, &frame::write(&vec![0xff; FRAME_MAX]), &["DECODE"]).await
        },
    )
    .await;
    let track = calls::track(&[[7; 32]]).encode();
    for (case, title, bytes, codes) in bad(&track) {
        run.case(
            Level::Session,
            &ground.name(&format!("call-{case}")),
            title,
            &["SES-2.2", "SES-2.4", "SES-2.5", "SES-2.6"],
            async { in_call(ground, &bytes, codes).await },
        )
        .await;
    }
}

async fn in_handshake(ground: &Ground, bytes: &[u8]) -> Result<String, Failed> {
    let connection = ground.server.dial(ground.via).await?;
    let mut stream = connection.open(SOON).await?;
    stream.send(bytes).await?;
    stream.cut().await;
    let hello = server_hello(&mut stream, SOON).await;
    match hello {
        Ok(hello) => Ok(format!("{hello:?}")),
        // The stream may be cut with a code just before the connection is closed with it.
        Err(Failed::Ended(ended)) if ended.code().is_none() && ground.via == Via::Quic => {
            Err(Failed::Ended(connection.closed(SOON).await))
        }
        Err(failed) => Err(failed),
    }
}

/// The prefix says enough; the body follows only when the server wants to see it. What a server leaves unread when it
/// closes TCP can cost its last word.
async fn too_long(ground: &Ground) -> Result<String, Failed> {
    let connection = ground.server.dial(ground.via).await?;
    let mut stream = connection.open(SOON).await?;
    let bytes = frame::write(&vec![0xff; SIGNED_OBJECT_MAX + 1]);
    stream.send(&bytes[..PREFIX_LEN]).await?;
    let hello = match server_hello(&mut stream, PREFIX_IS_ENOUGH).await {
        Err(Failed::Ended(Ended::TimedOut { .. })) => {
            stream.send(&bytes[PREFIX_LEN..]).await?;
            server_hello(&mut stream, SOON).await
        }
        answered => answered,
    };
    hello.map(|hello| format!("{hello:?}"))
}

/// A bad frame in a call is answered by the code, on the stream or by closing the connection, and ends that
/// connection, but for one that is cut short: that ends its stream alone (SES-2.6). Another connection of the same
/// service goes on, and a new one gets in.
async fn in_call(ground: &Ground, bytes: &[u8], codes: &[&str]) -> Went {
    let other = Session::open(&ground.server, ground.via, ground.service()?).await?;
    let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
    let said = async {
        let mut stream = session.connection.open(SOON).await?;
        stream.send(bytes).await?;
        stream.cut().await;
        reply(&mut stream, "track", SOON).await
    };
    refused(ground.via, said.await, codes)?;
    let again = Session::open(&ground.server, ground.via, ground.service()?).await?;
    let mut alive = vec![("another", other), ("a new", again)];
    if codes == ["TRUNCATED"] {
        alive.push(("the same", session));
    } else {
        let closed = session.connection.closed(SOON).await;
        refused(ground.via, Err::<(), _>(Failed::Ended(closed)), codes)?;
    }
    for (whose, session) in alive {
        if let Err(failed) = session.ask(&calls::track(&[[7; 32]]), "track").await {
            return fail(format!(
                "after the bad frame {whose} connection got: {failed}"
            ));
        }
    }
    Ok(())
}
