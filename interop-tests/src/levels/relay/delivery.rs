//! From the home to the device: sync page by page, and live. Spec: MBX-5.

use std::time::{Duration, Instant};

use super::super::{Level, Run, Stop, Went, fail};
use super::{Ground, letters, submit};
use crate::codec::Message;
use crate::codec::schema::{CALL, SYNC};
use crate::crypto::Hash;
use crate::dial::{Ended, Stream, Via};
use crate::session::{Failed, Session, broke, reply};

/// How long a letter may take from the origin's disk to the home's, on an idle machine or a loaded one.
pub(super) const DELIVERED_WITHIN: Duration = Duration::from_secs(20);
pub(super) const POLL_EVERY: Duration = Duration::from_millis(100);
const SYNC_ITEMS_MAX: usize = 256;

pub(super) fn sync(after_seq: u64, follow: bool) -> Message {
    Message::new(&CALL).with(
        "sync",
        Message::new(&SYNC)
            .with("after_seq", after_seq)
            .with("follow", follow),
    )
}

/// One numbered item that a device got.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) seq: u64,
    pub(super) envelope: Vec<u8>,
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
pub(super) async fn sync_all(session: &Session, after: u64) -> Result<Vec<Item>, Failed> {
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
pub(super) async fn sync_until(session: &Session, id: Hash) -> Result<Vec<Item>, Stop> {
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

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    syncs(run, ground).await;
    follows(run, ground).await;
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
