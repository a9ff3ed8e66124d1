//! Envelopes per second: accepted by one node, forwarded to another and stored there, taken by devices.

use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_protocol::id::EnvelopeId;
use pli_testbed::federation::Node;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Anyhow;
use crate::figures::{Figures, median};
use crate::letters::{self, BATCH, Frame, SEALED, Sealed};
use crate::load::{Outcome, Submission};
use crate::soak::Devices;
use crate::stage::{INTERIOR, SOCIAL, Stage};
use crate::usage;

/// Streams of submissions at once: a node works on each in a task of its own, so that two fill two cores, and two
/// more cover the moments in which one waits for acknowledgements.
const STREAMS: usize = 4;
/// The machine is shared: the middle one of so many counts.
const REPEATS: u64 = 3;
/// A run sends the sealed letters so many times, varied: some seconds, beside which its beginning and its end are short.
const ROUNDS: u64 = 4;
/// Letters of a run.
const RUN: u64 = SEALED as u64 * ROUNDS;
const POLL: Duration = Duration::from_millis(20);
/// Between two looks at a node's counters.
pub(crate) const LOOK: Duration = Duration::from_millis(50);
const SETTLE: Duration = Duration::from_secs(2);
/// Nothing here takes this long unless it is stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(300);

/// One run of load: how long, and who used the cores.
#[derive(Clone, Copy, Debug)]
struct Run {
    rate: f64,
    node_us: f64,
    generator_us: f64,
    /// Seconds of processor time per second, of both together.
    cores_busy: f64,
}

/// Memory of a node that has done nothing but enrol its accounts.
pub(crate) async fn idle(figures: &mut Figures, stage: &Stage) -> Result<(), Anyhow> {
    sleep(SETTLE).await;
    let mib = usage::node_mib(stage.federation.node(SOCIAL))?;
    figures.add("idle_resident", mib, "MiB");
    figures.at_most("idle_resident", mib, 64.0, "MiB");
    Ok(())
}

/// Verified, durable and acknowledged by the node of sender and recipients.
pub(crate) async fn accepted(
    figures: &mut Figures,
    stage: &Stage,
    letters: &Sealed,
) -> Result<(), Anyhow> {
    let limit = figures.value("raw_verify_strict_all_cores");
    let individually = repeat(figures, stage, letters, 1, 100).await?;
    note(figures, &INDIVIDUALLY, &individually);
    let batched = repeat(figures, stage, letters, BATCH, 200).await?;
    note(figures, &BATCHED, &batched);
    let rate = |runs: &[Run]| median(&runs.iter().map(|run| run.rate).collect::<Vec<_>>());
    figures.at_least(
        "accepted_individually / raw_verify_strict_all_cores",
        rate(&individually) / limit,
        0.35,
        "",
    );
    figures.at_least(
        "accepted_batched / raw_verify_strict_all_cores",
        rate(&batched) / limit,
        0.7,
        "",
    );
    Ok(())
}

/// Names of the figures of one way of signing.
struct Names {
    rate: &'static str,
    node_us: &'static str,
    generator_us: &'static str,
    cores_busy: &'static str,
    ceiling: &'static str,
}

const INDIVIDUALLY: Names = Names {
    rate: "accepted_individually",
    node_us: "accepted_individually_node_cpu_us",
    generator_us: "accepted_individually_generator_cpu_us",
    cores_busy: "accepted_individually_cores_busy",
    ceiling: "accepted_individually_share_by_cpu_time",
};
const BATCHED: Names = Names {
    rate: "accepted_batched",
    node_us: "accepted_batched_node_cpu_us",
    generator_us: "accepted_batched_generator_cpu_us",
    cores_busy: "accepted_batched_cores_busy",
    ceiling: "accepted_batched_share_by_cpu_time",
};

fn note(figures: &mut Figures, names: &Names, runs: &[Run]) {
    let middle = |of: fn(&Run) -> f64| median(&runs.iter().map(of).collect::<Vec<_>>());
    let (node_us, generator_us) = (middle(|run| run.node_us), middle(|run| run.generator_us));
    figures.add(names.rate, middle(|run| run.rate), "1/s");
    figures.add(names.node_us, node_us, "us");
    figures.add(names.generator_us, generator_us, "us");
    figures.add(names.cores_busy, middle(|run| run.cores_busy), "cores");
    // As if the two had the cores to themselves and kept them busy: processor time only, no waiting.
    let limit = figures.value("raw_verify_strict_per_cpu_second");
    let ceiling = 1e6 / (node_us + generator_us) / limit;
    figures.add(names.ceiling, ceiling, "");
}

