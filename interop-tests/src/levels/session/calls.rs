//! Calls that are not allowed, not known, too many, or too early. Spec: SES-5.2, SES-7.

use std::time::Duration;

use super::super::{Level, Run, Went, fail, refused};
use super::Ground;
use crate::codec::Message;
use crate::codec::schema::{CALL, CUSTODY, FORWARD, REPORT, SUBMIT, SYNC, TRACK};
use crate::dial::{Ended, SOON, Via};
use crate::session::{Failed, Session, begin, hello_offering, reply, server_hello};

const CALLS_SERVICE_MAX: usize = 32;
const CALLS_DEVICE_MAX: usize = 8;
/// How long a stream beyond the limit is waited for.
const BLOCKED_FOR: Duration = Duration::from_secs(1);

pub(in super::super) fn track(ids: &[[u8; 32]]) -> Message {
    Message::new(&CALL).with(
        "track",
        Message::new(&TRACK).with_all("envelope_ids", ids.iter().copied()),
    )
}

fn submit() -> Message {
    Message::new(&CALL).with("submit", Message::new(&SUBMIT))
}

fn sync(follow: bool) -> Message {
    Message::new(&CALL).with("sync", Message::new(&SYNC).with("follow", follow))
}

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    known_and_allowed(run, ground).await;
    second_handshake(run, ground).await;
    limits(run, ground).await;
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
            let mut stream = session.connection.open(SOON).await?;
            stream.send_frame(&unknown).await?;
            stream.finish().await?;
            refused(
                ground.via,
                reply(&mut stream, "done", SOON).await,
                &["UNSUPPORTED_CALL", "NOT_CANONICAL"],
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
            let mut stream = session.connection.open(SOON).await?;
            stream.send_frame(&hello_offering(&[1])).await?;
            refused(
                ground.via,
                server_hello(&mut stream, SOON).await,
                &[
                    "DECODE",
                    "NOT_CANONICAL",
                    "UNSUPPORTED_CALL",
                    "UNEXPECTED_MESSAGE",
                ],
            )?;
            session
                .ask(&track(&[[7; 32]]), "track")
                .await
                .map(drop)
                .map_err(Into::into)
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

async fn limits(run: &mut Run<'_>, ground: &Ground) {
    run.case(
        Level::Session,
        &ground.name("calls-service-33"),
        "CALLS_SERVICE_MAX + 1 calls of a service",
        &["SES-5.2"],
        async {
            let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
            at_limit(&session, CALLS_SERVICE_MAX, &submit()).await
        },
    )
    .await;
    run.case(
        Level::Session,
        &ground.name("calls-device-9"),
        "CALLS_DEVICE_MAX + 1 calls of a device",
        &["SES-5.2"],
        async {
            let session = Session::open(&ground.home, ground.via, &ground.stranger()).await?;
            // The call is refused as soon as it is whole; so it stays half said, and open.
            at_limit_half(&session, CALLS_DEVICE_MAX).await
        },
    )
    .await;
}

/// Holds `limit` calls open, sees that one more waits or is refused, and that it gets through when another ends.
async fn at_limit(session: &Session, limit: usize, call: &Message) -> Went {
    let mut held = Vec::with_capacity(limit);
    for number in 1..=limit {
        match session.call(call).await {
            Ok(stream) => held.push(stream),
            Err(failed) => return fail(format!("call {number} of {limit}: {failed}")),
        }
    }
    beyond(session, call).await?;
    let mut first = held.remove(0);
    first.finish().await?;
    // The server ends its side too; then there is room again.
    let _ = first.frame(SOON).await;
    drop(first);
    tokio::time::sleep(BLOCKED_FOR).await;
    let mut again = match session.call(call).await {
        Ok(stream) => stream,
        Err(failed) => return fail(format!("after one call ended the next got: {failed}")),
    };
    again.finish().await?;
    match again.frame(SOON).await {
        Err(Ended::Finished) => Ok(()),
        other => fail(format!("an empty call got {other:?}, wanted its end")),
    }
}

async fn at_limit_half(session: &Session, limit: usize) -> Went {
    let mut held = Vec::with_capacity(limit);
    for number in 1..=limit {
        let mut stream = match session.connection.open(SOON).await {
            Ok(stream) => stream,
            Err(ended) => return fail(format!("call {number} of {limit}: {ended}")),
        };
        stream.send(&[0, 0, 0, 2]).await?;
        held.push(stream);
    }
    beyond(session, &sync(true)).await
}

async fn beyond(session: &Session, call: &Message) -> Went {
    let opened = session.connection.open(BLOCKED_FOR).await;
    let via = session.connection.via();
    match (via, opened) {
        (Via::Quic, Err(Ended::TimedOut { .. })) => Ok(()),
        (Via::Quic, Ok(_)) => fail("one more stream was allowed"),
        (_, Err(ended)) => fail(format!("one more stream: {ended}")),
        (Via::WebSocket, Ok(mut stream)) => {
            stream.send_frame(&call.encode()).await?;
            refused(
                via,
                reply(&mut stream, "done", SOON).await,
                &["TOO_MANY_CALLS"],
            )
        }
    }
}
