//! What goes next to one home: read from its two lanes, priority first (CUS-6.2), without what must wait.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::envelope::Letter;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::{BATCH_ENVELOPES_MAX, FRAME_MAX};

use super::caution::Caution;
use super::postponed::{Place, Postponed, index};
use super::undeliverable;
use crate::relay::Relay;
use crate::store::{Lane, PageBound, Pending, StoreError};

/// Room for the envelopes of one frame; the rest is for tags and lengths.
const FRAME_ROOM: usize = FRAME_MAX - BATCH_ENVELOPES_MAX * 4 - 64;
/// Read from the store at once: a task of its own for every frame would cost more than the frame.
const READ_AHEAD: PageBound = PageBound {
    items: 1_024,
    bytes: 4 << 20,
};

/// A suspect has its turn after so many others, however many there are.
const SUSPECT_EVERY: usize = 4_096;

/// A letter and where it stands.
#[derive(Debug)]
pub struct Waiting {
    /// Its place.
    pub at: Place,
    /// The letter.
    pub pending: Pending,
}

/// What was read on this connection. Bounded by `READ_AHEAD` for each lane, and by the bounds of what is
/// tried again and of who is suspected.
#[derive(Debug)]
pub struct Lanes {
    /// How far each lane has been read.
    after: [u64; 2],
    ready: [VecDeque<Waiting>; 2],
    /// Refused before, and due again.
    again: VecDeque<Waiting>,
    /// They go last, and alone.
    suspects: Vec<Waiting>,
    since_suspect: usize,
    /// The priority lane may hold what was not read.
    news: bool,
    /// Both lanes were read to their end.
    at_end: bool,
    /// A part is about to be read once more.
    rewound: bool,
}

/// What the choice depends on.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The node.
    pub relay: &'a Arc<Relay>,
    /// The destination.
    pub home: &'a AuthorityId,
    /// Who is suspected.
    pub caution: &'a mut Caution,
    /// What was put off.
    pub postponed: &'a mut Postponed,
    /// What is on its way.
    pub sent: &'a HashMap<EnvelopeId, Waiting>,
}

impl Lanes {
    /// Nothing was read yet.
    pub fn unread() -> Self {
        Self {
            after: [0; 2],
            ready: Default::default(),
            again: VecDeque::new(),
            suspects: Vec::new(),
            since_suspect: 0,
            news: true,
            at_end: false,
            rewound: false,
        }
    }

    /// Something was stored.
    pub fn has_news(&mut self) {
        self.news = true;
        self.at_end = false;
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.at_end
    }

    /// Whether a part is to be read that was read before. Says so once.
    pub fn take_rewound(&mut self) -> bool {
        std::mem::take(&mut self.rewound)
    }

    /// The next envelopes, as many as a frame takes.
    pub async fn next_batch(
        &mut self,
        choice: &mut Choice<'_>,
    ) -> Result<Vec<Waiting>, StoreError> {
        if self.again.is_empty() {
            if choice.postponed.holds_everything() {
                return Ok(Vec::new());
            }
            self.read(choice).await?;
        }
        if self.since_suspect >= SUSPECT_EVERY && !self.suspects.is_empty() {
            return Ok(self.next_suspect(choice));
        }
        let careful = choice.caution.is_careful();
        let [urgent, bulk] = &mut self.ready;
        let ready = [&mut self.again, urgent, bulk];
        let mut batch = Vec::new();
        if let Some(ready) = ready.into_iter().find(|ready| !ready.is_empty()) {
            let mut room = FRAME_ROOM;
            let most = if careful { 1 } else { BATCH_ENVELOPES_MAX };
            while batch.len() < most {
                let fits = |next: &mut Waiting| next.pending.bytes.len() <= room;
                let Some(next) = ready.pop_front_if(fits) else {
                    break;
                };
                room -= next.pending.bytes.len();
                batch.push(next);
            }
        } else {
            return Ok(self.next_suspect(choice));
        }
        self.since_suspect += batch.len();
        Ok(batch)
    }

