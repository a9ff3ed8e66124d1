//! A disk that fails when it is told to, and that forgets what was not synced when the power goes.
//!
//! The bytes are in memory, in two versions per file: what a read gives now, and what a power loss leaves.
//! A power loss keeps any part of the unsynced bytes, torn at any place, as real disks do.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pli_node::store::engine::disk::{Disk, DiskFile};

/// What goes wrong at the chosen operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The operation fails, nothing of it happens.
    Error,
    /// A write does a part of its work and then there is no space.
    NoSpace,
    /// The operation and all after it fail: the cable is pulled.
    Dead,
}

/// One kind of operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    Create,
    Open,
    Names,
    Remove,
    SyncDirectory,
    FreeBytes,
    Length,
    Write,
    Sync,
    Read,
    Cut,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Names that a power loss leaves.
    durable_names: BTreeMap<String, File>,
    plan: Option<(u64, Fault)>,
    operations: u64,
    dead: bool,
    free_bytes: u64,
    sync_time: Duration,
    log: Vec<Op>,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// What the last sync made durable.
    synced: Vec<u8>,
}

/// Shared by all that hold it.
#[derive(Clone, Debug)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

impl FaultyDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            free_bytes: 1 << 40,
            ..State::default()
        })))
    }

    /// The `nth` operation from now on (counted from 0) fails.
    pub(crate) fn fail(&self, nth: u64, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        state.plan = Some((state.operations + nth, fault));
    }

    /// Operations since the last call, by kind.
    pub(crate) fn take_log(&self) -> Vec<Op> {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }

    /// Every sync of a file takes so long from now on.
    pub(crate) fn set_sync_time(&self, time: Duration) {
        self.0.lock().unwrap().sync_time = time;
    }

    pub(crate) fn set_free_bytes(&self, bytes: u64) {
        self.0.lock().unwrap().free_bytes = bytes;
    }

    /// What another power loss at this moment would leave. `random` decides what of the unsynced bytes survives.
    pub(crate) fn after_power_loss(&self, mut random: impl FnMut(usize) -> usize) -> Self {
        let state = self.0.lock().unwrap();
        let mut files = BTreeMap::new();
        for (name, durable) in &state.durable_names {
            // A synced name whose content changed since: the content may be anything in between.
            let file = state.files.get(name).unwrap_or(durable);
            let mut bytes = file.synced.clone();
            let common = file.synced.len().min(file.bytes.len());
            if file.bytes.len() > common && file.bytes[..common] == file.synced[..common] {
                let kept = random(file.bytes.len() - common + 1);
                bytes.extend_from_slice(&file.bytes[common..common + kept]);
                // Blocks reach the disk in any order: some of the surviving ones may still be empty.
                if kept > 512 && random(2) == 0 {
                    let at = common + random(kept - 256);
                    bytes[at..at + 256].fill(0);
                }
            }
            files.insert(
                name.clone(),
                File {
                    synced: bytes.clone(),
                    bytes,
                },
            );
        }
        let durable_names = files.clone();
        Self(Arc::new(Mutex::new(State {
            files,
            durable_names,
            free_bytes: 1 << 40,
            ..State::default()
        })))
    }

    /// Flips one bit of a file.
    pub(crate) fn flip(&self, name: &str, bit: usize) {
        let mut state = self.0.lock().unwrap();
        let file = state.files.get_mut(name).unwrap();
        file.bytes[bit / 8] ^= 1 << (bit % 8);
        file.synced = file.bytes.clone();
    }

    /// Cuts a file.
    pub(crate) fn truncate(&self, name: &str, length: usize) {
        let mut state = self.0.lock().unwrap();
        let file = state.files.get_mut(name).unwrap();
        file.bytes.truncate(length);
        file.synced = file.bytes.clone();
    }

    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.0
            .lock()
            .unwrap()
            .files
            .iter()
            .map(|(name, file)| (name.clone(), file.bytes.clone()))
            .collect()
    }

    fn operation<T>(
        &self,
        op: Op,
        act: impl FnOnce(&mut State, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        let number = state.operations;
        state.operations += 1;
        state.log.push(op);
        let fault = state
            .plan
            .filter(|&(nth, _)| nth == number)
            .map(|(_, fault)| fault);
        if fault == Some(Fault::Dead) {
            state.dead = true;
        }
        if state.dead
            || fault == Some(Fault::Error)
            || (fault == Some(Fault::NoSpace) && op != Op::Write)
        {
            let kind = if fault == Some(Fault::NoSpace) {
                io::ErrorKind::StorageFull
            } else {
                io::ErrorKind::Other
            };
            return Err(io::Error::new(kind, format!("injected at {op:?}")));
        }
        act(&mut state, fault)
    }
}

impl Disk for FaultyDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.operation(Op::Create, |state, _| {
            if state.files.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.files.insert(name.into(), File::default());
            Ok(())
        })?;
        Ok(Arc::new(FaultyFile {
            disk: self.clone(),
            name: name.into(),
        }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.operation(Op::Open, |state, _| {
            state
                .files
                .get(name)
                .map(drop)
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        })?;
        Ok(Arc::new(FaultyFile {
            disk: self.clone(),
            name: name.into(),
        }))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.operation(Op::Names, |state, _| {
            Ok(state.files.keys().cloned().collect())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operation(Op::Remove, |state, _| {
            state
                .files
                .remove(name)
                .map(drop)
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.operation(Op::SyncDirectory, |state, _| {
            state.durable_names = state.files.clone();
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.operation(Op::FreeBytes, |state, _| Ok(state.free_bytes))
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    name: String,
}

impl FaultyFile {
    fn with<T>(
        &self,
        op: Op,
        act: impl FnOnce(&mut File, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk
            .operation(op, |state, fault| match state.files.get_mut(&self.name) {
                Some(file) => act(file, fault),
                None => Err(io::ErrorKind::NotFound.into()),
            })
    }
}

impl DiskFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        self.with(Op::Length, |file, _| Ok(file.bytes.len() as u64))
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.with(Op::Write, |file, fault| {
            let offset = usize::try_from(offset).unwrap();
            let all: Vec<u8> = buffers
                .iter()
                .flat_map(|buffer| buffer.iter().copied())
                .collect();
            let part = if fault.is_some() {
                &all[..all.len() / 2]
            } else {
                &all[..]
            };
            file.bytes
                .resize(file.bytes.len().max(offset + part.len()), 0);
            file.bytes[offset..offset + part.len()].copy_from_slice(part);
            match fault {
                Some(_) => Err(io::ErrorKind::StorageFull.into()),
                None => Ok(part.len()),
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        let time = self.disk.0.lock().unwrap().sync_time;
        std::thread::sleep(time);
        self.with(Op::Sync, |file, _| {
            file.synced = file.bytes.clone();
            Ok(())
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(Op::Read, |file, _| {
            let offset = usize::try_from(offset).unwrap();
            let bytes = file.bytes.get(offset..offset + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.with(Op::Cut, |file, _| {
            file.bytes.truncate(usize::try_from(length).unwrap());
            Ok(())
        })
    }
}
