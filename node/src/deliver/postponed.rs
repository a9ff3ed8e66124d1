//! What a home refused for now, by the reason of the refusal, and when it is tried again (CUS-6.3, CUS-6.4).
//!
//! In: refusals that are not for good. Out: which letters wait with them, and one letter to try when the
//! time has come. As long as that one is refused, the others of the same reason cost nothing; when it is
//! taken, they follow. In memory alone: after a restart each letter is tried once more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::envelope::{Letter, Sender};
use pli_protocol::id::{EnvelopeId, KeyId, MailboxId};
use pli_protocol::limits::{RETRY_BASE_MS, RETRY_MAX_MS};
use tokio::time::Instant;

use crate::store::Lane;

/// Reasons kept apart, of one destination: about 200 bytes each.
pub const REASONS_MAX: usize = 4_096;
/// Letters tried at once.
const TRIED_AT_ONCE: usize = 64;

/// Which letters a refusal speaks of.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Reason {
    /// Everything for that home.
    Home,
    /// A mailbox is full.
    Mailbox(MailboxId),
    /// A sender has used up its share of a mailbox.
    Share(Sender, MailboxId),
    /// A key.
    Signer(Sender, KeyId),
    /// A sender.
    Sender(Sender),
    /// What a sender may not send: class and importance.
    Kind(Sender, i32, i32),
    /// This very letter.
    Letter(EnvelopeId),
    /// There are too many reasons to keep them apart; these letters hold back no others.
    Others,
}

impl Reason {
    fn of(code: Code, letter: &Letter) -> Self {
        let header = letter.header();
        let (sender, mailbox) = (header.sender.clone(), header.recipient.mailbox);
        match code {
            Code::MailboxFull => Self::Mailbox(mailbox),
            Code::QuotaExceeded => Self::Share(sender, mailbox),
            Code::UnknownKey | Code::KeyNotValid => match letter.signed().key_ids().next() {
                Some(signer) => Self::Signer(sender, signer),
                None => Self::Letter(letter.id()),
            },
            Code::UnknownAuthority | Code::UnknownService | Code::Suspended => Self::Sender(sender),
            Code::ClassNotAllowed => {
                Self::Kind(sender, header.class.number(), header.importance.number())
            }
            Code::NotYetValid => Self::Letter(letter.id()),
            _ => Self::Home,
        }
    }

    fn all(letter: &Letter) -> impl Iterator<Item = Self> {
        let codes = [
            Code::Overloaded,
            Code::MailboxFull,
            Code::QuotaExceeded,
            Code::UnknownKey,
            Code::UnknownService,
            Code::ClassNotAllowed,
            Code::NotYetValid,
        ];
        codes.into_iter().map(|code| Self::of(code, letter))
    }
}

/// Where a letter stands in its queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Which lane.
    pub lane: Lane,
    /// Which position.
    pub position: u64,
}

/// The letters of one reason.
#[derive(Debug)]
struct Delay {
    code: Code,
    /// Refusals in a row.
    failures: u32,
    state: State,
    /// The first and the last letter of each lane that waits.
    span: [Option<(u64, u64)>; 2],
    letters: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Waiting(Instant),
    /// One letter is on its way.
    Trying,
    /// It was taken; the others go too.
    Easing,
}

/// What a refusal changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// How long it waits, if that is new: worth a line in the log.
    pub wait: Option<Duration>,
    /// The first of each lane that must be read again.
    pub again: [Option<u64>; 2],
}

/// What was put off at one destination.
#[derive(Debug, Default)]
pub struct Postponed {
    delays: HashMap<Reason, Delay>,
}

impl Postponed {
    /// A letter was refused for now. If it was tried for another reason than it is refused for, that one is over, as
    /// if it had been taken.
    pub fn refused(&mut self, letter: &Letter, code: Code, at: Place, now: Instant) -> Refused {
        let mut reason = Reason::of(code, letter);
        if self.delays.len() >= REASONS_MAX && !self.delays.contains_key(&reason) {
            reason = Reason::Others;
        }
        let mut again = [None; 2];
        for (other, delay) in &mut self.delays {
            if *other != reason && delay.state == State::Trying && delay.first() == Some(at) {
                let eased = delay.ease(delay.failures / 2);
                again = earlier(again, eased);
            }
        }
        let delay = self.delays.entry(reason).or_insert_with(|| Delay {
            code,
            failures: 0,
            state: State::Easing,
            span: [None; 2],
            letters: 0,
        });
        delay.code = code;
        if delay.state != State::Trying || delay.first() != Some(at) {
            // It was on its way when the first of them was refused.
            delay.add(at);
        }
        if let State::Waiting(_) = delay.state {
            return Refused { wait: None, again };
        }
        delay.failures = delay.failures.saturating_add(1);
        let wait = backoff(delay.failures);
        delay.state = State::Waiting(now + wait);
        let wait = Some(wait);
        Refused { wait, again }
    }

    /// Whether a letter that was read waits with others.
    pub fn holds(&mut self, letter: &Letter, at: Place) -> bool {
        let mut held = false;
        for reason in Reason::all(letter) {
            let Some(delay) = self.delays.get_mut(&reason) else {
                continue;
            };
            if delay.state != State::Easing {
                delay.count(at);
                held = true;
            }
        }
        held
    }

