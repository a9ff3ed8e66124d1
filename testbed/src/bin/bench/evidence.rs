//! What evidence costs: the same load in turn to nodes that keep it and to nodes that do not; and how long it takes to
//! verify a bundle.

use std::time::{Duration, Instant};

use pli_client::evidence::facts::Verdict;
use pli_client::evidence::make::{self, Parts};
use pli_client::evidence::verify::verify;
use pli_protocol::evidence::Bundle;
use pli_protocol::trust::Environment;
use pli_testbed::federation::Node;
use tokio::time::sleep;

use crate::Anyhow;
use crate::figures::{Figures, median, quantile};
use crate::letters::{self, BATCH, Sealed};
use crate::load::Submission;
use crate::soak::Devices;
use crate::stage::{INTERIOR, Keeps, SOCIAL, Stage};
use crate::throughput::{self, LOOK, STUCK};

/// Of each kind, on each stage. What the store does now and then moves a single run by a quarter.
const REPEATS: u64 = 11;
/// Acceptance, its home's two, and the hand-over.
const EVENTS: usize = 4;
/// Times that the bundle is verified.
const VERIFICATIONS: usize = 200;

/// One way of sending letters, measured on both stages.
#[derive(Debug, Default)]
struct Measured {
    /// Letters per second, of each run.
    rates: [Vec<f64>; 2],
    /// Processor time of both nodes for each letter, the log's part included.
    cpu_us: [Vec<f64>; 2],
}

impl Measured {
    fn note(&self, figures: &mut Figures, names: [&'static str; 4]) {
        let [with, without] = &self.rates;
        figures.add(names[0], overall(with), "1/s");
        figures.add(names[1], overall(without), "1/s");
        figures.at_least(names[2], overall(with) / overall(without), 0.9, "");
        let [with, without] = &self.cpu_us;
        figures.add(names[3], median(with) - median(without), "us");
    }
}

/// All letters over all time, of runs that have the same number of them.
fn overall(rates: &[f64]) -> f64 {
    rates.len() as f64 / rates.iter().map(|rate| rate.recip()).sum::<f64>()
}

/// Accepted, and forwarded, with and without evidence: in turn, so that the machine's moods touch both.
pub(crate) async fn cost(figures: &mut Figures) -> Result<(), Anyhow> {
    let stages = [
        Stage::raise(Keeps::Evidence).await?,
        Stage::raise(Keeps::NoEvidence).await?,
    ];
    let mut letters = Vec::new();
    for stage in &stages {
        let quiet = &mut Figures::quiet();
        let interior = letters::seal(quiet, stage, INTERIOR).await?;
        letters.push([interior, letters::seal(quiet, stage, SOCIAL).await?]);
    }
    let mut accepted = Measured::default();
    let mut forwarded = Measured::default();
    for turn in 0..REPEATS {
        // The second of two finds warmer caches: each is second in turn.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let stage = &stages[which];
            for (to, measured) in [(0, &mut accepted), (1, &mut forwarded)] {
                let salt = 600 + turn * 10 + to as u64 * 100;
                let (rate, cpu_us) = run(stage, &letters[which][to], salt, to == 1).await?;
                measured.rates[which].push(rate);
                measured.cpu_us[which].push(cpu_us);
            }
        }
    }
    accepted.note(
        figures,
        [
            "accepted_with_evidence",
            "accepted_without_evidence",
            "accepted, with / without evidence",
            "accepted_evidence_cpu_us",
        ],
    );
    forwarded.note(
        figures,
        [
            "forwarded_with_evidence",
            "forwarded_without_evidence",
            "forwarded, with / without evidence",
            "forwarded_evidence_cpu_us",
        ],
    );
    Ok(())
}

