//! What became of a letter: hand-over by the device, receipts by the nodes, and `Track`. Spec: CUS-2, CUS-7, CUS-8.

use std::time::{Duration, Instant};

use super::super::{Level, Run, Stop, fail, refused};
use super::delivery::{DELIVERED_WITHIN, POLL_EVERY, sync_all, sync_until};
use super::{Ground, letters, submit};
use crate::clock::now_ms;
use crate::codec::Message;
use crate::codec::schema::{CALL, TRACK};
use crate::crypto::Hash;
use crate::crypto::keys::SecretKey;
use crate::session::Session;
use crate::validator::handover;
use crate::validator::receipt::{Receipt, STEPS};

fn track(ids: &[Hash]) -> Message {
    Message::new(&CALL).with(
        "track",
        Message::new(&TRACK).with_all("envelope_ids", ids.iter().copied()),
    )
}

fn hand_over(handover: Message) -> Message {
    Message::new(&CALL).with("handover", handover)
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
    handovers(run, ground).await;
    tracks(run, ground).await;
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
