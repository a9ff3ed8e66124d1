//! Measures the store against what the disk and fjall alone can do, in one run. Prints JSON lines.
//!
//! ```text
//! cargo run --release --example store_bench -- [directory] [envelopes] [group] [which]
//! ```
//!
//! `raw`: an append-only file, one fdatasync per group: the limit. `fjall_alone`: the same rows as the
//! engine, envelopes in fjall with key-value separation, one `SyncAll` per group. The others: the engine.
//! `cpu_us` is user and system time of the whole process per envelope, background threads included;
//! `write_amplification` is what the process caused to be written (`/proc/self/io`) per envelope byte.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use fjall::{Database, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use pli_node::store::{
    self, Entry, Lane, OpenOptions, Outcome, PageBound, Place, Report, Sender, Settlement, Store,
};
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::id::{AccountId, EnvelopeId, KeyId, MailboxId, Timestamp};
use pli_protocol::signed::leaf_hash;

type Outcomes = Result<(), Box<dyn Error>>;

/// A partner's event, sealed and signed: about 2.5 KiB.
const ENVELOPE_BYTES: usize = 2_560;
const ACCOUNTS: u64 = 200_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const PAGE: PageBound = PageBound {
    items: 1_024,
    bytes: 4 << 20,
};

fn main() -> Outcomes {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(
        arguments
            .next()
            .unwrap_or_else(|| "target/store-bench".into()),
    );
    let envelopes: usize = arguments
        .next()
        .unwrap_or_else(|| "400000".into())
        .parse()?;
    let group: usize = arguments.next().unwrap_or_else(|| "1024".into()).parse()?;
    let only = arguments.next();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.starts_with(only));
    for (name, run) in [
        ("raw", raw as fn(&Path, usize, usize) -> Outcomes),
        ("fjall_alone", fjall_alone),
        ("engine_mailbox", engine_mailbox),
        ("engine_queue", engine_queue),
        ("engine_life", engine_life),
    ] {
        if wanted(name) {
            let _ = fs::remove_dir_all(&directory);
            fs::create_dir_all(&directory)?;
            run(&directory, envelopes, group)?;
        }
    }
    fs::remove_dir_all(&directory)?;
    Ok(())
}

fn raw(directory: &Path, envelopes: usize, group: usize) -> Outcomes {
    let mut file = File::create(directory.join("raw"))?;
    let mut source = Source::new();
    let mut meter = Meter::new("raw", directory);
    while meter.done < envelopes {
        let mut buffer = Vec::with_capacity(group * ENVELOPE_BYTES);
        for _ in 0..group {
            buffer.extend_from_slice(&source.envelope().1);
        }
        meter.timed(group, || {
            file.write_all(&buffer)?;
            Ok(file.sync_data()?)
        })?;
    }
    meter.print("append")
}

fn fjall_alone(directory: &Path, envelopes: usize, group: usize) -> Outcomes {
    let database = Database::builder(directory).worker_threads(1).open()?;
    let plain = || {
        KeyspaceCreateOptions::default()
            .manual_journal_persist(true)
            .max_memtable_size(16 << 20)
    };
    let separated = || {
        let separation = KvSeparationOptions::default()
            .separation_threshold(512)
            .file_target_size(128 << 20);
        plain()
            .max_memtable_size(64 << 20)
            .with_kv_separation(Some(separation))
    };
    let bytes = database.keyspace("envelopes", separated)?;
    let ids = database.keyspace("ids", plain)?;
    let rows = database.keyspace("rows", plain)?;
    let expiry = database.keyspace("expiry", plain)?;
    let mut source = Source::new();
    let mut meter = Meter::new("fjall_alone", directory);
    while meter.done < envelopes {
        let entries: Vec<_> = (0..group).map(|_| source.mailbox_entry()).collect();
        let number = meter.done as u64;
        meter.timed(group, || {
            let mut batch = database.batch();
            let mut due = Vec::with_capacity(group * 32);
            for (at, entry) in (number..).zip(&entries) {
                let Place::Mailbox { account, .. } = &entry.place else {
                    continue;
                };
                if ids.get(entry.id.as_bytes())?.is_some() {
                    continue;
                }
                due.extend_from_slice(entry.id.as_bytes());
                batch.insert(
                    &bytes,
                    [&account.as_bytes()[..], &at.to_be_bytes()].concat(),
                    entry.bytes.clone(),
                );
                batch.insert(&ids, &entry.id.as_bytes()[..], vec![1; 120]);
                batch.insert(&rows, &account.as_bytes()[..], vec![2; 40]);
            }
            batch.insert(&expiry, number.to_be_bytes(), due);
            Ok(batch.durability(Some(PersistMode::SyncAll)).commit()?)
        })?;
    }
    meter.print("append")?;
    for keyspace in [&bytes, &ids, &rows, &expiry] {
        keyspace.rotate_memtable_and_wait()?;
        keyspace.major_compact()?;
    }
    meter.print("compacted")
}

