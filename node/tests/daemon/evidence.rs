//! What a check says of the folder of the logs, as a start then finds it.

use std::fs;

use crate::refusals::checked;
use crate::site::{Site, get};

/// The verdict and the words of the lines about something.
fn lines(site: &Site, what: &str) -> Vec<(String, String)> {
    let lines = checked(site).into_iter().filter(|line| line.0 == what);
    lines.map(|(_, verdict, found)| (verdict, found)).collect()
}

/// EVD-3.4
#[test]
fn case_43_a_check_says_that_the_next_start_begins_a_new_log() {
    let site = Site::new();
    let said = lines(&site, "evidence folder");
    assert!(said[0].1.contains("the first start makes it"), "{said:?}");
    let node = site.start();
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    fs::write(
        site.at("node.toml"),
        config.replace("fjall:store", "fjall:other"),
    )
    .unwrap();
    let said = lines(&site, "evidence folder");
    assert_eq!(said[0].0, "refused");
    assert!(said[0].1.contains("in use by another process"), "{said:?}");
    fs::write(site.at("node.toml"), config).unwrap();
    assert_eq!(lines(&site, "evidence folder"), [], "its store is in use");
    drop(node);
    let said = lines(&site, "evidence folder");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.contains("a log since "), "{said:?}");

    fs::rename(site.at("evidence"), site.at("original")).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([site.at("original"), site.at("evidence")])
        .status();
    assert!(copied.unwrap().success());
    let said = lines(&site, "evidence folder");
    assert_eq!(said[1].0, "warning", "{said:?}");
    for part in ["was copied", "begins a new log", "put it back"] {
        assert!(said[1].1.contains(part), "{part}: {said:?}");
    }
    fs::remove_dir_all(site.at("evidence")).unwrap();
    fs::rename(site.at("original"), site.at("evidence")).unwrap();
    assert_eq!(lines(&site, "evidence folder").len(), 1, "as it was");

    // The store is there and its log is not.
    fs::rename(site.at("evidence"), site.at("original")).unwrap();
    let said = lines(&site, "evidence folder");
    assert!(said[1].1.contains("it is lost"), "{said:?}");
    fs::rename(site.at("original"), site.at("evidence")).unwrap();

    // The log is there and its store is not.
    fs::rename(site.at("store"), site.at("store.away")).unwrap();
    let said = lines(&site, "evidence folder");
    assert!(said[1].1.contains("is not there"), "{said:?}");
}

/// EVD-3.4
#[test]
fn case_43_a_node_whose_logs_are_lost_says_so_when_it_begins_anew() {
    let site = Site::new();
    let alarms = |site: &Site| {
        let (_, status) = get(site.address("ops"), "/status").expect("answers");
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        status["alarms"].to_string()
    };
    let node = site.start();
    assert!(!alarms(&site).contains("evidence_anew"), "the first start");
    drop(node);
    fs::rename(site.at("evidence"), site.at("away")).unwrap();
    let node = site.start();
    assert!(alarms(&site).contains("evidence_anew"));
    drop(node);
    let _node = site.start();
    assert!(!alarms(&site).contains("evidence_anew"), "it goes on");
}

#[test]
fn a_check_refuses_a_folder_of_logs_that_nobody_can_write_as_a_start_does() {
    let site = Site::new();
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    let config = config.replace("folder = \"evidence\"", "folder = \"root.json/evidence\"");
    fs::write(site.at("node.toml"), config).unwrap();
    let said = lines(&site, "evidence folder");
    assert_eq!(said[0].0, "refused", "{said:?}");
    assert!(said[0].1.contains("root.json/evidence"), "{said:?}");
    for flag in ["--check", ""] {
        let (code, said) = site.refused(|command| {
            command.args((!flag.is_empty()).then_some(flag));
        });
        assert_eq!(code, 73, "{said}");
        assert!(said.contains("root.json/evidence"), "{said}");
    }
}

#[test]
fn a_check_says_that_evidence_is_switched_off() {
    let site = Site::new();
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    let off = config.replace("[evidence]\n", "[evidence]\nenabled = false\n");
    fs::write(site.at("node.toml"), off).unwrap();
    let said = lines(&site, "evidence");
    assert!(said[0].1.contains("switched off"), "{said:?}");
    assert_eq!(lines(&site, "evidence folder"), []);
}
