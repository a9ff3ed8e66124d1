//! As many calls at once as a role may have, and one more. Spec: SES-5.2.
//!
//! A call is held open by a frame of which only the prefix was sent; its two bytes follow when it may end.

use std::time::Duration;

use super::super::{Level, Run, Went, fail, refused};
use super::{Ground, calls};
use crate::codec::Message;
use crate::dial::{Ended, SOON, Stream, Via};
use crate::session::{Failed, Session, reply};

const CALLS_SERVICE_MAX: usize = 32;
const CALLS_DEVICE_MAX: usize = 8;
/// How long a call beyond the limit is waited for; far below CALL_TIMEOUT_MS, for the others are half said.
const HELD_BACK_FOR: Duration = Duration::from_secs(1);

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    run.case(
        Level::Session,
        &ground.name("calls-service-33"),
        "CALLS_SERVICE_MAX calls of a service and one more, which waits",
        &["SES-5.2"],
        async {
            let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
            at_limit(&session, CALLS_SERVICE_MAX, &calls::submit()).await
        },
    )
    .await;
    run.case(
        Level::Session,
        &ground.name("calls-device-9"),
        "CALLS_DEVICE_MAX calls of a device and one more, which waits",
        &["SES-5.2"],
        async {
            let session = Session::open(&ground.home, ground.via, &ground.stranger()).await?;
            at_limit(&session, CALLS_DEVICE_MAX, &calls::sync(false)).await
        },
    )
    .await;
}

/// `call` is the call that each stream makes, its encoding is of two bytes.
async fn at_limit(session: &Session, limit: usize, call: &Message) -> Went {
    let body = call.encode();
    let held = hold(session, limit).await;
    match session.connection.via() {
        Via::Quic => over_quic(session, limit, held?, &body).await,
        Via::WebSocket => over_websocket(session, held?, &body).await,
    }
}

/// Opens up to `limit` calls and says half of each.
async fn hold(session: &Session, limit: usize) -> Result<Vec<Stream>, Failed> {
    let mut held = Vec::with_capacity(limit);
    while held.len() < limit {
        let mut stream = match session.connection.open(HELD_BACK_FOR).await {
            Ok(stream) => stream,
            Err(Ended::TimedOut { .. }) => break,
            Err(ended) => return Err(ended.into()),
        };
        stream.send(&[0, 0, 0, 2]).await?;
        held.push(stream);
    }
    Ok(held)
}

/// Says the rest of a call and reads how it ends.
async fn end(mut stream: Stream, body: &[u8]) -> Result<(), Failed> {
    stream.send(body).await?;
    stream.finish().await?;
    match reply(&mut stream, "done", SOON).await {
        // A device without an account is refused; an empty Submit ends.
        Err(Failed::Refused { .. } | Failed::Ended(Ended::Finished)) => Ok(()),
        Err(failed) => Err(failed),
        Ok(_) => Ok(()),
    }
}

/// QUIC's stream limit holds back the dialler. Credit for streams that ended may come late (RFC 9000, section 4.6,
/// leaves it to the server), so up to a quarter may be outstanding; more than the limit never.
async fn over_quic(session: &Session, limit: usize, mut held: Vec<Stream>, body: &[u8]) -> Went {
    if held.len() < limit * 3 / 4 {
        return fail(format!("only {} of {limit} calls were allowed", held.len()));
    }
    match session.connection.open(HELD_BACK_FOR).await {
        Err(Ended::TimedOut { .. }) => {}
        Err(ended) => return fail(format!("one more than {}: {ended}", held.len())),
        Ok(_) => return fail(format!("one more than {limit} calls was allowed")),
    }
    for stream in held.drain(..limit / 4 + 1) {
        end(stream, body).await?;
    }
    let mut again = session.connection.open(SOON).await?;
    again.send(&[0, 0, 0, 2]).await?;
    end(again, body).await.map_err(Into::into)
}

/// yamux opens a stream at the dialler's end alone: the server leaves the call waiting, or refuses it.
async fn over_websocket(session: &Session, mut held: Vec<Stream>, body: &[u8]) -> Went {
    let mut more = session.connection.open(SOON).await?;
    more.send_frame(body).await?;
    more.finish().await?;
    let waits = match reply(&mut more, "done", HELD_BACK_FOR).await {
        Err(Failed::Ended(Ended::TimedOut { .. })) => true,
        got => {
            refused(Via::WebSocket, got, &["TOO_MANY_CALLS"])?;
            false
        }
    };
    end(held.remove(0), body).await?;
    if !waits {
        let mut again = session.connection.open(SOON).await?;
        again.send(&[0, 0, 0, 2]).await?;
        return end(again, body).await.map_err(Into::into);
    }
    match reply(&mut more, "done", SOON).await {
        Err(Failed::Refused { .. } | Failed::Ended(Ended::Finished)) | Ok(_) => Ok(()),
        Err(failed) => fail(format!(
            "after one call ended the one that waited got: {failed}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_held_calls_are_of_two_bytes() {
        assert_eq!(calls::submit().encode(), [0x0a, 0x00]);
        assert_eq!(calls::sync(false).encode(), [0x22, 0x00]);
    }
}
