//! The table on a terminal or in a pipe. On a terminal the last line shows progress while a case runs;
//! in a pipe there is one plain line per case and nothing is redrawn.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use super::{Level, Outcome, Report, Verdict};

/// What a case answered: a verdict and what was got and expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    pub verdict: Verdict,
    pub detail: String,
}

impl Answer {
    pub fn pass() -> Self {
        Self {
            verdict: Verdict::Pass,
            detail: String::new(),
        }
    }

    pub fn fail(detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            detail: detail.into(),
        }
    }

    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unsupported,
            detail: detail.into(),
        }
    }

    pub fn harness_error(detail: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::HarnessError,
            detail: detail.into(),
        }
    }
}

/// Collects outcomes and shows them as they come, on standard error.
#[derive(Debug)]
pub struct Recorder {
    outcomes: Vec<Outcome>,
    seen: HashSet<(Level, String)>,
    /// Only problems are printed.
    quiet: bool,
    terminal: bool,
}

impl Recorder {
    pub fn new(quiet: bool) -> Self {
        Self {
            outcomes: Vec::new(),
            seen: HashSet::new(),
            quiet,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Says what is running now.
    pub fn begin(&self, level: Level, case: &str) -> Instant {
        if self.terminal {
            let problems = self
                .outcomes
                .iter()
                .filter(|o| o.verdict != Verdict::Pass)
                .count();
            let mut err = std::io::stderr().lock();
            let done = self.outcomes.len();
            let _ = write!(
                err,
                "\r\x1b[K{done} done, {problems} not passed · {} {case}",
                level.name()
            );
            let _ = err.flush();
        }
        Instant::now()
    }

    /// Notes how a case ended.
    pub fn end(
        &mut self,
        level: Level,
        case: &str,
        title: &str,
        requirements: &[&str],
        begun: Instant,
        answer: Answer,
    ) {
        // Two cases of one name would hide each other in the matrix.
        let answer = if self.seen.insert((level, case.to_owned())) {
            answer
        } else {
            Answer::harness_error(format!("a second case is named {case}"))
        };
        let outcome = Outcome {
            level,
            case: case.to_owned(),
            title: title.to_owned(),
            requirements: requirements.iter().map(|id| (*id).to_owned()).collect(),
            verdict: answer.verdict,
            detail: answer.detail,
            took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        self.show(&outcome);
        self.outcomes.push(outcome);
    }

    fn show(&self, outcome: &Outcome) {
        let mut err = std::io::stderr().lock();
        if self.terminal {
            let _ = write!(err, "\r\x1b[K");
        }
        if self.quiet && matches!(outcome.verdict, Verdict::Pass | Verdict::Unsupported) {
            return;
        }
        let _ = writeln!(err, "{}", line(outcome));
    }

    pub fn into_outcomes(self) -> Vec<Outcome> {
        if self.terminal {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
        self.outcomes
    }
}

fn line(outcome: &Outcome) -> String {
    let mut out = format!(
        "{} {:<13} {:<40} {}",
        outcome.level.name(),
        outcome.verdict.word(),
        outcome.case,
        outcome.title,
    );
    if !outcome.detail.is_empty() {
        let _ = write!(out, ": {}", outcome.detail);
    }
    out
}

/// What went wrong, and the counts per level, for the end of a run: the rows above may be thousands.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    for outcome in &report.outcomes {
        if matches!(outcome.verdict, Verdict::Fail | Verdict::HarnessError) {
            out.push_str(&line(outcome));
            out.push('\n');
        }
    }
    let _ = writeln!(out, "{} {}", report.implementation, report.version);
    let _ = write!(out, "{:<14}", "level");
    for verdict in Verdict::ALL {
        let _ = write!(out, "{:>15}", verdict.word());
    }
    out.push('\n');
    for level in Level::ALL {
        let rows: Vec<_> = report
            .outcomes
            .iter()
            .filter(|outcome| outcome.level == level)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(out, "{:<14}", format!("{} {}", level.name(), level.title()));
        for verdict in Verdict::ALL {
            let _ = write!(
                out,
                "{:>15}",
                rows.iter()
                    .filter(|outcome| outcome.verdict == verdict)
                    .count()
            );
        }
        out.push('\n');
    }
    let _ = write!(out, "{:<14}", "all");
    for verdict in Verdict::ALL {
        let _ = write!(out, "{:>15}", report.count(verdict));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn counts_add_up() {
        let text = summary(&sample());
        // The counts come last.
        let numbers = |word: &str| -> Vec<usize> {
            text.lines()
                .rfind(|line| line.starts_with(word))
                .expect("the line")
                .split_whitespace()
                .filter_map(|cell| cell.parse().ok())
                .collect()
        };
        assert_eq!(numbers("L0"), [1, 1, 0, 0]);
        assert_eq!(numbers("L2"), [0, 0, 1, 0]);
        assert_eq!(numbers("all"), [1, 1, 1, 1]);
    }

    #[test]
    fn what_failed_stands_beside_the_counts() {
        let report = sample();
        let text = summary(&report);
        for outcome in &report.outcomes {
            let failed = matches!(outcome.verdict, Verdict::Fail | Verdict::HarnessError);
            assert_eq!(text.contains(&outcome.case), failed, "{}", outcome.case);
        }
    }

    #[test]
    fn a_second_case_of_one_name_is_a_harness_error() {
        let mut recorder = Recorder::new(true);
        for _ in 0..2 {
            let begun = recorder.begin(Level::Codec, "a");
            recorder.end(Level::Codec, "a", "", &[], begun, Answer::pass());
        }
        let verdicts: Vec<_> = recorder.into_outcomes().iter().map(|o| o.verdict).collect();
        assert_eq!(verdicts, [Verdict::Pass, Verdict::HarnessError]);
    }
}
