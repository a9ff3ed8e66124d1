//! From the home to the device and back: sync, live push, hand-over, track. Spec: MBX-5, CUS-7, CUS-8.

use std::time::{Duration, Instant};

use super::super::{Level, Run, Stop, Went, fail, refused};
use super::{Ground, letters, submit};
use crate::clock::now_ms;
use crate::codec::Message;
use crate::codec::schema::{CALL, SYNC, TRACK};
use crate::crypto::Hash;
use crate::crypto::keys::SecretKey;
use crate::dial::{Ended, Stream, Via};
use crate::session::{Failed, Session, broke, reply};
use crate::validator::handover;
use crate::validator::receipt::{Receipt, STEPS};

/// How long a letter may take from the origin's disk to the home's, on an idle machine or a loaded one.
const DELIVERED_WITHIN: Duration = Duration::from_secs(20);
const POLL_EVERY: Duration = Duration::from_millis(100);
const SYNC_ITEMS_MAX: usize = 256;

pub(super) fn sync(after_seq: u64, follow: bool) -> Message {
    Message::new(&CALL).with(
        "sync",
        Message::new(&SYNC)
            .with("after_seq", after_seq)
            .with("follow", follow),
    )
}

fn track(ids: &[Hash]) -> Message {
    Message::new(&CALL).with(
        "track",
        Message::new(&TRACK).with_all("envelope_ids", ids.iter().copied()),
    )
}

fn hand_over(handover: Message) -> Message {
    Message::new(&CALL).with("handover", handover)
}

/// One numbered item that a device got.
#[derive(Clone, Debug)]
struct Item {
    seq: u64,
    envelope: Vec<u8>,
}

/// Takes one page, checks MBX-5.2 and MBX-5.4, and gives its items; `last` moves on.
fn take(page: &Message, last: &mut u64) -> Result<Vec<Item>, Failed> {
    let items = page.messages("items");
    if items.len() > SYNC_ITEMS_MAX {
        return broke(format!("a page of {} items", items.len()));
    }
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let seq = item.number("seq");
        if seq != *last + 1 {
            return broke(format!("number {seq} after {last}"));
        }
        *last = seq;
        let (envelope, absence) = (item.bytes("envelope"), item.number("absence"));
        if envelope.is_empty() == (absence == 0) {
            return broke(format!(
                "number {seq} is neither an envelope nor a reason for its absence"
            ));
        }
        let named = item.bytes("envelope_id");
        if !envelope.is_empty() && !named.is_empty() && named != letters::id(envelope) {
            return broke(format!("number {seq} is another envelope than it says"));
        }
        out.push(Item {
            seq,
            envelope: envelope.to_vec(),
        });
    }
    if page.number("latest_seq") < *last {
        return broke(format!(
            "latest_seq {} is before {last}",
            page.number("latest_seq")
        ));
    }
    Ok(out)
}

/// Everything after a number, page by page until the stream ends.
async fn sync_all(session: &Session, after: u64) -> Result<Vec<Item>, Failed> {
    let mut stream = session.call(&sync(after, false)).await?;
    stream.finish().await?;
    let (mut last, mut latest, mut all) = (after, after, Vec::new());
    loop {
        match reply(&mut stream, "page", DELIVERED_WITHIN).await {
            Ok(page) => {
                all.extend(take(&page, &mut last)?);
                latest = page.number("latest_seq");
            }
            Err(Failed::Ended(Ended::Finished)) if last >= latest => return Ok(all),
            Err(Failed::Ended(Ended::Finished)) => {
                return broke(format!("the stream ended at {last}, latest is {latest}"));
            }
            Err(failed) => return Err(failed),
        }
    }
}

