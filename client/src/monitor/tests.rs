//! The auditor against logs that are served over real HTTP: whole, forked, shrunk, damaged, silent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::evidence::{Checkpoint, Entry, Event, EventKind, Noted, Origin, SplitView};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;
use pli_protocol::merkle::Hash;
use pli_protocol::trust::Environment;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::bundles::{BUNDLES_MAX, Said, missing};
use super::fetch::tile_path;
use super::frontier::Frontier;
use super::look::TILE;
use super::{Alarm, Bundles, Claims, Followed, Looked, Monitor, StateError};

const NOON: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const START: u64 = 1_790_000_000_000;
const STALE_MS: u64 = 3_600_000;

type Served = BTreeMap<String, Vec<u8>>;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn origin() -> Origin {
    format!("interieur.gouv.fr/log/{START}").parse().unwrap()
}

/// Entries a second apart; another `tag` makes other ones.
fn entries(count: u64, tag: u8) -> Vec<Entry> {
    let entry = |number: u64| Entry {
        at: Timestamp::from_ms(START + number * 1_000),
        size: 1,
        root: [tag; 32],
    };
    (0..count).map(entry).collect()
}

fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree.root()
}

/// All that a node serves of a log, cosigned at these times by the keys of these seeds.
fn served(entries: &[Entry], cosigned: &[(&str, u8, Timestamp)]) -> Served {
    let prefix = format!("/pli/log/{START}/");
    let mut served = Served::from([(
        "/pli/log/starts".to_owned(),
        format!("{START}\n").into_bytes(),
    )]);
    let mut hashes: Vec<Hash> = entries.iter().map(Entry::leaf).collect();
    let checkpoint = Checkpoint {
        origin: origin(),
        size: entries.len() as u64,
        root: root_of(&hashes),
    };
    let mut noted = Noted::parse(&checkpoint.sign(&key(1))).unwrap();
    for (witness, seed, at) in cosigned {
        let line = noted.cosign(&witness.parse().unwrap(), *at, &key(*seed));
        assert!(noted.add(line));
    }
    served.insert(format!("{prefix}checkpoint"), noted.encode().into_bytes());
    for (index, tile) in (0..).zip(entries.chunks(TILE as usize)) {
        let bytes = tile.iter().map(|entry| entry.encode());
        let bytes =
            bytes.flat_map(|entry| [&(entry.len() as u16).to_be_bytes()[..], &entry[..]].concat());
        served.insert(
            prefix.clone() + &tile_path("entries", index, tile.len() as u64),
            bytes.collect(),
        );
    }
    let mut level = 0;
    while !hashes.is_empty() {
        for (index, tile) in (0..).zip(hashes.chunks(TILE as usize)) {
            let path = tile_path(&format!("{level}"), index, tile.len() as u64);
            served.insert(prefix.clone() + &path, tile.concat());
        }
        let (whole, _) = hashes.as_chunks::<256>();
        hashes = whole.iter().map(|tile| root_of(tile)).collect();
        level += 1;
    }
    served
}

/// An HTTP server of what is in the map at the moment.
async fn serve(served: Arc<Mutex<Served>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else {
                    break;
                };
                head.push(byte);
            }
            let path = String::from_utf8_lossy(&head);
            let path = path.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = served.lock().unwrap().get(&path).cloned();
            let status = if body.is_some() {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let body = body.unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
    });
    address
}

struct Node {
    served: Arc<Mutex<Served>>,
    followed: Followed,
}

async fn node() -> Node {
    let served = Arc::default();
    let address = serve(Arc::clone(&served)).await;
    let followed = Followed {
        authority: "interieur.gouv.fr".parse().unwrap(),
        keys: vec![*key(1).public()],
        bases: vec![format!("http://{address}/")],
    };
    Node { served, followed }
}

impl Node {
    /// What an auditor of this state finds who needs so many witnesses.
    async fn look(
        &self,
        state: &Path,
        needed: usize,
        served: Served,
    ) -> Result<Looked, StateError> {
        self.look_with(state, needed, served, &mut Claims::default())
            .await
    }

