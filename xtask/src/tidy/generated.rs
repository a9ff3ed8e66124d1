//! What is written by a program is what that program would write now.

use std::path::Path;

use super::Finding;
use crate::vectors;

const CHECK: &str = "generated";

pub(super) fn check(root: &Path, findings: &mut Vec<Finding>) {
    for name in vectors::stale(root) {
        let place = format!("spec/vectors/{name}");
        findings.push(Finding::new(CHECK, place, "run `cargo xtask vectors`"));
    }
}
