//! Asking real witnesses over real HTTP, and what one that lies can do.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use parking_lot::Mutex;
use pli_protocol::evidence::Noted;
use pli_protocol::limits::{CLOCK_SKEW_MAX_MS, WITNESS_ANSWER_MAX};
use pli_protocol::merkle::Hash;
use pli_transport::PrivateNetworks;
use tempfile::tempdir;
use tokio::net::TcpListener;

use super::ask::{Asked, Outcome, Question};
use super::disk::RealDisk;
use super::fixture::*;
use super::http::Http;
use super::{ADD_CHECKPOINT, OwnLog};
use crate::api::serve::serve;
use crate::clock::TestClock;
use crate::metrics::Metrics;
use crate::shutdown::{Shutdown, ShutdownTrigger};

/// A log of which a part is there.
#[derive(Debug)]
pub(super) struct Growing {
    pub(super) log: Log,
    pub(super) size: Mutex<usize>,
    pub(super) kept: Mutex<Option<String>>,
    pub(super) longer: Mutex<Option<u64>>,
}

impl Growing {
    pub(super) fn new(log: Log, size: usize) -> Arc<Self> {
        Arc::new(Self {
            log,
            size: Mutex::new(size),
            kept: Mutex::default(),
            longer: Mutex::default(),
        })
    }
}

impl OwnLog for Growing {
    fn checkpoint(&self) -> Option<String> {
        Some(self.log.noted(*self.size.lock()).encode())
    }

    fn consistency(&self, old: u64, new: u64) -> io::Result<Vec<Hash>> {
        Ok(self.log.proof(old as usize, new as usize))
    }

    fn cosigned(&self, note: String) -> io::Result<()> {
        *self.kept.lock() = Some(note);
        Ok(())
    }

    fn witnessed(&self) -> Option<String> {
        self.kept.lock().clone()
    }

    fn longer_elsewhere(&self, size: u64) {
        *self.longer.lock() = Some(size);
    }
}

/// Serves a router as the node does; until the trigger is dropped.
pub(super) async fn serving(router: Router) -> (SocketAddr, ShutdownTrigger) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(serve(
        listener,
        router,
        64,
        Arc::new(Metrics::new()),
        shutdown,
    ));
    (address, trigger)
}

async fn real(folder: &Path) -> (SocketAddr, ShutdownTrigger) {
    serving(Arc::new(witness(folder, Arc::new(RealDisk))).router()).await
}

pub(super) fn loopback() -> PrivateNetworks {
    PrivateNetworks::Listed(["127.0.0.0/8".parse().unwrap()].into_iter().collect())
}

fn question(own: &Arc<Growing>) -> Question {
    Question {
        http: Http::new(loopback()).unwrap(),
        own: Arc::clone(own) as Arc<dyn OwnLog>,
        clock: Arc::new(TestClock::at(NOON)),
        noted: Noted::parse(&own.checkpoint().unwrap()).unwrap(),
        own_keys: vec![*own.log.key.public()],
    }
}

fn asked(address: SocketAddr, known: u64) -> Asked {
    Asked {
        witness: authority("social.gouv.fr"),
        keys: vec![*key(2).public()],
        bases: vec![format!("http://{address}/")],
        known,
    }
}

#[tokio::test]
async fn evd_7_5_a_witness_cosigns_whatever_it_knew_before() {
    let folder = tempdir().unwrap();
    let (address, _serving) = real(folder.path()).await;
    for (size, believed) in [(5, 0), (7, 0), (8, 7), (9, 3), (9, 9)] {
        let own = Growing::new(Log::new(20, 0), size);
        let (outcome, known) = question(&own).ask(&asked(address, believed)).await;
        let Outcome::Cosigned(line, cosignature) = outcome else {
            panic!("{size} after {believed}: {outcome:?}");
        };
        assert_eq!(known, size as u64);
        assert_eq!(cosignature.at, NOON);
        let noted = question(&own).noted;
        assert!(
            noted
                .cosignature(&line, &authority("social.gouv.fr"), key(2).public())
                .is_some()
        );
    }
}