    /// The same with what bundles prove.
    async fn look_with(
        &self,
        state: &Path,
        needed: usize,
        served: Served,
        claims: &mut Claims,
    ) -> Result<Looked, StateError> {
        *self.served.lock().unwrap() = served;
        let keys = |name: &AuthorityId| match name.as_str() {
            "social.gouv.fr" => vec![*key(2).public()],
            "justice.gouv.fr" => vec![*key(3).public()],
            _ => vec![*key(1).public()],
        };
        Monitor::new(state, needed, STALE_MS, keys)?
            .look(&self.followed, claims, NOON)
            .await
    }

    /// The one thing that is wrong.
    async fn alarm(&self, state: &Path, needed: usize, served: Served) -> Option<Alarm> {
        let looked = self.look(state, needed, served).await.unwrap();
        assert!(looked.findings.len() <= 1, "{looked:?}");
        looked.findings.first().map(|finding| finding.alarm)
    }
}

#[tokio::test]
async fn a_log_that_grows_is_consistent_at_every_size() {
    let (state, node) = (tempdir().unwrap(), node().await);
    for size in [1, 2, 255, 256, 257, 257, 513, 700, 1_024] {
        let looked = node
            .look(state.path(), 0, served(&entries(size, 0), &[]))
            .await
            .unwrap();
        assert_eq!(looked.findings, [], "{size}");
        assert_eq!(looked.seen[0].size, size);
        assert_eq!(
            looked.seen[0].last_at,
            Some(Timestamp::from_ms(START + (size - 1) * 1_000))
        );
    }
    // And one that is seen for the first time.
    let fresh = tempdir().unwrap();
    assert_eq!(
        node.alarm(fresh.path(), 0, served(&entries(66_000, 0), &[]))
            .await,
        None
    );
}

#[tokio::test]
async fn case_20_a_forked_log_is_convicted_by_two_checkpoints_that_are_kept() {
    let (state, node) = (tempdir().unwrap(), node().await);
    assert_eq!(
        node.alarm(state.path(), 0, served(&entries(300, 0), &[]))
            .await,
        None
    );
    for size in [300, 301, 600] {
        let forked = node
            .alarm(state.path(), 0, served(&entries(size, 1), &[]))
            .await;
        assert_eq!(forked, Some(Alarm::Forked), "{size}");
    }
    let folder = state.path().join("interieur.gouv.fr");
    let text = std::fs::read_to_string(folder.join(format!("{START}-300.fork"))).unwrap();
    let view = SplitView::parse(&text).unwrap();
    assert!(view.verify(&node.followed.keys).is_some());
    assert!(folder.join(format!("{START}-300-600.fork")).exists());
    // The fork was not taken for the log.
    assert_eq!(
        node.alarm(state.path(), 0, served(&entries(301, 0), &[]))
            .await,
        None
    );
}

#[tokio::test]
async fn a_log_that_lost_entries_or_is_gone_is_noticed() {
    let (state, node) = (tempdir().unwrap(), node().await);
    assert_eq!(
        node.alarm(state.path(), 0, served(&entries(300, 0), &[]))
            .await,
        None
    );
    assert_eq!(
        node.alarm(state.path(), 0, served(&entries(299, 0), &[]))
            .await,
        Some(Alarm::Shrunk)
    );
    let gone = Served::from([("/pli/log/starts".to_owned(), Vec::new())]);
    assert_eq!(node.alarm(state.path(), 0, gone).await, Some(Alarm::Shrunk));
    assert_eq!(
        node.alarm(state.path(), 0, Served::new()).await,
        Some(Alarm::Unreachable)
    );
}

