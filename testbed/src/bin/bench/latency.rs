//! From submitting a letter at its origin to a device that is connected to another home.

use std::time::{Duration, Instant};

use pli_protocol::id::EnvelopeId;
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{CallStream, DialledConnection};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::Anyhow;
use crate::figures::{Figures, quantile};
use crate::letters;
use crate::load::{self, Submission};
use crate::stage::{DIGITAL, Recipient, Stage};

/// Letters of the unloaded measure.
const ALONE: usize = 300;
const BETWEEN: Duration = Duration::from_millis(20);
/// Letters of each turn beside a live or dead destination, to it and to the probe.
const BESIDE: usize = 600;
const BESIDE_EVERY: Duration = Duration::from_millis(10);
/// Alive and dead take turns, so that what else the machine does touches both. So many that the p99 of each stands on
/// the 30 slowest: with 12, it moved by a quarter between runs of the same program.
const TURNS: usize = 5;
/// After a kill, until the origin has found out.
const FOUND_OUT: Duration = Duration::from_secs(2);
/// A letter that takes longer is lost.
const LOST: Duration = Duration::from_secs(30);
const FSYNCS: f64 = 2.0;

/// A connected device that says when a letter comes.
struct Probe {
    _connection: DialledConnection,
    stream: CallStream,
}

impl Probe {
    async fn connect(stage: &Stage) -> Result<Self, Anyhow> {
        let connection = stage.connect_device(stage.probe()).await?;
        let after_seq = 0;
        let follow = call::Kind::Sync(wire::Sync {
            after_seq,
            follow: true,
        });
        let mut stream = load::open(&connection, follow).await?;
        // What came before, up to the end: the first page may be empty and is the last one then.
        loop {
            let page = page(&mut stream).await?;
            let last = page.items.last().map_or(0, |item| item.seq);
            if last == page.latest_seq {
                break;
            }
        }
        Ok(Self {
            _connection: connection,
            stream,
        })
    }

    /// Waits for a letter; those that come before it are older.
    async fn wait_for(&mut self, id: EnvelopeId) -> Result<Instant, Anyhow> {
        loop {
            let page = timeout(LOST, page(&mut self.stream)).await??;
            let came = Instant::now();
            let is_it = |item: &wire::SyncItem| item.envelope_id[..] == id.as_bytes()[..];
            if page.items.iter().any(is_it) {
                return Ok(came);
            }
        }
    }
}

async fn page(stream: &mut CallStream) -> Result<wire::SyncPage, Anyhow> {
    match load::next(&mut stream.recv).await? {
        call_reply::Kind::Page(page) => Ok(page),
        other => Err(format!("not a page: {other:?}").into()),
    }
}

/// One letter at a time, nothing else.
pub(crate) async fn unloaded(figures: &mut Figures, stage: &Stage) -> Result<(), Anyhow> {
    let letters = letters::single(stage, stage.probe(), ALONE)?;
    let mut probe = Probe::connect(stage).await?;
    let mut submission = Submission::open(stage).await?;
    let (mut accepted, mut arrived) = (Vec::new(), Vec::new());
    for (index, letter) in letters.iter().enumerate() {
        let frame = letters::frame(index as u64 + 1, std::slice::from_ref(letter));
        let started = Instant::now();
        let (ack, came) = tokio::join!(submission.send_one(&frame), probe.wait_for(letter.0));
        accepted.push(ms(ack?));
        arrived.push(ms(came?.duration_since(started)));
        sleep(BETWEEN).await;
    }
    figures.add("submit_to_ack_p50", quantile(&mut accepted, 0.5), "ms");
    figures.add("submit_to_ack_p99", quantile(&mut accepted, 0.99), "ms");
    let (p50, p99) = (quantile(&mut arrived, 0.5), quantile(&mut arrived, 0.99));
    figures.add("submit_to_device_p50", p50, "ms");
    figures.add("submit_to_device_p99", p99, "ms");
    // The smaller of the two, which is what the store does: more of the time is then ours.
    let fsyncs = FSYNCS * figures.value("raw_fdatasync_ms");
    figures.at_most(
        "submit_to_device_p50 - 2 fdatasyncs",
        p50 - fsyncs,
        10.0,
        "ms",
    );
    figures.at_most("submit_to_device_p99", p99, 40.0, "ms");
    Ok(())
}

/// The same letters to a live and to a dead home; what that changes for the device of another one.
pub(crate) async fn beside_a_dead_destination(
    figures: &mut Figures,
    stage: &mut Stage,
) -> Result<(), Anyhow> {
    let (mut alive, mut dead) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        alive.extend(beside(stage).await?);
        stage.federation.node_mut(DIGITAL).kill().await?;
        sleep(FOUND_OUT).await;
        dead.extend(beside(stage).await?);
        stage.federation.node_mut(DIGITAL).restart().await?;
        sleep(FOUND_OUT).await;
    }
    figures.add(
        "beside_a_live_destination_p50",
        quantile(&mut alive, 0.5),
        "ms",
    );
    figures.add(
        "beside_a_dead_destination_p50",
        quantile(&mut dead, 0.5),
        "ms",
    );
    let (before, after) = (quantile(&mut alive, 0.99), quantile(&mut dead, 0.99));
    figures.add("beside_a_live_destination_p99", before, "ms");
    figures.add("beside_a_dead_destination_p99", after, "ms");
    figures.at_most(
        "p99 beside a dead / a live destination",
        after / before,
        1.2,
        "",
    );
    Ok(())
}

async fn beside(stage: &Stage) -> Result<Vec<f64>, Anyhow> {
    let other: &Recipient = &stage.recipients(DIGITAL)[0];
    let measured = letters::single(stage, stage.probe(), BESIDE)?;
    let background = letters::single(stage, other, BESIDE)?;
    let mut probe = Probe::connect(stage).await?;
    let mut submission = Submission::open(stage).await?;
    let mut second = Submission::open(stage).await?;
    let load = async {
        let mut tick = interval(BESIDE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for (index, letter) in background.iter().enumerate() {
            tick.tick().await;
            let frame = letters::frame(index as u64 + 1, std::slice::from_ref(letter));
            second.send_one(&frame).await?;
        }
        Ok::<(), Anyhow>(())
    };
    let measure = async {
        let mut tick = interval(BESIDE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut times = Vec::with_capacity(BESIDE);
        for (index, letter) in measured.iter().enumerate() {
            tick.tick().await;
            let frame = letters::frame(index as u64 + 1, std::slice::from_ref(letter));
            let started = Instant::now();
            let (ack, came) = tokio::join!(submission.send_one(&frame), probe.wait_for(letter.0));
            ack?;
            times.push(ms(came?.duration_since(started)));
        }
        Ok::<Vec<f64>, Anyhow>(times)
    };
    let ((), times) = tokio::try_join!(load, measure)?;
    Ok(times)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
