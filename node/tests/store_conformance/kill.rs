//! A real child process, killed with SIGKILL at random points, again and again (cases 36, 38).
//!
//! The child writes and says on its standard output what was acknowledged; the test keeps that ledger.
//! After each kill everything in the ledger must be there, and what was not acknowledged absent or whole.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pli_node::store::{Appended, CustodyState, Entry, Item, Lane, Outcome, Settlement, Store};

use crate::fixture::*;
use crate::{Opener, fjall, fjall_small};

const MODE: &str = "PLI_STORE_CHILD";
const DIRECTORY: &str = "PLI_STORE_DIRECTORY";
const FIRST: &str = "PLI_STORE_FIRST";
const ROUNDS: u64 = 12;

/// This test binary, started again as another process.
pub(crate) struct Child {
    process: std::process::Child,
    output: BufReader<ChildStdout>,
}

impl Child {
    pub(crate) fn start(mode: &str, directory: &Path, first: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "kill::child_process",
                "--nocapture",
                "--quiet",
            ])
            .env(MODE, mode)
            .env(DIRECTORY, directory)
            .env(FIRST, first.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// The next line that the child has written whole and that is not the test harness's.
    pub(crate) fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).ok()?;
            let whole = line.strip_suffix('\n')?;
            if let Some(said) = whole.strip_prefix("child: ") {
                return Some(said.into());
            }
        }
    }

    /// SIGKILL; returns what it had still said.
    pub(crate) fn kill(&mut self) -> Vec<String> {
        self.process.kill().unwrap();
        let said = std::iter::from_fn(|| self.line()).collect();
        self.process.wait().unwrap();
        said
    }
}

/// Not a test: what the other tests start as a child. Does nothing when nobody asks it to.
#[test]
#[ignore = "the child process of the kill tests"]
fn child_process() {
    let Ok(mode) = std::env::var(MODE) else {
        return;
    };
    let directory = std::env::var(DIRECTORY).unwrap();
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let opener: Opener = if mode.starts_with("small") {
        fjall_small
    } else {
        fjall
    };
    let store = open(opener, Path::new(&directory));
    say("open");
    match &mode[..] {
        "hold" | "open" => std::thread::sleep(Duration::from_secs(60)),
        _ => write(&*store, first),
    }
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // One write: the parent never sees half a line as whole.
    output
        .write_all(format!("child: {line}\n").as_bytes())
        .unwrap();
    output.flush().unwrap();
}

/// Half of the envelopes go to mailboxes, half to queues; of those, every fourth is delivered again.
fn entry(n: u64) -> Entry {
    let lane = if n % 4 == 1 {
        Lane::Priority
    } else {
        Lane::Bulk
    };
    if n.is_multiple_of(2) {
        letter(n, (n % 6) as u8)
    } else {
        parcel(n, (n % 3) as u8, lane)
    }
}

fn write(store: &dyn Store, first: u64) {
    let (mut next, mut step) = (first, first);
    loop {
        step = step
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let count = 1 + (step >> 33) % 40;
        let group: Vec<_> = (next..next + count).map(entry).collect();
        store.append(&group).unwrap();
        say(&format!("stored {next} {count}"));
        let delivered: Vec<_> = (next..next + count).filter(|n| n % 8 == 1).collect();
        if !delivered.is_empty() {
            let items = delivered
                .iter()
                .map(|&n| (entry(n).id, Outcome::Delivered))
                .collect();
            store
                .settle(
                    &[Settlement {
                        receipts: "signed by the home".into(),
                        items,
                    }],
                    &[],
                )
                .unwrap();
            say(&format!("settled {next} {count}"));
        }
        next += count;
        if step % 5 == 0 {
            store.compact().unwrap();
        }
    }
}

#[derive(Default)]
struct Ledger {
    stored: BTreeSet<u64>,
    settled: BTreeSet<u64>,
    next: u64,
}

impl Ledger {
    fn note(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        let [what, first, count] = words[..] else {
            return;
        };
        let (first, count): (u64, u64) = (first.parse().unwrap(), count.parse().unwrap());
        let numbers = first..first + count;
        match what {
            "stored" => self.stored.extend(numbers),
            "settled" => self.settled.extend(numbers.filter(|n| n % 8 == 1)),
            _ => panic!("{line}"),
        }
    }

    fn check(&self, store: &dyn Store) {
        for &n in &self.stored {
            let entry = entry(n);
            assert_eq!(
                store.known(&[entry.id]).unwrap(),
                [Some(entry.accepted_at)],
                "acknowledged {n} is lost"
            );
            let custody = store.custody(&entry.id).unwrap().unwrap();
            if self.settled.contains(&n) {
                assert_eq!(custody.state, CustodyState::Delivered, "{n}");
                assert_eq!(custody.evidence.len(), 1);
            } else if n % 2 == 0 {
                assert!(matches!(custody.state, CustodyState::Stored { .. }), "{n}");
            }
        }
        self.check_mailboxes(store);
        self.check_queues(store);
    }