#[tokio::test]
async fn a_resource_that_is_missing_or_altered_is_noticed() {
    let (state, node) = (tempdir().unwrap(), node().await);
    let whole = served(&entries(600, 0), &[]);
    for (path, bytes) in &whole {
        let mut served = whole.clone();
        served.remove(path);
        let found = node.alarm(state.path(), 0, served).await;
        // A log that was never seen may have no checkpoint yet.
        let expected = (!path.ends_with("/checkpoint")).then_some(Alarm::Unreachable);
        assert_eq!(found, expected, "{path}");
        // The list of logs is not signed: one that was never seen may be missing from it.
        let signed = !path.ends_with("/starts");
        for at in [0, bytes.len() / 2, bytes.len() - 2]
            .into_iter()
            .filter(|_| signed)
        {
            let mut served = whole.clone();
            served.get_mut(path).unwrap()[at] ^= 1;
            assert!(
                node.alarm(state.path(), 0, served).await.is_some(),
                "{path}, byte {at}"
            );
        }
    }
    assert_eq!(
        node.alarm(state.path(), 0, whole.clone()).await,
        None,
        "nothing of all that was kept"
    );
    // What is only damaged is not called a fork, also where a part was seen before.
    for (path, bytes) in whole.iter().filter(|(path, _)| path.contains("/tile/")) {
        let mut served = whole.clone();
        served.get_mut(path).unwrap()[bytes.len() - 2] ^= 1;
        let found = node.alarm(state.path(), 0, served).await;
        assert_ne!(found, Some(Alarm::Forked), "{path}");
    }
}

#[tokio::test]
async fn entries_that_go_back_in_time_or_lie_in_the_future_are_noticed() {
    let (state, node) = (tempdir().unwrap(), node().await);
    let mut back = entries(10, 0);
    back[7].at = Timestamp::from_ms(START);
    assert_eq!(
        node.alarm(state.path(), 0, served(&back, &[])).await,
        Some(Alarm::TimeWentBack)
    );
    let mut future = entries(10, 0);
    future[9].at = NOON.plus_ms(CLOCK_SKEW_MAX_MS + 1);
    assert_eq!(
        node.alarm(state.path(), 0, served(&future, &[])).await,
        Some(Alarm::TimeWentBack)
    );
    // Also where the one before was seen the last time.
    assert_eq!(
        node.alarm(state.path(), 0, served(&entries(7, 0), &[]))
            .await,
        None
    );
    assert_eq!(
        node.alarm(state.path(), 0, served(&back, &[])).await,
        Some(Alarm::TimeWentBack)
    );
}

#[tokio::test]
async fn r13_few_or_old_cosignatures_are_noticed() {
    let (state, node) = (tempdir().unwrap(), node().await);
    let ago = |ms| Timestamp::from_ms(NOON.as_ms() - ms);
    let (social, justice) = ("social.gouv.fr", "justice.gouv.fr");
    for (needed, cosigned, expected) in [
        (1, vec![(social, 2, ago(0))], None),
        (
            2,
            vec![(social, 2, ago(0)), (justice, 3, ago(STALE_MS))],
            None,
        ),
        (1, vec![], Some(Alarm::TooFewWitnesses)),
        (2, vec![(social, 2, ago(0))], Some(Alarm::TooFewWitnesses)),
        (1, vec![(social, 9, ago(0))], Some(Alarm::TooFewWitnesses)),
        // A node is no witness of itself.
        (
            1,
            vec![("interieur.gouv.fr", 1, ago(0))],
            Some(Alarm::TooFewWitnesses),
        ),
        (
            1,
            vec![(social, 2, ago(STALE_MS + 1_000))],
            Some(Alarm::Stale),
        ),
        (
            2,
            vec![(social, 2, ago(0)), (justice, 3, ago(STALE_MS + 1_000))],
            Some(Alarm::Stale),
        ),
        (
            0,
            vec![(social, 2, ago(STALE_MS + 1_000))],
            Some(Alarm::Stale),
        ),
    ] {
        let found = node
            .alarm(state.path(), needed, served(&entries(9, 0), &cosigned))
            .await;
        assert_eq!(found, expected, "{needed} of {cosigned:?}");
    }
}

#[tokio::test]
async fn a_state_that_is_damaged_is_not_taken_for_none() {
    let (state, node) = (tempdir().unwrap(), node().await);
    assert_eq!(
        node.alarm(state.path(), 0, served(&entries(9, 0), &[]))
            .await,
        None
    );
    let file = state.path().join(format!("interieur.gouv.fr/{START}.json"));
    std::fs::write(file, "{}").unwrap();
    let looked = node
        .look(state.path(), 0, served(&entries(9, 1), &[]))
        .await;
    assert!(matches!(looked, Err(StateError::Damaged(_))), "{looked:?}");
}

