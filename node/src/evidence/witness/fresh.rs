//! How fresh the cosignatures of this node's log are (EVD-9, R13).
//!
//! In: cosignatures that verified. Out: whether new envelopes may be accepted: evidence that no witness confirms is a
//! promise that nobody could hold this node to.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use pli_protocol::evidence::Cosignature;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::{WITNESS_ALARM_MS, WITNESS_FRESH_MS};
use pli_protocol::trust::Directory;

use crate::alarm::Alarms;
use crate::metrics::AlarmKind;

/// When the witnesses last cosigned.
#[derive(Debug, Default)]
pub struct Witnessed(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Bounded by the authorities that there are.
    last: BTreeMap<AuthorityId, Timestamp>,
    /// Since when there is something to cosign.
    owed: Option<Timestamp>,
    /// Since when fewer than are needed have ever cosigned.
    short: Option<Timestamp>,
}

/// Too few witnesses have cosigned lately.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{needed} other node(s) must cosign this node's log, and fewer have since {since}: check that the others' `http` \
     addresses can be reached from here"
)]
pub struct Stale {
    /// How many are needed.
    pub needed: usize,
    /// When so many last did.
    pub since: Timestamp,
    age_ms: u64,
}

impl Stale {
    /// EVD-9.2: whether nothing new may be accepted.
    pub fn refuses(&self) -> bool {
        self.age_ms >= WITNESS_FRESH_MS
    }
}

impl Witnessed {
    /// There is a checkpoint to cosign since then; the first word counts.
    pub fn owes(&self, since: Timestamp) {
        self.0.lock().owed.get_or_insert(since);
    }

    /// When each witness last cosigned, by its own clock.
    pub fn all(&self) -> Vec<(AuthorityId, Timestamp)> {
        let seen = self.0.lock();
        let last = seen.last.iter();
        last.map(|(authority, at)| (authority.clone(), *at))
            .collect()
    }

    /// A witness has cosigned.
    pub fn saw(&self, cosignature: &Cosignature) {
        let mut seen = self.0.lock();
        let last = seen.last.entry(cosignature.witness.clone()).or_default();
        *last = cosignature.at.max(*last);
    }

    /// When each witness last cosigned.
    pub fn last(&self) -> BTreeMap<AuthorityId, Timestamp> {
        self.0.lock().last.clone()
    }

    /// How many authorities of the directory have cosigned within `WITNESS_ALARM_MS`.
    pub fn reached(&self, directory: &Directory, now: Timestamp) -> usize {
        let seen = self.0.lock();
        let fresh = seen.last.iter().filter(|(witness, at)| {
            now.since_ms(**at) < WITNESS_ALARM_MS && !directory.log_keys(witness, now).is_empty()
        });
        fresh.count()
    }

    /// Whether enough witnesses have cosigned within `WITNESS_ALARM_MS`.
    pub fn check(&self, directory: &Directory, now: Timestamp) -> Result<(), Stale> {
        let listed = |witness: &AuthorityId| !directory.log_keys(witness, now).is_empty();
        match directory.policy().witnesses {
            0 => Ok(()),
            needed => self.judge(needed, listed, now),
        }
    }

    /// EVD-9.1: what counts is when the last one of as many as are needed did.
    fn judge(
        &self,
        needed: usize,
        listed: impl Fn(&AuthorityId) -> bool,
        now: Timestamp,
    ) -> Result<(), Stale> {
        let mut seen = self.0.lock();
        let counted = seen.last.iter().filter(|(witness, _)| listed(witness));
        let mut times: Vec<Timestamp> = counted.map(|(_, at)| *at).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let since = match times.get(needed - 1) {
            Some(at) => {
                seen.short = None;
                *at
            }
            None => {
                let from = times.first().copied().or(seen.owed);
                let Some(from) = from else { return Ok(()) };
                *seen.short.get_or_insert(from)
            }
        };
        let age_ms = now.since_ms(since);
        match age_ms < WITNESS_ALARM_MS {
            true => Ok(()),
            false => Err(Stale {
                needed,
                since,
                age_ms,
            }),
        }
    }

    /// EVD-9.2: whether nothing new may be accepted.
    pub fn refuses(&self, directory: &Directory, now: Timestamp) -> Option<Stale> {
        self.check(directory, now).err().filter(Stale::refuses)
    }

