//! Budget: how much of a home's word one run of `Sync` takes, so that a home that sends for ever
//! costs neither the device's disk nor its evening.
//!
//! In: pages as they come, and the free room of the disk. Out: whether this page may still be kept.
//! What was kept before stays kept, and the next run goes on from there. Pure. Spec: MBX-5.8.

use std::time::Duration;

use pli_protocol::limits;
use tokio::time::Instant;

/// The least that a page of the inbox costs on a disk: a block. Many small pages fill one too.
pub const PAGE_COST_MIN: u64 = 4_096;

/// How much one run takes. The default is the specification's; an app on a small device takes less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Items; a page that has none counts as one.
    pub items: usize,
    /// Bytes on the disk.
    pub bytes: u64,
    /// How long a run lasts; when it is over, [`Device::watch`](super::Device::watch) begins the next.
    pub run: Duration,
    /// How long a home may take to say something new.
    pub silence: Duration,
    /// Free bytes that stay on the disk.
    pub disk_free: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            items: limits::SYNC_RUN_ITEMS_MAX,
            bytes: limits::SYNC_RUN_BYTES_MAX,
            run: Duration::from_millis(limits::SYNC_RUN_MAX_MS),
            silence: Duration::from_millis(limits::REPLY_TIMEOUT_MS),
            disk_free: limits::DISK_FREE_MIN,
        }
    }
}

/// Why a run takes no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Spent {
    /// `SYNC_RUN_ITEMS_MAX`
    #[error(
        "one run takes at most {max} letters; {got} came and are kept, the next page has {more}"
    )]
    Items { got: usize, more: usize, max: usize },
    /// `SYNC_RUN_BYTES_MAX`
    #[error("one run takes at most {max} bytes; {got} came and are kept, the next page has {more}")]
    Bytes { got: u64, more: u64, max: u64 },
    /// `SYNC_RUN_MAX_MS`
    #[error("one run takes at most {max_ms} ms; what came until then is kept")]
    Time { max_ms: u128 },
}

/// What one run has used so far.
#[derive(Debug)]
pub(super) struct Budget {
    bounds: Bounds,
    begun: Instant,
    items: usize,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            begun: now,
            items: 0,
            bytes: 0,
        }
    }

    /// When the run is over.
    pub(super) fn ends(&self) -> Instant {
        self.begun + self.bounds.run
    }

    /// Free bytes that stay on the disk.
    pub(super) fn disk_free(&self) -> u64 {
        self.bounds.disk_free
    }

    pub(super) fn out_of_time(&self) -> Spent {
        Spent::Time {
            max_ms: self.bounds.run.as_millis(),
        }
    }

    /// For who follows: the next run begins when this one is over.
    pub(super) fn renew(&mut self, now: Instant) {
        if now >= self.ends() {
            *self = Self::new(self.bounds, now);
        }
    }

    /// Takes a page into account; on an error it is not to be kept.
    pub(super) fn charge(&mut self, items: usize, bytes: usize) -> Result<(), Spent> {
        // Pages without items are written nowhere, but a home could send them for ever.
        let more = items.max(1);
        let (got, max) = (self.items, self.bounds.items);
        if got + more > max {
            return Err(Spent::Items { got, more, max });
        }
        let cost = match items {
            0 => 0,
            _ => (bytes as u64).next_multiple_of(PAGE_COST_MIN),
        };
        let (sum, max) = (self.bytes, self.bounds.bytes);
        if sum + cost > max {
            return Err(Spent::Bytes {
                got: sum,
                more: cost,
                max,
            });
        }
        self.items = got + more;
        self.bytes = sum + cost;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MBX-5.8
    #[test]
    fn r15_a_run_takes_its_most_and_not_one_more() {
        let now = Instant::now();
        let of = |items, bytes| Bounds {
            items,
            bytes,
            ..Bounds::default()
        };
        let mut budget = Budget::new(of(257, 1 << 30), now);
        budget.charge(256, 10_000).expect("within");
        let spent = budget.charge(2, 100).expect_err("258");
        assert_eq!(
            spent,
            Spent::Items {
                got: 256,
                more: 2,
                max: 257
            }
        );
        budget.charge(1, 100).expect("257");
        // Nothing is taken by a page that is refused, and an empty one counts too.
        assert!(matches!(budget.charge(0, 0), Err(Spent::Items { .. })));

        let mut budget = Budget::new(of(1_000, 3 * PAGE_COST_MIN), now);
        budget.charge(1, 1).expect("one block");
        budget.charge(0, 1).expect("an empty page is not written");
        let over = 2 * PAGE_COST_MIN as usize + 1;
        let spent = budget.charge(1, over).expect_err("four blocks");
        assert_eq!(
            spent,
            Spent::Bytes {
                got: PAGE_COST_MIN,
                more: 3 * PAGE_COST_MIN,
                max: 3 * PAGE_COST_MIN
            }
        );
        budget.charge(1, over - 1).expect("three blocks");

        budget.renew(budget.ends() - Duration::from_millis(1));
        assert!(budget.charge(1, 1).is_err(), "the run is not over");
        budget.renew(budget.ends());
        budget.charge(1, over).expect("the next run");
    }

    /// SES-8.2
    #[test]
    fn the_default_is_the_specification() {
        let bounds = Bounds::default();
        assert_eq!(bounds.items, limits::SYNC_RUN_ITEMS_MAX);
        assert_eq!(bounds.bytes, limits::SYNC_RUN_BYTES_MAX);
        assert_eq!(bounds.run.as_millis(), limits::SYNC_RUN_MAX_MS.into());
        assert_eq!(bounds.silence.as_millis(), limits::REPLY_TIMEOUT_MS.into());
        assert_eq!(bounds.disk_free, limits::DISK_FREE_MIN);
        // A run always gets on by a page, whatever its size.
        assert!(bounds.items >= limits::SYNC_ITEMS_MAX);
        assert!(bounds.bytes >= 2 * limits::FRAME_MAX as u64);
    }
}
