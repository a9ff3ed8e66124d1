//! A node that runs: its addresses, its stop, its directory, and who else is this node.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_node::config::Config;
use pli_node::federation;
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::AuthorityId;
use pli_protocol::limits::{ENROL_TIMEOUT_MS, TRUST_FETCH_TIMEOUT_MS};
use pli_protocol::session::{Principal, ServerIdentity};
use pli_protocol::trust::Environment;
use pli_transport::{Credential, Dialler, Endpoints};
use pli_trust::write::Suspension;

use crate::site::{AUTHORITY, SOON, Site, block_on, get, now};

#[test]
fn a_node_starts_serves_its_addresses_and_stops_with_0_at_sigterm() {
    let site = Site::new();
    let mut node = site.start();
    let (status, body) = get(node.ops, "/status").unwrap();
    assert_eq!(status, 200);
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["authority"], AUTHORITY);
    assert_eq!(report["key_id"], site.key.public().id().to_string());
    assert_eq!(report["ready"]["ready"], true);
    assert_eq!(report["directory"]["in_force"], true);
    assert!(
        get(node.ops, "/metrics")
            .unwrap()
            .1
            .contains("pli_trust_authorities 1")
    );

    let (status, served) = get(node.http, "/trust/metadata/timestamp.json").unwrap();
    assert_eq!(status, 200);
    let published = site.at("federation/repository/metadata/timestamp.json");
    assert_eq!(served, fs::read_to_string(published).unwrap());
    assert_eq!(
        get(node.http, "/status").unwrap().0,
        404,
        "operations are not public"
    );

    node.signal("-TERM");
    assert_eq!(node.ended(), Some(0));
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let site = Site::new();
    let mut node = site.start();
    let mut slow = TcpStream::connect(node.http).unwrap();
    slow.write_all(b"GET /trust/metadata/timestamp.json HTTP/1.1\r\nhost: x\r\n")
        .unwrap();
    // Nothing outside tells when the node has begun to read the request.
    std::thread::sleep(Duration::from_secs(1));
    node.signal("-TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        node.child.try_wait().unwrap(),
        None,
        "it waits for the request's end"
    );
    node.signal("-TERM");
    assert_eq!(node.ended(), Some(143));
}

#[test]
fn sigint_stops_too_and_what_was_made_opens_again() {
    let site = Site::new();
    for signal in ["-INT", "-TERM"] {
        let mut node = site.start();
        node.signal(signal);
        assert_eq!(node.ended(), Some(0), "{signal}");
    }
}

#[test]
fn case_42_a_second_process_on_one_store_ends_with_73() {
    let site = Site::new();
    let node = site.start();
    let second = fs::read_to_string(site.at("node.toml")).unwrap();
    let own = [node.ops, node.http, site.address("websocket")];
    let moved = own.iter().fold(second, |text, address| {
        text.replace(&address.to_string(), "127.0.0.1:0")
    });
    fs::write(site.at("node.toml"), moved).unwrap();
    let (code, said) = site.refused(|_| {});
    assert_eq!(code, 73, "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    assert_eq!(
        get(node.ops, "/readyz").unwrap().0,
        200,
        "the first goes on"
    );
}

/// SES-3.7
#[test]
fn case_80_a_second_node_with_our_key_is_refused_and_is_an_alarm() {
    let site = Site::new();
    let node = site.start();
    let authority = AuthorityId::new(AUTHORITY).unwrap();
    let dialler = Dialler::new(Credential {
        principal: Principal::Node(authority.clone()),
        key: Arc::new(site.key.clone()),
    });
    let server = ServerIdentity {
        authority,
        key: *site.key.public(),
    };
    let endpoints = Endpoints {
        websocket: vec![site.address("websocket")],
        ..Endpoints::default()
    };
    let refused = block_on(dialler.connect(&server, &endpoints));
    assert!(refused.is_err(), "{refused:?}");
    let (_, body) = get(node.ops, "/status").unwrap();
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    let alarms = report["alarms"].as_array().unwrap();
    assert!(
        alarms
            .iter()
            .any(|alarm| alarm["alarm"] == "identity_in_use"),
        "{body}"
    );
}

/// SES-5.7
#[test]
fn case_52_a_device_that_does_not_enrol_loses_its_place() {
    let site = Site::new();
    let node = site.start();
    let dialler = Dialler::new(Credential {
        principal: Principal::Device,
        key: Arc::new(SigningKey::from_seed(&[81; 32])),
    });
    let server = ServerIdentity {
        authority: AuthorityId::new(AUTHORITY).unwrap(),
        key: *site.key.public(),
    };
    let endpoints = Endpoints {
        websocket: vec![site.address("websocket")],
        ..Endpoints::default()
    };
    let begin = Instant::now();
    let lost = block_on(async {
        let session = dialler.connect(&server, &endpoints).await.unwrap();
        tokio::time::timeout(SOON, session.closed()).await
    });
    let lost = lost.expect("its keep-alives do not hold the place");
    assert_eq!(lost.code(), Some(Code::UnknownDevice), "{lost}");
    assert!(begin.elapsed() >= Duration::from_millis(ENROL_TIMEOUT_MS));
    let (_, body) = get(node.ops, "/status").unwrap();
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["sessions"]["devices"], 0, "{body}");
}

