//! One program under test: started, watched, stopped politely or with SIGKILL. Its output goes to a file that
//! a failure shows the end of.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::Error;

/// Lines of a log that an error carries.
const TAIL_LINES: usize = 30;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; both its outputs are appended to `log`.
    pub fn start(name: &str, program: &Path, args: &[&str], log: &Path) -> Result<Self, Error> {
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(args)
            .env_remove("SSLKEYLOGFILE")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| Error::Spawn {
                program: program.to_owned(),
                source,
            })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Power off: nothing of it runs on. Returns once it is gone.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().await?;
        Ok(())
    }

    /// SIGTERM, then waits for it to end by itself.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        self.signal(Signal::TERM)?;
        self.wait(within).await
    }

    /// Freezes it: its sockets stay open and nobody answers. [`Process::thaw`] lets it go on.
    pub fn freeze(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Ends [`Process::freeze`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// Waits for it to end.
    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        match timeout(within, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => Err(Error::StillRuns {
                name: self.name.clone(),
                within,
                log: self.tail(),
            }),
        }
    }

    /// Its status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        Ok(self.child.try_wait()?)
    }

    /// The last lines it wrote.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has ended"))?;
        kill_process(pid, signal).map_err(io::Error::from)?;
        Ok(())
    }
}

/// The last lines of a log file; an unreadable one says so in its place.
pub fn tail(log: &Path) -> String {
    let text = match File::open(log).and_then(io::read_to_string) {
        Ok(text) => text,
        Err(error) => return format!("({}: {error})", log.display()),
    };
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Runs a command to its end and returns its standard output; a failure carries both outputs.
pub async fn run(program: &Path, args: &[&str]) -> Result<String, Error> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::Spawn {
            program: program.to_owned(),
            source,
        })?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    Err(Error::Command {
        line: format!("{} {}", program.display(), args.join(" ")),
        status: output.status,
        output: format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Process {
        let log = folder.join("log");
        Process::start(
            "sleeper",
            Path::new("/bin/sh"),
            &["-c", "echo ready; exec sleep 60"],
            &log,
        )
        .expect("sh exists")
    }

    #[tokio::test]
    async fn a_process_ends_on_sigkill_and_on_sigterm() {
        let folder = tempfile::tempdir().expect("a directory");
        let mut process = sleeper(folder.path());
        assert_eq!(process.ended().expect("asked"), None);
        process.kill().await.expect("killed");
        assert!(
            process
                .ended()
                .expect("asked")
                .is_some_and(|status| !status.success())
        );

        let mut process = sleeper(folder.path());
        let status = process
            .terminate(Duration::from_secs(5))
            .await
            .expect("ended");
        assert!(!status.success());
        assert!(process.freeze().is_err(), "it has ended");
    }

    #[tokio::test]
    async fn a_failed_command_carries_its_words() {
        let error = run(Path::new("/bin/sh"), &["-c", "echo why >&2; exit 3"])
            .await
            .expect_err("fails");
        assert!(error.to_string().contains("why"), "{error}");
    }
}
