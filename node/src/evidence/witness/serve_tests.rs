//! The witness by the words of C2SP tlog-witness, and R16: what a crash at any moment leaves.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use pli_protocol::evidence::submission::{AddCheckpoint, cosignature_lines};
use pli_protocol::evidence::{Cosignature, Noted};
use pli_protocol::limits::{NOTE_MAX, ORIGINS_PER_AUTHORITY_MAX, WITNESS_REQUEST_MAX};
use tempfile::tempdir;

use super::disk::{Disk, RealDisk};
use super::fixture::*;
use super::{ADD_CHECKPOINT, HEAD, Witness};

async fn post(witness: &Arc<Witness>, body: impl Into<Body>) -> (StatusCode, String, String) {
    let request = Request::post(ADD_CHECKPOINT).body(body.into()).unwrap();
    answer(witness, request).await
}

async fn answer(witness: &Arc<Witness>, request: Request<Body>) -> (StatusCode, String, String) {
    let response = TowerToHyperService::new(Arc::clone(witness).router())
        .call(request)
        .await
        .unwrap();
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or(String::new(), |kind| kind.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

async fn ask(witness: &Arc<Witness>, request: &AddCheckpoint) -> (StatusCode, String, String) {
    post(witness, request.encode()).await
}

fn cosignature(noted: &Noted, answer: &str) -> Option<Cosignature> {
    let lines = cosignature_lines(answer)?;
    let [line] = &lines[..] else { return None };
    noted.cosignature(line, &authority("social.gouv.fr"), key(2).public())
}

fn new_witness(folder: &Path) -> Arc<Witness> {
    Arc::new(witness(folder, Arc::new(RealDisk)))
}

#[tokio::test]
async fn evd_7_2_a_log_that_grows_is_cosigned() {
    let folder = tempdir().unwrap();
    let (witness, log) = (new_witness(folder.path()), Log::new(20, 0));
    for (old, new) in [(0, 0), (0, 1), (1, 1), (1, 7), (7, 8), (8, 8), (8, 20)] {
        let (status, _, body) = ask(&witness, &log.request(old, new)).await;
        assert_eq!(status, StatusCode::OK, "{old} to {new}: {body}");
        let cosigned = cosignature(&log.noted(new), &body).unwrap();
        assert_eq!(cosigned.at, NOON);
    }
}

#[tokio::test]
async fn evd_7_2_each_refusal_has_the_status_that_c2sp_gives_it() {
    let folder = tempdir().unwrap();
    let (witness, log) = (new_witness(folder.path()), Log::new(20, 0));
    assert_eq!(ask(&witness, &log.request(0, 8)).await.0, StatusCode::OK);

    let (status, kind, body) = ask(&witness, &log.request(0, 9)).await;
    assert_eq!(
        (status, &kind[..], &body[..]),
        (StatusCode::CONFLICT, "text/x.tlog.size", "8\n")
    );
    let fork = Log::new(20, 1);
    let mut same_size = fork.request(0, 8);
    same_size.old = 8;
    assert_eq!(ask(&witness, &same_size).await.0, StatusCode::CONFLICT);
    assert_eq!(
        ask(&witness, &fork.request(8, 9)).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let mut longer = log.request(8, 9);
    longer.proof.push([0; 32]);
    assert_eq!(
        ask(&witness, &longer).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );

    let mut backwards = log.request(0, 7);
    backwards.old = 8;
    assert_eq!(ask(&witness, &backwards).await.0, StatusCode::BAD_REQUEST);
    for bad in ["", "old 8\n", "old 8\n\nnot a note\n"] {
        assert_eq!(
            post(&witness, bad).await.0,
            StatusCode::BAD_REQUEST,
            "{bad:?}"
        );
    }
    assert_eq!(
        post(&witness, vec![0xff; 8]).await.0,
        StatusCode::BAD_REQUEST
    );
    let long = "x".repeat(WITNESS_REQUEST_MAX + 1);
    assert_eq!(post(&witness, long).await.0, StatusCode::BAD_REQUEST);

    let mut stranger = log.clone();
    stranger.origin = "ailleurs.example/log/1790000000000".parse().unwrap();
    assert_eq!(
        ask(&witness, &stranger.request(0, 1)).await.0,
        StatusCode::NOT_FOUND
    );
    let mut own = log.clone();
    own.origin = "social.gouv.fr/log/1790000000000".parse().unwrap();
    own.key = key(2);
    assert_eq!(
        ask(&witness, &own.request(0, 1)).await.0,
        StatusCode::NOT_FOUND
    );
    let mut forged = log.clone();
    forged.key = key(9);
    assert_eq!(
        ask(&witness, &forged.request(8, 9)).await.0,
        StatusCode::FORBIDDEN
    );
    // Nothing of all that has moved it.
    assert_eq!(ask(&witness, &log.request(8, 9)).await.0, StatusCode::OK);
}

const _: () = assert!(WITNESS_REQUEST_MAX >= NOTE_MAX + 63 * 45 + 32);

#[tokio::test]
async fn evd_7_3_a_restarted_witness_goes_on_from_what_it_cosigned() {
    let folder = tempdir().unwrap();
    let log = Log::new(9, 0);
    assert_eq!(
        ask(&new_witness(folder.path()), &log.request(0, 8)).await.0,
        StatusCode::OK
    );
    let witness = new_witness(folder.path());
    assert_eq!(ask(&witness, &log.request(0, 8)).await.2, "8\n");
    let path = format!("{HEAD}/interieur.gouv.fr/1790000000000");
    let (status, _, note) = answer(&witness, Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!((status, note), (StatusCode::OK, log.noted(8).encode()));
    assert_eq!(ask(&witness, &log.request(8, 9)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn evd_7_3_a_damaged_record_is_not_taken_for_nothing() {
    let folder = tempdir().unwrap();
    let log = Log::new(9, 0);
    assert_eq!(
        ask(&new_witness(folder.path()), &log.request(0, 8)).await.0,
        StatusCode::OK
    );
    let file = folder.path().join("heads/interieur.gouv.fr/1790000000000");
    let good = std::fs::read(&file).unwrap();
    for at in [0, 70, good.len() - 5] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&file, bad).unwrap();
        let witness = new_witness(folder.path());
        for old in [0, 8] {
            let (status, ..) = ask(&witness, &log.request(old, 9)).await;
            assert_eq!(
                status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "byte {at}, old {old}"
            );
        }
    }
}

#[tokio::test]
async fn evd_7_4_a_log_that_was_forgotten_cannot_begin_again() {
    let folder = tempdir().unwrap();
    let witness = new_witness(folder.path());
    let at = |start: usize| {
        let mut log = Log::new(3, 0);
        log.origin = format!("interieur.gouv.fr/log/{}", 1_790_000_000_000 + start)
            .parse()
            .unwrap();
        log
    };
    let last = ORIGINS_PER_AUTHORITY_MAX + 1;
    for start in 1..=last {
        assert_eq!(
            ask(&witness, &at(start).request(0, 1)).await.0,
            StatusCode::OK
        );
    }
    for witness in [witness, new_witness(folder.path())] {
        for forgotten in [0, 1] {
            assert_eq!(
                ask(&witness, &at(forgotten).request(0, 1)).await.0,
                StatusCode::NOT_FOUND
            );
        }
        for kept in [2, last] {
            assert_eq!(
                ask(&witness, &at(kept).request(1, 1)).await.0,
                StatusCode::OK
            );
        }
    }
    let files = std::fs::read_dir(folder.path().join("heads/interieur.gouv.fr")).unwrap();
    assert_eq!(files.count(), ORIGINS_PER_AUTHORITY_MAX);
    let mut future = Log::new(3, 0);
    future.origin = format!("interieur.gouv.fr/log/{}", NOON.as_ms() + 86_400_000)
        .parse()
        .unwrap();
    assert_eq!(
        ask(&new_witness(folder.path()), &future.request(0, 1))
            .await
            .0,
        StatusCode::NOT_FOUND
    );
}

/// Fails at one operation, before or after doing it, and at all after it.
#[derive(Debug)]
struct Crashing {
    at: u32,
    done: bool,
    count: AtomicU32,
}

impl Crashing {
    fn step(&self, operation: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        if number < self.at || (number == self.at && self.done) {
            operation()?;
        }
        match number < self.at {
            true => Ok(()),
            false => Err(io::Error::other("the power is gone")),
        }
    }
}

impl Disk for Crashing {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|| RealDisk.make_folder(folder))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // A crash in the middle leaves a part.
        let part = if self.done {
            bytes
        } else {
            &bytes[..bytes.len() / 2]
        };
        let torn = self.count.load(Ordering::SeqCst) == self.at;
        if torn {
            RealDisk.write(path, part)?;
        }
        self.step(|| RealDisk.write(path, bytes))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.step(|| RealDisk.sync(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| RealDisk.rename(from, to))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|| RealDisk.sync_folder(folder))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(|| RealDisk.remove(path))
    }
}

/// Two heads of one size are never cosigned, wherever the first attempt broke off; and the log is not locked out.
#[tokio::test]
async fn r16_a_crash_at_any_operation_never_gives_two_heads_of_one_size() {
    let (log, fork) = (Log::new(9, 0), Log::new(9, 1));
    let mut cosigned_first = 0;
    for at in 1..10 {
        for done in [false, true] {
            let folder = tempdir().unwrap();
            let count = AtomicU32::default();
            let disk = Arc::new(Crashing { at, done, count });
            let crashing = Arc::new(witness(folder.path(), disk));
            let (first, _, body) = ask(&crashing, &log.request(0, 5)).await;
            let first = first == StatusCode::OK && cosignature(&log.noted(5), &body).is_some();
            cosigned_first += u32::from(first);
            // The same process goes on, then another one begins from what the disk has.
            let (second, ..) = ask(&crashing, &fork.request(0, 5)).await;
            assert!(
                second != StatusCode::OK,
                "after operation {at} nothing is durable"
            );
            let witness = new_witness(folder.path());
            let fork_cosigned = ask(&witness, &fork.request(0, 5)).await.0 == StatusCode::OK;
            assert!(
                !(first && fork_cosigned),
                "two heads of one size after operation {at}"
            );
            if !fork_cosigned {
                let again = ask(&witness, &log.request(5, 5)).await.0;
                assert_eq!(
                    again,
                    StatusCode::OK,
                    "operation {at}: the log that was written is locked out"
                );
            }
        }
    }
    assert!(cosigned_first > 0, "some attempts came to their end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r16_of_requests_at_the_same_time_one_head_of_a_size_is_cosigned() {
    let folder = tempdir().unwrap();
    let witness = new_witness(folder.path());
    let logs: Vec<Log> = (0..16).map(|tag| Log::new(5, tag)).collect();
    let asked = logs.iter().map(|log| {
        let (witness, request) = (Arc::clone(&witness), log.request(0, 5));
        tokio::spawn(async move { ask(&witness, &request).await.0 })
    });
    let asked: Vec<_> = asked.collect();
    let mut cosigned = 0;
    for one in asked {
        cosigned += u32::from(one.await.unwrap() == StatusCode::OK);
    }
    assert_eq!(cosigned, 1);
}

#[tokio::test]
async fn case_20_a_witness_that_is_shown_a_fork_keeps_what_convicts() {
    let folder = tempdir().unwrap();
    let witness = new_witness(folder.path());
    let mut heard = witness.views.convictions();
    assert_eq!(
        ask(&witness, &Log::new(9, 0).request(0, 8)).await.0,
        StatusCode::OK
    );
    let mut fork = Log::new(9, 1).request(0, 8);
    fork.old = 8;
    assert_eq!(ask(&witness, &fork).await.0, StatusCode::CONFLICT);
    let view = heard.try_recv().unwrap();
    let kept = std::fs::read_to_string(
        folder
            .path()
            .join("views/interieur.gouv.fr/1790000000000-8"),
    )
    .unwrap();
    assert_eq!(kept, view.encode());
    assert!(view.verify(&[*key(1).public()]).is_some());
}