#[test]
fn the_log_is_json_when_asked_and_never_holds_the_key() {
    let site = Site::new();
    let mut config = fs::read_to_string(site.at("node.toml")).unwrap();
    config.push_str("[log]\nformat = \"json\"\nfilter = \"debug\"\n");
    fs::write(site.at("node.toml"), config).unwrap();
    let mut node = site.start();
    let errors = node.child.stderr.take().unwrap();
    node.signal("-TERM");
    let lines: Vec<String> = BufReader::new(errors).lines().map(Result::unwrap).collect();
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
    assert!(!lines.is_empty());
    let secret = site.key.to_secret_text();
    let seed = &secret[secret.len() - 43..];
    for line in &lines {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(event["level"].is_string(), "{line}");
        assert!(!line.contains(seed));
    }
}

#[test]
fn case_18_a_running_node_takes_a_newer_directory_and_never_an_older_one() {
    let site = Site::new();
    let repository = site.at("federation/repository/metadata");
    let old = fs::read(repository.join("timestamp.json")).unwrap();
    let node = site.start();
    let wait_for = |want: &dyn Fn(&serde_json::Value) -> bool| {
        let begin = Instant::now();
        loop {
            let status = serde_json::from_str(&get(node.ops, "/status").unwrap().1).unwrap();
            if want(&status) {
                return;
            }
            assert!(begin.elapsed() < SOON, "{status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    site.publish(&[]);
    wait_for(&|status| status["directory"]["versions"]["timestamp"] == 2);

    fs::write(repository.join("timestamp.json"), old).unwrap();
    let raised = |status: &serde_json::Value| {
        let alarms = status["alarms"].as_array().unwrap();
        alarms
            .iter()
            .any(|alarm| alarm["alarm"] == "directory_rollback")
    };
    wait_for(&raised);
    wait_for(&|status| status["directory"]["versions"]["timestamp"] == 2);
    assert_eq!(
        get(node.ops, "/readyz").unwrap().0,
        200,
        "the newer one stays in force"
    );

    site.publish(&[]);
    wait_for(&|status| status["directory"]["versions"]["timestamp"] == 3 && !raised(status));
}

/// TRU-4.2
#[test]
fn a_suspended_node_says_so_to_its_operator_and_once_in_its_log() {
    let site = Site::new();
    let mut node = site.start();
    let errors = node.child.stderr.take().unwrap();
    let log = std::thread::spawn(move || -> Vec<String> {
        BufReader::new(errors).lines().map(Result::unwrap).collect()
    });
    let readyz_when = |status: u16| {
        let begin = Instant::now();
        loop {
            let (got, body) = get(node.ops, "/readyz").unwrap();
            if got == status {
                return body;
            }
            assert!(begin.elapsed() < SOON, "{body}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let gauge = "pli_process_alarm{alarm=\"own_authority_suspended\"}";
    let shown = |value: u8| {
        get(node.ops, "/metrics")
            .unwrap()
            .1
            .contains(&format!("{gauge} {value}"))
    };
    assert!(shown(0));

    site.suspend(Suspension::Impose);
    let body = readyz_when(503);
    for part in [
        "the federation has suspended interieur.gouv.fr since",
        "--lift",
    ] {
        assert!(body.contains(part), "{body}");
    }
    // The alarm comes right after the directory; refreshed again and again, it is said once.
    std::thread::sleep(Duration::from_secs(3));
    assert!(shown(1));
    let (_, status) = get(node.ops, "/status").unwrap();
    assert!(status.contains("own_authority_suspended"), "{status}");
    let (code, said) = site.refused(|command| {
        command.arg("--check");
    });
    assert_eq!(code, 73, "its store is in use: {said}");
    assert!(said.contains("has suspended interieur.gouv.fr"), "{said}");

    site.suspend(Suspension::Lift);
    readyz_when(200);
    node.signal("-TERM");
    assert_eq!(node.ended(), Some(0));
    let log = log.join().unwrap();
    let warned = |line: &&String| line.contains("WARN") && line.contains("has suspended");
    assert_eq!(log.iter().filter(warned).count(), 1, "{log:#?}");
}

/// TRU-5.3: the system takes the connections of the first mirror; nobody takes them from the system.
#[test]
fn a_new_node_whose_first_mirror_is_silent_starts_by_the_second_within_some_seconds() {
    let site = Site::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = fs::read_to_string(site.at("node.toml")).unwrap();
    let sources = format!(
        "[\"http://{}/\", \"federation/repository\"]",
        silent.local_addr().unwrap()
    );
    let config = config.replace("[\"federation/repository\"]", &sources);
    fs::write(site.at("node.toml"), config).unwrap();
    for copied in [false, true] {
        assert_eq!(site.at("trust").exists(), copied);
        let begin = Instant::now();
        let node = site.start();
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        drop(node);
    }
}

/// TRU-5.3: on a clock that runs when nothing else does.
#[tokio::test(start_paused = true)]
async fn r18_a_start_from_the_copy_waits_less_than_a_silent_mirror_takes() {
    let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
    let mut trust = Config::load(&site.at("node.toml")).unwrap().trust;
    let production = Environment::Production;
    let first = federation::open(&trust, production, now()).await.unwrap();
    assert_eq!(first.found.from_copy, None);
    // The system takes the connection; nobody takes it from the system.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}/", silent.local_addr().unwrap());
    trust.sources = vec![mirror.parse().unwrap()];
    let began = tokio::time::Instant::now();
    let again = federation::open(&trust, production, now()).await.unwrap();
    let took = began.elapsed();
    assert!(
        took < Duration::from_millis(TRUST_FETCH_TIMEOUT_MS),
        "{took:?}"
    );
    let (again, first) = (again.found, first.found);
    assert_eq!(again.directory.versions(), first.directory.versions());
    assert!(again.from_copy.is_some(), "and it says so");
}
