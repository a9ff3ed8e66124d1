//! Repository checks that no linter has.
//!
//! `cargo xtask tidy` checks the import direction, the requirement ids of `spec/`, the size of files and
//! what is generated. `cargo xtask vectors` writes `spec/vectors`; with `--check` it only compares.

mod tidy;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy | vectors [--check]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    match arguments[..] {
        ["tidy"] => tidy::run(&root),
        ["vectors"] => vectors::write(&root),
        ["vectors", "--check"] => vectors::check(&root),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The repository that this program was built in.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of it")
        .to_owned()
}
