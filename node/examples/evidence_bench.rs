//! Measures a node's log of events at a size that takes a ministry months: what it costs on disk, and how long one proof
//! takes. Prints JSON lines, as the bench does, and the table for people on standard error.
//!
//! ```text
//! cargo run --release -p pli-node --example evidence_bench -- [directory] [events]
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pli_node::evidence::log::{Closed, EventLog, Found};
use pli_node::store::Cursor;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::{Event, EventKind};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::wire;
use sha2::{Digest, Sha256};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const NODE: &str = "interieur.gouv.fr";
const START: Timestamp = Timestamp::from_ms(1_800_000_000_000);
/// Batches written down at once; a node that is behind does so too.
const TOGETHER: u64 = 64;
/// Proofs that are timed.
const PROOFS: u64 = 2_000;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next();
    let directory = PathBuf::from(directory.unwrap_or_else(|| "target/evidence-bench".into()));
    let events: u64 = arguments
        .next()
        .unwrap_or_else(|| "10000000".into())
        .parse()?;
    // A batch is closed each second: a node with a hundred events a second, and one with a single one.
    for (name, total, batch) in [
        ("evidence_log_100_per_batch", events, 100),
        ("evidence_log_1_per_batch", events / 100, 1),
    ] {
        drop(fs::remove_dir_all(&directory));
        fs::create_dir_all(&directory)?;
        let bytes = measure(&directory, total, batch)?;
        figure(&format!("{name}_bytes_per_event"), bytes, "B");
        if batch > 1 {
            target("evidence_bytes_per_event", bytes, 100.0, "B");
        }
    }
    Ok(fs::remove_dir_all(&directory)?)
}

/// Bytes on disk for each event.
fn measure(directory: &Path, total: u64, batch: u64) -> Outcome<f64> {
    let node: AuthorityId = NODE.parse()?;
    let origin = format!("{NODE}/log/{}", START.as_ms()).parse()?;
    let log = EventLog::open(directory, origin, SigningKey::from_seed(&[7; 32]))?;
    let began = Instant::now();
    let mut appending = 0.0;
    let mut next = 0;
    while next < total {
        let mut closed = Vec::new();
        while closed.len() < TOGETHER as usize && next < total {
            let end = (next + batch).min(total);
            closed.push(Closed {
                leaves: (next..end)
                    .map(|number| event(&node, number, batch).leaf())
                    .collect(),
                earliest: event(&node, next, batch).at,
                latest: event(&node, end - 1, batch).at,
                cursor: Cursor(end),
                skip: 0,
            });
            next = end;
        }
        let now = closed.last().map_or(START, |last| last.latest);
        let started = Instant::now();
        log.append(closed, now)?;
        appending += started.elapsed().as_secs_f64();
    }
    log.publish(log.newest().ok_or("a log with events has a head")?)?;
    eprintln!(
        "  {total} events in batches of {batch}: {:.0} s, of which {appending:.0} s appended",
        began.elapsed().as_secs_f64()
    );
    if batch > 1 {
        figure(
            "evidence_append_us_per_event",
            appending / total as f64 * 1e6,
            "us",
        );
        prove(&log, &node, total, batch)?;
    }
    let root = fs::read_dir(directory)?;
    let mut bytes = 0;
    for entry in root {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes as f64 / total as f64)
}

/// Proofs of events all over the log, each of another place.
fn prove(log: &EventLog, node: &AuthorityId, total: u64, batch: u64) -> Outcome {
    let mut times = Vec::new();
    for turn in 0..PROOFS {
        let event = event(
            node,
            turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) % total,
            batch,
        );
        let started = Instant::now();
        let found = log.prove(&event)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        let Found::Proof(wire::EventProof { path, .. }, _) = found else {
            return Err(format!("no proof of {event:?}").into());
        };
        assert!(!path.is_empty(), "a log of many entries");
    }
    times.sort_by(f64::total_cmp);
    figure("evidence_proof_p50", times[times.len() / 2], "ms");
    let worst = times[times.len() - 1];
    figure("evidence_proof_worst", worst, "ms");
    target("evidence_proof_worst", worst, 5.0, "ms");
    Ok(())
}

/// One of so many in a second.
fn event(node: &AuthorityId, number: u64, per_second: u64) -> Event {
    Event {
        kind: EventKind::ContentConsignment,
        node: node.clone(),
        envelope: EnvelopeId::new(Sha256::digest(number.to_be_bytes()).into()),
        at: START.plus_ms(number * 1_000 / per_second),
    }
}

fn figure(name: &str, value: f64, unit: &str) {
    println!(
        "{}",
        serde_json::json!({ "figure": name, "value": value, "unit": unit })
    );
    eprintln!("  {name:<52} {value:>14.3} {unit}");
}

fn target(name: &str, value: f64, at_most: f64, unit: &str) {
    let met = value <= at_most;
    let line = serde_json::json!({
        "ratio": name, "value": value, "at_most": at_most, "unit": unit, "met": met,
    });
    println!("{line}");
    let mark = if met { "✓" } else { "✗" };
    eprintln!("  {mark} {name:<50} {value:>12.3} {unit:<6} ≤ {at_most}");
}
