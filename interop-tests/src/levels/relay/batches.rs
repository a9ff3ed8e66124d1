//! The stream of batches itself: numbers, counts, and the peer that sends too much rubbish.
//! Spec: CUS-4.1, CUS-4.2, SES-5.4.

use super::super::{Level, Run, Went, fail, refused};
use super::submit::{ACK_WITHIN, batch, call};
use super::{Ground, letters};
use crate::code;
use crate::dial::{Ended, Via};
use crate::session::{Failed, reply};

const BAD_ENVELOPES_MAX: usize = 64;

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    for (case, title, frames, code) in [
        (
            "seq-0",
            "a stream that begins with batch 0",
            vec![batch(0, &[vec![1]])],
            "SEQUENCE",
        ),
        (
            "seq-2",
            "a stream that begins with batch 2",
            vec![batch(2, &[vec![1]])],
            "SEQUENCE",
        ),
        (
            "batch-empty",
            "a batch of no envelope",
            vec![batch(1, &[])],
            "FIELD_MISSING",
        ),
        (
            "batch-65",
            "BATCH_ENVELOPES_MAX + 1 envelopes",
            vec![batch(1, &vec![vec![1]; 65])],
            "TOO_MANY",
        ),
        (
            "batch-garbage",
            "a frame that is no batch",
            vec![vec![0xff; 40]],
            "DECODE",
        ),
    ] {
        run.case(Level::Relay, case, title, &["CUS-4.1", "CUS-4.2"], async {
            let session = ground.at_origin().await?;
            let mut stream = session.call(&call()).await?;
            for frame in &frames {
                stream.send_frame(frame).await?;
            }
            refused(
                session.connection.via(),
                reply(&mut stream, "ack", ACK_WITHIN).await,
                &[code],
            )
        })
        .await;
    }
    run.case(
        Level::Relay,
        "seq-repeated",
        "a batch number twice closes the connection, what was accepted stays so",
        &["CUS-4.1"],
        async { repeated(ground).await },
    )
    .await;
    run.case(
        Level::Relay,
        "peer-cut",
        "BAD_ENVELOPES_MAX falsely signed envelopes close the connection",
        &["SES-5.4"],
        async { rubbish(ground).await },
    )
    .await;
}

async fn repeated(ground: &Ground) -> Went {
    let session = ground.at_origin().await?;
    let mut stream = session.call(&call()).await?;
    let letter = letters::letter(ground, "numéro");
    stream
        .send_frame(&batch(1, std::slice::from_ref(&letter)))
        .await?;
    let sent = vec![vec![letter.clone()]];
    let (_, all) = super::submit::acknowledgement(ground, &mut stream, 0, &sent).await?;
    super::submit::each_accepted(&all)?;
    stream
        .send_frame(&batch(1, std::slice::from_ref(&letter)))
        .await?;
    refused(
        session.connection.via(),
        reply(&mut stream, "ack", ACK_WITHIN).await,
        &["SEQUENCE"],
    )?;
    let again = super::submit::submit(ground, &ground.at_origin().await?, &[letter]).await?;
    if again[0].duplicate {
        Ok(())
    } else {
        fail(format!(
            "submitted again it was {}",
            super::submit::said(&again[0])
        ))
    }
}

async fn rubbish(ground: &Ground) -> Went {
    let session = ground.at_origin().await?;
    let via = session.connection.via();
    let mut stream = session.call(&call()).await?;
    let all: Vec<Vec<u8>> = (0..BAD_ENVELOPES_MAX)
        .map(|at| vec![0xff; 20 + at])
        .collect();
    stream.send_frame(&batch(1, &all)).await?;
    let closed = session.connection.closed(ACK_WITHIN).await;
    if let Ended::TimedOut { .. } = closed {
        return fail(format!(
            "still open after {BAD_ENVELOPES_MAX} bad envelopes"
        ));
    }
    match via {
        // The close frame carries the code over WebSocket too.
        Via::Quic | Via::WebSocket => match closed.code() {
            Some(number) if number == u64::from(code::number("PEER_CUT")) => {}
            _ => return fail(format!("{closed}, wanted PEER_CUT")),
        },
    }
    // The one who misbehaved may come back: others with the same key are not punished.
    match ground.at_origin().await {
        Ok(_) | Err(Failed::Refused { .. }) => Ok(()),
        Err(failed) => fail(format!("afterwards a new connection got: {failed}")),
    }
}
