//! The one writer: who holds it may write to the log and change what is derived from it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::MutexGuard;

use super::Engine;
use super::apply::Memory;
use super::identity::Identity;
use super::log_tail::Tail;

/// What only the one writer touches.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) tail: Tail,
    pub(super) memory: Memory,
    pub(super) identity: Identity,
}

/// The writer for as long as this is held.
#[derive(Debug)]
pub(super) struct Held<'a> {
    writer: MutexGuard<'a, Writer>,
    failed: &'a AtomicBool,
}

impl Engine {
    /// Waits for the writer. Whoever waits for longer than a moment is next, or those who come again and again, expiry
    /// and commits, would leave compaction behind and the disk would fill.
    pub(super) fn writer(&self) -> Held<'_> {
        Held {
            writer: self.writer.lock(),
            failed: &self.failed,
        }
    }
}

impl Deref for Held<'_> {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.writer
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }
}

impl Drop for Held<'_> {
    // A panic has left the index behind the log at worst, so it is fatal.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failed.store(true, Ordering::Release);
        }
    }
}
