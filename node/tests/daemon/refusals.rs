//! What ends by itself: arguments, refusals with their exit codes, the check, invitations.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pli_protocol::account::{Invitation, InvitationLink};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::AuthorityId;
use pli_trust::keyfile;
use sha2::{Digest, Sha256};

use crate::site::{AUTHORITY, Site, ended, get, now, text};

#[test]
fn the_example_is_printed_as_it_is_kept() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pli-node"));
    let output = command.arg("--print-example-config").output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        text(&output.stdout),
        include_str!("../../node.example.toml")
    );
}

#[test]
fn wrong_arguments_end_with_2_and_help_explains_every_exit_code() {
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_pli-node"))
            .args(arguments)
            .output()
            .unwrap()
    };
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--config"]).status.code(), Some(2));
    assert_eq!(run(&["--config", "x", "--json"]).status.code(), Some(2));
    assert_eq!(run(&["fly"]).status.code(), Some(2));
    let help = text(&run(&["--help"]).stdout);
    for code in [0, 2, 65, 69, 70, 73, 74, 77, 78, 130] {
        assert!(
            help.lines()
                .any(|line| line.trim().starts_with(&code.to_string())),
            "{code}"
        );
    }
}

#[test]
fn an_unknown_key_ends_with_78_and_says_what_was_expected() {
    let site = Site::new();
    site.configure("quick = true");
    for flag in ["--check", ""] {
        let (code, said) = site.refused(|command| {
            command.args((!flag.is_empty()).then_some(flag));
        });
        assert_eq!(code, 78, "{said}");
        assert!(
            said.contains("unknown field `quick`, expected one of `authority`"),
            "{said}"
        );
        assert!(said.contains("node.toml"), "{said}");
    }
}