/// The head of a log of these entries, and a proven entry in it.
fn claimed(entries: &[Entry], number: u64) -> Claims {
    let leaves: Vec<Hash> = entries.iter().map(Entry::leaf).collect();
    let checkpoint = Checkpoint {
        origin: origin(),
        size: entries.len() as u64,
        root: root_of(&leaves),
    };
    let head = Noted::parse(&checkpoint.sign(&key(1))).unwrap();
    let mut claims = Claims::default();
    claims.add(&head, number, &entries[number as usize]);
    claims
}

/// EVD-3.3: whether the log was seen before or not, and wherever the tiles end.
#[tokio::test]
async fn evd_3_3_a_log_that_grew_from_what_bundles_prove_is_right() {
    let node = node().await;
    let seen = [None, Some(1), Some(256), Some(600)];
    for (before, (size, number)) in seen.into_iter().flat_map(|before| {
        let sizes = [(1, 0), (256, 255), (257, 3), (600, 599)];
        sizes.into_iter().map(move |one| (before, one))
    }) {
        let state = tempdir().unwrap();
        if let Some(before) = before {
            let before = served(&entries(before, 0), &[]);
            assert_eq!(node.alarm(state.path(), 0, before).await, None);
        }
        let mut claims = claimed(&entries(size, 0), number);
        for round in 0..2 {
            assert_eq!(claims.open(&origin()).len(), 1 - round);
            let now = served(&entries(600, 0), &[]);
            let looked = node
                .look_with(state.path(), 0, now, &mut claims)
                .await
                .unwrap();
            assert_eq!(looked.findings, [], "{before:?}, {size}");
        }
    }
}

#[tokio::test]
async fn case_20_a_log_that_is_another_one_than_a_bundle_proves_is_convicted() {
    let node = node().await;
    let shown = served(&entries(600, 0), &[]);
    for (size, seen) in [(300, true), (300, false), (600, false), (512, true)] {
        let state = tempdir().unwrap();
        if seen {
            assert_eq!(node.alarm(state.path(), 0, shown.clone()).await, None);
        }
        let mut claims = claimed(&entries(size, 1), 200);
        // Each time that it is looked at, for as long as it is true.
        for _ in 0..2 {
            let looked = node
                .look_with(state.path(), 0, shown.clone(), &mut claims)
                .await
                .unwrap();
            let [finding] = &looked.findings[..] else {
                panic!("{looked:?}");
            };
            assert_eq!(finding.alarm, Alarm::Forked);
            assert_eq!(looked.seen, []);
        }
        let name = match size {
            600 => format!("{START}-600.fork"),
            _ => format!("{START}-{size}-600.fork"),
        };
        let kept = state.path().join("interieur.gouv.fr").join(name);
        assert!(kept.exists(), "{}", kept.display());
    }
}

#[tokio::test]
async fn a_log_that_lacks_what_a_bundle_proves_or_is_gone_is_noticed_at_first_sight() {
    let (state, node) = (tempdir().unwrap(), node().await);
    let gone = Served::from([("/pli/log/starts".to_owned(), Vec::new())]);
    let other = Served::from([("/pli/log/starts".to_owned(), b"1800000000000\n".to_vec())]);
    for shown in [served(&entries(299, 0), &[]), gone, other] {
        let mut claims = claimed(&entries(300, 0), 7);
        let looked = node
            .look_with(state.path(), 0, shown, &mut claims)
            .await
            .unwrap();
        let alarms: Vec<_> = looked.findings.iter().map(|one| one.alarm).collect();
        assert_eq!(alarms, [Alarm::Shrunk]);
        assert_eq!(claims.open(&origin()).len(), 1);
    }
}

