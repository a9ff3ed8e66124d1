//! A file fits in the head.

use super::{Finding, Source};

const CHECK: &str = "size";
/// Lines of code; tests in the same file do not count.
const CODE_MAX: usize = 400;
/// Lines of a file of tests, or of a file with its tests.
const FILE_MAX: usize = 600;

/// Files that are longer, and why that is no burden.
const ALLOWED: &[(&str, &str)] = &[];

pub(super) fn check(sources: &[Source], findings: &mut Vec<Finding>) {
    for source in sources {
        if ALLOWED.iter().any(|(path, _)| *path == source.path) {
            continue;
        }
        let code = source.lines.iter().filter(|line| !line.test).count();
        let all = source.lines.len();
        if code > CODE_MAX {
            findings.push(Finding::new(
                CHECK,
                &source.path,
                format!("{code} lines of code, at most {CODE_MAX}"),
            ));
        } else if all > FILE_MAX {
            findings.push(Finding::new(
                CHECK,
                &source.path,
                format!("{all} lines, at most {FILE_MAX}"),
            ));
        }
    }
}
