//! Those who settle at the same moment share one write and one fsync.
//!
//! Each leaves what it has, then waits for the writer. Whoever gets it settles for all that are there, and the
//! others find their answers when their turn comes. A home takes its devices' receipts in this way: alone, each
//! would wait for an fsync of its own, one after the other.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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
    answer: Arc<OnceLock<Answer>>,
}

impl Request {
    fn records(&self) -> usize {
        self.settlements.len() + self.reports.len()
    }
}

/// Those who wait. Bounded by the callers: each has one request here.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<VecDeque<Request>>);

impl Requests {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first ones, as many as one group takes.
    fn take(&self) -> Vec<Request> {
        let mut queue = self.queue();
        let (mut records, mut bytes) = (0, 0);
        let fits = |request: &Request| {
            records += request.records();
            bytes += bytes_of(&request.settlements, &request.reports);
            records <= GROUP_RECORDS_MAX && bytes <= GROUP_BYTES_MAX
        };
        let count = queue.iter().map(fits).take_while(|fits| *fits).count();
        queue.drain(..count).collect()
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
        let answer = Arc::default();
        self.requests.queue().push_back(Request {
            settlements: settlements.to_vec(),
            reports: reports.to_vec(),
            answer: Arc::clone(&answer),
        });
        let mut writer = self.writer();
        loop {
            if let Some(answer) = answer.get() {
                return repeat(answer);
            }
            let some = self.requests.take();
            if some.is_empty() {
                let source = io::Error::other("whoever settled for this one did not end");
                return Err(self.fatal("settling", source));
            }
            self.settle_some(&mut writer, some);
        }
    }

    fn settle_some(&self, writer: &mut Writer, some: Vec<Request>) {
        let result = self.alive().and_then(|()| self.settle_all(writer, &some));
        for (index, request) in some.iter().enumerate() {
            let answer = match &result {
                Ok(settled) => Ok(settled[index]),
                Err(error) => Err(error.repeat()),
            };
            let first = request.answer.set(answer);
            first.expect("a request is taken from the queue once");
        }
    }
}

fn repeat(answer: &Answer) -> Answer {
    match answer {
        Ok(settled) => Ok(*settled),
        Err(error) => Err(error.repeat()),
    }
}