/// EVD-7.6
#[tokio::test]
async fn evd_3_4_a_log_that_lost_entries_hears_of_it_by_its_own_signature() {
    let folder = tempdir().unwrap();
    let (address, _serving) = real(folder.path()).await;
    let whole = Growing::new(Log::new(20, 0), 9);
    assert!(matches!(
        question(&whole).ask(&asked(address, 0)).await.0,
        Outcome::Cosigned(..)
    ));
    let restored = Growing::new(Log::new(20, 0), 5);
    let outcome = question(&restored).ask(&asked(address, 0)).await.0;
    assert!(matches!(outcome, Outcome::Longer(9)), "{outcome:?}");
    // It went on after the restore: the same size, and a greater one, with other entries.
    for size in [9, 12] {
        let other = Growing::new(Log::new(20, 1), size);
        let outcome = question(&other).ask(&asked(address, 0)).await.0;
        assert!(matches!(outcome, Outcome::Longer(9)), "{size}: {outcome:?}");
    }
}

#[tokio::test]
async fn evd_7_5_a_witness_that_lies_can_refuse_and_nothing_else() {
    let own = Growing::new(Log::new(20, 0), 9);
    let noted = question(&own).noted;
    let line = |name: &str, seed, ms| {
        noted
            .cosign(&authority(name), NOON.plus_ms(ms), &key(seed))
            .line()
    };
    let stale = question(&own).noted.cosign(
        &authority("social.gouv.fr"),
        pli_protocol::id::Timestamp::from_ms(NOON.as_ms() - CLOCK_SKEW_MAX_MS - 1_000),
        &key(2),
    );
    let other = own
        .log
        .noted(8)
        .cosign(&authority("social.gouv.fr"), NOON, &key(2))
        .line();
    let kind = |kind: &'static str| [(header::CONTENT_TYPE, kind)];
    let size = |body: &str| {
        (
            StatusCode::CONFLICT,
            kind("text/x.tlog.size"),
            body.to_owned(),
        )
    };
    let ok = |body: String| (StatusCode::OK, kind("text/plain"), body);
    for lie in [
        ok(String::new()),
        ok("yes\n".to_owned()),
        ok(line("social.gouv.fr", 9, 0)),
        ok(line("justice.gouv.fr", 2, 0)),
        ok(line("social.gouv.fr", 2, CLOCK_SKEW_MAX_MS + 1_000)),
        ok(stale.line()),
        ok(other),
        ok("x".repeat(WITNESS_ANSWER_MAX + 1)),
        size("9007199254740991\n"),
        size("9\n"),
        size("3\n"),
        size("-1\n"),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            kind("text/plain"),
            String::new(),
        ),
        (StatusCode::FOUND, kind("text/plain"), String::new()),
    ] {
        let answer = lie.clone();
        // A checkpoint of this log that another key signed.
        let forged = Log {
            key: key(9),
            ..Log::new(20, 1)
        }
        .noted(12)
        .encode();
        let router = Router::new()
            .route(ADD_CHECKPOINT, post(async move || answer))
            .route(
                "/pli/witness/head/{authority}/{start}",
                get(async move || forged),
            );
        let (address, _serving) = serving(router).await;
        let (outcome, _) = question(&own).ask(&asked(address, 0)).await;
        assert!(matches!(outcome, Outcome::Not(_)), "{lie:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn r5_a_witness_is_asked_only_where_this_node_may_dial() {
    let folder = tempdir().unwrap();
    let (address, _serving) = real(folder.path()).await;
    let own = Growing::new(Log::new(9, 0), 5);
    let mut question = question(&own);
    question.http = Http::new(PrivateNetworks::Listed([].into())).unwrap();
    for host in [address.to_string(), format!("localhost:{}", address.port())] {
        let mut asked = asked(address, 0);
        asked.bases = vec![format!("http://{host}")];
        let (outcome, _) = question.ask(&asked).await;
        let Outcome::Not(why) = outcome else {
            panic!("{host} was dialled")
        };
        assert!(why.contains("loopback"), "{why}");
    }
    question.http = Http::new(loopback()).unwrap();
    let mut by_name = asked(address, 0);
    by_name.bases = vec![format!("http://localhost:{}", address.port())];
    assert!(matches!(
        question.ask(&by_name).await.0,
        Outcome::Cosigned(..)
    ));
}
