//! Asking several witnesses at once: one that is dead or slow holds up nobody, and what came counts after a restart.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use pli_protocol::evidence::Noted;
use pli_protocol::limits::{WITNESS_FRESH_MS, WITNESS_TIMEOUT_MS};
use tempfile::tempdir;
use tokio::net::TcpListener;
use tokio::sync::watch as news;
use tokio::time::{Instant, sleep};

use super::ask_tests::{Growing, loopback, serving};
use super::disk::RealDisk;
use super::fixture::*;
use super::{ADD_CHECKPOINT, OwnLog, Pusher, Witness, Witnessed};
use crate::alarm::Alarms;
use crate::clock::TestClock;
use crate::metrics::AlarmKind;
use crate::shutdown::Shutdown;

/// How many have cosigned what the log kept of this size.
fn cosigned(own: &Growing, size: usize) -> usize {
    let kept = own.kept.lock().clone();
    let noted = kept.and_then(|note| Noted::parse(&note).ok());
    let noted = noted.filter(|noted| noted.checkpoint().size == size as u64);
    let keys = |name: &pli_protocol::id::AuthorityId| {
        let found = NAMES.iter().find(|(known, _)| *known == name.as_str());
        found.map_or(vec![], |(_, seed)| vec![*key(*seed).public()])
    };
    noted.map_or(0, |noted| noted.cosignatures(keys).len())
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evd_7_5_a_witness_that_is_slow_or_dead_holds_up_nobody() {
    let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
    let social = witness(first.path(), Arc::new(RealDisk));
    let justice = Witness {
        authority: authority("justice.gouv.fr"),
        key: key(3),
        ..witness(second.path(), Arc::new(RealDisk))
    };
    let (social, _social) = serving(Arc::new(social).router()).await;
    let (justice, stop_justice) = serving(Arc::new(justice).router()).await;
    let never = Router::new().route(ADD_CHECKPOINT, post(std::future::pending::<String>));
    let (slow, _slow) = serving(never).await;
    let http = [
        ("social.gouv.fr", social),
        ("justice.gouv.fr", justice),
        ("sante.gouv.fr", slow),
    ];
    let listed = watch(directory_at(&http, 2));
    let own = Growing::new(Log::new(40, 0), 1);
    let (witnessed, clock) = (Arc::new(Witnessed::default()), TestClock::at(NOON));
    let pusher = Pusher::new(
        Arc::clone(&own) as Arc<dyn OwnLog>,
        authority("interieur.gouv.fr"),
        listed.clone(),
        Arc::clone(&witnessed),
        loopback(),
        Arc::new(clock.clone()),
        alarms(),
    );
    let (news, heard) = news::channel(());
    let (_running, shutdown) = Shutdown::new();
    tokio::spawn(pusher.unwrap().run(heard, shutdown));
    let began = Instant::now();
    for size in [1, 2, 9, 30] {
        *own.size.lock() = size;
        news.send_replace(());
        until("two of three cosign", || cosigned(&own, size) == 2).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "the slow one was waited for"
    );
    assert_eq!(witnessed.check(&listed.current(), NOON), Ok(()));

    // R13, across a restart: what was kept says when there were last enough.
    drop(stop_justice);
    let (again, alarms) = (Arc::new(Witnessed::default()), alarms());
    restarted(&own, &listed, &again, &alarms);
    assert_eq!(again.last().len(), 2);
    let late = NOON.plus_ms(WITNESS_FRESH_MS);
    assert!(again.refuses(&listed.current(), late).is_some());
    again.look(&listed.current(), &alarms, late);
    assert!(
        alarms
            .raised()
            .iter()
            .any(|alarm| alarm.kind == AlarmKind::Unwitnessed)
    );
    again.look(&listed.current(), &alarms, NOON);
    assert!(alarms.raised().is_empty());
}

fn restarted(
    own: &Arc<Growing>,
    listed: &crate::federation::DirectoryWatch,
    witnessed: &Arc<Witnessed>,
    alarms: &Alarms,
) {
    let pusher = Pusher::new(
        Arc::clone(own) as Arc<dyn OwnLog>,
        authority("interieur.gouv.fr"),
        listed.clone(),
        Arc::clone(witnessed),
        loopback(),
        Arc::new(TestClock::at(NOON)),
        alarms.clone(),
    );
    drop(pusher.unwrap());
}

/// Three are listed and one of them answers: as many as are needed.
#[tokio::test(flavor = "multi_thread")]
async fn evd_7_5_beside_one_that_is_dead_and_one_that_is_slow_the_third_is_enough() {
    let folder = tempdir().unwrap();
    let live = Arc::new(witness(folder.path(), Arc::new(RealDisk))).router();
    let (live, _live) = serving(live).await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = dead.local_addr().unwrap();
    let never = Router::new().route(ADD_CHECKPOINT, post(std::future::pending::<String>));
    let (slow, _slow) = serving(never).await;
    let http = [
        ("social.gouv.fr", live),
        ("justice.gouv.fr", dead),
        ("sante.gouv.fr", slow),
    ];
    let own = Growing::new(Log::new(40, 0), 1);
    let pusher = Pusher::new(
        Arc::clone(&own) as Arc<dyn OwnLog>,
        authority("interieur.gouv.fr"),
        watch(directory_at(&http, 1)),
        Arc::default(),
        loopback(),
        Arc::new(TestClock::at(NOON)),
        alarms(),
    );
    let (news, heard) = news::channel(());
    let (_running, shutdown) = Shutdown::new();
    tokio::spawn(pusher.unwrap().run(heard, shutdown));
    let began = Instant::now();
    for size in [1, 2, 9, 30] {
        *own.size.lock() = size;
        news.send_replace(());
        until("the live one cosigns", || cosigned(&own, size) == 1).await;
    }
    assert!(
        began.elapsed() < Duration::from_millis(WITNESS_TIMEOUT_MS),
        "somebody was waited for"
    );
}

/// A dead address is asked again, less and less often, and found when it is there again.
#[tokio::test(flavor = "multi_thread")]
async fn evd_7_5_a_witness_that_comes_back_is_found_again() {
    let folder = tempdir().unwrap();
    let at = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let own = Growing::new(Log::new(9, 0), 5);
    let pusher = Pusher::new(
        Arc::clone(&own) as Arc<dyn OwnLog>,
        authority("interieur.gouv.fr"),
        watch(directory_at(&[("social.gouv.fr", at)], 1)),
        Arc::default(),
        loopback(),
        Arc::new(TestClock::at(NOON)),
        alarms(),
    );
    let (_news, heard) = news::channel(());
    let (_running, shutdown) = Shutdown::new();
    tokio::spawn(pusher.unwrap().run(heard, shutdown));
    sleep(Duration::from_millis(600)).await;
    assert_eq!(cosigned(&own, 5), 0);
    let listener = TcpListener::bind(at).await.unwrap();
    let router = Arc::new(witness(folder.path(), Arc::new(RealDisk))).router();
    let (_trigger, shutdown) = Shutdown::new();
    let metrics = Arc::new(crate::metrics::Metrics::new());
    tokio::spawn(crate::api::serve::serve(
        listener, router, 64, metrics, shutdown,
    ));
    until("it cosigns once it is there", || cosigned(&own, 5) == 1).await;
}