fn said(receipts: &[(Step, Timestamp)], events: &[(EventKind, Timestamp)]) -> Said {
    let (node, envelope): (AuthorityId, _) = (origin().authority, EnvelopeId::new([4; 32]));
    let receipt = |(step, at): &(Step, Timestamp)| Receipt {
        step: *step,
        node: node.clone(),
        envelope,
        at: *at,
    };
    let event = |(kind, at): &(EventKind, Timestamp)| {
        let event = Event {
            kind: *kind,
            node: node.clone(),
            envelope,
            at: *at,
        };
        (event, at.plus_ms(1_000))
    };
    Said {
        receipts: receipts.iter().map(receipt).collect(),
        events: events.iter().map(event).collect(),
    }
}

#[test]
fn evd_6_5_what_was_signed_and_not_logged_or_logged_and_not_signed_is_missing() {
    const WITHIN_MS: u64 = 3_600_000;
    let long_ago = Timestamp::from_ms(NOON.as_ms() - WITHIN_MS - 2_000);
    let lately = Timestamp::from_ms(NOON.as_ms() - WITHIN_MS);
    let alarms = |said: &[&Said]| -> Vec<Alarm> {
        let found = missing(said, NOON, WITHIN_MS);
        found.into_iter().map(|one| one.alarm).collect()
    };
    for (step, kind) in [
        (Step::Accepted, EventKind::SubmissionAcceptance),
        (Step::Stored, EventKind::ContentConsignment),
        (Step::Retrieved, EventKind::ContentHandover),
    ] {
        let (signed, logged) = (
            said(&[(step, long_ago)], &[]),
            said(&[], &[(kind, long_ago)]),
        );
        assert_eq!(alarms(&[&signed]), [Alarm::MissingEvent]);
        assert_eq!(alarms(&[&logged]), [Alarm::MissingReceipt]);
        // One bundle of a letter has what the other lacks.
        assert_eq!(alarms(&[&signed, &logged]), []);
        // What is told twice is one finding.
        assert_eq!(alarms(&[&signed, &signed]), [Alarm::MissingEvent]);
        assert_eq!(alarms(&[&logged, &logged]), [Alarm::MissingReceipt]);
        // An event of another moment is another one.
        let other = said(&[], &[(kind, long_ago.plus_ms(1))]);
        assert_eq!(
            alarms(&[&signed, &other]),
            [Alarm::MissingEvent, Alarm::MissingReceipt]
        );
        assert_eq!(
            alarms(&[&said(&[(step, lately)], &[(kind, lately.plus_ms(1))])]),
            []
        );
    }
    // The receipt STORED says it too, and nobody else does.
    assert_eq!(
        alarms(&[&said(&[], &[(EventKind::RelayAcceptance, long_ago)])]),
        []
    );
}

#[tokio::test]
async fn what_is_no_bundle_is_told_and_does_not_stop_the_rest() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("a.pli"), b"no bundle").unwrap();
    std::fs::write(folder.path().join(".b.pli"), b"not whole yet").unwrap();
    let mut bundles = Bundles::default();
    let paths = [folder.path().to_owned(), folder.path().join("none.pli")];
    for expected in [2, 1] {
        let root = Bytes::new();
        bundles.read(&paths, &root, Environment::Production).await;
        let found = bundles.findings(|_| true, NOON, 0);
        assert_eq!(found.len(), expected, "{found:?}");
        assert!(found.iter().all(|one| one.alarm == Alarm::BrokenBundle));
        assert!(found[expected - 1].detail.contains("none.pli"));
        // A file that is gone is not told again.
        let _ = std::fs::remove_file(folder.path().join("a.pli"));
    }
}

#[tokio::test]
async fn r15_an_auditor_takes_in_so_many_bundles() {
    let folder = tempdir().unwrap();
    for number in 0..=BUNDLES_MAX {
        std::fs::write(folder.path().join(format!("{number:05}")), b"").unwrap();
    }
    let mut bundles = Bundles::default();
    let root = Bytes::new();
    let paths = [folder.path().to_owned()];
    bundles.read(&paths, &root, Environment::Production).await;
    let found = bundles.findings(|_| true, NOON, 0);
    assert_eq!(found.len(), BUNDLES_MAX + 1);
    assert!(found[BUNDLES_MAX].detail.contains("more than"));
}