async fn repeat(
    figures: &mut Figures,
    stage: &Stage,
    letters: &Sealed,
    batch: usize,
    salt: u64,
) -> Result<Vec<Run>, Anyhow> {
    let mut runs = Vec::new();
    for run in 0..REPEATS {
        let signed = run_of(stage, letters, salt + run * ROUNDS, batch)?;
        if !figures.has("envelope_bytes_batched") && batch > 1 {
            figures.add("envelope_bytes_batched", mean_size(&signed), "B");
        }
        if !figures.has("envelope_bytes_individual") && batch == 1 {
            figures.add("envelope_bytes_individual", mean_size(&signed), "B");
        }
        let run = submit(stage, &signed).await?;
        eprintln!("    {:.0}/s", run.rate);
        runs.push(run);
    }
    Ok(runs)
}

/// The letters of a run, signed.
pub(crate) fn run_of(
    stage: &Stage,
    letters: &Sealed,
    salt: u64,
    batch: usize,
) -> Result<Vec<(EnvelopeId, Bytes)>, Anyhow> {
    let mut signed = Vec::with_capacity(RUN as usize);
    for salt in salt..salt + ROUNDS {
        signed.extend(letters.vary(salt)?.sign(stage.service.key(), batch)?);
    }
    Ok(signed)
}

fn mean_size(signed: &[(EnvelopeId, Bytes)]) -> f64 {
    let bytes: usize = signed.iter().map(|(_, envelope)| envelope.len()).sum();
    bytes as f64 / signed.len() as f64
}

async fn submit(stage: &Stage, signed: &[(EnvelopeId, Bytes)]) -> Result<Run, Anyhow> {
    let (streams, parts) = prepare(stage, signed).await?;
    let node = stage.federation.node(INTERIOR);
    let (node_before, own_before) = (usage::node_cpu_seconds(node)?, usage::own_cpu_seconds()?);
    let started = Instant::now();
    let outcome = send_all(streams, parts).await?;
    let took = started.elapsed().as_secs_f64();
    let node_used = usage::node_cpu_seconds(node)? - node_before;
    let own_used = usage::own_cpu_seconds()? - own_before;
    outcome.expect_all_accepted()?;
    let count = outcome.accepted as f64;
    Ok(Run {
        rate: count / took,
        node_us: node_used / count * 1e6,
        generator_us: own_used / count * 1e6,
        cores_busy: (node_used + own_used) / took,
    })
}

pub(crate) async fn prepare(
    stage: &Stage,
    signed: &[(EnvelopeId, Bytes)],
) -> Result<(Vec<Submission>, Vec<Vec<Frame>>), Anyhow> {
    let parts: Vec<Vec<Frame>> = signed
        .chunks(signed.len().div_ceil(STREAMS))
        .map(|part| letters::frames(1, part))
        .collect();
    let mut streams = Vec::with_capacity(parts.len());
    for _ in &parts {
        streams.push(Submission::open(stage).await?);
    }
    Ok((streams, parts))
}

pub(crate) async fn send_all(
    streams: Vec<Submission>,
    parts: Vec<Vec<Frame>>,
) -> Result<Outcome, Anyhow> {
    let mut sending = JoinSet::new();
    for (mut stream, frames) in streams.into_iter().zip(parts) {
        sending.spawn(async move { stream.send(&frames).await });
    }
    let mut outcome = Outcome::default();
    while let Some(sent) = sending.join_next().await {
        outcome.add(sent??);
    }
    Ok(outcome)
}

/// Bytes of the store's files for each envelope that waits in it, once the engine has come to rest.
pub(crate) async fn disk(figures: &mut Figures, stage: &Stage) -> Result<(), Anyhow> {
    let node = stage.federation.node(INTERIOR);
    let bytes = at_rest(node).await?;
    let count = (RUN * REPEATS * 2) as f64;
    let sizes =
        figures.value("envelope_bytes_individual") + figures.value("envelope_bytes_batched");
    let per_envelope = bytes as f64 / count;
    figures.add("store_bytes_per_envelope", per_envelope, "B");
    let ratio = per_envelope / (sizes / 2.0);
    figures.at_most("store_bytes_per_envelope / envelope_bytes", ratio, 1.5, "");
    Ok(())
}