fn engine_mailbox(directory: &Path, envelopes: usize, group: usize) -> Outcomes {
    let store = open(directory)?;
    let mut source = Source::new();
    let mut meter = Meter::new("engine_mailbox", directory);
    let mut accounts = Vec::new();
    while meter.done < envelopes {
        let entries: Vec<_> = (0..group).map(|_| source.mailbox_entry()).collect();
        if let Place::Mailbox { account, .. } = &entries[0].place {
            accounts.push(*account);
        }
        meter.timed(group, || {
            store.append(&entries)?;
            Ok(())
        })?;
    }
    meter.print("append")?;
    // A duplicate costs a look-up that hits.
    let again: Vec<_> = Source::new().take(group);
    let mut meter = Meter::new("engine_mailbox", directory);
    for _ in 0..50 {
        meter.timed(group, || {
            store.append(&again)?;
            Ok(())
        })?;
    }
    meter.print("duplicates")?;
    let mut meter = Meter::new("engine_mailbox", directory);
    for account in accounts.iter().cycle().take(20_000) {
        let mut read = 0;
        meter.timed_any(|| {
            read = store.read(account, 0, PAGE)?.items.len();
            Ok(())
        })?;
        meter.done += read;
    }
    meter.print("read")?;
    drop(store);
    let started = Instant::now();
    open(directory)?;
    println!(
        "{}",
        serde_json::json!({ "store": "engine_mailbox", "phase": "reopen", "ms": started.elapsed().as_millis() as u64 })
    );
    Ok(())
}

fn engine_queue(directory: &Path, envelopes: usize, group: usize) -> Outcomes {
    let store = open(directory)?;
    let mut source = Source::new();
    let new_meter = || Meter::new("engine_queue", directory);
    let (mut append, mut pending, mut settle) = (new_meter(), new_meter(), new_meter());
    let mut after = [0; DESTINATIONS];
    while append.done < envelopes {
        let entries: Vec<_> = (0..group).map(|_| source.queue_entry()).collect();
        append.timed(group, || {
            store.append(&entries)?;
            Ok(())
        })?;
        for (index, after) in after.iter_mut().enumerate() {
            let destination = destination(index);
            let mut items = Vec::new();
            pending.timed_any(|| {
                let page = store.pending(&destination, Lane::Bulk, *after, PAGE)?;
                *after = page.next_after;
                items.extend(page.items.iter().map(|item| (item.id, Outcome::Delivered)));
                Ok(())
            })?;
            let count = items.len();
            pending.done += count;
            settle.timed(count, || {
                let receipts = vec![7; 96 + 4 * count].into();
                store.settle(&[Settlement { receipts, items }], &[])?;
                Ok(())
            })?;
        }
    }
    append.print("append")?;
    pending.print("pending")?;
    settle.print("settle")?;
    let mut freed = 0;
    let mut compact = new_meter();
    compact.done = envelopes;
    compact.timed_any(|| {
        loop {
            match store.compact()? {
                0 => return Ok(()),
                bytes => freed += bytes,
            }
        }
    })?;
    compact.print("compact")
}