    fn check_mailboxes(&self, store: &dyn Store) {
        let mut found = BTreeSet::new();
        for to in 0..6 {
            let page = store.read(&account(to), 0, ALL).unwrap();
            assert_eq!(
                page.items.len() as u64,
                page.latest_seq,
                "numbers are gap-free"
            );
            for item in page.items {
                let Item::Envelope { id, bytes, .. } = item.item else {
                    panic!("{} is absent", item.seq)
                };
                let n = number(&bytes);
                assert_eq!(
                    (id, &bytes),
                    (entry(n).id, &entry(n).bytes),
                    "whole or absent"
                );
                assert!(found.insert(n), "{n} is there twice");
            }
        }
        assert!(
            self.stored
                .iter()
                .filter(|&&n| n % 2 == 0)
                .all(|n| found.contains(n))
        );
    }

    fn check_queues(&self, store: &dyn Store) {
        let mut found = BTreeSet::new();
        for (to, lane) in (0..3).flat_map(|to| [(to, Lane::Priority), (to, Lane::Bulk)]) {
            let page = store.pending(&home(to), lane, 0, ALL).unwrap();
            assert!(page.damaged.is_empty());
            for item in page.items {
                let n = number(&item.bytes);
                assert_eq!((item.id, &item.bytes), (entry(n).id, &entry(n).bytes));
                assert!(found.insert(n), "{n} waits twice");
            }
        }
        for n in self.stored.iter().filter(|&&n| n % 2 == 1) {
            // A settlement that was not acknowledged may have happened or not.
            let waits = found.contains(n);
            assert!(
                !(waits && self.settled.contains(n)),
                "{n} waits though it was delivered"
            );
            assert!(waits || n % 8 == 1, "{n} is lost");
        }
    }
}

/// Which envelope of the fixture these bytes are.
fn number(bytes: &[u8]) -> u64 {
    let payload = bytes
        .iter()
        .skip(1)
        .position(|byte| byte & 0x80 == 0)
        .unwrap()
        + 2;
    u64::from_le_bytes(bytes[payload..payload + 8].try_into().unwrap())
}

fn kill_while_writing(mode: &str, opener: Opener) {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::default();
    for round in 0..ROUNDS {
        let mut child = Child::start(mode, directory.path(), ledger.next);
        assert_eq!(child.line().as_deref(), Some("open"));
        let until = Instant::now() + Duration::from_millis(20 + round * round * 3);
        while Instant::now() < until {
            ledger.note(&child.line().expect("the child goes on"));
        }
        for line in child.kill() {
            ledger.note(&line);
        }
        // Beyond anything the child may have begun: an unacknowledged number is never sent again.
        ledger.next = ledger.stored.last().map_or(0, |last| last + 1) + 1_000;
        let store = open(opener, directory.path());
        ledger.check(&*store);
    }
    assert!(
        ledger.stored.len() > 100,
        "the child was given time to write"
    );
}

#[test]
fn case_36_killed_while_writing() {
    kill_while_writing("write", fjall);
}

#[test]
fn case_36_killed_while_writing_and_compacting() {
    kill_while_writing("small write", fjall_small);
}

#[test]
fn case_38_killed_while_recovering() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::default();
    let mut child = Child::start("small write", directory.path(), 0);
    assert_eq!(child.line().as_deref(), Some("open"));
    while ledger.stored.len() < 3_000 {
        ledger.note(&child.line().expect("the child goes on"));
    }
    for line in child.kill() {
        ledger.note(&line);
    }
    // Without its index every start is a rebuild, which the kill finds at some point.
    let started = Instant::now();
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    drop(open(fjall_small, directory.path()));
    let rebuild = started.elapsed();
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    for round in 1..=ROUNDS {
        let mut child = Child::start("small open", directory.path(), 0);
        std::thread::sleep(rebuild * u32::try_from(round).unwrap() / 10);
        child.kill();
    }
    ledger.check(&*open(fjall_small, directory.path()));
}

#[test]
fn a_lost_index_is_built_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(fjall_small, directory.path());
    let group: Vec<_> = (0..500).map(entry).collect();
    assert!(
        store
            .append(&group)
            .unwrap()
            .iter()
            .all(|outcome| matches!(outcome, Appended::New { .. }))
    );
    let items: Vec<_> = (0..500)
        .filter(|n| n % 8 == 1)
        .map(|n| (entry(n).id, Outcome::Delivered))
        .collect();
    store
        .settle(
            &[Settlement {
                receipts: "ack".into(),
                items,
            }],
            &[],
        )
        .unwrap();
    drop(store);
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let ledger = Ledger {
        stored: (0..500).collect(),
        settled: (0..500).filter(|n| n % 8 == 1).collect(),
        next: 0,
    };
    ledger.check(&*open(fjall_small, directory.path()));
}
