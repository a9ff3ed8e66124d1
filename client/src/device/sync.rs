//! Fetching, watching, handing over: the calls of a device to its home. Spec: MBX-5, CUS-7.
//!
//! A home is not trusted to stop: each run has a budget ([`Bounds`]), and whatever ends a run, what
//! came before is on disk and the next run goes on behind it.

use std::path::Path;

use pli_protocol::custody::handover;
use pli_protocol::id::EnvelopeId;
use pli_protocol::limits;
use pli_protocol::wire;
use pli_transport::{CallStream, DialledConnection};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::budget::{Bounds, Budget};
use super::evidence;
use super::inbox::{self, Arrival, Entry, Taken};
use super::open::{Device, DeviceError};
use crate::backoff::Backoff;
use crate::call::{self, CallError};
use crate::clock;
use crate::evidence::ask;
use crate::folder::{self, FileError, Secrecy};

const ACKNOWLEDGED_MAX: u64 = 64 * 1024 * 1024;

impl Device {
    /// Fetches what is new. Everything that is returned is on disk; on an error too what came before
    /// it is, and the next call goes on behind it.
    pub async fn sync(&mut self) -> Result<Vec<Entry>, DeviceError> {
        self.sync_within(Bounds::default()).await
    }

    /// The same with less than the specification allows.
    pub async fn sync_within(&mut self, bounds: Bounds) -> Result<Vec<Entry>, DeviceError> {
        let mut new = Vec::new();
        self.fetch_within(bounds, |entries| new.extend(entries))
            .await?;
        Ok(new)
    }

    /// Fetches what is new and keeps none of it in memory.
    pub async fn fetch(&mut self) -> Result<(), DeviceError> {
        self.fetch_within(Bounds::default(), drop).await
    }

    async fn fetch_within(
        &mut self,
        bounds: Bounds,
        fetched: impl FnMut(Vec<Entry>),
    ) -> Result<(), DeviceError> {
        let connection = self.connect().await?;
        let ended = self.fetch_on(&connection, bounds, fetched).await;
        hang_up(&connection);
        ended
    }

    async fn fetch_on(
        &mut self,
        connection: &DialledConnection,
        bounds: Bounds,
        mut fetched: impl FnMut(Vec<Entry>),
    ) -> Result<(), DeviceError> {
        let mut stream = self.open_sync(connection, false).await?;
        let mut budget = Budget::new(bounds, Instant::now());
        let mut silent_until = Instant::now() + bounds.silence;
        loop {
            let until = silent_until.min(budget.ends());
            let Ok(reply) = timeout_at(until, call::next(&mut stream.recv)).await else {
                if until == budget.ends() {
                    return Err(budget.out_of_time().into());
                }
                let limit_ms = u64::try_from(bounds.silence.as_millis()).unwrap_or(u64::MAX);
                return Err(CallError::TimedOut { limit_ms }.into());
            };
            let Some(reply) = reply? else { break };
            let Taken { entries, asks_anew } = self.take(reply, &mut budget)?;
            if asks_anew {
                stream = self.open_sync(connection, false).await?;
            }
            // Frames alone are not progress: a home could send empty pages for ever.
            if !entries.is_empty() {
                silent_until = Instant::now() + bounds.silence;
            }
            fetched(entries);
        }
        Ok(self.inbox().cursor().check_end()?)
    }

