//! Submitting: one stream of batches, acknowledgements checked and receipts rebuilt. Spec: CUS-3, CUS-4, CUS-5.3.

use std::time::Duration;

use super::super::{Level, Run, Stop, Went, fail};
use super::{Ground, letters};
use crate::code;
use crate::codec::Message;
use crate::codec::schema::{CALL, ENVELOPE_BATCH, SUBMIT};
use crate::crypto::Hash;
use crate::dial::{Ended, Stream, Via};
use crate::session::{Failed, Session, broke, reply};
use crate::validator::ack::{Acknowledged, Acknowledger, check};
use crate::validator::receipt::Receipt;

/// How long a node may take to have a batch on its disk.
pub(super) const ACK_WITHIN: Duration = Duration::from_secs(20);
/// Bytes of envelopes in one batch, so that its frame is under FRAME_MAX.
const BATCH_BYTES_MAX: usize = 60_000;
const BATCH_ENVELOPES_MAX: usize = 64;

pub(super) fn call() -> Message {
    Message::new(&CALL).with("submit", Message::new(&SUBMIT))
}

pub(super) fn batch(seq: u64, envelopes: &[Vec<u8>]) -> Vec<u8> {
    let batch = Message::new(&ENVELOPE_BATCH).with("seq", seq);
    batch
        .with_all("envelopes", envelopes.iter().map(|bytes| &bytes[..]))
        .encode()
}

/// Cuts envelopes into batches that fit a frame.
fn batches(envelopes: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let mut out: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    let mut bytes = 0;
    for envelope in envelopes {
        let last = out.last_mut().expect("there is always one");
        if last.len() == BATCH_ENVELOPES_MAX
            || !last.is_empty() && bytes + envelope.len() > BATCH_BYTES_MAX
        {
            out.push(Vec::new());
            bytes = 0;
        }
        bytes += envelope.len() + 4;
        out.last_mut()
            .expect("there is always one")
            .push(envelope.clone());
    }
    out
}

/// Submits on one stream and gives what became of each envelope, every receipt verified to stand alone.
pub(super) async fn submit(
    ground: &Ground,
    session: &Session,
    envelopes: &[Vec<u8>],
) -> Result<Vec<Acknowledged>, Failed> {
    let mut stream = session.call(&call()).await?;
    let batches = batches(envelopes);
    let granted = usize::try_from(session.welcome.number("max_batches_in_flight"))
        .unwrap_or(usize::MAX)
        .max(1);
    let (mut sent, mut acknowledged, mut all) = (0, 0, Vec::new());
    while acknowledged < batches.len() {
        // CUS-4.3: never more in flight than the Welcome granted.
        while sent < batches.len() && sent - acknowledged < granted {
            stream
                .send_frame(&batch(sent as u64 + 1, &batches[sent]))
                .await?;
            sent += 1;
        }
        let (count, some) =
            acknowledgement(ground, &mut stream, acknowledged, &batches[..sent]).await?;
        acknowledged += count;
        all.extend(some);
    }
    stream.finish().await?;
    match stream.frame(ACK_WITHIN).await {
        Err(Ended::Finished) => Ok(all),
        other => broke(format!("after the last acknowledgement came {other:?}")),
    }
}

/// Reads one `AckBatch` for the oldest batches in flight: how many it acknowledges, and each envelope.
pub(super) async fn acknowledgement(
    ground: &Ground,
    stream: &mut Stream,
    done: usize,
    sent: &[Vec<Vec<u8>>],
) -> Result<(usize, Vec<Acknowledged>), Failed> {
    let ack = reply(stream, "ack", ACK_WITHIN).await?;
    let (first, last) = (ack.number("first_seq"), ack.number("last_seq"));
    // CUS-4.4: in order, without gap, only batches in flight.
    if first != done as u64 + 1 || last < first || last > sent.len() as u64 {
        return broke(format!(
            "an acknowledgement of {first} to {last}, in flight are {} to {}",
            done + 1,
            sent.len()
        ));
    }
    let ids: Vec<Hash> = sent[done..last as usize]
        .iter()
        .flatten()
        .map(|bytes| letters::id(bytes))
        .collect();
    let by = Acknowledger {
        node: &ground.origin.authority,
        key: &ground.origin.key,
        step: "accepted",
    };
    let all = match check(&by, &ids, &ack) {
        Ok(all) => all,
        Err(refused) => return broke(format!("the acknowledgement: {refused}")),
    };
    for one in &all {
        // CUS-3.1: each receipt is a Signed that stands alone.
        if let Err(refused) = Receipt::check(&one.receipt, &ground.origin.key) {
            return broke(format!("a rebuilt receipt: {refused}"));
        }
    }
    Ok((last as usize - done, all))
}