/// Letters per second, and the nodes' processor time for each.
async fn run(stage: &Stage, letters: &Sealed, salt: u64, far: bool) -> Result<(f64, f64), Anyhow> {
    let signed = throughput::run_of(stage, letters, salt, BATCH)?;
    let count = signed.len() as f64;
    let nodes = [
        stage.federation.node(INTERIOR),
        stage.federation.node(SOCIAL),
    ];
    let [origin, home] = nodes;
    let keeps = stage.keeps == Keeps::Evidence;
    let before = recorded(nodes).await?;
    let answered = throughput::answered(origin).await?;
    let (streams, parts) = throughput::prepare(stage, &signed).await?;
    let usage = || -> Result<f64, Anyhow> {
        Ok(crate::usage::node_cpu_seconds(origin)? + crate::usage::node_cpu_seconds(home)?)
    };
    let used = usage()?;
    let started = Instant::now();
    throughput::send_all(streams, parts)
        .await?
        .expect_all_accepted()?;
    if far {
        until("the home's receipts", async || {
            Ok(throughput::answered(origin).await? >= answered + count)
        })
        .await?;
    }
    let rate = count / started.elapsed().as_secs_f64();
    // The log follows a second later; its work belongs to these letters. Both of a letter that stays are one node's.
    let events = if far { 3.0 } else { 2.0 };
    if keeps {
        until("the log", async || {
            Ok(recorded(nodes).await? >= before + events * count)
        })
        .await?;
    } else {
        sleep(Duration::from_secs(1)).await;
    }
    Ok((rate, (usage()? - used) / count * 1e6))
}

async fn until(
    what: &str,
    mut done: impl AsyncFnMut() -> Result<bool, Anyhow>,
) -> Result<(), Anyhow> {
    let started = Instant::now();
    while !done().await? {
        if started.elapsed() > STUCK {
            return Err(format!("waited for {what} in vain").into());
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Events in the logs of both nodes.
async fn recorded(nodes: [&Node; 2]) -> Result<f64, Anyhow> {
    let [origin, home] = nodes;
    let of = async |node: &Node| node.count("pli_evidence_events_total", "").await;
    Ok(of(origin).await? + of(home).await?)
}

/// Verifies the bundle of a letter that a device has taken, as `pli evidence verify` does: everything from its bytes.
/// Beside nodes at rest: whoever verifies runs none.
pub(crate) async fn bundle(figures: &mut Figures, stage: &Stage) -> Result<(), Anyhow> {
    let made = {
        let _taking = Devices::connect(stage).await?;
        whole(stage).await?.encode()
    };
    let root = std::fs::read(stage.federation.root_file())?.into();
    let mut times = Vec::with_capacity(VERIFICATIONS);
    for _ in 0..VERIFICATIONS {
        let started = Instant::now();
        let verified = verify(&made, &root, Environment::Production).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        if verified.verdict() != Verdict::Proven {
            return Err("a whole bundle is not proven".into());
        }
    }
    figures.add("bundle_bytes", made.len() as f64, "B");
    figures.add("bundle_verified_p50", quantile(&mut times, 0.5), "ms");
    let p99 = quantile(&mut times, 0.99);
    figures.add("bundle_verified_p99", p99, "ms");
    figures.at_most("bundle_verified_p99", p99, 20.0, "ms");
    Ok(())
}

/// The bundle of a letter to a connected device, once everything of it is cosigned.
async fn whole(stage: &Stage) -> Result<Bundle, Anyhow> {
    let letter = letters::single(stage, &stage.crowd(SOCIAL)[0], 1)?;
    let (id, envelope) = letter[0].clone();
    let frame = letters::frame(1, &letter);
    Submission::open(stage).await?.send_one(&frame).await?;
    let service = &stage.service;
    let started = Instant::now();
    loop {
        let tracked = service.track(&[id]).await?;
        let receipts = &tracked[0].receipts;
        let said: Vec<_> = receipts
            .iter()
            .filter_map(|checked| checked.receipt.clone())
            .collect();
        let known = make::events_of(&said, service.id().authority());
        let reply = service.evidence(id, &known).await?;
        if reply.proofs.len() == EVENTS {
            let parts = Parts {
                id,
                envelope: Some(envelope),
                receipts: receipts
                    .iter()
                    .map(|checked| checked.encoded.clone())
                    .collect(),
                reply,
                directory: service.directory().copy(),
            };
            return Ok(make::make(parts)?);
        }
        if started.elapsed() > STUCK {
            return Err(format!("{} of {EVENTS} proofs", reply.proofs.len()).into());
        }
        sleep(Duration::from_millis(200)).await;
    }
}
