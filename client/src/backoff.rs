//! How long to wait before the next attempt: doubling, with jitter, so that a thousand clients of
//! a node that comes back do not come back in the same instant (case 34).

use std::time::Duration;

const FIRST_MS: u64 = 200;
const LONGEST_MS: u64 = 15_000;

/// Delays between attempts.
#[derive(Debug)]
pub(crate) struct Backoff {
    next_ms: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next_ms: FIRST_MS }
    }

    /// Something worked.
    pub(crate) fn reset(&mut self) {
        self.next_ms = FIRST_MS;
    }

    /// Between half of the delay and the whole of it.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let whole = self.next_ms;
        self.next_ms = (whole * 2).min(LONGEST_MS);
        let mut random = [0; 2];
        // Without randomness the delay is only less scattered.
        let _ = getrandom::fill(&mut random);
        let share = u64::from(u16::from_le_bytes(random));
        Duration::from_millis(whole / 2 + whole * share / (2 * u64::from(u16::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::new();
        let mut expected = FIRST_MS;
        for _ in 0..20 {
            let delay = backoff.next_delay().as_millis() as u64;
            assert!(
                (expected / 2..=expected).contains(&delay),
                "{delay} of {expected}"
            );
            expected = (expected * 2).min(LONGEST_MS);
        }
        backoff.reset();
        assert!(backoff.next_delay().as_millis() as u64 <= FIRST_MS);
    }
}
