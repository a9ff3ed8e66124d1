//! What goes wrong, as programs get it: with `--json` an error carries the advice that people read.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

use std::process::Command;

use serde_json::Value;

/// The exit code and the error of `pli` with these arguments.
fn error_of(lang: &str, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pli"));
    for name in ["LC_ALL", "LC_MESSAGES", "PLI_LOG"] {
        command.env_remove(name);
    }
    let ended = command.env("LANG", lang).args(arguments).output().unwrap();
    let value = serde_json::from_slice(&ended.stderr).unwrap();
    (ended.status.code().unwrap(), value)
}

#[test]
fn a_mistyped_command_is_advised_upon() {
    for (arguments, advice) in [
        (&["--json", "authorty", "show"][..], "'authority'"),
        (&["service", "send", "--json", "--hom", "x"], "'--home'"),
        (&["device", "show", "x", "--json"], "such as 1"),
    ] {
        let (exit, error) = error_of("en_GB.UTF-8", arguments);
        assert_eq!(exit, 2, "{error}");
        assert_eq!(error["exit"], 2);
        let said = error["advice"].as_str().unwrap();
        assert!(said.contains(advice), "{error}");
        assert!(
            !error["error"].as_str().unwrap().contains(advice),
            "{error}"
        );
    }
}

#[test]
fn a_citizen_is_advised_in_the_citizens_language() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("device");
    let arguments = [
        "device",
        "inbox",
        "--json",
        "--home",
        home.to_str().unwrap(),
    ];
    for (lang, advice) in [
        ("en_GB.UTF-8", "Ask for an invitation"),
        ("fr_FR.UTF-8", "Demandez"),
    ] {
        let (exit, error) = error_of(lang, &arguments);
        assert_eq!(exit, 1, "{error}");
        let said = error["advice"].as_str().unwrap();
        assert!(said.contains(advice), "{error}");
    }
}
