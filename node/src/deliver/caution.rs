//! Which letter breaks its home, and which home only breaks (R2, CUS-6.5).
//!
//! A connection that is lost while one letter was alone on its way throws suspicion on the letter, or on
//! the home. It is the letter only if others get through between its failures. One that is alone in its queue is
//! convicted by nobody, so what is never answered is kept for the operator to see.

use std::collections::HashMap;
use std::sync::Arc;

use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::limits::POISON_TRIES_MAX;

/// Letters under suspicion at once; the next ones wait for these.
const SUSPECTS_MAX: usize = 64;

/// A connection breaks now and then; what was on its way twice is worth a look.
const STUCK_AFTER_TRIES: u32 = 2;

/// How forwarding goes on after something went wrong.
#[derive(Debug, Default)]
pub struct Caution {
    suspects: HashMap<EnvelopeId, Suspect>,
    /// Letters that were answered since the start.
    answered: u64,
    /// So many envelopes go one at a time: those that were together on their way when the
    /// connection broke. Whoever breaks it is found among them.
    one_at_a_time: usize,
    /// On their way when a connection broke, and not answered since: in the order of their first failure, at most
    /// `SUSPECTS_MAX`.
    unanswered: Vec<Stuck>,
}

/// A letter that the home does not answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stuck {
    /// Which.
    pub envelope: EnvelopeId,
    /// How often it was on its way when a connection broke.
    pub tries: u32,
    /// The first time.
    pub since: Timestamp,
    /// What broke the connection the last time.
    pub reason: Arc<str>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Suspect {
    /// Failures between which another letter got through.
    failures: u32,
    /// All of them.
    tries: u32,
    answered: u64,
}

impl Caution {
    /// Whether envelopes go one at a time.
    pub fn is_careful(&self) -> bool {
        self.one_at_a_time > 0
    }

    /// Whether a letter waits until the others were sent.
    pub fn suspects(&self, id: &EnvelopeId) -> bool {
        self.suspects.contains_key(id)
    }

    /// How often a connection was lost with this letter.
    pub fn tries(&self, id: &EnvelopeId) -> u32 {
        self.suspects.get(id).map_or(0, |suspect| suspect.tries)
    }

    /// The home answered: whatever broke the connection before, it was not one of these.
    pub fn answered(&mut self, ids: &[EnvelopeId]) {
        self.answered += ids.len() as u64;
        self.one_at_a_time = self.one_at_a_time.saturating_sub(ids.len());
        for id in ids {
            self.suspects.remove(id);
        }
        self.unanswered
            .retain(|stuck| !ids.contains(&stuck.envelope));
    }

    /// The connection broke with these on their way, by whosever fault.
    pub fn unanswered(&mut self, unsettled: &[EnvelopeId], reason: &str, now: Timestamp) {
        let reason: Arc<str> = reason.into();
        for id in unsettled {
            let known = self.unanswered.iter();
            let known = known.enumerate().find(|(_, stuck)| stuck.envelope == *id);
            if let Some((place, _)) = known {
                let stuck = &mut self.unanswered[place];
                stuck.tries = stuck.tries.saturating_add(1);
                stuck.reason = Arc::clone(&reason);
            } else if self.unanswered.len() < SUSPECTS_MAX {
                self.unanswered.push(Stuck {
                    envelope: *id,
                    tries: 1,
                    since: now,
                    reason: Arc::clone(&reason),
                });
            }
        }
    }

    /// The letter that has been without an answer for the longest, if that is more than an accident.
    pub fn stuck(&self) -> Option<&Stuck> {
        let mut unanswered = self.unanswered.iter();
        unanswered.find(|stuck| stuck.tries >= STUCK_AFTER_TRIES)
    }

