//! Test vectors: what `spec/vectors/*.json` holds is written here, from fixed seeds.
//!
//! In: nothing. Out: one [`File`] per subject. The code says which answer is right and why (a
//! requirement id); `node/tests/vectors.rs` and the conformance suites ask implementations.

mod account;
mod annotate;
mod canonical;
mod case;
mod content;
mod custody;
mod enrol;
mod envelope;
mod evidence;
mod frame;
mod header;
mod key;
mod merkle;
mod name;
mod samples;
mod seal;
mod session;
mod signed;
mod trust;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use case::File;

const FOLDER: &str = "spec/vectors";

fn files(root: &Path) -> Vec<File> {
    let annotator = annotate::Annotator::load(&root.join("spec/proto"));
    let make: [fn(&annotate::Annotator) -> File; 15] = [
        frame::file,
        canonical::file,
        name::file,
        header::file,
        content::file,
        key::file,
        merkle::file,
        signed::file,
        seal::file,
        envelope::file,
        account::file,
        trust::file,
        session::file,
        custody::file,
        evidence::file,
    ];
    make.map(|make| make(&annotator)).into_iter().collect()
}

/// Writes every file.
pub(crate) fn write(root: &Path) -> ExitCode {
    let files = files(root);
    for file in &files {
        let path = root.join(FOLDER).join(file.name()).with_extension("json");
        fs::write(&path, file.render()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let cases: usize = files.iter().map(File::len).sum();
    println!("{} files, {cases} cases", files.len());
    ExitCode::SUCCESS
}

/// Says which files differ from what would be written.
pub(crate) fn check(root: &Path) -> ExitCode {
    let stale = stale(root);
    for name in &stale {
        eprintln!("{FOLDER}/{name} is not what `cargo xtask vectors` writes");
    }
    if stale.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The files that differ from what would be written.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    let differs = |file: &File| {
        let name = format!("{}.json", file.name());
        let kept = fs::read_to_string(root.join(FOLDER).join(&name)).unwrap_or_default();
        (kept != file.render()).then_some(name)
    };
    files(root).iter().filter_map(differs).collect()
}