    /// Stays connected and gives what is new as it comes: see [`Watch::next`].
    pub fn watch(&mut self) -> Watch<'_> {
        self.watch_within(Bounds::default())
    }

    /// The same with less than the specification allows.
    pub fn watch_within(&mut self, bounds: Bounds) -> Watch<'_> {
        Watch {
            device: self,
            call: None,
            backoff: Backoff::new(),
            on_change: OnChange(None),
            connected: None,
            budget: Budget::new(bounds, Instant::now()),
        }
    }

    async fn open_sync(
        &self,
        connection: &DialledConnection,
        follow: bool,
    ) -> Result<CallStream, CallError> {
        let after_seq = self.inbox().cursor().after;
        let kind = wire::call::Kind::Sync(wire::Sync { after_seq, follow });
        let mut stream = call::open(connection, kind).await?;
        // Whoever follows ends the call by ending this half.
        if !follow {
            stream.send.finish().await?;
        }
        Ok(stream)
    }

    /// Keeps a page, and first the directory by which its letters can be checked later.
    fn take(
        &mut self,
        reply: wire::call_reply::Kind,
        budget: &mut Budget,
    ) -> Result<Taken, DeviceError> {
        let wire::call_reply::Kind::Page(page) = reply else {
            let (got, expected) = (call::name(&reply), "a page");
            return Err(CallError::Unexpected { got, expected }.into());
        };
        budget.charge(page.items.len(), inbox::size(&page))?;
        let directory = self.directory().current().versions();
        if !page.items.is_empty() {
            self.check_room(budget.disk_free())?;
            evidence::keep(&self.paths().evidence(), self.directory().copy(), directory)?;
        }
        let arrival = Arrival {
            received: clock::now(),
            directory,
        };
        Ok(self.inbox_mut().take(&page, arrival)??)
    }

    fn check_room(&self, min: u64) -> Result<(), DeviceError> {
        let folder = self.paths().inbox();
        match folder::free_bytes(&folder)? {
            Some(free) if free < min => Err(DeviceError::DiskFull { folder, free, min }),
            _ => Ok(()),
        }
    }

    /// Tells the home, signed, that this device has these letters. Telling it twice changes nothing
    /// (case 60). What the home took is remembered.
    pub async fn acknowledge(&mut self, letters: &[(u64, EnvelopeId)]) -> Result<(), DeviceError> {
        if letters.is_empty() {
            return Ok(());
        }
        let connection = self.connect().await?;
        let ended = self.acknowledge_on(&connection, letters).await;
        hang_up(&connection);
        ended
    }

    async fn acknowledge_on(
        &self,
        connection: &DialledConnection,
        letters: &[(u64, EnvelopeId)],
    ) -> Result<(), DeviceError> {
        let path = self.paths().acknowledged();
        let mut acknowledged = Acknowledged::read(&path)?;
        for part in letters.chunks(limits::HANDOVER_IDS_MAX) {
            let ids: Vec<EnvelopeId> = part.iter().map(|(_, id)| *id).collect();
            let signed = handover::sign(&ids, clock::now(), self.key())
                .expect("1 to HANDOVER_IDS_MAX ids make a tree");
            let reply = call::ask(connection, wire::call::Kind::Handover(signed), "done").await?;
            expect_done(&reply)?;
            for (seq, _) in part {
                acknowledged.insert(*seq);
            }
            acknowledged.write(&path)?;
        }
        Ok(())
    }

    /// What was handed over.
    pub fn acknowledged(&self) -> Result<Acknowledged, FileError> {
        Acknowledged::read(&self.paths().acknowledged())
    }

    /// The home's proofs of what happened to a letter of this account (EVD-8.1).
    pub async fn evidence(&self, id: EnvelopeId) -> Result<wire::EvidenceReply, DeviceError> {
        let connection = self.connect().await?;
        let reply = ask::ask(&connection, id, &[]).await;
        hang_up(&connection);
        Ok(reply?)
    }

    /// Gives a grant to the home.
    pub async fn publish_grant(&self, grant: bytes::Bytes) -> Result<(), DeviceError> {
        let connection = self.connect().await?;
        let kind = wire::call::Kind::PublishGrant(wire::PublishGrant { grant });
        let reply = call::ask(&connection, kind, "done").await;
        hang_up(&connection);
        Ok(expect_done(&reply?)?)
    }
}

/// A device that waits for letters.
#[derive(Debug)]
pub struct Watch<'a> {
    device: &'a mut Device,
    call: Option<(DialledConnection, CallStream)>,
    backoff: Backoff,
    on_change: OnChange,
    /// What was told last.
    connected: Option<bool>,
    budget: Budget,
}

/// Whom to tell that the home is there, or went away.
struct OnChange(Option<Box<dyn Fn(bool) + Send>>);

impl std::fmt::Debug for OnChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OnChange({})", self.0.is_some())
    }
}

