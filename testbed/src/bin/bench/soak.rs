//! Half of the load that two nodes and the devices stood, for longer, with every device connected and taking its
//! letters: does a node's memory grow, and is nothing lost?

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_protocol::custody::handover;
use pli_protocol::id::EnvelopeId;
use pli_protocol::wire::{self, call, call_reply};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::Anyhow;
use crate::figures::{Figures, median};
use crate::letters::{self, Sealed};
use crate::load::{self, Submission};
use crate::stage::{INTERIOR, Recipient, SOCIAL, Stage};
use crate::throughput::answered;
use crate::usage;

const TICK: Duration = Duration::from_millis(250);
const SAMPLE_EVERY_TICKS: u64 = 4;
/// Salts of the soak's letters start here; the other measurements use smaller ones.
const FIRST_SALT: u64 = 1_000_000;
/// Between two lines of a long soak.
const REPORT_EVERY_TICKS: u64 = 240;
/// A letter of the soak lives for so long: what the stores hold then reaches its full size within minutes.
const LIFETIME: Duration = Duration::from_secs(180);
/// After the last letter.
const DRAIN: Duration = Duration::from_secs(60);

/// Every device of the social home's crowd: takes its letters and says, signed, that it has them.
#[derive(Debug)]
pub(crate) struct Devices {
    handed_over: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<String>>>,
    _tasks: JoinSet<()>,
}

impl Devices {
    /// Connects them all. They read from the beginning.
    pub(crate) async fn connect(stage: &Stage) -> Result<Self, Anyhow> {
        let handed_over = Arc::new(AtomicU64::new(0));
        let failed = Arc::new(Mutex::new(None));
        let mut tasks = JoinSet::new();
        for recipient in stage.crowd(SOCIAL) {
            let connection = stage.connect_device(recipient).await?;
            let (recipient, count) = (recipient.clone(), Arc::clone(&handed_over));
            let failed = Arc::clone(&failed);
            tasks.spawn(async move {
                if let Err(error) = take(&connection, &recipient, &count).await {
                    *failed.lock().expect("nobody panics with it") = Some(error.to_string());
                }
            });
        }
        Ok(Self {
            handed_over,
            failed,
            _tasks: tasks,
        })
    }

    /// Letters that the home knows to be taken.
    pub(crate) fn handed_over(&self) -> u64 {
        self.handed_over.load(Ordering::Relaxed)
    }

    /// Whether all are at work still.
    pub(crate) fn check(&self) -> Result<(), Anyhow> {
        match &*self.failed.lock().expect("nobody panics with it") {
            Some(error) => Err(format!("a device: {error}").into()),
            None => Ok(()),
        }
    }
}

async fn take(
    connection: &pli_transport::DialledConnection,
    recipient: &Recipient,
    count: &AtomicU64,
) -> Result<(), Anyhow> {
    let follow = call::Kind::Sync(wire::Sync {
        after_seq: 0,
        follow: true,
    });
    let mut pages = load::open(connection, follow).await?;
    loop {
        let call_reply::Kind::Page(page) = load::next(&mut pages.recv).await? else {
            return Err("not a page".into());
        };
        let present = page.items.iter().filter(|item| !item.envelope.is_empty());
        let ids: Vec<EnvelopeId> = present
            .map(|item| EnvelopeId::from_slice(&item.envelope_id))
            .collect::<Result<_, _>>()?;
        if ids.is_empty() {
            continue;
        }
        let signed = handover::sign(&ids, clock::now(), &recipient.device).ok_or("a page fits")?;
        let mut call = load::open(connection, call::Kind::Handover(signed)).await?;
        call.send.finish().await?;
        match load::next(&mut call.recv).await? {
            call_reply::Kind::Done(_) => count.fetch_add(ids.len() as u64, Ordering::Relaxed),
            other => return Err(format!("not done: {other:?}").into()),
        };
    }
}

