//! R3: two independently written validators, the suite's and an implementation's, judge the same generated
//! envelopes. In: a harness command, a number and a seed. Out: how often each verdict fell, and where they differ.
//! A case is made from the seed and its number alone, so any one can be made again.

pub mod generate;
mod mutate;
pub mod random;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use generate::{Case, Generator};

use crate::config::Harness;
use crate::harness::{Answer, HarnessError, Process, own};

/// Requests in flight to one harness process.
const IN_FLIGHT: u64 = 256;
/// Differences kept for the report; all are counted.
const SHOWN_MAX: usize = 10;

/// A case on which the two validators differ.
#[derive(Clone, Debug)]
pub struct Difference {
    pub number: u64,
    pub mutation: &'static str,
    pub suite: String,
    pub implementation: String,
    pub request: Value,
}

/// What a run found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub cases: u64,
    /// The suite's verdicts by code; `accepted` is one.
    pub verdicts: BTreeMap<String, u64>,
    /// One accepted what the other refused, or they read different things.
    pub verdict_differences: u64,
    /// Both refused, for different reasons.
    pub code_differences: u64,
    pub shown: Vec<Difference>,
    pub took: Duration,
}

impl Found {
    pub fn per_second(&self) -> f64 {
        self.cases as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.verdict_differences += other.verdict_differences;
        self.code_differences += other.code_differences;
        for (verdict, count) in other.verdicts {
            *self.verdicts.entry(verdict).or_default() += count;
        }
        self.shown.extend(other.shown);
        self.shown.sort_by_key(|difference| difference.number);
        self.shown.truncate(SHOWN_MAX);
    }
}

/// Judges cases `from..from + count` with one harness process per worker. `progress` counts the cases done.
pub fn run(
    harness: &Harness,
    seed: u64,
    from: u64,
    count: u64,
    workers: u64,
    progress: &AtomicU64,
) -> Result<Found, HarnessError> {
    let begun = Instant::now();
    let workers = workers.clamp(1, count.max(1));
    let mut found = Found::default();
    let parts: Vec<Result<Found, HarnessError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let (first, last) = (
                    from + count * worker / workers,
                    from + count * (worker + 1) / workers,
                );
                scope.spawn(move || judge(harness, seed, first, last, progress))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a worker does not panic"))
            .collect()
    });
    for part in parts {
        found.add(part?);
    }
    found.took = begun.elapsed();
    Ok(found)
}

fn judge(
    harness: &Harness,
    seed: u64,
    first: u64,
    last: u64,
    progress: &AtomicU64,
) -> Result<Found, HarnessError> {
    let mut process = Process::start(harness)?;
    let generator = Generator::new(seed);
    let mut found = Found::default();
    let mut at = first;
    while at < last {
        let until = last.min(at + IN_FLIGHT);
        let cases: Vec<Case> = (at..until).map(|number| generator.case(number)).collect();
        for case in &cases {
            process.send(&case.number.to_string(), "envelope.check", &case.input)?;
        }
        process.flush()?;
        // While the harness works, so does the suite.
        let ours: Vec<Answer> = cases
            .iter()
            .map(|case| own::answer("envelope.check", &case.input))
            .collect();
        for (case, suite) in cases.into_iter().zip(ours) {
            let implementation = process.receive(&case.number.to_string())?;
            compare(&mut found, case, suite, implementation);
        }
        progress.fetch_add(until - at, Ordering::Relaxed);
        at = until;
    }
    Ok(found)
}

fn compare(found: &mut Found, case: Case, suite: Answer, implementation: Answer) {
    found.cases += 1;
    let verdict = match &suite {
        Answer::Ok(_) => "accepted".to_owned(),
        Answer::Refused(code) => code.clone(),
        other => other.to_string(),
    };
    *found.verdicts.entry(verdict).or_default() += 1;
    if implementation.satisfies(&suite) {
        return;
    }
    match (&suite, &implementation) {
        (Answer::Refused(_), Answer::Refused(_)) => found.code_differences += 1,
        _ => found.verdict_differences += 1,
    }
    if found.shown.len() < SHOWN_MAX {
        found.shown.push(Difference {
            number: case.number,
            mutation: case.mutation,
            suite: suite.to_string(),
            implementation: implementation.to_string(),
            request: case.input,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generator_reaches_every_verdict_of_an_envelope() {
        let generator = Generator::new(1);
        let mut verdicts: BTreeMap<String, u64> = BTreeMap::new();
        for number in 0..6_000 {
            let answer = own::answer("envelope.check", &generator.case(number).input);
            let name = match answer {
                Answer::Ok(_) => "accepted".to_owned(),
                Answer::Refused(code) => code,
                other => panic!("case {number}: {other}"),
            };
            *verdicts.entry(name).or_default() += 1;
        }
        for expected in [
            "accepted",
            "DECODE",
            "NOT_CANONICAL",
            "ENVELOPE_TOO_LARGE",
            "BAD_INCLUSION",
            "SIGNATURE_COUNT",
            "TOO_MANY",
            "FIELD_MISSING",
            "FIELD_INVALID",
            "UNSUPPORTED_VERSION",
            "LIFETIME_TOO_LONG",
            "TOO_LONG",
            "UNKNOWN_CRITICAL_EXTENSION",
            "UNKNOWN_SUITE",
            "EXPIRED",
            "NOT_YET_VALID",
            "UNKNOWN_KEY",
            "BAD_SIGNATURE",
            "WEAK_KEY",
        ] {
            assert!(
                verdicts.contains_key(expected),
                "{expected} never fell in {verdicts:?}"
            );
        }
        assert!(verdicts["accepted"] > 1_000, "{verdicts:?}");
    }

    #[test]
    fn r23_a_case_is_made_again_from_its_seed_and_number() {
        for number in [0, 1, 4_711] {
            assert_eq!(
                Generator::new(7).case(number).input,
                Generator::new(7).case(number).input
            );
        }
        assert_ne!(
            Generator::new(7).case(1).input,
            Generator::new(8).case(1).input
        );
    }

    #[test]
    fn a_validator_that_says_yes_to_everything_is_found_out() {
        let command = ["sh", "-c", r#"while IFS= read -r l; do i=${l#*\"id\":\"}; echo "{\"id\":\"${i%%\"*}\",\"ok\":{}}"; done"#]
            .map(str::to_owned);
        let found = run(
            &Harness::new(command.to_vec(), std::path::Path::new(".")),
            1,
            0,
            200,
            2,
            &AtomicU64::new(0),
        )
        .expect("sh answers");
        assert_eq!(found.cases, 200);
        assert_eq!(found.code_differences, 0);
        // Nothing is right: an accepted envelope must also say what it says.
        assert_eq!(found.verdict_differences, 200);
        assert_eq!(found.shown.len(), SHOWN_MAX);
    }
}