/// Submits one letter that must be accepted; its id.
pub(super) async fn accepted(ground: &Ground, letter: &[u8]) -> Result<Hash, Stop> {
    let session = ground.at_origin().await?;
    let all = submit(ground, &session, &[letter.to_vec()]).await?;
    each_accepted(&all)?;
    Ok(all[0].envelope_id)
}

pub(super) fn each_accepted(all: &[Acknowledged]) -> Went {
    match all
        .iter()
        .enumerate()
        .find(|(_, one)| one.refused.is_some() || one.duplicate)
    {
        None => Ok(()),
        Some((at, one)) => fail(format!("envelope {at} was {}", said(one))),
    }
}

pub(super) fn said(one: &Acknowledged) -> String {
    match one.refused {
        Some(number) => format!("refused with {}", code::name(number)),
        None if one.duplicate => "a duplicate".to_owned(),
        None => "accepted".to_owned(),
    }
}

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    for via in Via::BOTH {
        run.case(
            Level::Relay,
            &format!("submit-{}", via.word()),
            "a letter is accepted, and its receipt verifies",
            &["CUS-1.2", "CUS-3.1", "CUS-3.4"],
            async {
                let session = ground.at_origin_by(via).await?;
                each_accepted(&submit(ground, &session, &[letters::letter(ground, "un")]).await?)
            },
        )
        .await;
    }
    run.case(
        Level::Relay,
        "submit-batch",
        "70 letters under one signature are accepted, each with a receipt that stands alone",
        &["SIG-3.1", "CUS-3.1"],
        async {
            let words: Vec<String> = (0..70).map(|number| format!("lettre {number}")).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let session = ground.at_origin().await?;
            let all = submit(ground, &session, &letters::letters(ground, &words)).await?;
            if all.len() != 70 {
                return fail(format!("{} of 70 were acknowledged", all.len()));
            }
            each_accepted(&all)
        },
    )
    .await;
    run.case(
        Level::Relay,
        "duplicate",
        "a letter twenty times gets the receipt of the first time",
        &["CUS-5.3", "CUS-3.1"],
        async {
            let letter = letters::letter(ground, "encore");
            let session = ground.at_origin().await?;
            let first = submit(ground, &session, std::slice::from_ref(&letter)).await?;
            each_accepted(&first)?;
            // In one batch, in batches of their own, and on other streams.
            let mut again = submit(ground, &session, &vec![letter.clone(); 10]).await?;
            for _ in 0..9 {
                again.extend(submit(ground, &session, std::slice::from_ref(&letter)).await?);
            }
            same_receipt(&first[0], &again)
        },
    )
    .await;
    run.case(
        Level::Relay,
        "duplicate-in-batch",
        "a letter twice in one batch is accepted once",
        &["CUS-5.3"],
        async {
            let letter = letters::letter(ground, "deux fois");
            let session = ground.at_origin().await?;
            let all = submit(ground, &session, &[letter.clone(), letter]).await?;
            each_accepted(&all[..1])?;
            same_receipt(&all[0], &all[1..])
        },
    )
    .await;
    run.case(
        Level::Relay,
        "duplicate-signed-again",
        "a letter signed again, in another tree, is the same letter",
        &["SIG-2.4", "CUS-5.3"],
        async {
            let payload = letters::payload(ground, &letters::header(ground), "signée deux fois");
            let other = letters::payload(ground, &letters::header(ground), "une autre");
            let context = crate::crypto::contexts::ENVELOPE;
            let alone = crate::crypto::signed::sign_one(context, &payload, &ground.service.key);
            let in_tree =
                crate::crypto::signed::sign_batch(context, &[other, payload], &ground.service.key)
                    .remove(1);
            let session = ground.at_origin().await?;
            let first = submit(ground, &session, &[alone]).await?;
            each_accepted(&first)?;
            same_receipt(&first[0], &submit(ground, &session, &[in_tree]).await?)
        },
    )
    .await;
}

fn same_receipt(first: &Acknowledged, again: &[Acknowledged]) -> Went {
    for (at, one) in again.iter().enumerate() {
        if !one.duplicate {
            return fail(format!(
                "repetition {at} was {}, wanted a duplicate",
                said(one)
            ));
        }
        if one.payload != first.payload {
            return fail(format!(
                "the receipt of repetition {at} is another than the first"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fit_a_frame_and_lose_nothing() {
        let envelopes: Vec<Vec<u8>> = (0..200u8)
            .map(|i| vec![i; 100 + usize::from(i) * 20])
            .collect();
        let cut = batches(&envelopes);
        assert_eq!(cut.concat(), envelopes);
        for (at, one) in cut.iter().enumerate() {
            assert!((1..=BATCH_ENVELOPES_MAX).contains(&one.len()));
            assert!(batch(at as u64 + 1, one).len() <= crate::codec::frame::FRAME_MAX);
        }
        let small = vec![vec![1]; 130];
        assert_eq!(
            batches(&small).iter().map(Vec::len).collect::<Vec<_>>(),
            [64, 64, 2]
        );
    }
}