/// Runs it and says what grew.
pub(crate) async fn run(
    figures: &mut Figures,
    stage: &Stage,
    devices: &Devices,
    sealed: &Sealed,
    seconds: u64,
) -> Result<(), Anyhow> {
    // The whole way: from the service to the home, and from there to the device and back with its word.
    let seconds_each = ["forwarded_and_stored", "synced_and_handed_over"]
        .map(|rate| 1.0 / figures.value(rate))
        .iter()
        .sum::<f64>();
    let rate = 0.5 / seconds_each;
    let each_tick = ((rate * TICK.as_secs_f64()) as usize).clamp(1, letters::BATCH * 4);
    let nodes = [INTERIOR, SOCIAL].map(|name| stage.federation.node(name));
    let handed_over_before = devices.handed_over();
    let receipts_before = answered(nodes[0]).await?;
    let mut submission = Submission::open(stage).await?;
    let mut samples: [Vec<f64>; 2] = Default::default();
    let mut disks: [Vec<f64>; 2] = Default::default();
    let (mut sent, mut next_seq, mut ticks) = (0_usize, 1_u64, 0_u64);
    let started = Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while started.elapsed().as_secs() < seconds {
        tick.tick().await;
        let some = sealed
            .slice(sent, each_tick)
            .renew(FIRST_SALT + ticks, LIFETIME)?;
        let signed = some.sign(stage.service.key(), letters::BATCH)?;
        let frames = letters::frames(next_seq, &signed);
        next_seq += frames.len() as u64;
        submission.send(&frames).await?.expect_all_accepted()?;
        sent += signed.len();
        ticks += 1;
        devices.check()?;
        if ticks.is_multiple_of(SAMPLE_EVERY_TICKS) {
            for (samples, node) in samples.iter_mut().zip(nodes) {
                samples.push(usage::node_mib(node)?);
            }
            for (disks, node) in disks.iter_mut().zip(nodes) {
                disks.push(node.store_bytes()? as f64 / f64::from(1 << 20));
            }
        }
        if ticks.is_multiple_of(REPORT_EVERY_TICKS) {
            let [origin, home] = [&samples[0], &samples[1]].map(|all| all[all.len() - 1]);
            let [origin_disk, home_disk] = [&disks[0], &disks[1]].map(|all| all[all.len() - 1]);
            eprintln!(
                "    {:>4.0} s: {sent} sent, {} handed over; origin {origin:.0} MiB, {origin_disk:.0} MiB on disk; \
                 home {home:.0} MiB, {home_disk:.0} MiB on disk",
                started.elapsed().as_secs_f64(),
                devices.handed_over() - handed_over_before,
            );
        }
    }
    let took = started.elapsed().as_secs_f64();
    let drained = Instant::now();
    while drained.elapsed() < DRAIN
        && (devices.handed_over() - handed_over_before < sent as u64
            || answered(nodes[0]).await? - receipts_before < sent as f64)
    {
        sleep(TICK).await;
    }
    devices.check()?;
    figures.add("soak_seconds", took, "s");
    figures.add("soak_sent", sent as f64 / took, "1/s");
    let receipts = answered(nodes[0]).await? - receipts_before;
    figures.add("soak_receipts_missing", sent as f64 - receipts, "");
    let lost = sent as f64 - (devices.handed_over() - handed_over_before) as f64;
    figures.add("soak_not_handed_over", lost, "");
    let names = [
        [
            "soak_origin_early",
            "soak_origin_late",
            "soak_origin_growth",
        ],
        ["soak_home_early", "soak_home_late", "soak_home_growth"],
        [
            "soak_origin_disk_early",
            "soak_origin_disk_late",
            "soak_origin_disk_growth",
        ],
        [
            "soak_home_disk_early",
            "soak_home_disk_late",
            "soak_home_disk_growth",
        ],
    ];
    for ([early_name, late_name, growth_name], samples) in
        names.into_iter().zip(samples.iter().chain(&disks))
    {
        // The first quarter warms caches up.
        let part = (samples.len() / 4).max(1);
        if samples.len() < 4 {
            return Err("too short a soak to say anything".into());
        }
        let (early, late) = (
            median(&samples[part..2 * part]),
            median(&samples[samples.len() - part..]),
        );
        figures.add(early_name, early, "MiB");
        figures.add(late_name, late, "MiB");
        figures.add(growth_name, late - early, "MiB");
    }
    Ok(())
}
