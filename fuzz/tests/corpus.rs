//! The stored corpus as an ordinary test: every file of `corpus/<target>/` runs through its target on the stable
//! compiler, and so do simple damages of it. What fuzzing finds is kept there and never comes back unseen.

use std::fs;
use std::path::{Path, PathBuf};

const TARGETS: [&str; 6] = [
    "frame",
    "canonical",
    "signed",
    "envelope",
    "session",
    "custody",
];

fn files(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("readable").path())
        .collect()
}

#[test]
fn every_target_holds_on_its_corpus_and_on_damages_of_it() {
    for name in TARGETS {
        let run = pli_fuzz::target(name).expect("a known target");
        let files = files(name);
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        for file in files {
            let bytes = fs::read(&file).expect("readable");
            // Shown only when the test fails: which file it was.
            println!("{}", file.display());
            run(&bytes);
            damaged(&bytes, run);
        }
    }
}

/// Case 2 and neighbours: cut at places all over, one bit flipped, one byte too many.
fn damaged(bytes: &[u8], run: fn(&[u8])) {
    const PLACES: usize = 96;
    let step = bytes.len() / PLACES + 1;
    for at in (0..bytes.len()).step_by(step) {
        run(&bytes[..at]);
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        run(&flipped);
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    run(&longer);
}
