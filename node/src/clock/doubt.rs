//! May the wall clock destroy something? In: both clocks, and the last time that was beyond doubt. Out: a
//! [`Doubt`], or none. Quality case 17.
//!
//! What expires is gone for good, and a wall clock can jump ten years. So expiry goes by an anchor: a moment at
//! which the wall clock was believed, and the monotonic clock since. While the two differ by more than a time
//! daemon ever makes by slewing, nothing expires. Before the first anchor of a run stands the last one of the run
//! before, from the disk; how long the node was off nobody knows, so the wall clock may be ahead by
//! [`OFF_MAX_MS`]. What is beyond that a person confirms.

use std::fmt;
use std::time::{Duration, Instant};

use pli_protocol::id::Timestamp;
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;

use super::sync::difference_ms;

/// As far as other nodes tolerate, the clocks may differ.
pub const DIFFERENCE_MAX_MS: u64 = CLOCK_SKEW_MAX_MS;
/// A node that was off for longer asks whether the time is right.
pub const OFF_MAX_MS: u64 = 24 * 60 * 60 * 1_000;
/// The anchor follows what a time daemon slews, but not faster than the bound in this time.
const ANCHOR_KEPT: Duration = Duration::from_secs(3_600);

/// Why the time is not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// The clock jumped while the node runs.
    Jumped {
        /// By so much it is ahead of where it should be (behind, if negative).
        by_ms: i64,
    },
    /// At the start it was not near the last time of the run before.
    Start {
        /// By so much it is ahead of that.
        by_ms: i64,
    },
    /// Case 76: the median peer says otherwise.
    Peers {
        /// By so much the median peer is ahead of us.
        offset_ms: i64,
    },
}

impl fmt::Display for Doubt {
    // Whole minutes: an alarm whose text changes is logged again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE_MS: i64 = 60_000;
        match self {
            Self::Jumped { by_ms } => write!(
                f,
                "the clock was set by {} minutes while the node runs; nothing expires until it is set back, or the node is started again with the right time",
                by_ms / MINUTE_MS
            ),
            Self::Start { by_ms } => write!(
                f,
                "the clock is {} minutes from the last time that this node is sure of; nothing expires. If the clock is right, stop the node and run `pli-node confirm-clock`",
                by_ms / MINUTE_MS
            ),
            Self::Peers { offset_ms } => write!(
                f,
                "the median peer's clock is {offset_ms} ms ahead of ours: check time synchronisation; nothing expires"
            ),
        }
    }
}

/// The last moment at which the wall clock was believed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anchor(State);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Nothing is known: the first look is believed.
    #[default]
    None,
    /// Of the run before, and when this one began.
    Former(Instant, Timestamp),
    /// Of this run.
    Held(Instant, Timestamp),
}

impl Anchor {
    /// At the start: the last time that the run before was sure of.
    pub fn former(at: Instant, confirmed: Option<Timestamp>) -> Self {
        Self(confirmed.map_or(State::None, |confirmed| State::Former(at, confirmed)))
    }

    /// Compares both clocks. What agrees becomes the anchor in time.
    pub fn look(&mut self, at: Instant, now: Timestamp) -> Option<Doubt> {
        let by = |then_at: Instant, then: Timestamp| {
            let passed = at.saturating_duration_since(then_at).as_millis();
            let expected = then.plus_ms(u64::try_from(passed).unwrap_or(u64::MAX));
            difference_ms(now, expected)
        };
        let doubt = match self.0 {
            State::None => None,
            State::Former(then_at, then) => {
                let by_ms = by(then_at, then);
                let within = if by_ms < 0 {
                    DIFFERENCE_MAX_MS
                } else {
                    OFF_MAX_MS
                };
                (by_ms.unsigned_abs() > within).then_some(Doubt::Start { by_ms })
            }
            State::Held(then_at, then) => {
                let by_ms = by(then_at, then);
                let jumped = by_ms.unsigned_abs() > DIFFERENCE_MAX_MS;
                if !jumped && at.saturating_duration_since(then_at) < ANCHOR_KEPT {
                    return None;
                }
                jumped.then_some(Doubt::Jumped { by_ms })
            }
        };
        if doubt.is_none() {
            self.0 = State::Held(at, now);
        }
        doubt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const TEN_YEARS_MS: u64 = 315_360_000_000;

    fn back(ms: u64) -> Timestamp {
        Timestamp::from_ms(NOON.as_ms() - ms)
    }

    #[test]
    fn case_17_a_jump_is_doubted_in_both_directions_until_it_is_set_back() {
        let (mut anchor, at) = (Anchor::default(), Instant::now());
        assert_eq!(anchor.look(at, NOON), None);
        let limit = DIFFERENCE_MAX_MS;
        for (now, expected) in [
            (NOON.plus_ms(limit), false),
            (NOON.plus_ms(limit + 1), true),
            (back(limit), false),
            (back(limit + 1), true),
            (NOON.plus_ms(TEN_YEARS_MS), true),
            (Timestamp::from_ms(0), true),
            (Timestamp::from_ms(u64::MAX), true),
            (NOON, false),
        ] {
            assert_eq!(anchor.look(at, now).is_some(), expected, "{now}");
        }
    }

    #[test]
    fn case_17_waiting_does_not_make_a_jump_believed() {
        let (mut anchor, at) = (Anchor::default(), Instant::now());
        anchor.look(at, NOON);
        for hours in 1..50 {
            let passed = 3_600_000 * hours;
            let (later, jumped) = (
                at + Duration::from_millis(passed),
                NOON.plus_ms(TEN_YEARS_MS),
            );
            assert!(anchor.look(later, jumped.plus_ms(passed)).is_some());
            assert_eq!(anchor.look(later, NOON.plus_ms(passed)), None, "set back");
        }
    }

    #[test]
    fn case_17_small_steps_do_not_add_up_within_an_hour() {
        let (mut anchor, at) = (Anchor::default(), Instant::now());
        let mut doubted = false;
        for second in 0..60 {
            let now = NOON.plus_ms(second * (1_000 + DIFFERENCE_MAX_MS / 10));
            doubted |= anchor.look(at + Duration::from_secs(second), now).is_some();
        }
        assert!(doubted);
    }

    #[test]
    fn case_17_a_start_far_from_the_last_run_is_doubted() {
        let at = Instant::now();
        for (now, expected) in [
            (NOON.plus_ms(OFF_MAX_MS), false),
            (NOON.plus_ms(OFF_MAX_MS + 1), true),
            (back(DIFFERENCE_MAX_MS), false),
            (back(DIFFERENCE_MAX_MS + 1), true),
            (NOON.plus_ms(TEN_YEARS_MS), true),
        ] {
            let mut anchor = Anchor::former(at, Some(NOON));
            let doubt = anchor.look(at, now);
            assert_eq!(doubt.is_some(), expected, "{now}");
            assert_eq!(anchor.look(at, now), doubt, "asking again changes nothing");
        }
        assert_eq!(
            Anchor::former(at, None).look(at, NOON),
            None,
            "the first start"
        );
    }
}
