//! Token buckets: so much at once, and so much a second after it. Pure.

use std::time::Instant;

/// What may be spent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Never more than `burst`.
    left: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(burst: u64, per_second: u64, now: Instant) -> Self {
        let (burst, per_second) = (burst as f64, per_second as f64);
        Self {
            left: burst,
            burst,
            per_second,
            at: now,
        }
    }

    /// Takes `cost` out. Whether it was there; if not, nothing is taken.
    pub(super) fn take(&mut self, cost: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.left = (self.left + passed * self.per_second).min(self.burst);
        let enough = self.left >= cost as f64;
        if enough {
            self.left -= cost as f64;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time_and_no_more_than_there_was() {
        let began = Instant::now();
        let mut bucket = Bucket::new(10, 2, began);
        assert!(bucket.take(10, began));
        assert!(!bucket.take(1, began));
        let second = began + Duration::from_secs(1);
        assert!(bucket.take(2, second) && !bucket.take(1, second));
        let day = began + Duration::from_secs(86_400);
        assert!(bucket.take(10, day) && !bucket.take(1, day));
        // A clock that steps back gives nothing.
        assert!(!bucket.take(1, began));
    }
}