/// The whole life of letters at a home, in fast motion: taken by devices, reported, expired, forgotten. What the store
/// holds must level off once the first are forgotten.
fn engine_life(directory: &Path, envelopes: usize, group: usize) -> Outcomes {
    const ACCOUNTS: u64 = 64;
    const PER_SECOND: u64 = 3_500;
    const LIFETIME_MS: u64 = 180_000;
    const PRINTS: usize = 40;
    let mut options = options();
    options.custody_retention_ms = 120_000;
    let store = open_with(directory, &options)?;
    let mut source = Source::new();
    source.accounts = ACCOUNTS;
    source.per_ms = PER_SECOND as f64 / 1_000.0;
    source.lifetime_ms = LIFETIME_MS;
    let origin = destination(0);
    let mut meter = Meter::new("engine_life", directory);
    let (mut next_print, mut next_sweep) = (envelopes / PRINTS, 0);
    while meter.done < envelopes {
        let entries: Vec<_> = (0..group).map(|_| source.mailbox_entry()).collect();
        let now = entries[group - 1].accepted_at;
        meter.timed(group, || {
            for some in entries.chunks(group.div_ceil(4)) {
                store.append(some)?;
            }
            for some in entries.chunks(14) {
                let receipts = Bytes::from(vec![7; 96 + 4 * some.len()]);
                let items = some.iter().map(|entry| (entry.id, Outcome::Retrieved));
                let settlement = Settlement {
                    receipts: receipts.clone(),
                    items: items.collect(),
                };
                let report = Report {
                    destination: origin.clone(),
                    bytes: receipts,
                    expires: now.plus_ms(LIFETIME_MS),
                };
                store.settle(&[settlement], &[report])?;
            }
            let reports = store.pending_reports(&origin, 0, PAGE)?;
            let positions: Vec<u64> = reports.iter().map(|report| report.position).collect();
            store.settle_reports(&origin, &positions)?;
            if now.as_ms() >= next_sweep {
                next_sweep = now.as_ms() + 1_000;
                while store.expire(now, 1_024)?.more {}
                while store.compact()? > 0 {}
            }
            Ok(())
        })?;
        if meter.done >= next_print {
            next_print += envelopes / PRINTS;
            meter.print("life")?;
        }
    }
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new(
        "interieur.gouv.fr".parse().expect("a domain"),
        KeyId::new([1; 32]),
    );
    options.limits.disk_free = 64 << 20;
    options
}

fn open(directory: &Path) -> Result<std::sync::Arc<dyn Store>, Box<dyn Error>> {
    open_with(directory, &options())
}

fn open_with(
    directory: &Path,
    options: &OpenOptions,
) -> Result<std::sync::Arc<dyn Store>, Box<dyn Error>> {
    let url = format!("fjall:{}", directory.display());
    Ok(store::open(&url, options)?)
}

const DESTINATIONS: usize = 3;

fn destination(index: usize) -> pli_protocol::id::AuthorityId {
    format!("home-{index}.gouv.fr")
        .parse()
        .expect("a valid domain")
}

/// Envelopes that are alike in everything but their first bytes; the ids are real leaf hashes.
struct Source {
    state: u64,
    body: Vec<u8>,
    sender: Sender,
    made: u64,
    accounts: u64,
    per_ms: f64,
    lifetime_ms: u64,
}

