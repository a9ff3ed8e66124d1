//! Tidy: what the repository promises of itself and no linter checks.
//!
//! In: the working tree. Out: a table of what is missing, and a failing exit if it is not empty.
//!
//! | Check | Says |
//! |---|---|
//! | [`arrows`] | which crate may depend on which, and name what (ARCHITECTURE.md) |
//! | [`requirements`] | each requirement of `spec/` is cited by code and by a test, and each citation exists |
//! | [`registry`] | each code and limit of the registry is used by the code |
//! | [`size`] | no file that needs scrolling to be understood |
//! | [`generated`] | vectors and example files are what would be written |

mod arrows;
mod generated;
mod registry;
mod requirements;
mod size;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use source::Source;

/// One thing that is not as promised.
struct Finding {
    check: &'static str,
    place: String,
    what: String,
}

impl Finding {
    fn new(check: &'static str, place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self {
            check,
            place: place.to_string(),
            what: what.to_string(),
        }
    }
}

pub(crate) fn run(root: &Path) -> ExitCode {
    let sources = source::all(root);
    let mut findings = Vec::new();
    arrows::check(root, &sources, &mut findings);
    requirements::check(root, &sources, &mut findings);
    registry::check(root, &sources, &mut findings);
    size::check(&sources, &mut findings);
    generated::check(root, &mut findings);
    findings.sort_by(|a, b| (a.check, &a.place, &a.what).cmp(&(b.check, &b.place, &b.what)));
    report(&findings)
}

fn report(findings: &[Finding]) -> ExitCode {
    let place = findings
        .iter()
        .map(|finding| finding.place.len())
        .max()
        .unwrap_or(0);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in findings {
        println!(
            "{:<12}  {:<place$}  {}",
            finding.check, finding.place, finding.what
        );
        *counts.entry(finding.check).or_default() += 1;
    }
    if findings.is_empty() {
        println!("tidy");
        return ExitCode::SUCCESS;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(check, count)| format!("{check} {count}"))
        .collect();
    eprintln!("not tidy: {}", counts.join(", "));
    ExitCode::FAILURE
}
