//! A harness command as a child process: JSON lines in, JSON lines out, in order. A thread reads what it
//! says, so that neither side waits for the other's pipe to empty.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::Answer;
use crate::config::Harness;

/// How long one answer may take; sealing and a loaded machine included.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Answers that wait to be looked at.
const ANSWERS_WAITING_MAX: usize = 4_096;

/// Why the harness cannot be asked. Never a verdict about the implementation's protocol.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    #[error("cannot start {command}: {why}")]
    Start {
        command: String,
        why: std::io::Error,
    },
    #[error("the harness command is empty")]
    Empty,
    #[error("the harness ended, or closed a pipe")]
    Gone,
    #[error("no answer within {} s", ANSWER_WAIT.as_secs())]
    Silent,
    #[error("not an answer: {why} in {line:?}")]
    Garbage { why: String, line: String },
}

/// A running harness.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: BufWriter<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    pub fn start(harness: &Harness) -> Result<Self, HarnessError> {
        let command = &harness.command;
        let (program, arguments) = command.split_first().ok_or(HarnessError::Empty)?;
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(&harness.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|why| HarnessError::Start {
                command: program.clone(),
                why,
            })?;
        let input = BufWriter::new(child.stdin.take().expect("standard input is piped"));
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let (send, lines) = sync_channel(ANSWERS_WAITING_MAX);
        std::thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { return };
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            input,
            lines,
        })
    }

    /// Starts it and asks one question, whatever the answer: whether there is a harness at all.
    pub fn probe(harness: &Harness) -> Result<(), HarnessError> {
        let frame = json!({ "bytes": "0000000101" });
        Self::start(harness)?.ask("start", "frame.decode", &frame)?;
        Ok(())
    }

    /// Asks one question.
    pub fn ask(&mut self, id: &str, op: &str, input: &Value) -> Result<Answer, HarnessError> {
        self.send(id, op, input)?;
        self.flush()?;
        self.receive(id)
    }

    /// Sends a question; its answer comes after those before it.
    pub fn send(&mut self, id: &str, op: &str, input: &Value) -> Result<(), HarnessError> {
        let request = json!({ "id": id, "op": op, "input": input });
        writeln!(self.input, "{request}").map_err(|_| HarnessError::Gone)
    }

    pub fn flush(&mut self) -> Result<(), HarnessError> {
        self.input.flush().map_err(|_| HarnessError::Gone)
    }

    /// The answer to the oldest question that has none yet.
    pub fn receive(&mut self, id: &str) -> Result<Answer, HarnessError> {
        let line = self
            .lines
            .recv_timeout(ANSWER_WAIT)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => HarnessError::Silent,
                RecvTimeoutError::Disconnected => HarnessError::Gone,
            })?;
        let garbage = |why: String| HarnessError::Garbage {
            why,
            line: line.clone(),
        };
        let response: Value =
            serde_json::from_str(&line).map_err(|why| garbage(why.to_string()))?;
        if response.get("id").and_then(Value::as_str) != Some(id) {
            return Err(garbage(format!("the id is not {id:?}")));
        }
        Answer::read(&response).map_err(garbage)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn command(script: &str) -> Harness {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Harness::new(command, Path::new("."))
    }

    #[test]
    fn it_runs_in_the_folder_of_the_configuration() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/harness");
        let there =
            "test -f process.rs || exit 1; read l; echo '{\"id\":\"start\",\"unsupported\":true}'";
        let words = ["sh", "-c", there].map(str::to_owned).to_vec();
        Process::probe(&Harness::new(words.clone(), &folder)).expect("the file is there");
        assert!(Process::probe(&Harness::new(words, Path::new("/"))).is_err());
    }

    #[test]
    fn asks_and_hears() {
        let mut process = Process::start(&command(
            r#"while read l; do echo '{"id":"x","refused":"EXPIRED"}'; done"#,
        ))
        .expect("sh starts");
        for _ in 0..3 {
            assert_eq!(
                process.ask("x", "op", &json!({})).expect("answer"),
                Answer::Refused("EXPIRED".into())
            );
        }
        assert!(matches!(
            process.ask("y", "op", &json!({})),
            Err(HarnessError::Garbage { .. })
        ));
    }

    #[test]
    fn an_end_or_garbage_is_a_harness_error() {
        let mut gone = Process::start(&command("exit 3")).expect("sh starts");
        assert!(matches!(
            gone.ask("x", "op", &json!({})),
            Err(HarnessError::Gone)
        ));
        let mut garbage =
            Process::start(&command("read l; echo nonsense; sleep 5")).expect("sh starts");
        assert!(matches!(
            garbage.ask("x", "op", &json!({})),
            Err(HarnessError::Garbage { .. })
        ));
        assert!(matches!(
            Process::start(&Harness::default()),
            Err(HarnessError::Empty)
        ));
        assert!(matches!(
            Process::start(&Harness::new(vec!["/nonexistent/x".into()], Path::new("."))),
            Err(HarnessError::Start { .. })
        ));
    }
}