/// Syncs until this letter is there; all items so far.
async fn sync_until(session: &Session, id: Hash) -> Result<Vec<Item>, Stop> {
    let begun = Instant::now();
    loop {
        let all = sync_all(session, 0).await?;
        if all.iter().any(|item| letters::id(&item.envelope) == id) {
            return Ok(all);
        }
        if begun.elapsed() > DELIVERED_WITHIN {
            return fail(format!(
                "not delivered within {} s",
                DELIVERED_WITHIN.as_secs()
            ));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Asks until the last step is one of these; the receipts, each verified, in the order of steps.
pub(super) async fn track_until(
    ground: &Ground,
    id: Hash,
    steps: &[&str],
    within: Duration,
) -> Result<Vec<Receipt>, Stop> {
    let begun = Instant::now();
    let session = ground.at_origin().await?;
    loop {
        let (step, receipts) = track_one(ground, &session, id).await?;
        if steps.contains(&step) {
            return Ok(receipts);
        }
        if begun.elapsed() > within {
            return fail(format!(
                "after {} s the last step is {step:?}, wanted {}",
                within.as_secs(),
                steps.join(" or ")
            ));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// The last step and the receipts of one letter.
async fn track_one(
    ground: &Ground,
    session: &Session,
    id: Hash,
) -> Result<(&'static str, Vec<Receipt>), Stop> {
    let answer = session.ask(&track(&[id]), "track").await?;
    let custodies = answer.messages("envelopes");
    let [custody] = custodies[..] else {
        return fail(format!("one id was asked, {} came back", custodies.len()));
    };
    if custody.bytes("envelope_id") != id {
        return fail("the answer is about another envelope");
    }
    let mut receipts = Vec::new();
    for bytes in custody.all_bytes("receipts") {
        receipts.push(verified(ground, bytes, id)?);
    }
    let number = usize::try_from(custody.number("step")).unwrap_or(usize::MAX);
    let step = number
        .checked_sub(1)
        .and_then(|at| STEPS.get(at))
        .copied()
        .unwrap_or("unspecified");
    if receipts.last().map(|receipt| receipt.step) != Some(step) && step != "unspecified" {
        let steps: Vec<_> = receipts.iter().map(|receipt| receipt.step).collect();
        return fail(format!(
            "the last step is {step}, the receipts say {steps:?}"
        ));
    }
    Ok((step, receipts))
}

/// CUS-2.5: who may say which step, each with its own key.
fn verified(ground: &Ground, bytes: &[u8], id: Hash) -> Result<Receipt, Stop> {
    let (origin, home) = (&ground.origin, &ground.home);
    let by = |key| Receipt::check(bytes, key);
    let receipt = match by(&origin.key).or_else(|_| by(&home.key)) {
        Ok(receipt) => receipt,
        Err(refused) => return fail(format!("a receipt: {refused}")),
    };
    let signer = if by(&origin.key).is_ok() {
        origin
    } else {
        home
    };
    let entitled = match receipt.step {
        "accepted" => receipt.node == origin.authority,
        "stored" | "retrieved" => receipt.node == home.authority,
        _ => true,
    };
    let names_signer = receipt.node == signer.authority || origin.key == home.key;
    if !entitled || !names_signer || receipt.envelope_id != id {
        return fail(format!(
            "a receipt that {} may not give: {receipt:?}",
            signer.authority
        ));
    }
    Ok(receipt)
}

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    syncs(run, ground).await;
    follows(run, ground).await;
    handovers(run, ground).await;
    tracks(run, ground).await;
}

async fn syncs(run: &mut Run<'_>, ground: &Ground) {
    run.case(
        Level::Relay,
        "sync-zero",
        "from zero: every number from 1, and the letter opens",
        &["MBX-5.1", "MBX-5.2", "MBX-5.5"],
        async {
            let id = submit::accepted(ground, &letters::letter(ground, "bonjour")).await?;
            let all = sync_until(&ground.at_home().await?, id).await?;
            let found = all.iter().find(|item| letters::id(&item.envelope) == id);
            let Some(item) = found else {
                return fail("it was there and is not");
            };
            letters::reads(ground, &item.envelope, "bonjour").or_else(fail)
        },
    )
    .await;
    run.case(
        Level::Relay,
        "sync-cursor",
        "from any number: exactly what follows it",
        &["MBX-5.2"],
        async {
            let session = ground.at_home().await?;
            let all = sync_all(&session, 0).await?;
            let last = all.last().map_or(0, |item| item.seq);
            for after in [1, last / 2, last.saturating_sub(1), last] {
                let part = sync_all(&session, after).await?;
                let wanted: Vec<_> = all
                    .iter()
                    .filter(|item| item.seq > after)
                    .map(|item| &item.envelope)
                    .collect();
                // More may have arrived meanwhile.
                let got: Vec<_> = part
                    .iter()
                    .map(|item| &item.envelope)
                    .take(wanted.len())
                    .collect();
                if got != wanted {
                    return fail(format!(
                        "after {after} came {} items, wanted the same {} as from zero",
                        got.len(),
                        wanted.len()
                    ));
                }
            }
            Ok(())
        },
    )
    .await;
    run.case(
        Level::Relay,
        "sync-again",
        "asking twice gives the same bytes under the same numbers",
        &["MBX-5.1", "SIG-1.5"],
        async {
            let session = ground.at_home().await?;
            let first = sync_all(&session, 0).await?;
            let second = sync_all(&session, 0).await?;
            let same = first
                .iter()
                .zip(&second)
                .all(|(a, b)| a.seq == b.seq && a.envelope == b.envelope);
            if same && second.len() >= first.len() {
                Ok(())
            } else {
                fail("the second answer differs")
            }
        },
    )
    .await;
}

async fn follows(run: &mut Run<'_>, ground: &Ground) {
    for via in Via::BOTH {
        run.case(
            Level::Relay,
            &format!("follow-{}", via.word()),
            "a new letter comes by itself to a device that follows",
            &["MBX-5.3"],
            async {
                let session = ground.at_home_by(via).await?;
                let have = sync_all(&session, 0)
                    .await?
                    .last()
                    .map_or(0, |item| item.seq);
                let mut stream = session.call(&sync(have, true)).await?;
                let id = submit::accepted(ground, &letters::letter(ground, "en direct")).await?;
                arrives(ground, &mut stream, have, id).await
            },
        )
        .await;
    }
    run.case(
        Level::Relay,
        "handed-on-exactly",
        "the device gets the bytes that the service sent",
        &["SIG-1.5", "R1"],
        async {
            let extension = Message::new(&crate::codec::schema::EXTENSION)
                .with("id", 4_711u32)
                .with("value", [9; 16]);
            let header = letters::header(ground)
                .with("extensions", extension)
                .with("supersedes", [8; 16]);
            let letter = letters::letter_under(ground, &header, &ground.service.key);
            let id = submit::accepted(ground, &letter).await?;
            let all = sync_until(&ground.at_home().await?, id).await?;
            if all.iter().any(|item| item.envelope == letter) {
                Ok(())
            } else {
                fail("the bytes differ")
            }
        },
    )
    .await;
}

async fn arrives(ground: &Ground, stream: &mut Stream, have: u64, id: Hash) -> Went {
    let (begun, mut last) = (Instant::now(), have);
    while begun.elapsed() < DELIVERED_WITHIN {
        let page = reply(stream, "page", DELIVERED_WITHIN).await?;
        for item in take(&page, &mut last)? {
            if letters::id(&item.envelope) == id {
                return letters::reads(ground, &item.envelope, "en direct").or_else(fail);
            }
        }
    }
    fail(format!("nothing within {} s", DELIVERED_WITHIN.as_secs()))
}

async fn handovers(run: &mut Run<'_>, ground: &Ground) {
    let device = &ground.account.device;
    run.case(
        Level::Relay,
        "handover",
        "what the device says it has shows as retrieved, with receipts that verify",
        &["CUS-7.1", "CUS-7.5", "CUS-8.1", "CUS-2.5"],
        async {
            let id = submit::accepted(ground, &letters::letter(ground, "remise")).await?;
            let stored = track_until(ground, id, &["stored"], DELIVERED_WITHIN).await?;
            let steps: Vec<_> = stored.iter().map(|receipt| receipt.step).collect();
            let wanted: &[&str] = if ground.is_one_node() {
                &["stored"]
            } else {
                &["accepted", "stored"]
            };
            if !steps.ends_with(wanted) {
                return fail(format!("when it was stored the receipts said {steps:?}"));
            }
            let session = ground.at_home().await?;
            sync_until(&session, id).await?;
            let call = hand_over(handover::build(&[id], now_ms(), device));
            session.ask(&call, "done").await?;
            // A second time changes nothing and is no error.
            session.ask(&call, "done").await?;
            let all = track_until(ground, id, &["retrieved"], DELIVERED_WITHIN).await?;
            let count = all
                .iter()
                .filter(|receipt| receipt.step == "retrieved")
                .count();
            if count == 1 {
                Ok(())
            } else {
                fail(format!("{count} receipts say retrieved"))
            }
        },
    )
    .await;
    run.case(
        Level::Relay,
        "handover-many",
        "several letters under one signature",
        &["CUS-7.1"],
        async {
            let session = ground.at_home().await?;
            let ids: Vec<Hash> = sync_all(&session, 0)
                .await?
                .iter()
                .rev()
                .take(5)
                .map(|item| letters::id(&item.envelope))
                .collect();
            session
                .ask(&hand_over(handover::build(&ids, now_ms(), device)), "done")
                .await
                .map(drop)
                .map_err(Into::into)
        },
    )
    .await;
    let unknown = handover::build(&[[7; 32]], now_ms(), device);
    let none = handover::build(&[[7; 32]], now_ms(), device).without("envelope_ids");
    let forged = handover::build(&[[7; 32]], now_ms(), &SecretKey::generate());
    for (case, title, handover, code) in [
        (
            "handover-unknown",
            "an id that is not in the account",
            unknown,
            "UNKNOWN_ENVELOPE",
        ),
        ("handover-none", "no id", none, "FIELD_MISSING"),
        (
            "handover-forged",
            "a signature by another key",
            forged,
            "BAD_SIGNATURE",
        ),
    ] {
        run.case(
            Level::Relay,
            case,
            title,
            &["CUS-7.2", "CUS-7.4", "CUS-7.5"],
            async {
                let session = ground.at_home().await?;
                refused(
                    session.connection.via(),
                    session.ask(&hand_over(handover), "done").await,
                    &[code],
                )
            },
        )
        .await;
    }
}

async fn tracks(run: &mut Run<'_>, ground: &Ground) {
    run.case(
        Level::Relay,
        "track-order",
        "answers stand in the order asked, known and unknown",
        &["CUS-8.1"],
        async {
            let first = submit::accepted(ground, &letters::letter(ground, "a")).await?;
            let second = submit::accepted(ground, &letters::letter(ground, "b")).await?;
            let asked = [second, [7; 32], first];
            let answer = ground
                .at_origin()
                .await?
                .ask(&track(&asked), "track")
                .await?;
            let got: Vec<_> = answer
                .messages("envelopes")
                .iter()
                .map(|one| one.bytes("envelope_id").to_vec())
                .collect();
            if got != asked {
                return fail("another order");
            }
            let steps: Vec<_> = answer
                .messages("envelopes")
                .iter()
                .map(|one| one.number("step"))
                .collect();
            if steps[1] == 0 && steps[0] > 0 && steps[2] > 0 {
                Ok(())
            } else {
                fail(format!("steps {steps:?}"))
            }
        },
    )
    .await;
    for (case, title, ids, code) in [
        ("track-none", "no id", vec![], "FIELD_MISSING"),
        (
            "track-17",
            "TRACK_IDS_MAX + 1 ids",
            vec![[7; 32]; 17],
            "TOO_MANY",
        ),
    ] {
        run.case(Level::Relay, case, title, &["CUS-8.1"], async {
            let session = ground.at_origin().await?;
            refused(
                session.connection.via(),
                session.ask(&track(&ids), "track").await,
                &[code],
            )
        })
        .await;
    }
}
