//! Levels 0 and 1, and what of level 2 needs no network: the vectors of `spec/vectors`, judged by the suite itself and by the implementation's harness.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::config::Harness;
use crate::harness::{Answer, Process, own};
use crate::report::{Answer as Verdict, Level, Recorder};

/// One file of vectors.
#[derive(Debug, Deserialize)]
pub struct File {
    pub level: Level,
    pub cases: Vec<Vector>,
}

/// One operation, its input and the one right answer.
#[derive(Debug, Deserialize)]
pub struct Vector {
    /// The level of its file.
    #[serde(skip, default = "codec")]
    pub level: Level,
    pub id: String,
    pub op: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub requirements: Vec<String>,
    pub input: Value,
    pub expect: Value,
}

/// Why the vectors cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    #[error("cannot read {path}: {why}")]
    Read { path: String, why: std::io::Error },
    #[error("{path}: {why}")]
    Json {
        path: String,
        why: serde_json::Error,
    },
    #[error("{path}, case {id}: {why}")]
    Expect {
        path: String,
        id: String,
        why: String,
    },
    #[error("no vectors in {0}")]
    None(String),
}

/// Every case of every `*.json` in the folder but `schema.json`, in the order of names.
pub fn load(folder: &Path) -> Result<Vec<Vector>, VectorError> {
    let shown = |path: &Path| path.display().to_string();
    let read = |why| VectorError::Read {
        path: shown(folder),
        why,
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .map_err(read)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter(|path| path.file_name().is_some_and(|name| name != "schema.json"))
        .collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|why| VectorError::Read {
            path: shown(&path),
            why,
        })?;
        let file: File = serde_json::from_str(&text).map_err(|why| VectorError::Json {
            path: shown(&path),
            why,
        })?;
        for mut vector in file.cases {
            vector.level = file.level;
            Answer::read(&vector.expect).map_err(|why| VectorError::Expect {
                path: shown(&path),
                id: vector.id.clone(),
                why,
            })?;
            all.push(vector);
        }
    }
    if all.is_empty() {
        Err(VectorError::None(shown(folder)))
    } else {
        Ok(all)
    }
}

fn codec() -> Level {
    Level::Codec
}

/// Asks the implementation every vector of these levels. Without a harness every case is unsupported.
pub fn run(
    recorder: &mut Recorder,
    vectors: &[Vector],
    levels: &[Level],
    harness: &Harness,
    only: Option<&str>,
) {
    let mut process = None;
    for vector in vectors {
        let level = vector.level;
        if !levels.contains(&level) || only.is_some_and(|only| !vector.id.contains(only)) {
            continue;
        }
        let begun = recorder.begin(level, &vector.id);
        let verdict = judge(&mut process, harness, vector);
        let requirements: Vec<&str> = vector.requirements.iter().map(String::as_str).collect();
        let title = format!("{}: {}", vector.op, vector.title);
        recorder.end(level, &vector.id, &title, &requirements, begun, verdict);
    }
}

fn judge(process: &mut Option<Process>, harness: &Harness, vector: &Vector) -> Verdict {
    // A vector that the suite itself decides otherwise is in doubt.
    let expected = match check(vector) {
        Ok(expected) => expected,
        Err(doubt) => return Verdict::harness_error(doubt),
    };
    if harness.command.is_empty() {
        return Verdict::unsupported("no harness command is configured");
    }
    // After a harness error a fresh process answers the next vector.
    let mut running = match process.take().map_or_else(|| Process::start(harness), Ok) {
        Ok(running) => running,
        Err(error) => return Verdict::harness_error(error.to_string()),
    };
    let got = match running.ask(&vector.id, &vector.op, &vector.input) {
        Ok(got) => got,
        Err(error) => return Verdict::harness_error(error.to_string()),
    };
    *process = Some(running);
    match got {
        Answer::Unsupported => Verdict::unsupported("the harness does not offer this operation"),
        Answer::Error(why) => {
            Verdict::harness_error(format!("the harness did not understand: {why}"))
        }
        got if got.satisfies(&expected) => Verdict::pass(),
        got => Verdict::fail(format!("got {got}, expected {expected}")),
    }
}

