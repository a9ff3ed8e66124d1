//! Figures as they come out: one JSON line each on standard output as soon as it is measured, ratios against this
//! machine's limits at the end, and the same for people on standard error.

use std::collections::BTreeMap;

use serde_json::json;

/// Everything measured in this run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    figures: BTreeMap<&'static str, f64>,
    verdicts: Vec<Verdict>,
    quiet: bool,
}

#[derive(Debug)]
struct Verdict {
    name: &'static str,
    value: f64,
    target: f64,
    at_most: bool,
    unit: &'static str,
}

impl Verdict {
    fn met(&self) -> bool {
        if self.at_most {
            self.value <= self.target
        } else {
            self.value >= self.target
        }
    }
}

impl Figures {
    /// For figures that were shown already: keeps them to itself.
    pub(crate) fn quiet() -> Self {
        Self {
            quiet: true,
            ..Self::default()
        }
    }

    /// Takes note of a figure and prints it.
    pub(crate) fn add(&mut self, name: &'static str, value: f64, unit: &'static str) {
        if !self.quiet {
            println!(
                "{}",
                json!({ "figure": name, "value": round(value), "unit": unit })
            );
            eprintln!("  {name:<52} {:>14} {unit}", human(value));
        }
        self.figures.insert(name, value);
    }

    /// Whether this was measured already.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.figures.contains_key(name)
    }

    /// A figure of this run; a missing one is a mistake of the bench.
    pub(crate) fn value(&self, name: &str) -> f64 {
        *self
            .figures
            .get(name)
            .unwrap_or_else(|| panic!("{name} was not measured"))
    }

    /// A ratio or figure with a target that it should reach.
    pub(crate) fn at_least(
        &mut self,
        name: &'static str,
        value: f64,
        target: f64,
        unit: &'static str,
    ) {
        self.verdict(Verdict {
            name,
            value,
            target,
            at_most: false,
            unit,
        });
    }

    /// A ratio or figure with a target that it should stay under.
    pub(crate) fn at_most(
        &mut self,
        name: &'static str,
        value: f64,
        target: f64,
        unit: &'static str,
    ) {
        self.verdict(Verdict {
            name,
            value,
            target,
            at_most: true,
            unit,
        });
    }

    fn verdict(&mut self, verdict: Verdict) {
        let Verdict {
            name,
            value,
            target,
            at_most,
            unit,
        } = verdict;
        let sense = if at_most { "at_most" } else { "at_least" };
        let line = json!({
            "ratio": name, "value": round(value), sense: target, "unit": unit, "met": verdict.met(),
        });
        println!("{line}");
        self.verdicts.push(verdict);
    }

    /// The table for people. A missed target is shown, not an error: timing is no test.
    pub(crate) fn summary(&self) {
        eprintln!("\nagainst the targets");
        for verdict in &self.verdicts {
            let Verdict {
                name,
                value,
                target,
                at_most,
                unit,
            } = verdict;
            let sense = if *at_most { "≤" } else { "≥" };
            let mark = if verdict.met() { "✓" } else { "✗" };
            eprintln!(
                "  {mark} {name:<50} {:>12} {unit:<6} {sense} {}",
                human(*value),
                human(*target)
            );
        }
    }
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn human(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..1_000.0 => format!("{value:.1}"),
        _ => grouped(value.round() as i64),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// The `share` quantile (0 to 1) of times in milliseconds.
pub(crate) fn quantile(times_ms: &mut [f64], share: f64) -> f64 {
    assert!(!times_ms.is_empty(), "nothing was timed");
    times_ms.sort_by(f64::total_cmp);
    let index = ((times_ms.len() as f64 - 1.0) * share).round() as usize;
    times_ms[index]
}

/// The middle one of some measurements.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(&mut values.to_vec(), 0.5)
}
