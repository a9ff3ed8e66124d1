//! Peers that take their time. The three slow ones run side by side: each waits for the server's patience.
//! Spec: SES-4; case 53.

use std::time::{Duration, Instant};

use super::super::{Level, Run, Went, fail, refused};
use super::Ground;
use crate::codec::frame;
use crate::dial::{Ended, SOON, Via};
use crate::session::{Failed, Session, hello_offering};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(10_000);
const CALL_TIMEOUT: Duration = Duration::from_millis(10_000);
/// How much later than its limit a server may act.
const SLACK: Duration = Duration::from_secs(5);

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    let (silent, dripping, half) =
        tokio::join!(silent(ground), dripping(ground), half_a_call(ground));
    for (case, title, requirement, went) in [
        (
            "slow-silent",
            "a dialler that never says hello is cut",
            "SES-4.1",
            silent,
        ),
        (
            "slow-dripping",
            "a dialler that says a byte a second is cut",
            "SES-4.1",
            dripping,
        ),
        (
            "slow-call",
            "half a Call frame is cut, the connection goes on",
            "SES-4.3",
            half,
        ),
    ] {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &[requirement],
            async { went },
        )
        .await;
    }
}

async fn silent(ground: &Ground) -> Went {
    let connection = ground.server.dial(ground.via).await?;
    let begun = Instant::now();
    let _stream = connection.open(SOON).await?;
    in_time(
        begun,
        HANDSHAKE_TIMEOUT,
        ground.via,
        connection.closed(HANDSHAKE_TIMEOUT + SLACK).await,
        "HANDSHAKE_TIMEOUT",
    )
}

async fn dripping(ground: &Ground) -> Went {
    let connection = ground.server.dial(ground.via).await?;
    let begun = Instant::now();
    let mut stream = connection.open(SOON).await?;
    // A long prefix, so that the frame is never whole.
    let mut bytes = frame::write(&hello_offering(&[1]));
    bytes[2] = 1;
    let drip = async {
        for byte in bytes.iter().chain(std::iter::repeat(&1)) {
            if stream.send(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = connection.closed(HANDSHAKE_TIMEOUT + SLACK) => {
            in_time(begun, HANDSHAKE_TIMEOUT, ground.via, ended, "HANDSHAKE_TIMEOUT")
        }
        () = drip => fail("the drip ended"),
    }
}

fn in_time(begun: Instant, limit: Duration, via: Via, ended: Ended, code: &str) -> Went {
    let took = begun.elapsed();
    if let Ended::TimedOut { .. } = ended {
        return fail(format!("still open after {} ms", took.as_millis()));
    }
    if took + Duration::from_millis(500) < limit {
        return fail(format!(
            "cut after {} ms, the limit is {} ms: {ended}",
            took.as_millis(),
            limit.as_millis()
        ));
    }
    refused(via, Err::<(), _>(Failed::Ended(ended)), &[code])
}

async fn half_a_call(ground: &Ground) -> Went {
    let session = Session::open(&ground.server, ground.via, ground.service()?).await?;
    let mut stream = session.connection.open(SOON).await?;
    stream.send(&[0, 0, 0, 9, 1]).await?;
    let begun = Instant::now();
    let ended = match stream.frame(CALL_TIMEOUT + SLACK).await {
        Err(ended) => ended,
        // A refusal in a frame is as good.
        Ok(_) => Ended::Finished,
    };
    if let Ended::TimedOut { .. } = ended {
        return fail(format!(
            "still open after {} ms",
            begun.elapsed().as_millis()
        ));
    }
    if ended != Ended::Finished {
        refused(
            ground.via,
            Err::<(), _>(Failed::Ended(ended)),
            &["TOO_SLOW"],
        )?;
    }
    match session.ask(&super::calls::track(&[[7; 32]]), "track").await {
        Ok(_) => Ok(()),
        Err(failed) => fail(format!("after the slow call another got: {failed}")),
    }
}