impl Watch<'_> {
    /// Calls `tell` with true when the home answers, with false when it does not, at each change.
    #[must_use]
    pub fn on_change(mut self, tell: impl Fn(bool) + Send + 'static) -> Self {
        self.on_change = OnChange(Some(Box::new(tell)));
        self
    }

    /// Hands over while it watches: see [`Device::acknowledge`].
    pub async fn acknowledge(&mut self, letters: &[(u64, EnvelopeId)]) -> Result<(), DeviceError> {
        // A second session of one device would end the first.
        match &self.call {
            Some((connection, _)) if !letters.is_empty() => {
                self.device.acknowledge_on(connection, letters).await
            }
            _ => self.device.acknowledge(letters).await,
        }
    }

    fn tell(&mut self, connected: bool) {
        if self.connected.replace(connected) != Some(connected)
            && let Some(tell) = &self.on_change.0
        {
            tell(connected);
        }
    }

    /// The device, to look at what came.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// Waits for the next letters, which are on disk when they are returned. A connection that is
    /// lost is made again; an error is something that waiting does not help, or a home that sends
    /// more than the [`Bounds`] of a run. Cancel-safe.
    pub async fn next(&mut self) -> Result<Vec<Entry>, DeviceError> {
        loop {
            match self.page().await {
                Ok(entries) if entries.is_empty() => self.backoff.reset(),
                Ok(entries) => {
                    self.backoff.reset();
                    return Ok(entries);
                }
                Err(error) => {
                    self.call = None;
                    if !error.may_pass() {
                        return Err(error);
                    }
                    self.tell(false);
                    tracing::info!(%error, "connecting to the home again");
                    tokio::time::sleep(self.backoff.next_delay()).await;
                }
            }
        }
    }

    async fn page(&mut self) -> Result<Vec<Entry>, DeviceError> {
        if self.call.is_none() {
            let connection = self.device.connect().await?;
            let stream = self.device.open_sync(&connection, true).await?;
            self.call = Some((connection, stream));
            self.tell(true);
        }
        let (_, stream) = self.call.as_mut().expect("made above");
        let reply = call::next(&mut stream.recv).await?;
        self.budget.renew(Instant::now());
        let Some(reply) = reply else {
            return Err(CallError::Ended { expected: "a page" }.into());
        };
        let Taken { entries, asks_anew } = self.device.take(reply, &mut self.budget)?;
        if asks_anew && let Some((connection, stream)) = &mut self.call {
            *stream = self.device.open_sync(connection, true).await?;
        }
        Ok(entries)
    }

    /// Closes the connection.
    pub fn end(self) {
        if let Some((connection, _)) = self.call {
            hang_up(&connection);
        }
    }
}

fn expect_done(reply: &wire::call_reply::Kind) -> Result<(), CallError> {
    match reply {
        wire::call_reply::Kind::Done(_) => Ok(()),
        other => Err(CallError::Unexpected {
            got: call::name(other),
            expected: "done",
        }),
    }
}

fn hang_up(connection: &DialledConnection) {
    connection.close(None, "");
}

/// The numbers that were handed over, as ranges.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Acknowledged {
    /// Invariant: ascending, apart by at least one number.
    ranges: Vec<(u64, u64)>,
}

impl Acknowledged {
    /// Whether this number was handed over.
    pub fn contains(&self, seq: u64) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= seq);
        after
            .checked_sub(1)
            .is_some_and(|index| seq <= self.ranges[index].1)
    }

    fn insert(&mut self, seq: u64) {
        if self.contains(seq) {
            return;
        }
        let at = self.ranges.partition_point(|(first, _)| *first < seq);
        self.ranges.insert(at, (seq, seq));
        // Joins with its neighbours.
        if self
            .ranges
            .get(at + 1)
            .is_some_and(|next| next.0 == seq + 1)
        {
            self.ranges[at].1 = self.ranges.remove(at + 1).1;
        }
        if at > 0 && self.ranges[at - 1].1 + 1 == seq {
            self.ranges[at - 1].1 = self.ranges.remove(at).1;
        }
    }

    fn read(path: &Path) -> Result<Self, FileError> {
        match folder::read(path, ACKNOWLEDGED_MAX) {
            // A damaged file only means that letters are handed over again, which changes nothing.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.is_missing() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn write(&self, path: &Path) -> Result<(), FileError> {
        let json = serde_json::to_vec(self).expect("numbers are JSON");
        folder::write(path, &json, Secrecy::Owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_a_number_counts_once() {
        let mut acknowledged = Acknowledged::default();
        for seq in [5, 1, 3, 2, 5, 9, 4] {
            acknowledged.insert(seq);
        }
        assert_eq!(acknowledged.ranges, [(1, 5), (9, 9)]);
        for (seq, there) in [
            (0, false),
            (1, true),
            (5, true),
            (6, false),
            (9, true),
            (10, false),
        ] {
            assert_eq!(acknowledged.contains(seq), there, "{seq}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("acknowledged.json");
        assert_eq!(
            Acknowledged::read(&path).expect("missing is none"),
            Acknowledged::default()
        );
        acknowledged.write(&path).expect("written");
        assert_eq!(
            Acknowledged::read(&path).expect("written above"),
            acknowledged
        );
    }
}