    /// Raises or clears the alarm, which comes well before the refusals.
    pub fn look(&self, directory: &Directory, alarms: &Alarms, now: Timestamp) {
        let stale = self.check(directory, now).err();
        let detail = stale.map(|stale| match stale.refuses() {
            true => format!("{stale}; nothing new is accepted until they do"),
            false => stale.to_string(),
        });
        alarms.set(AlarmKind::Unwitnessed, now, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::witness::fixture::directory;
    use pli_protocol::crypto::sign::SigningKey;

    const NOON: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn by(name: &str, at: Timestamp) -> Cosignature {
        Cosignature {
            witness: name.parse().unwrap(),
            at,
            key: *SigningKey::from_seed(&[1; 32]).public(),
        }
    }

    fn refused(witnessed: &Witnessed, needed: usize, now: Timestamp) -> bool {
        witnessed
            .judge(needed, |_| true, now)
            .is_err_and(|stale| stale.refuses())
    }

    #[test]
    fn r13_without_a_fresh_cosignature_first_an_alarm_then_a_refusal() {
        let witnessed = Witnessed::default();
        witnessed.saw(&by("social.gouv.fr", NOON));
        let judge = |ms| witnessed.judge(1, |_| true, NOON.plus_ms(ms));
        assert_eq!(judge(WITNESS_ALARM_MS - 1), Ok(()));
        let alarmed = judge(WITNESS_ALARM_MS).unwrap_err();
        assert!(!alarmed.refuses());
        assert!(!judge(WITNESS_FRESH_MS - 1).unwrap_err().refuses());
        assert!(judge(WITNESS_FRESH_MS).unwrap_err().refuses());
        witnessed.saw(&by("social.gouv.fr", NOON.plus_ms(WITNESS_FRESH_MS)));
        assert_eq!(judge(WITNESS_FRESH_MS), Ok(()));
    }

    /// EVD-9.1
    #[test]
    fn r13_the_slowest_of_those_that_are_needed_counts() {
        let witnessed = Witnessed::default();
        let later = NOON.plus_ms(WITNESS_FRESH_MS);
        witnessed.saw(&by("social.gouv.fr", NOON));
        witnessed.saw(&by("justice.gouv.fr", later));
        assert!(!refused(&witnessed, 1, later));
        assert!(refused(&witnessed, 2, later));
        let listed = |name: &AuthorityId| name.as_str() != "justice.gouv.fr";
        assert!(
            witnessed.judge(1, listed, later).is_err(),
            "one that left the directory"
        );
    }

    #[test]
    fn r13_too_few_ever_counts_from_when_it_was_noticed_and_not_from_each_new_cosignature() {
        let witnessed = Witnessed::default();
        assert!(!refused(&witnessed, 1, NOON), "nothing to cosign yet");
        witnessed.owes(NOON);
        witnessed.owes(NOON.plus_ms(WITNESS_FRESH_MS));
        assert!(!refused(&witnessed, 1, NOON.plus_ms(WITNESS_FRESH_MS - 1)));
        assert!(refused(&witnessed, 1, NOON.plus_ms(WITNESS_FRESH_MS)));

        let witnessed = Witnessed::default();
        witnessed.saw(&by("social.gouv.fr", NOON));
        assert!(!refused(&witnessed, 2, NOON));
        witnessed.saw(&by("social.gouv.fr", NOON.plus_ms(WITNESS_FRESH_MS)));
        assert!(refused(&witnessed, 2, NOON.plus_ms(WITNESS_FRESH_MS)));
        witnessed.saw(&by("justice.gouv.fr", NOON.plus_ms(WITNESS_FRESH_MS)));
        assert!(!refused(&witnessed, 2, NOON.plus_ms(WITNESS_FRESH_MS)));
    }

    #[test]
    fn evd_9_1_a_witness_is_reached_that_is_listed_and_cosigned_lately() {
        let witnessed = Witnessed::default();
        let directory = directory();
        witnessed.saw(&by("social.gouv.fr", NOON));
        witnessed.saw(&by("justice.gouv.fr", NOON.plus_ms(1)));
        witnessed.saw(&by("ailleurs.example", NOON.plus_ms(1)));
        let reached = |ms| witnessed.reached(&directory, NOON.plus_ms(ms));
        assert_eq!(reached(WITNESS_ALARM_MS - 1), 2);
        assert_eq!(reached(WITNESS_ALARM_MS), 1);
        assert_eq!(reached(WITNESS_ALARM_MS + 1), 0);
    }
}
