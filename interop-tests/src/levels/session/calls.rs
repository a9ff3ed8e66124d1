//! Calls that are not allowed, not known, or too early. Spec: SES-5.2, SES-7.

use std::time::Duration;

use super::super::{Level, Run, fail, refused};
use super::Ground;
use crate::codec::Message;
use crate::codec::schema::{CALL, CUSTODY, FORWARD, REPORT, SUBMIT, SYNC, TRACK};
use crate::dial::SOON;
use crate::session::{Failed, Session, begin, hello_offering, reply};

/// How long a stream beyond the limit is waited for.
const BLOCKED_FOR: Duration = Duration::from_secs(1);

pub(in super::super) fn track(ids: &[[u8; 32]]) -> Message {
    Message::new(&CALL).with(
        "track",
        Message::new(&TRACK).with_all("envelope_ids", ids.iter().copied()),
    )
}

pub(super) fn submit() -> Message {
    Message::new(&CALL).with("submit", Message::new(&SUBMIT))
}

pub(super) fn sync(follow: bool) -> Message {
    Message::new(&CALL).with("sync", Message::new(&SYNC).with("follow", follow))
}

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    known_and_allowed(run, ground).await;
    second_handshake(run, ground).await;
}

async fn known_and_allowed(run: &mut Run<'_>, ground: &Ground) {
    run.case(
        Level::Session,
        &ground.name("call-track"),
        "a call is answered",
        &["SES-7.1", "CUS-8.1"],
        async {
            let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
            let reply = session.ask(&track(&[[7; 32]]), "track").await?;
            let nothing = Message::new(&CUSTODY).with("envelope_id", [7; 32]);
            match reply.messages("envelopes")[..] {
                [one] if *one == nothing => Ok(()),
                _ => fail(format!("an id that nobody submitted got {reply:?}")),
            }
        },
    )
    .await;
    // Field 99, a message: no version of this protocol knows it.
    let unknown = vec![0x9a, 0x06, 0x00];
    run.case(
        Level::Session,
        &ground.name("call-unknown"),
        "a call that is not known",
        &["SES-7.1", "SIG-1.2"],
        async {
            let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
            refused(
                ground.via,
                say(&session, &unknown).await,
                &["NOT_CANONICAL"],
            )
        },
    )
    .await;
    let report =
        Message::new(&CALL).with("report", Message::new(&REPORT).with("receipts", vec![1; 8]));
    let forward = Message::new(&CALL).with("forward", Message::new(&FORWARD));
    for (case, title, call) in [
        ("service-syncs", "a service may not Sync", sync(false)),
        ("service-forwards", "a service may not Forward", forward),
        ("service-reports", "a service may not Report", report),
    ] {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-7.2"],
            async {
                let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
                refused(
                    ground.via,
                    session.ask(&call, "done").await,
                    &["ROLE_NOT_ALLOWED"],
                )
            },
        )
        .await;
    }
    for (case, title, call, code) in [
        (
            "device-submits",
            "a device may not Submit",
            submit(),
            "ROLE_NOT_ALLOWED",
        ),
        (
            "device-tracks",
            "a device may not Track",
            track(&[[7; 32]]),
            "ROLE_NOT_ALLOWED",
        ),
        (
            "device-unenrolled",
            "a device without an account may not Sync",
            sync(false),
            "UNKNOWN_DEVICE",
        ),
    ] {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-7.2", "MBX-2.3"],
            async {
                let session = Session::open(&ground.home, ground.via, &ground.stranger()).await?;
                refused(ground.via, session.ask(&call, "done").await, &[code])
            },
        )
        .await;
    }
}

async fn second_handshake(run: &mut Run<'_>, ground: &Ground) {
    run.case(
        Level::Session,
        &ground.name("second-handshake"),
        "a second handshake is not a call",
        &["SES-3.2", "SES-7.1"],
        async {
            let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
            refused(
                ground.via,
                say(&session, &hello_offering(&[1])).await,
                &[
                    "DECODE",
                    "NOT_CANONICAL",
                    "UNSUPPORTED_CALL",
                    "UNEXPECTED_MESSAGE",
                ],
            )
        },
    )
    .await;
    run.case(
        Level::Session,
        &ground.name("call-too-early"),
        "no call before the handshake is finished",
        &["SES-5.2"],
        async {
            let connection = ground.server.dial(ground.via).await?;
            let (_handshake, _) = begin(&connection, &hello_offering(&[1])).await?;
            let early = async {
                let mut stream = connection.open(BLOCKED_FOR).await?;
                stream.send_frame(&track(&[[7; 32]]).encode()).await?;
                reply(&mut stream, "track", BLOCKED_FOR).await
            };
            match early.await {
                Ok(answer) => fail(format!("answered: {answer:?}")),
                Err(Failed::Broke(why)) => fail(why),
                // Over QUIC the stream limit holds it back; elsewhere it is refused, cut or left alone.
                Err(_) => Ok(()),
            }
        },
    )
    .await;
}

/// One frame on a new stream, and what the server says to it.
async fn say(session: &Session, frame: &[u8]) -> Result<Message, Failed> {
    let mut stream = session.connection.open(SOON).await?;
    stream.send_frame(frame).await?;
    reply(&mut stream, "done", SOON).await
}
