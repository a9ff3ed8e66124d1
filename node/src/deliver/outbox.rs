//! Receipts of this home on their way to the origin of a letter (CUS-8.3), on calls of their own.
//!
//! In: the reports of the store. Out: `Report` calls; what the origin has answered for good leaves the store.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pli_protocol::code::Code;
use pli_protocol::crypto::contexts::RECEIPT;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::Receipt;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::REPORT_RECEIPTS_MAX;
use pli_protocol::signed::sign_batch;
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::DialledConnection;
use prost::Message;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::evidence;
use super::forward::{Broken, peer, reply_in_time};
use super::postponed::backoff;
use crate::relay::Relay;
use crate::store::{PageBound, Report, ReportEntry, Settlement, StoreError};

/// Reports read at once, and settled at once.
const PAGE: PageBound = PageBound {
    items: 1_024,
    bytes: 1 << 20,
};
/// Calls under way at once: while the origin's disk works for one, the others are on their way.
const CALLS: usize = 8;

/// What the store keeps of what happened here to letters of one origin, and what that origin is told, until then.
pub fn told(
    relay: &Relay,
    origin: &AuthorityId,
    receipts: &[Receipt],
    until: Timestamp,
) -> (Vec<Settlement>, Vec<Report>) {
    let (mut settlements, mut reports) = (Vec::new(), Vec::new());
    for page in receipts.chunks(REPORT_RECEIPTS_MAX) {
        let payloads = page.iter().map(Receipt::encode).collect();
        let signed =
            sign_batch(RECEIPT, payloads, &relay.key).expect("a page is less than a tree holds");
        if *origin != relay.authority {
            reports.push(Report {
                destination: origin.clone(),
                bytes: evidence::report_bytes(signed.clone()),
                expires: until,
            });
        }
        let items = page
            .iter()
            .map(|receipt| (receipt.envelope, evidence::outcome_of(receipt.step)));
        settlements.push(evidence::of_signed(signed, items.collect()));
    }
    (settlements, reports)
}

/// Sends what waits and what comes, until the connection is dropped. Ends only when the disk fails.
pub async fn run(
    relay: &Arc<Relay>,
    origin: &AuthorityId,
    connection: &DialledConnection,
    wake: &Notify,
) -> StoreError {
    let mut failures = 0;
    loop {
        match send_all(relay, origin, connection).await {
            Ok(()) => {
                failures = 0;
                wake.notified().await;
            }
            Err(Broken::Store(error)) => return error,
            Err(broken) => {
                failures += 1;
                let wait = backoff(failures).max(broken.retry_after());
                tracing::info!(%origin, %broken, ?wait, "reports wait");
                sleep(wait).await;
            }
        }
    }
}

async fn send_all(
    relay: &Arc<Relay>,
    origin: &AuthorityId,
    connection: &DialledConnection,
) -> Result<(), Broken> {
    loop {
        let destination = origin.clone();
        let reports = relay
            .on_store(move |store| store.pending_reports(&destination, 0, PAGE))
            .await?;
        if reports.is_empty() {
            return Ok(());
        }
        let calls = stream::iter(gather(reports, origin)).map(async |call| {
            send(relay, origin, connection, call.receipts).await?;
            Ok(call.positions)
        });
        let mut calls = pin!(calls.buffer_unordered(CALLS));
        let mut told = Vec::new();
        let mut end: Result<(), Broken> = Ok(());
        while let Some(call) = calls.next().await {
            match call {
                Ok(positions) => told.extend(positions),
                Err(broken) => {
                    end = Err(broken);
                    break;
                }
            }
        }
        let destination = origin.clone();
        relay
            .on_store(move |store| store.settle_reports(&destination, &told))
            .await?;
        end?;
    }
}

/// Reports that go in one call.
#[derive(Debug, Default)]
struct Gathered {
    receipts: Vec<Bytes>,
    positions: Vec<u64>,
}

/// As many reports to a call as it takes: under load one of a few receipts waits for each time that a device took
/// letters, and a call of its own for each would fall behind.
fn gather(reports: Vec<ReportEntry>, origin: &AuthorityId) -> Vec<Gathered> {
    let mut calls = vec![Gathered::default()];
    for report in reports {
        let receipts = match wire::Report::decode(report.bytes) {
            Ok(report) => report.receipts,
            // The device's receipt stays here and can be asked for.
            Err(error) => {
                tracing::error!(%origin, %error, "a damaged report is dropped");
                Vec::new()
            }
        };
        let mut call = calls.last_mut().expect("there is one from the beginning");
        if call.receipts.len() + receipts.len() > REPORT_RECEIPTS_MAX {
            calls.push(Gathered::default());
            call = calls.last_mut().expect("just pushed");
        }
        call.receipts.extend(receipts);
        call.positions.push(report.position);
    }
    calls
}