async fn at_rest(node: &Node) -> Result<u64, Anyhow> {
    let started = Instant::now();
    let mut before = node.store_bytes()?;
    loop {
        sleep(SETTLE).await;
        let now = node.store_bytes()?;
        if now == before || started.elapsed() > SETTLE * 10 {
            return Ok(now);
        }
        before = now;
    }
}

/// Accepted by the origin, forwarded, stored by the home, and the home's receipts checked and kept by the origin.
pub(crate) async fn forwarded(
    figures: &mut Figures,
    stage: &Stage,
    letters: &Sealed,
) -> Result<(), Anyhow> {
    let (origin, home) = (
        stage.federation.node(INTERIOR),
        stage.federation.node(SOCIAL),
    );
    let mut rates = Vec::new();
    let mut used = [0.0; 3];
    for run in 0..REPEATS {
        let signed = run_of(stage, letters, 300 + run * ROUNDS, BATCH)?;
        let (streams, parts) = prepare(stage, &signed).await?;
        let goal = answered(origin).await? + signed.len() as f64;
        let usage = || -> Result<[f64; 3], Anyhow> {
            Ok([
                usage::node_cpu_seconds(origin)?,
                usage::node_cpu_seconds(home)?,
                usage::own_cpu_seconds()?,
            ])
        };
        let before = usage()?;
        let started = Instant::now();
        send_all(streams, parts).await?.expect_all_accepted()?;
        while answered(origin).await? < goal {
            if started.elapsed() > STUCK {
                return Err("the home's receipts do not come".into());
            }
            sleep(LOOK).await;
        }
        let rate = signed.len() as f64 / started.elapsed().as_secs_f64();
        eprintln!("    {rate:.0}/s");
        rates.push(rate);
        for (total, (after, before)) in used.iter_mut().zip(usage()?.into_iter().zip(before)) {
            *total += (after - before) / (RUN * REPEATS) as f64 * 1e6;
        }
    }
    let rate = median(&rates);
    figures.add("forwarded_and_stored", rate, "1/s");
    figures.add("forwarded_origin_cpu_us", used[0], "us");
    figures.add("forwarded_home_cpu_us", used[1], "us");
    figures.add("forwarded_generator_cpu_us", used[2], "us");
    let ratio = rate / figures.value("accepted_batched");
    figures.at_least("forwarded_and_stored / accepted_batched", ratio, 0.4, "");
    Ok(())
}

/// Receipts of other homes that a node has checked and kept.
pub(crate) async fn answered(node: &Node) -> Result<f64, Anyhow> {
    Ok(node
        .count("pli_deliver_answered_total", "disposition=\"accepted\"")
        .await?)
}

/// What waits at the social home is taken by its devices and handed over, all at once.
///
/// Gives the devices, which stay connected.
pub(crate) async fn synced(figures: &mut Figures, stage: &Stage) -> Result<Devices, Anyhow> {
    let expected = RUN * REPEATS;
    let started = Instant::now();
    let devices = Devices::connect(stage).await?;
    while devices.handed_over() < expected {
        devices.check()?;
        if started.elapsed() > STUCK {
            return Err(format!("{} of {expected} came", devices.handed_over()).into());
        }
        sleep(POLL).await;
    }
    let rate = expected as f64 / started.elapsed().as_secs_f64();
    figures.add("synced_and_handed_over", rate, "1/s");
    Ok(devices)
}

/// Load without an end for a profiler; to another home, no faster than that stores it.
pub(crate) async fn hold(
    stage: &Stage,
    home: &str,
    batch: usize,
    seconds: u64,
) -> Result<(), Anyhow> {
    let letters = letters::seal(&mut Figures::default(), stage, home).await?;
    let origin = stage.federation.node(INTERIOR);
    for node in [origin, stage.federation.node(SOCIAL)] {
        eprintln!("{} is process {:?}", node.authority(), node.pid());
    }
    let started = Instant::now();
    let mut runs = 0;
    while started.elapsed().as_secs() < seconds {
        runs += 1;
        let signed = run_of(stage, &letters, runs * ROUNDS, batch)?;
        let began = Instant::now();
        let run = submit(stage, &signed).await?;
        eprintln!("  {run:.1?}");
        let goal = (runs * RUN) as f64;
        while home == SOCIAL && answered(origin).await? < goal {
            sleep(LOOK).await;
        }
        let rate = signed.len() as f64 / began.elapsed().as_secs_f64();
        eprintln!("  {rate:.0}/s with everything that follows");
    }
    Ok(())
}
