//! Reports of a home that an origin cannot use. Two nodes in the test's own process; the home's store holds what a disk
//! or a fault of former versions may have left there.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use pli_node::store::{
    CustodyState, Entry, Lane, Outcome, Place, Report, Sender, Settlement, Store,
};
use pli_protocol::crypto::contexts::RECEIPT;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::signed::sign_one;
use pli_protocol::{codec, wire};

use crate::inside::{Inside, until};
use crate::site::{AUTHORITY, Site, now};

const HOUR_MS: u64 = 3_600_000;
const ORIGIN: &str = "social.gouv.fr";
/// Letters of the origin that the home has.
const LETTERS: [EnvelopeId; 2] = [EnvelopeId::new([1; 32]), EnvelopeId::new([2; 32])];
const NOBODYS: EnvelopeId = EnvelopeId::new([9; 32]);

fn id(name: &str) -> AuthorityId {
    AuthorityId::new(name).unwrap()
}

/// What the home says of a letter.
fn receipt(envelope: EnvelopeId, step: Step, key: &SigningKey) -> Bytes {
    let said = Receipt {
        step,
        node: id(AUTHORITY),
        envelope,
        at: now(),
    };
    sign_one(RECEIPT, said.encode(), key)
}

fn report(receipts: Vec<Bytes>) -> Bytes {
    codec::encode(&wire::Report { receipts })
}

/// Each with the calls that it costs.
fn reports(key: &SigningKey) -> Vec<(Bytes, usize)> {
    let good = |letter| receipt(letter, Step::Retrieved, key);
    let mut forged = good(LETTERS[0]).to_vec();
    // The signature is the last field.
    *forged.last_mut().unwrap() ^= 1;
    vec![
        // What the store makes of a record that failed its checksum.
        (Bytes::new(), 0),
        (Bytes::from_static(b"\x0a\xff no report"), 0),
        (report(vec![Bytes::from_static(b"no receipt")]), 0),
        (report(vec![forged.into()]), 1),
        (report(vec![good(NOBODYS)]), 1),
        // One spoils the other (CUS-8.3), and each is said alone.
        (
            report(vec![
                receipt(LETTERS[0], Step::Stored, key),
                good(LETTERS[0]),
            ]),
            3,
        ),
        (report(vec![good(LETTERS[1])]), 1),
    ]
}

/// As a store is after the letters were forwarded.
fn forwarded(store: &dyn Store) {
    let entry = |id: EnvelopeId| Entry {
        id,
        bytes: Bytes::from_static(b"a letter"),
        accepted_at: now(),
        expires: now().plus_ms(HOUR_MS),
        sender: Sender::Service(format!("aides@{ORIGIN}").parse().unwrap()),
        place: Place::Queue {
            destination: AuthorityId::new(AUTHORITY).unwrap(),
            lane: Lane::Bulk,
        },
    };
    store.append(&LETTERS.map(entry)).unwrap();
    let settlement = Settlement {
        receipts: Bytes::from_static(b"of the home"),
        items: LETTERS.map(|id| (id, Outcome::Delivered)).to_vec(),
    };
    assert_eq!(store.settle(&[settlement], &[]).unwrap().applied, 2);
}

async fn node(config: &Path, fill: impl FnOnce(&dyn Store)) -> (Inside, Arc<dyn Store>) {
    let mut kept = None;
    let node = Inside::start(config, |store| {
        fill(&*store);
        Arc::clone(kept.insert(store))
    })
    .await;
    (node, kept.unwrap())
}

/// CUS-8.3, R7: what cannot be read, does not verify or is of no letter leaves the home's store after it was said once,
/// and what stands behind it arrives.
#[tokio::test(flavor = "multi_thread")]
async fn r7_a_damaged_report_is_settled_and_hides_none_behind_it() {
    let (site, origin) = tokio::task::spawn_blocking(|| {
        let site = Site::new();
        let origin = site.neighbour(ORIGIN);
        (site, origin)
    })
    .await
    .unwrap();
    let (origin, at_origin) = node(&origin, forwarded).await;
    let reports = reports(&site.key);
    let calls: usize = reports.iter().map(|(_, calls)| calls).sum();
    let (home, at_home) = node(&site.at("node.toml"), |store| {
        let reports: Vec<Report> = reports
            .iter()
            .map(|(bytes, _)| Report {
                destination: id(ORIGIN),
                bytes: bytes.clone(),
                expires: now().plus_ms(HOUR_MS),
            })
            .collect();
        store.settle(&[], &reports).unwrap();
        let waiting = store.destinations().unwrap();
        assert_eq!(waiting[0].reports, reports.len() as u64);
    })
    .await;
    until("no report waits", async || {
        let waiting = at_home.destinations().unwrap();
        waiting.iter().all(|queue| queue.reports == 0).then_some(())
    })
    .await;
    for letter in &LETTERS {
        let custody = at_origin.custody(letter).unwrap().unwrap();
        assert_eq!(custody.state, CustodyState::Retrieved, "{letter}");
    }
    let counted = format!("pli_session_calls_total{{call=\"report\"}} {calls}");
    until(&counted, async || {
        origin.counts(&counted).await.then_some(())
    })
    .await;
    home.stop().await;
    origin.stop().await;
}