/// Sends the receipts of a call; if the origin wants none of it, each of them alone.
async fn send(
    relay: &Relay,
    origin: &AuthorityId,
    connection: &DialledConnection,
    receipts: Vec<Bytes>,
) -> Result<(), Broken> {
    let receipts = in_force(receipts, &relay.key);
    if receipts.is_empty() {
        return Ok(());
    }
    let Err(code) = say(connection, receipts.clone()).await? else {
        return Ok(());
    };
    let mut refused = match receipts.len() {
        1 => vec![code],
        _ => Vec::new(),
    };
    if refused.is_empty() {
        for receipt in receipts {
            refused.extend(say(connection, vec![receipt]).await?.err());
        }
    }
    if let Some(code) = refused.first() {
        let receipts = refused.len();
        tracing::warn!(%code, receipts, %origin, "receipts were refused");
    }
    Ok(())
}

/// One call. The inner refusal is for good.
async fn say(
    connection: &DialledConnection,
    receipts: Vec<Bytes>,
) -> Result<Result<(), Code>, Broken> {
    let call = wire::Call {
        kind: Some(call::Kind::Report(wire::Report { receipts })),
    };
    let mut stream = connection.open_call().await.map_err(peer)?;
    stream.send.send_message(&call).await.map_err(peer)?;
    stream.send.finish().await.map_err(peer)?;
    match reply_in_time(&mut stream.recv).await?.kind {
        Some(call_reply::Kind::Done(_)) => Ok(Ok(())),
        Some(call_reply::Kind::Refusal(refusal)) => {
            match Code::from_number(refusal.code).unwrap_or(Code::Internal) {
                // The origin may not know this node's newest key yet (CUS-6.8).
                Code::UnknownKey | Code::KeyNotValid => Err(Broken::refused(&refusal)),
                code if code.retryable() => Err(Broken::refused(&refusal)),
                code => Ok(Err(code)),
            }
        }
        _ => Err(Broken::Peer("an answer to a report that is none".into())),
    }
}

/// CUS-8.3: the origin asks for a key that is valid now; what was signed under a former one is signed again.
fn in_force(receipts: Vec<Bytes>, key: &SigningKey) -> Vec<Bytes> {
    let current = key.public().id();
    let by_it = |receipt: &Bytes| {
        let signed = Receipt::decode(receipt.clone());
        signed.is_ok_and(|(_, signed)| signed.key_ids().eq([current]))
    };
    if receipts.iter().all(by_it) {
        return receipts;
    }
    let said: Vec<_> = receipts
        .into_iter()
        .filter_map(|receipt| Receipt::decode(receipt).ok())
        .map(|(receipt, _)| receipt.encode())
        .collect();
    if said.is_empty() {
        return said;
    }
    sign_batch(RECEIPT, said, key).expect("a report is less than a tree holds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pli_protocol::custody::Step;
    use pli_protocol::id::EnvelopeId;

    /// CUS-8.3
    #[test]
    fn what_was_signed_under_a_former_key_is_signed_again() {
        let (old, new) = (
            SigningKey::from_seed(&[1; 32]),
            SigningKey::from_seed(&[2; 32]),
        );
        let receipts: Vec<Receipt> = (0..3)
            .map(|n| Receipt {
                step: Step::Retrieved,
                node: "social.gouv.fr".parse().unwrap(),
                envelope: EnvelopeId::new([n; 32]),
                at: Timestamp::from_ms(1_800_000_000_000),
            })
            .collect();
        let payloads: Vec<Bytes> = receipts.iter().map(Receipt::encode).collect();
        let signed = sign_batch(RECEIPT, payloads, &old).unwrap();
        assert_eq!(in_force(signed.clone(), &old), signed);
        let again = in_force(signed, &new);
        let verified = again
            .into_iter()
            .map(|signed| Receipt::verify(signed, new.public()).unwrap());
        assert_eq!(verified.collect::<Vec<_>>(), receipts);
    }

    /// CUS-8.3
    #[test]
    fn a_call_takes_as_many_reports_as_it_may_and_none_in_parts() {
        let report = |position, receipts: usize| ReportEntry {
            position,
            bytes: evidence::report_bytes(vec![Bytes::from_static(b"receipt"); receipts]),
            expires: Timestamp::from_ms(1_800_000_000_000),
        };
        let damaged = ReportEntry {
            bytes: Bytes::from_static(b"\xff"),
            ..report(5, 0)
        };
        let reports = vec![
            report(1, REPORT_RECEIPTS_MAX - 1),
            report(2, 1),
            report(3, 1),
            report(4, REPORT_RECEIPTS_MAX),
            damaged,
        ];
        let calls = gather(reports, &"interieur.gouv.fr".parse().unwrap());
        let calls: Vec<_> = calls
            .into_iter()
            .map(|call| (call.receipts.len(), call.positions))
            .collect();
        // What is damaged is told to nobody, and settled: it would be read for ever.
        assert_eq!(
            calls,
            [
                (REPORT_RECEIPTS_MAX, vec![1, 2]),
                (1, vec![3]),
                (REPORT_RECEIPTS_MAX, vec![4, 5]),
            ]
        );
    }
}
