//! Half of the load that two nodes and the devices stood, for longer, with every device connected and taking its
//! letters: does a node's memory grow, and is nothing lost?

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_protocol::custody::handover;
use pli_protocol::id::EnvelopeId;
use pli_protocol::wire::{self, call, call_reply};
use pli_testbed::federation::Node;
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
/// Before the soak: what the whole way keeps up with. Letters of this time live for so long,
const SUSTAINED_LIFETIME: Duration = Duration::from_secs(30);
/// nothing is counted before the first of them are forgotten, which is the stage's `evidence_kept` later,
const SUSTAINED_WARM: Duration = Duration::from_secs(165);
/// and then it is counted for so long.
const SUSTAINED_COUNTED: Duration = Duration::from_secs(90);
/// Letters on their way at any moment meanwhile.
const SUSTAINED_WINDOW: u64 = 32 * 1_024;
const SUSTAINED_PAUSE: Duration = Duration::from_millis(20);
/// A node whose expiry is further behind has more to do than it can.
const BEHIND_MAX_SECONDS: f64 = 5.0;
/// Reports of a home that wait: what is told later than this is told too late.
const REPORTS_WAITING_MAX: f64 = 8_192.0;
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

/// Letters of one service, each batch another.
struct Letters<'a> {
    stage: &'a Stage,
    sealed: &'a Sealed,
    submission: Submission,
    sent: usize,
    next_seq: u64,
    next_salt: u64,
}

impl Letters<'_> {
    /// Sends some and waits until all are accepted.
    async fn send(&mut self, count: usize, lifetime: Duration) -> Result<(), Anyhow> {
        let some = self
            .sealed
            .slice(self.sent, count)
            .renew(self.next_salt, lifetime)?;
        let signed = some.sign(self.stage.service.key(), letters::BATCH)?;
        let frames = letters::frames(self.next_seq, &signed);
        self.submission.send(&frames).await?.expect_all_accepted()?;
        self.next_seq += frames.len() as u64;
        self.next_salt += 1;
        self.sent += signed.len();
        Ok(())
    }
}

/// What has been done at some moment.
struct Done {
    handed_over: u64,
    receipts: f64,
    /// Of which the origin knows that a device has them.
    reported: f64,
}

impl Done {
    async fn look(devices: &Devices, origin: &Node) -> Result<Self, Anyhow> {
        Ok(Self {
            handed_over: devices.handed_over(),
            receipts: answered(origin).await?,
            reported: origin.count("pli_deliver_reported_total", "").await?,
        })
    }

    /// Until so much more is done, or it takes too long.
    async fn wait_for(&self, more: usize, devices: &Devices, origin: &Node) -> Result<(), Anyhow> {
        let begun = Instant::now();
        while begun.elapsed() < DRAIN {
            devices.check()?;
            let now = Self::look(devices, origin).await?;
            if now.handed_over - self.handed_over >= more as u64
                && now.receipts - self.receipts >= more as f64
                && now.reported - self.reported >= more as f64
            {
                break;
            }
            sleep(TICK).await;
        }
        Ok(())
    }
}

/// Letters a second that both nodes take through their whole life, on and on: accepted, forwarded, stored, handed
/// over, reported, expired and forgotten. Short measurements leave the end of that life to later.
async fn sustained(letters: &mut Letters<'_>, devices: &Devices) -> Result<f64, Anyhow> {
    let nodes = [INTERIOR, SOCIAL].map(|name| letters.stage.federation.node(name));
    let (sent_before, before) = (letters.sent as u64, devices.handed_over());
    let started = Instant::now();
    let (mut looked, mut behind, mut reports) = (Instant::now(), 0.0, 0.0);
    let mut counted_from = None;
    loop {
        devices.check()?;
        if looked.elapsed() >= TICK {
            looked = Instant::now();
            (behind, reports) = (0.0, 0.0);
            for node in nodes {
                behind = f64::max(
                    behind,
                    node.count("pli_store_expiry_behind_seconds", "").await?,
                );
                reports += node.count("pli_deliver_reports_waiting", "").await?;
            }
        }
        let handed_over = devices.handed_over() - before;
        let on_their_way = letters.sent as u64 - sent_before - handed_over;
        let busy = behind > BEHIND_MAX_SECONDS || reports > REPORTS_WAITING_MAX;
        if busy || on_their_way > SUSTAINED_WINDOW {
            sleep(SUSTAINED_PAUSE).await;
        } else {
            letters.send(letters::BATCH, SUSTAINED_LIFETIME).await?;
        }
        let elapsed = started.elapsed();
        let (since, count) = *match elapsed >= SUSTAINED_WARM {
            true => counted_from.get_or_insert((elapsed, handed_over)),
            false => continue,
        };
        if elapsed - since >= SUSTAINED_COUNTED {
            return Ok((handed_over - count) as f64 / (elapsed - since).as_secs_f64());
        }
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
    let mut letters = Letters {
        stage,
        sealed,
        submission: Submission::open(stage).await?,
        sent: 0,
        next_seq: 1,
        next_salt: FIRST_SALT,
    };
    let nodes = [INTERIOR, SOCIAL].map(|name| stage.federation.node(name));
    let before = Done::look(devices, nodes[0]).await?;
    let rate = sustained(&mut letters, devices).await?;
    figures.add("sustained", rate, "1/s");
    let each_tick = (0.5 * rate * TICK.as_secs_f64()) as usize;
    let each_tick = each_tick.clamp(1, letters::BATCH * 4);
    before.wait_for(letters.sent, devices, nodes[0]).await?;
    letters.sent = 0;
    let before = Done::look(devices, nodes[0]).await?;
    let mut samples: [Vec<f64>; 2] = Default::default();
    let mut disks: [Vec<f64>; 2] = Default::default();
    let mut ticks = 0_u64;
    let started = Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while started.elapsed().as_secs() < seconds {
        tick.tick().await;
        letters.send(each_tick, LIFETIME).await?;
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
            let now = Done::look(devices, nodes[0]).await?;
            let [origin, home] = [&samples[0], &samples[1]].map(|all| all[all.len() - 1]);
            let [origin_disk, home_disk] = [&disks[0], &disks[1]].map(|all| all[all.len() - 1]);
            eprintln!(
                "    {:>4.0} s: {} sent, {} handed over, {:.0} reported; origin {origin:.0} MiB, {origin_disk:.0} MiB on disk; \
                 home {home:.0} MiB, {home_disk:.0} MiB on disk",
                started.elapsed().as_secs_f64(),
                letters.sent,
                now.handed_over - before.handed_over,
                now.reported - before.reported,
            );
        }
    }
    let (took, sent) = (started.elapsed().as_secs_f64(), letters.sent);
    before.wait_for(sent, devices, nodes[0]).await?;
    devices.check()?;
    figures.add("soak_seconds", took, "s");
    figures.add("soak_sent", sent as f64 / took, "1/s");
    let after = Done::look(devices, nodes[0]).await?;
    let handed_over = after.handed_over - before.handed_over;
    for (name, count) in [
        ("soak_receipts_missing", after.receipts - before.receipts),
        ("soak_not_handed_over", handed_over as f64),
        ("soak_not_reported", after.reported - before.reported),
    ] {
        figures.add(name, sent as f64 - count, "");
    }
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
