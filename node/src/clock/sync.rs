//! Can the clock be believed? In: what peers said the time was, and the passing of real time. Out:
//! an alarm and a metric. Quality case 76.
//!
//! Linux tells whether a time daemon disciplines its clock only through `adjtimex(2)`, for which no
//! maintained safe crate exists, and inside a container it tells of the host. So the node looks at
//! what matters to it: every session that it opens begins with the peer's time (`Welcome`), and
//! envelopes from too far in the future are refused
//! (`CLOCK_SKEW_MAX_MS`); the alarm comes well before that. One wrong peer
//! cannot raise or hide it: the median decides. A step of the clock is seen without peers, against
//! the monotonic clock.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;

use super::doubt::{Anchor, Doubt};

/// The alarm: a fifth of what other nodes tolerate, so that there is time to mend it.
pub const ALARM_AT_MS: u64 = CLOCK_SKEW_MAX_MS / 5;
/// A difference between wall-clock and monotonic time that no time daemon makes by slewing.
pub const STEP_AT_MS: u64 = 5_000;
/// Peers remembered; one reading each.
pub const PEERS_MAX: usize = 256;
/// A reading older than this is forgotten.
const READING_KEPT: Duration = Duration::from_secs(3_600);

/// What is known of the clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClockState {
    /// No peer has told its time yet.
    Unknown,
    /// The median peer is this many milliseconds ahead of us (behind, if negative).
    Agrees {
        /// Milliseconds.
        offset_ms: i64,
    },
    /// Case 76: we are likely wrong.
    Unsynchronised {
        /// Milliseconds.
        offset_ms: i64,
    },
}

/// Collects readings. Shared by all dialling tasks.
#[derive(Debug, Default)]
pub struct ClockWatch {
    readings: Mutex<BTreeMap<AuthorityId, Reading>>,
    anchor: Mutex<Option<(Instant, Timestamp)>>,
    believed: Mutex<Anchor>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    offset_ms: i64,
    at: Instant,
}

impl ClockWatch {
    /// At the start of a node that was sure of a time before.
    pub fn after(confirmed: Option<Timestamp>, at: Instant) -> Self {
        Self {
            believed: Mutex::new(Anchor::former(at, confirmed)),
            ..Self::default()
        }
    }

    /// Case 17: why nothing may expire by this time, if so.
    pub fn doubt(&self, at: Instant, now: Timestamp) -> Option<Doubt> {
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        match (believed.look(at, now), self.state(at)) {
            (Some(doubt), _) => Some(doubt),
            (None, ClockState::Unsynchronised { offset_ms }) => Some(Doubt::Peers { offset_ms }),
            (None, ClockState::Unknown | ClockState::Agrees { .. }) => None,
        }
    }

    /// A peer's `Welcome` told `theirs`; we sent our proof at `sent` and had the answer at
    /// `received`. The peer read its clock somewhere between: half-way is the best guess.
    pub fn observe(
        &self,
        peer: &AuthorityId,
        theirs: Timestamp,
        sent: Timestamp,
        received: Timestamp,
        at: Instant,
    ) {
        let ours = sent.plus_ms(received.since_ms(sent) / 2);
        let offset_ms = difference_ms(theirs, ours);
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.retain(|_, reading| at.saturating_duration_since(reading.at) < READING_KEPT);
        if readings.len() < PEERS_MAX || readings.contains_key(peer) {
            readings.insert(peer.clone(), Reading { offset_ms, at });
        }
    }

    /// What the peers' readings say together.
    pub fn state(&self, at: Instant) -> ClockState {
        let readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut offsets: Vec<i64> = readings
            .values()
            .filter(|reading| at.saturating_duration_since(reading.at) < READING_KEPT)
            .map(|reading| reading.offset_ms)
            .collect();
        offsets.sort_unstable();
        let Some(&offset_ms) = offsets.get(offsets.len() / 2) else {
            return ClockState::Unknown;
        };
        if offset_ms.unsigned_abs() >= ALARM_AT_MS {
            ClockState::Unsynchronised { offset_ms }
        } else {
            ClockState::Agrees { offset_ms }
        }
    }

    /// Called regularly with both clocks: milliseconds by which the wall clock jumped since the
    /// call before, if it did.
    pub fn step(&self, at: Instant, now: Timestamp) -> Option<i64> {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let (then_at, then) = anchor.replace((at, now))?;
        let passed = at.saturating_duration_since(then_at).as_millis();
        let expected = then.plus_ms(u64::try_from(passed).unwrap_or(u64::MAX));
        let jump_ms = difference_ms(now, expected);
        (jump_ms.unsigned_abs() >= STEP_AT_MS).then_some(jump_ms)
    }
}