    /// The connection broke with these on their way. Gives the one that is convicted by that.
    pub fn broke(&mut self, unsettled: &[EnvelopeId]) -> Option<EnvelopeId> {
        let known = |id: &EnvelopeId| self.suspects.contains_key(id);
        let alone = self.is_careful() || unsettled.iter().all(known);
        self.one_at_a_time = self.one_at_a_time.max(unsettled.len());
        let (true, [id]) = (alone, unsettled) else {
            return None;
        };
        if self.suspects.len() >= SUSPECTS_MAX && !self.suspects.contains_key(id) {
            return None;
        }
        let suspect = self.suspects.entry(*id).or_default();
        suspect.tries = suspect.tries.saturating_add(1);
        // A home that answers nobody proves nothing against one letter.
        if suspect.failures == 0 || self.answered > suspect.answered {
            suspect.failures += 1;
        }
        suspect.answered = self.answered;
        if suspect.failures < POISON_TRIES_MAX {
            return None;
        }
        self.suspects.remove(id);
        self.unanswered.retain(|stuck| stuck.envelope != *id);
        Some(*id)
    }

    /// Forgets those that are not in the queue any more.
    pub fn keep_only(&mut self, waiting: impl Fn(&EnvelopeId) -> bool) {
        self.suspects.retain(|id, _| waiting(id));
        self.unanswered.retain(|stuck| waiting(&stuck.envelope));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> EnvelopeId {
        EnvelopeId::new([byte; 32])
    }

    /// CUS-6.5
    #[test]
    fn r2_a_letter_is_convicted_only_if_others_get_through_between_its_failures() {
        let mut caution = Caution::default();
        assert_eq!(caution.broke(&[id(1), id(2)]), None);
        assert!(caution.is_careful());
        for _ in 0..10 * POISON_TRIES_MAX {
            assert_eq!(caution.broke(&[id(1)]), None, "nobody gets through");
        }
        for n in 1..POISON_TRIES_MAX {
            caution.answered(&[id(9)]);
            let convicted = caution.broke(&[id(1)]);
            let expected = (n + 1 == POISON_TRIES_MAX).then_some(id(1));
            assert_eq!(convicted, expected, "{n}");
        }
        assert!(!caution.suspects(&id(1)));
    }

    #[test]
    fn a_letter_that_is_answered_is_no_suspect() {
        let mut caution = Caution::default();
        caution.broke(&[id(1), id(2)]);
        caution.broke(&[id(1)]);
        assert!(caution.suspects(&id(1)));
        caution.answered(&[id(1), id(2)]);
        assert!(!caution.suspects(&id(1)) && !caution.is_careful());
    }

    /// CUS-6.5
    #[test]
    fn r2_a_letter_that_is_alone_and_never_answered_is_shown_with_its_tries() {
        let at = Timestamp::from_ms;
        let mut caution = Caution::default();
        caution.unanswered(&[id(1)], "closed", at(1));
        assert_eq!(caution.stuck(), None, "a connection breaks now and then");
        caution.unanswered(&[id(2), id(1)], "closed again", at(2));
        caution.unanswered(&[id(2)], "reset", at(3));
        let expected = Stuck {
            envelope: id(1),
            tries: 2,
            since: at(1),
            reason: "closed again".into(),
        };
        assert_eq!(caution.stuck(), Some(&expected), "the oldest");
        caution.answered(&[id(1)]);
        assert_eq!(
            caution.stuck().map(|stuck| (stuck.envelope, stuck.tries)),
            Some((id(2), 2))
        );
        caution.keep_only(|_| false);
        assert_eq!(caution.stuck(), None, "it has left the queue");
    }

    #[test]
    fn r15_the_letters_without_an_answer_that_are_kept_are_bounded() {
        let ids: Vec<EnvelopeId> = (0..=SUSPECTS_MAX as u8).map(id).collect();
        let mut caution = Caution::default();
        caution.unanswered(&ids, "", Timestamp::from_ms(1));
        assert_eq!(caution.unanswered.len(), SUSPECTS_MAX);
    }

    #[test]
    fn r15_there_are_no_more_suspects_than_the_limit() {
        let mut caution = Caution::default();
        caution.broke(&[id(0), id(1)]);
        for n in 0..=SUSPECTS_MAX as u8 {
            caution.broke(&[id(n)]);
        }
        assert_eq!(caution.suspects.len(), SUSPECTS_MAX);
        assert!(!caution.suspects(&id(SUSPECTS_MAX as u8)));
    }
}