    // R2: each in its turn, and nothing else with it.
    fn next_suspect(&mut self, choice: &mut Choice<'_>) -> Vec<Waiting> {
        if !choice.sent.is_empty() {
            return Vec::new();
        }
        if self.at_end {
            // The others have left the queue.
            let suspects = &self.suspects;
            let waits = |id: &EnvelopeId| suspects.iter().any(|waiting| waiting.pending.id == *id);
            choice.caution.keep_only(waits);
        }
        self.since_suspect = 0;
        let tries = |(_, waiting): &(usize, &Waiting)| choice.caution.tries(&waiting.pending.id);
        let next = self.suspects.iter().enumerate().min_by_key(tries);
        let next = next.map(|(place, _)| place);
        next.map(|place| self.suspects.remove(place))
            .into_iter()
            .collect()
    }

    async fn read(&mut self, choice: &mut Choice<'_>) -> Result<(), StoreError> {
        if self.ready[0].is_empty() && self.news {
            self.read_lane(Lane::Priority, choice).await?;
            self.news = !self.ready[0].is_empty();
        }
        if self.ready.iter().all(VecDeque::is_empty) && !self.at_end {
            self.read_lane(Lane::Bulk, choice).await?;
            self.at_end = self.ready[1].is_empty();
        }
        Ok(())
    }

    /// The next page of a lane that has something to send.
    async fn read_lane(&mut self, lane: Lane, choice: &mut Choice<'_>) -> Result<(), StoreError> {
        loop {
            let after = self.after[index(lane)];
            let home = choice.home.clone();
            let page = choice
                .relay
                .on_store(move |store| store.pending(&home, lane, after, READ_AHEAD))
                .await?;
            self.after[index(lane)] = page.next_after;
            give_up(choice.relay, page.damaged).await?;
            for pending in page.items {
                let position = pending.position;
                let at = Place { lane, position };
                self.sort_in(Waiting { at, pending }, choice);
            }
            if !self.ready[index(lane)].is_empty() || page.next_after == after {
                return Ok(());
            }
        }
    }

    fn sort_in(&mut self, waiting: Waiting, choice: &mut Choice<'_>) {
        let id = &waiting.pending.id;
        let same = |other: &Waiting| other.pending.id == *id;
        if choice.sent.contains_key(id) || self.again.iter().any(same) {
            return;
        }
        if choice.caution.suspects(id) {
            if !self.suspects.iter().any(same) {
                self.suspects.push(waiting);
            }
            return;
        }
        let held = !choice.postponed.is_empty()
            && Letter::decode(waiting.pending.bytes.clone())
                .is_ok_and(|letter| choice.postponed.holds(&letter, waiting.at));
        if !held {
            self.ready[index(waiting.at.lane)].push_back(waiting);
        }
    }

    /// Reads the letters that are due to be tried again; what has left its place is not.
    pub async fn try_again(
        &mut self,
        due: Vec<Place>,
        choice: &mut Choice<'_>,
    ) -> Result<(), StoreError> {
        for at in due {
            let home = choice.home.clone();
            let one = PageBound { items: 1, bytes: 1 };
            let page = choice
                .relay
                .on_store(move |store| {
                    store.pending(&home, at.lane, at.position.saturating_sub(1), one)
                })
                .await?;
            give_up(choice.relay, page.damaged).await?;
            let found = page.items.into_iter().next();
            match found.filter(|pending| pending.position == at.position) {
                Some(pending) => {
                    let same = |other: &Waiting| other.pending.id == pending.id;
                    // It may be due for two reasons, one after the other: it goes once.
                    if !choice.sent.contains_key(&pending.id) && !self.again.iter().any(same) {
                        self.again.push_back(Waiting { at, pending });
                    }
                }
                None => {
                    let first = choice.postponed.gone(at);
                    self.read_again(first);
                }
            }
        }
        Ok(())
    }

    /// Reads a part of the lanes once more.
    pub fn read_again(&mut self, first: [Option<u64>; 2]) {
        for (lane, first) in first.into_iter().enumerate() {
            let Some(first) = first else { continue };
            let read = self.ready[lane]
                .drain(..)
                .map(|waiting| waiting.at.position);
            let first = read.fold(first, u64::min);
            self.after[lane] = self.after[lane].min(first.saturating_sub(1));
            self.rewound = true;
            self.has_news();
        }
    }
}

async fn give_up(relay: &Arc<Relay>, damaged: Vec<EnvelopeId>) -> Result<(), StoreError> {
    if damaged.is_empty() {
        return Ok(());
    }
    let damaged = damaged.into_iter().map(|id| (id, Code::Damaged)).collect();
    undeliverable::report(relay, damaged).await
}