/// The suite's own verdict: the expected answer, or why it is in doubt.
fn check(vector: &Vector) -> Result<Answer, String> {
    let expected = Answer::read(&vector.expect)?;
    let own = own::answer(&vector.op, &vector.input);
    if own.satisfies(&expected) {
        Ok(expected)
    } else {
        Err(format!(
            "the vector says {expected}, the suite itself says {own}"
        ))
    }
}

/// The suite against the vectors, with no implementation.
pub fn self_check(recorder: &mut Recorder, vectors: &[Vector], only: Option<&str>) {
    for vector in vectors
        .iter()
        .filter(|vector| only.is_none_or(|only| vector.id.contains(only)))
    {
        let level = vector.level;
        let begun = recorder.begin(level, &vector.id);
        let verdict = check(vector).map_or_else(Verdict::harness_error, |_| Verdict::pass());
        let requirements: Vec<&str> = vector.requirements.iter().map(String::as_str).collect();
        recorder.end(
            level,
            &vector.id,
            &format!("{}: {}", vector.op, vector.title),
            &requirements,
            begun,
            verdict,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict as Word;
    use serde_json::json;

    fn vector(bytes: &str, expect: Value) -> Vector {
        Vector {
            level: Level::Codec,
            id: "v".to_owned(),
            op: "frame.decode".to_owned(),
            title: String::new(),
            requirements: Vec::new(),
            input: json!({ "bytes": bytes }),
            expect,
        }
    }

    /// A harness that gives this answer to everything.
    fn verdict(vector: &Vector, answer: &str) -> Word {
        let script = format!("while read l; do echo '{answer}'; done");
        let command = ["sh".to_owned(), "-c".to_owned(), script];
        judge(
            &mut None,
            &Harness::new(command.to_vec(), Path::new(".")),
            vector,
        )
        .verdict
    }

    #[test]
    fn the_implementation_is_judged_by_the_vector() {
        let empty = vector("00000000", json!({ "refused": "FRAME_EMPTY" }));
        assert_eq!(
            verdict(&empty, r#"{"id":"v","refused":"FRAME_EMPTY"}"#),
            Word::Pass
        );
        assert_eq!(
            verdict(&empty, r#"{"id":"v","refused":"DECODE"}"#),
            Word::Fail
        );
        assert_eq!(
            verdict(&empty, r#"{"id":"v","ok":{"bodies":[]}}"#),
            Word::Fail
        );
        assert_eq!(
            verdict(&empty, r#"{"id":"v","unsupported":true}"#),
            Word::Unsupported
        );
        assert_eq!(
            verdict(&empty, r#"{"id":"v","error":"x"}"#),
            Word::HarnessError
        );
        assert_eq!(
            verdict(&empty, r#"{"id":"w","refused":"FRAME_EMPTY"}"#),
            Word::HarnessError
        );
        assert_eq!(
            judge(&mut None, &Harness::default(), &empty).verdict,
            Word::Unsupported
        );
    }

    #[test]
    fn a_wrong_vector_blames_nobody() {
        let wrong = vector("00000000", json!({ "refused": "TRUNCATED" }));
        assert_eq!(
            verdict(&wrong, r#"{"id":"v","refused":"TRUNCATED"}"#),
            Word::HarnessError
        );
    }

    #[test]
    fn the_suite_decides_every_vector_of_spec_as_it_stands() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors");
        let all = load(&folder).expect("the vectors are part of the project");
        let doubts: Vec<_> = all
            .iter()
            .filter_map(|v| check(v).err().map(|d| (&v.id, d)))
            .collect();
        assert!(doubts.is_empty(), "{doubts:#?}");
    }
}