/// `a - b`, as far as an `i64` holds it.
pub(super) fn difference_ms(a: Timestamp, b: Timestamp) -> i64 {
    if a >= b {
        i64::try_from(a.since_ms(b)).unwrap_or(i64::MAX)
    } else {
        i64::try_from(b.since_ms(a)).map_or(i64::MIN, |behind| -behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn peer(number: usize) -> AuthorityId {
        AuthorityId::new(&format!("n{number}.gouv.fr")).unwrap()
    }

    fn watch(offsets_ms: &[i64]) -> (ClockWatch, Instant) {
        let (watch, at) = (ClockWatch::default(), Instant::now());
        for (number, offset) in offsets_ms.iter().enumerate() {
            let theirs = NOON.as_ms().checked_add_signed(*offset).unwrap();
            watch.observe(&peer(number), Timestamp::from_ms(theirs), NOON, NOON, at);
        }
        (watch, at)
    }

    #[test]
    fn case_76_the_alarm_is_raised_by_the_median_peer() {
        let alarm = i64::try_from(ALARM_AT_MS).unwrap();
        for (offsets, expected) in [
            (vec![], ClockState::Unknown),
            (vec![20], ClockState::Agrees { offset_ms: 20 }),
            (
                vec![alarm - 1],
                ClockState::Agrees {
                    offset_ms: alarm - 1,
                },
            ),
            (vec![alarm], ClockState::Unsynchronised { offset_ms: alarm }),
            (
                vec![-alarm],
                ClockState::Unsynchronised { offset_ms: -alarm },
            ),
            // One liar among three neither raises it nor hides it.
            (vec![5, 86_400_000, 7], ClockState::Agrees { offset_ms: 7 }),
            (
                vec![0, alarm + 2, alarm + 1],
                ClockState::Unsynchronised {
                    offset_ms: alarm + 1,
                },
            ),
        ] {
            let (watch, at) = watch(&offsets);
            assert_eq!(watch.state(at), expected, "{offsets:?}");
        }
    }

    #[test]
    fn half_of_the_round_trip_is_taken_off() {
        let (watch, at) = (ClockWatch::default(), Instant::now());
        watch.observe(&peer(0), NOON.plus_ms(100), NOON, NOON.plus_ms(200), at);
        assert_eq!(watch.state(at), ClockState::Agrees { offset_ms: 0 });
    }

    #[test]
    fn an_old_reading_is_forgotten_and_a_peer_counts_once() {
        let (watch, at) = (ClockWatch::default(), Instant::now());
        for _ in 0..3 {
            watch.observe(&peer(0), NOON.plus_ms(900_000), NOON, NOON, at);
        }
        watch.observe(&peer(1), NOON, NOON, NOON, at);
        watch.observe(&peer(2), NOON, NOON, NOON, at);
        assert_eq!(watch.state(at), ClockState::Agrees { offset_ms: 0 });
        assert_eq!(watch.state(at + READING_KEPT), ClockState::Unknown);
    }

    #[test]
    fn r15_one_peer_over_the_limit_is_not_remembered() {
        let (watch, at) = watch(&vec![0; PEERS_MAX]);
        watch.observe(&peer(PEERS_MAX), NOON, NOON, NOON, at);
        assert_eq!(watch.readings.lock().unwrap().len(), PEERS_MAX);
    }

    #[test]
    fn case_17_a_step_of_the_clock_is_seen_in_both_directions() {
        let (watch, at) = (ClockWatch::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(watch.step(at, NOON), None);
        assert_eq!(watch.step(at + second, NOON.plus_ms(1_050)), None);
        assert_eq!(
            watch.step(at + 2 * second, NOON.plus_ms(3_602_050)),
            Some(3_600_000)
        );
        assert_eq!(
            watch.step(at + 3 * second, NOON.plus_ms(3_050)),
            Some(-3_600_000)
        );
        let ten_years_ms = 315_360_000_000;
        assert_eq!(
            watch.step(at + 4 * second, NOON.plus_ms(4_050 + ten_years_ms)),
            Some(i64::try_from(ten_years_ms).unwrap())
        );
    }

    #[test]
    fn case_17_clocks_at_the_ends_of_time_do_not_overflow() {
        let (end, start) = (Timestamp::from_ms(u64::MAX), Timestamp::from_ms(0));
        assert_eq!(difference_ms(end, start), i64::MAX);
        assert_eq!(difference_ms(start, end), i64::MIN);
        assert_eq!(difference_ms(end, end), 0);
    }
}