    /// A letter was taken, or refused for good: those that waited with it may go. Gives the first of each
    /// lane if they must be read again.
    pub fn answered(&mut self, letter: &Letter) -> [Option<u64>; 2] {
        let mut first = [None; 2];
        let reasons = Reason::all(letter).chain([Reason::Others]);
        for reason in reasons {
            let Some(delay) = self.delays.get_mut(&reason) else {
                continue;
            };
            if delay.state == State::Trying {
                let again = delay.ease(delay.failures / 2);
                first = earlier(first, again);
            }
        }
        first
    }

    /// Where the letters stand that are to be tried now, each once.
    pub fn due(&mut self, now: Instant) -> Vec<Place> {
        let due = self.delays.values_mut().filter(|delay| match delay.state {
            State::Waiting(until) => until <= now,
            _ => false,
        });
        let tried = due.take(TRIED_AT_ONCE).filter_map(|delay| {
            delay.state = State::Trying;
            delay.first()
        });
        let mut places = Vec::new();
        for place in tried {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// The letter that was to be tried is not there any more: those that wait with it are read again.
    pub fn gone(&mut self, at: Place) -> [Option<u64>; 2] {
        let mut first = [None; 2];
        for delay in self.delays.values_mut() {
            if delay.state == State::Trying && delay.first() == Some(at) {
                let again = delay.ease(delay.failures);
                first = earlier(first, again);
            }
        }
        first
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Instant> {
        let waits = self.delays.values().filter_map(|delay| match delay.state {
            State::Waiting(until) => Some(until),
            _ => None,
        });
        waits.min()
    }

    /// Everything was read and answered: what nothing waits for any more is forgotten.
    pub fn settled(&mut self) {
        self.delays.retain(|_, delay| delay.state != State::Easing);
    }

    /// The connection is gone, and with it what was tried. All is read, and counted, again.
    pub fn interrupted(&mut self, now: Instant) {
        for delay in self.delays.values_mut() {
            delay.letters = 0;
            for (first, last) in delay.span.iter_mut().flatten() {
                *last = first.saturating_sub(1);
            }
            if delay.state == State::Trying {
                delay.state = State::Waiting(now + backoff(delay.failures));
            }
        }
    }

    /// CUS-6.3: the home was heard from. Whether it had refused everything.
    pub fn heard(&mut self, now: Instant) -> bool {
        match self.delays.get_mut(&Reason::Home) {
            Some(delay) if matches!(delay.state, State::Waiting(_)) => {
                delay.state = State::Waiting(now);
                true
            }
            _ => false,
        }
    }

    /// Whether the home refused everything: nothing else is read or sent until that is over.
    pub fn holds_everything(&self) -> bool {
        let home = self.delays.get(&Reason::Home);
        home.is_some_and(|delay| delay.state != State::Easing)
    }

    /// Whether nothing is put off.
    pub fn is_empty(&self) -> bool {
        self.delays.is_empty()
    }

    /// How many letters wait, by the code of the refusal.
    pub fn counts(&self) -> BTreeMap<Code, u64> {
        let mut counts = BTreeMap::new();
        for delay in self.delays.values() {
            if delay.state != State::Easing {
                *counts.entry(delay.code).or_default() += delay.letters;
            }
        }
        counts
    }
}

impl Delay {
    /// A letter was read that waits with them; perhaps not for the first time.
    fn count(&mut self, at: Place) {
        let last = self.span[index(at.lane)].map(|(_, last)| last);
        // Positions ascend: what is not after the last was counted.
        if last.is_none_or(|last| at.position > last) {
            self.add(at);
        }
    }

    fn add(&mut self, at: Place) {
        let span = &mut self.span[index(at.lane)];
        let (first, last) = span.unwrap_or((at.position, at.position));
        *span = Some((first.min(at.position), last.max(at.position)));
        self.letters += 1;
    }

    fn first(&self) -> Option<Place> {
        let lanes = [Lane::Priority, Lane::Bulk];
        lanes.into_iter().find_map(|lane| {
            let (position, _) = self.span[index(lane)]?;
            Some(Place { lane, position })
        })
    }

    fn ease(&mut self, failures: u32) -> [Option<u64>; 2] {
        let others = self.letters > 1;
        self.failures = failures;
        self.state = State::Easing;
        self.letters = 0;
        let span = std::mem::take(&mut self.span);
        span.map(|span| span.filter(|_| others).map(|(first, _)| first))
    }
}

/// The place of a lane in an array of two.
pub fn index(lane: Lane) -> usize {
    match lane {
        Lane::Priority => 0,
        Lane::Bulk => 1,
    }
}

fn earlier(one: [Option<u64>; 2], other: [Option<u64>; 2]) -> [Option<u64>; 2] {
    let least = |lane: usize| one[lane].into_iter().chain(other[lane]).min();
    [least(0), least(1)]
}

/// CUS-6.3: exponential with full jitter over its upper half, so that peers do not return together.
pub fn backoff(failures: u32) -> Duration {
    let exponent = failures.saturating_sub(1).min(16);
    let ceiling = RETRY_BASE_MS
        .saturating_mul(1 << exponent)
        .min(RETRY_MAX_MS);
    let mut random = [0; 8];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::warn!(%error, "no jitter in this wait");
    }
    let jitter = u64::from_le_bytes(random) % (ceiling / 2 + 1);
    Duration::from_millis(ceiling / 2 + jitter)
}

#[cfg(test)]
mod tests;