impl Source {
    fn new() -> Self {
        let mut source = Self {
            state: 0x9e37_79b9_7f4a_7c15,
            body: Vec::new(),
            sender: Sender::Service("rdv@interieur.gouv.fr".parse().expect("a valid service")),
            made: 0,
            accounts: ACCOUNTS,
            per_ms: 40.0,
            lifetime_ms: 30 * DAY_MS,
        };
        source.body = (0..ENVELOPE_BYTES).map(|_| source.random() as u8).collect();
        source.body[0] = 0x0a;
        let payload = ENVELOPE_BYTES - 3;
        source.body[1] = (payload & 0x7f) as u8 | 0x80;
        source.body[2] = (payload >> 7) as u8;
        source
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn envelope(&mut self) -> (EnvelopeId, Bytes) {
        let mut bytes = self.body.clone();
        bytes[3..11].copy_from_slice(&self.made.to_le_bytes());
        self.made += 1;
        (
            EnvelopeId::new(leaf_hash(ENVELOPE, &bytes[3..])),
            bytes.into(),
        )
    }

    fn entry(&mut self, place: Place) -> Entry {
        let (id, bytes) = self.envelope();
        let now = 1_790_000_000_000 + (self.made as f64 / self.per_ms) as u64;
        let (accepted_at, expires) = (
            Timestamp::from_ms(now),
            Timestamp::from_ms(now + self.lifetime_ms),
        );
        Entry {
            id,
            bytes,
            accepted_at,
            expires,
            sender: self.sender.clone(),
            place,
        }
    }

    fn mailbox_entry(&mut self) -> Entry {
        let number = (self.random() % self.accounts).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (mut account, mut mailbox) = ([0; 32], [0; 16]);
        account[..8].copy_from_slice(&number.to_be_bytes());
        mailbox[..8].copy_from_slice(&number.to_be_bytes());
        self.entry(Place::Mailbox {
            account: AccountId::new(account),
            mailbox: MailboxId::new(mailbox),
        })
    }

    fn queue_entry(&mut self) -> Entry {
        let index = self.random() as usize % DESTINATIONS;
        self.entry(Place::Queue {
            destination: destination(index),
            lane: Lane::Bulk,
        })
    }

    fn take(mut self, count: usize) -> Vec<Entry> {
        (0..count).map(|_| self.mailbox_entry()).collect()
    }
}

/// Wall time of the timed parts only; processor time and bytes written likewise.
struct Meter<'a> {
    name: &'static str,
    directory: &'a Path,
    done: usize,
    seconds: f64,
    cpu_seconds: f64,
    wrote: u64,
    slowest: f64,
}

impl<'a> Meter<'a> {
    fn new(name: &'static str, directory: &'a Path) -> Self {
        Self {
            name,
            directory,
            done: 0,
            seconds: 0.0,
            cpu_seconds: 0.0,
            wrote: 0,
            slowest: 0.0,
        }
    }

    fn timed(&mut self, count: usize, work: impl FnOnce() -> Outcomes) -> Outcomes {
        self.timed_any(work)?;
        self.done += count;
        Ok(())
    }

    fn timed_any(&mut self, work: impl FnOnce() -> Outcomes) -> Outcomes {
        let (started, cpu, wrote) = (Instant::now(), cpu_seconds(), written());
        work()?;
        let seconds = started.elapsed().as_secs_f64();
        self.seconds += seconds;
        self.slowest = self.slowest.max(seconds);
        self.cpu_seconds += cpu_seconds() - cpu;
        self.wrote += written() - wrote;
        Ok(())
    }

    fn print(&self, phase: &str) -> Outcomes {
        let count = self.done.max(1) as f64;
        let line = serde_json::json!({
            "store": self.name,
            "phase": phase,
            "envelopes": self.done,
            "per_second": (count / self.seconds.max(1e-9)).round(),
            "cpu_us": round(self.cpu_seconds * 1e6 / count),
            "slowest_group_ms": round(self.slowest * 1e3),
            "write_amplification": round(self.wrote as f64 / (count * ENVELOPE_BYTES as f64)),
            "disk_bytes_per_envelope": round(disk_bytes(self.directory)? as f64 / count),
            "resident_mib": resident_mib(),
        });
        println!("{line}");
        Ok(())
    }
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// From `/proc/self/schedstat` of every thread: nanoseconds, not the 10 ms ticks of `stat`.
fn cpu_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .sum::<f64>()
        / 1e9
}

fn proc_field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

fn written() -> u64 {
    proc_field("/proc/self/io", "write_bytes:")
}

fn resident_mib() -> u64 {
    proc_field("/proc/self/status", "VmRSS:") / 1024
}

/// Blocks really used: preallocated files count for what they hold.
fn disk_bytes(directory: &Path) -> Result<u64, Box<dyn Error>> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(total)
}