#[test]
fn case_75_a_key_that_others_can_read_ends_with_77() {
    let site = Site::new();
    fs::set_permissions(site.at("node.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = site.refused(|_| {});
    assert_eq!(code, 77, "{said}");
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn case_74_a_key_of_another_ends_with_77_and_names_both_keys() {
    let site = Site::new();
    fs::remove_file(site.at("node.key")).unwrap();
    fs::remove_file(site.at("node.key.pub")).unwrap();
    let other = keyfile::create(&site.at("node.key")).unwrap();
    for flag in ["--check", ""] {
        let (code, said) = site.refused(|command| {
            command.args((!flag.is_empty()).then_some(flag));
        });
        assert_eq!(code, 77, "{said}");
        assert!(said.contains(&other.public().to_string()), "{said}");
        assert!(said.contains(&site.key.public().to_string()), "{said}");
    }
}

#[test]
fn r9_a_published_key_ends_with_77() {
    let site = Site::new();
    fs::write(
        site.at("node.key"),
        SigningKey::from_seed(&[7; 32]).to_secret_text().as_bytes(),
    )
    .unwrap();
    let (code, said) = site.refused(|_| {});
    assert_eq!(code, 77, "{said}");
    assert!(said.contains("published example or test key"), "{said}");
}

#[test]
fn a_key_log_is_refused_outside_development() {
    let site = Site::new();
    let log = site.at("tls.log");
    let (code, said) = site.refused(|command| {
        command.env("SSLKEYLOGFILE", &log);
    });
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("SSLKEYLOGFILE is set"), "{said}");
    assert!(!log.exists());
    site.configure("dev = true");
    let (_, said) = site.refused(|command| {
        command.env("SSLKEYLOGFILE", &log).arg("--check");
    });
    assert!(said.contains("development"), "{said}");
    assert!(!said.contains("SSLKEYLOGFILE is set"), "{said}");
}

#[test]
fn a_trust_repository_that_is_not_ours_ends_with_65() {
    let site = Site::new();
    drop(site.start());
    let other = Site::new();
    let another = "the copy in ";
    let not_vouched = "is not signed by the federation of `trust.root`";
    for (expected, from) in [
        (another, other.at("root.json")),
        (not_vouched, other.at("root.json")),
    ] {
        fs::copy(&from, site.at("root.json")).unwrap();
        for flag in ["--check", ""] {
            let (code, said) = site.refused(|command| {
                command.args((!flag.is_empty()).then_some(flag));
            });
            assert_eq!(code, 65, "{said}");
            assert!(said.contains(expected), "{said}");
            let root = site.at("root.json").display().to_string();
            assert!(said.contains(&root), "{said}");
        }
        // What the operator is told to do where the federation began anew.
        fs::remove_dir_all(site.at("trust")).unwrap();
    }
}

#[test]
fn a_root_that_is_none_ends_with_65_and_is_named_with_what_it_is() {
    let site = Site::new();
    let targets = site.at("federation/repository/metadata/1.targets.json");
    for (file, expected) in [
        (Some(targets), "is the metadata of \"targets\""),
        (Some(site.at("node.toml")), "is no metadata"),
        (None, "cannot read"),
    ] {
        fs::remove_file(site.at("root.json")).unwrap();
        if let Some(file) = file {
            fs::copy(file, site.at("root.json")).unwrap();
        }
        let (code, said) = site.refused(|command| {
            command.arg("--check");
        });
        assert_eq!(code, 65, "{said}");
        for part in ["`trust.root`", expected, "repository/metadata/root.json"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        fs::write(site.at("root.json"), "").unwrap();
    }
}

/// Every file below a folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn check_writes_nothing() {
    let site = Site::new();
    for copied in [false, true] {
        let before = files(&site.at(""));
        let (code, said) = site.refused(|command| {
            command.arg("--check");
        });
        assert_eq!(code, 0, "{said}");
        let after = files(&site.at(""));
        assert!(after.keys().eq(before.keys()), "{:?}", after.keys());
        assert!(after == before, "no file is changed");
        assert_eq!(site.at("trust").exists(), copied);
        if !copied {
            drop(site.start());
            // A newer directory is seen, and not kept.
            site.publish(&[]);
        }
    }
}

/// SES-1.8
#[test]
fn r5_check_names_the_peers_that_the_private_networks_leave_out() {
    let site = Site::new();
    site.neighbour("social.gouv.fr");
    let of_peers = || {
        let lines = checked(&site).into_iter();
        let lines: Vec<_> = lines.filter(|line| line.0 == "peers").collect();
        lines
    };
    assert_eq!(of_peers(), []);
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    let config = config.replace("[\"127.0.0.0/8\"]", "[\"10.0.0.0/8\"]");
    fs::write(site.at("node.toml"), config).unwrap();
    let [(_, verdict, found)] = &of_peers()[..] else {
        panic!("{:?}", of_peers());
    };
    assert_eq!(verdict, "warning", "the node starts all the same");
    for part in [
        "social.gouv.fr: 127.0.0.1:",
        "loopback",
        "`dial.private_networks`",
    ] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn a_malformed_address_to_listen_on_ends_with_78_and_an_example_of_a_right_one() {
    let site = Site::new();
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    let ops = format!("ops = \"{}\"", site.address("ops"));
    fs::write(
        site.at("node.toml"),
        config.replace(&ops, "ops = \"localhost\""),
    )
    .unwrap();
    let (code, said) = site.refused(|command| {
        command.arg("--check");
    });
    assert_eq!(code, 78, "{said}");
    for part in [
        "node.toml",
        "ops = \"localhost\"",
        "such as \"127.0.0.1:7400\"",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn an_address_in_use_ends_with_69_and_is_named() {
    let site = Site::new();
    let _taken = TcpListener::bind(site.address("http")).unwrap();
    for flag in ["--check", ""] {
        let (code, said) = site.refused(|command| {
            command.args((!flag.is_empty()).then_some(flag));
        });
        assert_eq!(code, 69, "{said}");
        assert!(said.contains("listen.http"), "{said}");
    }
}

#[test]
fn one_address_twice_is_refused_by_the_check_as_by_the_start() {
    let site = Site::new();
    let (http, ops) = (site.address("http"), site.address("ops"));
    let text = fs::read_to_string(site.at("node.toml")).unwrap();
    let text = text.replace(&ops.to_string(), &http.to_string());
    fs::write(site.at("node.toml"), text).unwrap();
    for flag in ["--check", ""] {
        let (code, said) = site.refused(|command| {
            command.args((!flag.is_empty()).then_some(flag));
        });
        assert_eq!(code, 69, "{said}");
        assert!(said.contains("listen.ops"), "{said}");
    }
}

/// Case 74
#[test]
fn a_check_makes_no_store_so_a_wrong_key_leaves_none_behind() {
    let site = Site::new();
    let hidden = |name: &str| fs::rename(site.at(name), site.at(&format!("{name}.right")));
    hidden("node.key").unwrap();
    hidden("node.key.pub").unwrap();
    keyfile::create(&site.at("node.key")).unwrap();
    let (code, said) = site.refused(|command| {
        command.arg("--check");
    });
    assert_eq!(code, 77, "{said}");
    assert!(!site.at("store").exists());
    fs::rename(site.at("node.key.right"), site.at("node.key")).unwrap();
    let (code, said) = site.refused(|command| {
        command.arg("--check");
    });
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the first start makes it"), "{said}");
    assert!(!site.at("store").exists());
    drop(site.start());
}

/// Case 42, case 43
#[test]
fn a_check_says_that_a_store_is_in_use_or_a_copy() {
    let site = Site::new();
    let check = || {
        site.refused(|command| {
            command.arg("--check");
        })
    };
    let node = site.start();
    let (_, said) = check();
    assert!(said.contains("in use by another process"), "{said}");
    drop(node);
    let (code, said) = check();
    assert!(code == 0 && said.contains("epoch 1-"), "{said}");
    fs::rename(site.at("store"), site.at("original")).unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .args([site.at("original"), site.at("store")])
        .status();
    assert!(copied.unwrap().success());
    let (code, said) = check();
    assert!(code == 0 && said.contains("was copied, moved"), "{said}");
    let alarm = "pli_process_alarm{alarm=\"store_copied\"}";
    for raised in [1, 0] {
        let node = site.start();
        let (_, metrics) = get(node.ops, "/metrics").unwrap();
        assert!(metrics.contains(&format!("{alarm} {raised}")), "{metrics}");
    }
    let (code, said) = check();
    assert!(code == 0 && said.contains("epoch 2-"), "{said}");
}

#[test]
fn check_finds_nothing_wrong_and_says_what_it_looked_at() {
    let site = Site::new();
    let (code, said) = site.refused(|command| {
        command.arg("--check");
    });
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&site.key.public().to_string()), "{said}");
    let (code, said) = site.refused(|command| {
        command.args(["--check", "--json"]);
    });
    assert_eq!(code, 0, "{said}");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["ok"], true);
    let looked: Vec<&str> = report["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    for what in [
        "key",
        "trust",
        "key in the directory",
        "store",
        "evidence",
        "listen.quic",
        "listen.gossip",
        "listen.ops",
    ] {
        assert!(looked.contains(&what), "{what}: {said}");
    }
}

pub(crate) fn checked(site: &Site) -> Vec<(String, String, String)> {
    let (_, said) = site.refused(|command| {
        command.args(["--check", "--json"]);
    });
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let lines = report["lines"].as_array().unwrap().iter();
    let member = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
    lines
        .map(|line| ["what", "verdict", "found"].map(|name| member(line, name)))
        .map(|[what, verdict, found]| (what, verdict, found))
        .collect()
}

/// TRU-5.4
#[test]
fn case_74_a_key_that_was_listed_since_is_judged_by_the_sources_and_not_by_the_copy() {
    let site = Site::new();
    drop(site.start());
    let new = keyfile::create(&site.at("new.key")).unwrap();
    site.list_key(&new);
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    let config = config.replace("key = \"node.key\"", "key = \"new.key\"");
    fs::write(site.at("node.toml"), config).unwrap();
    let lines = checked(&site);
    let listed = lines.iter().find(|line| line.0 == "key in the directory");
    assert_eq!(listed.unwrap().1, "ok", "{lines:?}");
}

/// TRU-5.4
#[test]
fn check_says_when_a_source_cannot_be_read_although_there_is_a_copy() {
    let site = Site::new();
    drop(site.start());
    assert!(checked(&site).iter().all(|line| line.1 == "ok"));
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    let both = "[\"nowhere\", \"federation/repository\"]";
    for (sources, expected) in [("[\"nowhere\"]", "from the copy"), (both, "source ")] {
        let config = config.replace("[\"federation/repository\"]", sources);
        fs::write(site.at("node.toml"), config).unwrap();
        let lines = checked(&site);
        let warned = lines.iter().find(|line| line.1 == "warning");
        let (what, _, found) = warned.unwrap_or_else(|| panic!("{lines:?}"));
        assert_eq!(what, "trust");
        assert!(found.starts_with(expected), "{found}");
        assert!(found.contains("nowhere"), "{found}");
    }
}

#[test]
fn invitations_are_made_offline_and_verify() {
    let site = Site::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pli-node"));
    command.args(["invite", "--count", "3", "--valid-for", "2d", "--config"]);
    let output = command.arg(site.at("node.toml")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let home = AuthorityId::new(AUTHORITY).unwrap();
    let root = fs::read(site.at("root.json")).unwrap();
    let mut ids = Vec::new();
    for line in text(&output.stdout).lines() {
        let link: InvitationLink = line.parse().unwrap();
        assert_eq!(link.home, home);
        assert_eq!(link.root_sha256, <[u8; 32]>::from(Sha256::digest(&root)));
        let keys = [*site.key.public()];
        let invitation = Invitation::verify(link.invitation, &home, &keys, now()).unwrap();
        let left_ms = invitation.expires.since_ms(now());
        assert!((172_000_000..=172_800_000).contains(&left_ms), "{left_ms}");
        ids.push(invitation.id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    for made in ["store", "trust"] {
        assert!(!site.at(made).exists(), "{made}: nothing is written");
    }

    for (name, value) in [
        ("--count", "0"),
        ("--count", "10001"),
        ("--valid-for", "30d"),
        ("--valid-for", "0s"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pli-node"));
        let output = command
            .arg("invite")
            .args([name, value, "--config"])
            .arg(site.at("node.toml"))
            .output();
        assert_eq!(output.unwrap().status.code(), Some(2), "{name} {value}");
    }
}

/// The half of a request keeps the node draining; nothing acknowledged can be lost by not waiting.
#[test]
fn the_harness_answers_on_standard_output() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pli-node"))
        .arg("harness")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{{\"id\":\"1\",\"op\":\"no.such\",\"input\":{{}}}}").unwrap();
    drop(input);
    let output = ended(child);
    assert!(output.status.success());
    assert_eq!(
        text(&output.stdout),
        "{\"id\":\"1\",\"unsupported\":true}\n"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pli-node"));
    let output = command
        .arg("--config")
        .arg(Path::new("/nonexistent/node.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("/nonexistent/node.toml"));
}

/// EVD-3.1: a key of the log that is not there ends the check as it would end a start; one that the directory does not
/// list is a warning with what to do.
#[test]
fn a_check_looks_at_the_key_of_the_log() {
    let site = Site::new();
    let evidence = || -> Vec<(String, String)> {
        let lines = checked(&site).into_iter();
        let lines = lines.filter(|(what, ..)| what == "evidence");
        lines.map(|(_, verdict, found)| (verdict, found)).collect()
    };
    assert_eq!(evidence().len(), 1);
    assert_eq!(evidence()[0].0, "ok");
    std::fs::remove_file(site.at("log.key")).unwrap();
    let lines = evidence();
    assert_eq!(lines[0].0, "refused");
    assert!(lines[0].1.contains("log.key"), "{lines:?}");
    let other = keyfile::create(&site.at("log.key")).unwrap();
    let lines = evidence();
    let warning = lines.iter().find(|(verdict, _)| verdict == "warning");
    let (_, said) = warning.expect("a warning");
    let next = format!("pli authority set-node --log-key {}", other.public());
    assert!(said.contains(&next), "{said}");
}
