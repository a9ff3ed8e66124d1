//! Those who settle at the same moment share one write and one fsync.
//!
//! Each leaves what it has. One of them leads: it takes the writer, settles for all that are there and gives them
//! their answers; then one of those who came meanwhile leads. The others wait for their answer and not for the
//! writer, so that a thousand devices that say what they have stand in the writer's way no more than one does.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use pli_protocol::limits::GROUP_BYTES_MAX;

use super::format::GROUP_RECORDS_MAX;
use super::settle::{bytes_of, check_bounds};
use super::{Engine, Writer};
use crate::store::{Report, Settled, Settlement, StoreError};

type Answer = Result<Settled, StoreError>;

/// What one caller wants to have settled. Its bounds have been checked.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) settlements: Vec<Settlement>,
    pub(super) reports: Vec<Report>,
    caller: Arc<Caller>,
}

impl Request {
    fn records(&self) -> usize {
        self.settlements.len() + self.reports.len()
    }
}

/// Where one caller waits.
#[derive(Debug, Default)]
struct Caller {
    turn: Mutex<Turn>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum Turn {
    #[default]
    Wait,
    Lead,
    Answered(Answer),
}

impl Caller {
    fn tell(&self, turn: Turn) {
        *self.turn.lock() = turn;
        self.changed.notify_one();
    }

    /// `None` if this one is to lead.
    fn wait(&self) -> Option<Answer> {
        let mut turn = self.turn.lock();
        self.changed
            .wait_while(&mut turn, |turn| matches!(turn, Turn::Wait));
        match std::mem::take(&mut *turn) {
            Turn::Answered(answer) => Some(answer),
            Turn::Wait | Turn::Lead => None,
        }
    }
}

/// Those who wait. Bounded by the callers: each has one request here.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Request>,
    /// Invariant: somebody leads while anybody waits.
    is_led: bool,
}

impl Requests {
    fn join(&self, request: Request) {
        let mut queue = self.0.lock();
        if !std::mem::replace(&mut queue.is_led, true) {
            request.caller.tell(Turn::Lead);
        }
        queue.waiting.push_back(request);
    }

    /// The first ones, as many as one group takes.
    fn take(&self) -> Vec<Request> {
        let waiting = &mut self.0.lock().waiting;
        let (mut records, mut bytes) = (0, 0);
        let fits = |request: &Request| {
            records += request.records();
            bytes += bytes_of(&request.settlements, &request.reports);
            records <= GROUP_RECORDS_MAX && bytes <= GROUP_BYTES_MAX
        };
        let count = waiting.iter().map(fits).take_while(|fits| *fits).count();
        waiting.drain(..count).collect()
    }

    fn pass_on(&self) {
        let mut queue = self.0.lock();
        match queue.waiting.front() {
            Some(next) => next.caller.tell(Turn::Lead),
            None => queue.is_led = false,
        }
    }
}

/// The one who settles. However it ends, everybody whose request it took is answered, and the next one leads.
struct Leader<'a> {
    requests: &'a Requests,
    taken: Vec<Request>,
}

impl Leader<'_> {
    fn answer(&mut self, mut answer_of: impl FnMut(usize) -> Answer) {
        for (index, request) in self.taken.drain(..).enumerate() {
            request.caller.tell(Turn::Answered(answer_of(index)));
        }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        // Only a panic leaves any.
        self.answer(|_| {
            let source = io::Error::other("whoever settled for this one did not end");
            Err(StoreError::Fatal {
                doing: "settling",
                source,
            })
        });
        self.requests.pass_on();
    }
}

impl Engine {
    pub(super) fn settle_with_others(
        &self,
        settlements: &[Settlement],
        reports: &[Report],
    ) -> Answer {
        check_bounds(settlements, reports)?;
        if settlements.is_empty() && reports.is_empty() {
            return Ok(Settled::default());
        }
        let caller: Arc<Caller> = Arc::default();
        self.requests.join(Request {
            settlements: settlements.to_vec(),
            reports: reports.to_vec(),
            caller: Arc::clone(&caller),
        });
        // Who leads is the first of the queue: its own answer is among those that it gives.
        loop {
            match caller.wait() {
                Some(answer) => return answer,
                None => self.lead(),
            }
        }
    }

    fn lead(&self) {
        let mut writer = self.writer();
        let mut leader = Leader {
            requests: &self.requests,
            taken: self.requests.take(),
        };
        let result = self.settle_some(&mut writer, &leader.taken);
        drop(writer);
        leader.answer(|index| match &result {
            Ok(settled) => Ok(settled[index]),
            Err(error) => Err(error.repeat()),
        });
    }

    fn settle_some(
        &self,
        writer: &mut Writer,
        some: &[Request],
    ) -> Result<Vec<Settled>, StoreError> {
        self.alive()?;
        self.settle_all(writer, some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(requests: &Requests) -> Arc<Caller> {
        let caller = Arc::<Caller>::default();
        requests.join(Request {
            settlements: Vec::new(),
            reports: Vec::new(),
            caller: Arc::clone(&caller),
        });
        caller
    }

    #[test]
    fn case_56_who_settles_for_others_answers_them_even_if_it_panics_and_the_next_one_leads() {
        let requests = Requests::default();
        let [first, second] = [(); 2].map(|()| join(&requests));
        assert!(first.wait().is_none(), "the first one leads");
        let taken = requests.take();
        let third = join(&requests);
        let leader = Leader {
            requests: &requests,
            taken,
        };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _leader = leader;
            panic!("while it settles");
        }));
        assert!(panicked.is_err());
        for caller in [first, second] {
            assert!(matches!(caller.wait(), Some(Err(StoreError::Fatal { .. }))));
        }
        assert!(third.wait().is_none(), "the third one leads");
        drop(Leader {
            requests: &requests,
            taken: requests.take(),
        });
        assert!(third.wait().is_some());
        assert!(join(&requests).wait().is_none(), "nobody led any more");
    }
}
