//! The clock jumps, or is far off at the start; and a store that fails elsewhere than in the pipeline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_node::clock::{Clock, TestClock};
use pli_node::store::*;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, MailboxId, Timestamp};
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;
use tokio::time::sleep;

use crate::inside::{Failing, opened, started};
use crate::site::{SOON, Site, get, now};

const HOUR_MS: u64 = 3_600_000;
const TEN_YEARS_MS: u64 = 315_360_000_000;
/// Expiry sweeps once a second.
const SWEEPS: Duration = Duration::from_secs(4);

fn account() -> AccountId {
    AccountId::new([1; 32])
}

fn waiting_for() -> AuthorityId {
    "social.gouv.fr".parse().unwrap()
}

fn entry(number: u8, place: Place, at: Timestamp) -> Entry {
    Entry {
        id: EnvelopeId::new([number; 32]),
        bytes: Bytes::from_static(b"a letter"),
        accepted_at: at,
        expires: at.plus_ms(HOUR_MS),
        sender: Sender::Service("rdv@interieur.gouv.fr".parse().unwrap()),
        place,
    }
}

/// One letter in a mailbox and one in a queue.
fn fill(store: &dyn Store, at: Timestamp) {
    let mailbox = MailboxId::new([1; 16]);
    let account = account();
    let queue = Place::Queue {
        destination: waiting_for(),
        lane: Lane::Bulk,
    };
    let group = [
        entry(1, Place::Mailbox { account, mailbox }, at),
        entry(2, queue, at),
    ];
    store.append(&group).unwrap();
}

fn is_whole(store: &dyn Store) -> bool {
    let usage = store.usage(&account(), &MailboxId::new([1; 16])).unwrap();
    let queues = store.destinations().unwrap();
    usage.envelopes == 1 && queues.iter().map(|state| state.bulk).sum::<u64>() == 1
}

async fn readiness(ops: std::net::SocketAddr) -> (u16, String) {
    let begin = Instant::now();
    loop {
        let asked = tokio::task::spawn_blocking(move || get(ops, "/readyz"));
        if let Some(answer) = asked.await.unwrap() {
            return answer;
        }
        assert!(begin.elapsed() < SOON);
        sleep(Duration::from_millis(20)).await;
    }
}

/// A node by a clock of ours, and its store to look at. Returns when `check` has looked.
async fn with_node(
    site: &Site,
    clock: &TestClock,
    check: impl AsyncFnOnce(std::net::SocketAddr, Arc<dyn Store>),
) {
    let opened = opened(&site.at("node.toml")).await;
    let ops = opened
        .addresses()
        .into_iter()
        .find(|(name, _)| *name == "ops")
        .unwrap()
        .1;
    let mut kept = None;
    let opened = opened.over(|store| Arc::clone(kept.insert(store)));
    let (running, trigger) = started(opened.by(Arc::new(clock.clone())));
    check(ops, kept.unwrap()).await;
    trigger.stop();
    tokio::time::timeout(SOON, running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

/// CUS-6.6
#[tokio::test(flavor = "multi_thread")]
async fn case_17_a_clock_that_jumps_ten_years_ahead_and_back_expires_nothing() {
    let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
    let clock = TestClock::at(now());
    with_node(&site, &clock, async |ops, store| {
        fill(&*store, clock.now());
        sleep(SWEEPS).await;
        assert_eq!(readiness(ops).await.0, 200);
        let right = clock.now();
        clock.set(right.plus_ms(TEN_YEARS_MS));
        sleep(SWEEPS).await;
        let (status, because) = readiness(ops).await;
        assert_eq!(status, 503);
        assert!(because.contains("the clock was set by"), "{because}");
        assert!(is_whole(&*store));
        let confirmed = store.status().confirmed.unwrap();
        assert!(confirmed <= now(), "{confirmed}");
        clock.set(right);
        assert_eq!(readiness(ops).await.0, 200);
        sleep(SWEEPS).await;
        assert!(is_whole(&*store));
    })
    .await;

    // Started again with the wrong clock, which nobody confirmed.
    let wrong = TestClock::at(now().plus_ms(TEN_YEARS_MS));
    with_node(&site, &wrong, async |ops, store| {
        sleep(SWEEPS).await;
        let (status, because) = readiness(ops).await;
        assert_eq!(status, 503);
        assert!(because.contains("confirm-clock"), "{because}");
        assert!(is_whole(&*store));
        // It was meant to be so, and a person says it.
        wrong.set(now().plus_ms(CLOCK_SKEW_MAX_MS));
        assert_eq!(readiness(ops).await.0, 200);
    })
    .await;
}

/// CUS-6.6: the other side of it; a clock that is right goes on to expire.
#[tokio::test(flavor = "multi_thread")]
async fn case_17_a_confirmed_start_expires_what_is_due() {
    let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
    let long_ago = Timestamp::from_ms(now().as_ms() - 2 * 24 * HOUR_MS);
    let before = opened(&site.at("node.toml")).await;
    drop(before.over(|store| {
        store.confirm_time(long_ago).unwrap();
        fill(&*store, long_ago);
        store
    }));
    let clock = TestClock::at(now());
    with_node(&site, &clock, async |ops, store| {
        sleep(SWEEPS).await;
        assert_eq!(readiness(ops).await.0, 503);
        assert!(is_whole(&*store));
    })
    .await;
    let mut confirm = std::process::Command::new(env!("CARGO_BIN_EXE_pli-node"));
    confirm
        .args(["confirm-clock", "--config"])
        .arg(site.at("node.toml"));
    assert!(confirm.status().unwrap().success());
    with_node(&site, &clock, async |ops, store| {
        sleep(SWEEPS).await;
        assert_eq!(readiness(ops).await.0, 200);
        assert!(!is_whole(&*store));
    })
    .await;
}

/// CUS-1.5: the process must end, whoever met the error.
#[tokio::test(flavor = "multi_thread")]
async fn case_39_a_fatal_error_of_any_operation_ends_the_node() {
    for operation in ["expire", "compact", "confirm_time"] {
        let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
        let opened = opened(&site.at("node.toml")).await;
        let opened = opened.over(|store| Through::over(store, Failing(operation)));
        let (running, _trigger) = started(opened);
        let ended = tokio::time::timeout(SOON, running).await;
        let fatal = ended.expect("it ends").unwrap().unwrap_err();
        assert_eq!(fatal.exit_code(), 74, "{operation}: {fatal}");
        assert!(fatal.to_string().contains(operation), "{fatal}");
    }
}
