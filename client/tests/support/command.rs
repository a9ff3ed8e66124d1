//! The `pli` command itself, as a process of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Federation;

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Ends the test unless it ended like this and said all of these.
    #[track_caller]
    pub(crate) fn ended(&self, exit: i32, said: &[&str]) -> &Self {
        assert_eq!(self.exit, exit, "{self:?}");
        for text in said {
            let there = self.out.contains(text) || self.err.contains(text);
            assert!(there, "{text:?} is not in {self:?}");
        }
        self
    }
}

/// Runs `pli` with these arguments, `@/` being the federation's folder, in English.
pub(crate) async fn pli(federation: &Federation, arguments: &[&str]) -> Ran {
    pli_in(federation, arguments, &[("LANG", "en_GB.UTF-8")]).await
}

/// The same with these variables and no others that choose a language.
pub(crate) async fn pli_in(
    federation: &Federation,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Ran {
    let root = format!("{}/", federation.path("").display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_pli"));
    command
        .args(arguments.iter().map(|text| text.replace("@/", &root)))
        .current_dir(federation.path(""))
        .stdin(Stdio::null());
    for name in ["LC_ALL", "LC_MESSAGES", "LANG", "PLI_DIRECTORY", "PLI_LOG"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    let ended = tokio::task::spawn_blocking(move || command.output());
    let ended = ended.await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran {
        exit: ended.status.code().unwrap(),
        out: text(ended.stdout),
        err: text(ended.stderr),
    }
}

/// The names of what is in a folder.
pub(crate) fn names(folder: PathBuf) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let names = std::fs::read_dir(folder).unwrap().map(name);
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort_unstable();
    names
}
