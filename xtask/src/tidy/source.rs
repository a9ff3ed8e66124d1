//! The Rust files of the repository, each line marked as code or as test.

use std::fs;
use std::path::Path;

/// One Rust file.
pub(super) struct Source {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    /// The folder at the root that it is in.
    pub(super) package: String,
    pub(super) lines: Vec<Line>,
}

pub(super) struct Line {
    pub(super) text: String,
    pub(super) test: bool,
}

impl Source {
    fn new(path: String, text: &str) -> Self {
        let package = path.split('/').next().unwrap_or_default().to_owned();
        let lines = mark(text, is_test_file(&path));
        Self {
            path,
            package,
            lines,
        }
    }
}

/// Folders that hold no source of ours.
const SKIPPED: &[&str] = &["target", ".git", "node_modules", "corpus", "artifacts"];

/// Every Rust file under the root, by path.
pub(super) fn all(root: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    collect(root, root, &mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                collect(root, &path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let relative = path
                .strip_prefix(root)
                .expect("under the root")
                .to_string_lossy();
            sources.push(Source::new(relative.replace('\\', "/"), &text));
        }
    }
}

/// Files that hold tests only: in a `tests` folder, named `tests.rs` or `*_tests.rs`, a fuzz target, an
/// example or a bench, or the conformance suite, which is one big test.
fn is_test_file(path: &str) -> bool {
    let mut parts = path.split('/');
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    stem == "tests"
        || stem.ends_with("_tests")
        || path
            .split('/')
            .any(|part| matches!(part, "tests" | "fuzz" | "examples" | "benches"))
        || matches!(parts.next(), Some("interop-tests" | "testbed"))
}

/// Lines of a `#[cfg(test)]` item are test lines. The item ends with the brace that closes it, found by
/// indentation, which rustfmt keeps.
fn mark(text: &str, all_test: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut until: Option<String> = None;
    let mut pending: Option<String> = None;
    for text in text.lines() {
        let indent = &text[..text.len() - text.trim_start().len()];
        let mut test = all_test || until.is_some() || pending.is_some();
        if text.trim_start().starts_with("#[cfg(test)]") && until.is_none() {
            pending = Some(indent.to_owned());
            test = true;
        } else if let Some(at) = pending.take() {
            let opens = text.trim_end().ends_with('{');
            let goes_on =
                text.trim_start().starts_with("#[") || text.trim_start().starts_with("//");
            if opens {
                until = Some(format!("{at}}}"));
            } else if goes_on || !text.trim_end().ends_with(';') {
                pending = Some(at);
            }
        } else if until
            .as_deref()
            .is_some_and(|end| text.starts_with(end) && text.trim_end() == end)
        {
            until = None;
        }
        lines.push(Line {
            text: text.to_owned(),
            test,
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(path: &str, text: &str) -> Vec<bool> {
        Source::new(path.into(), text)
            .lines
            .iter()
            .map(|line| line.test)
            .collect()
    }

    #[test]
    fn a_test_module_ends_where_its_brace_closes() {
        let text = "fn a() {\n}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        assert_eq!(
            marks("node/src/x.rs", text),
            [false, false, true, true, true, true, true, false]
        );
        let text = "#[cfg(test)]\n#[path = \"t.rs\"]\nmod tests;\nfn c() {}\n";
        assert_eq!(marks("node/src/x.rs", text), [true, true, true, false]);
    }

    #[test]
    fn files_of_tests_are_tests() {
        for path in [
            "node/tests/x.rs",
            "node/src/a/tests.rs",
            "node/src/a/b_tests.rs",
            "interop-tests/src/main.rs",
        ] {
            assert_eq!(marks(path, "fn a() {}"), [true], "{path}");
        }
        assert_eq!(marks("node/src/testing.rs", "fn a() {}"), [false]);
    }
}
