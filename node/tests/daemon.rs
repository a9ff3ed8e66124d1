//! The binary from outside: its arguments, its refusals with their exit codes, its start and stop.
//! A real federation, made for each test by `pli_trust`, on real files and free ports.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pli_protocol::account::{Invitation, InvitationLink};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::session::{Principal, ServerIdentity};
use pli_protocol::trust::{DisplayName, Environment};
use pli_transport::{Credential, Dialler, Endpoints};
use pli_trust::keyfile;
use pli_trust::write::{
    Authority, Federation, GrantChange, KeyRing, Lifetimes, NewAuthority, NewFederation, RoleKeys,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);
const AUTHORITY: &str = "interieur.gouv.fr";

struct Site {
    folder: TempDir,
    key: SigningKey,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap())
}

fn one(key: &SigningKey) -> RoleKeys {
    RoleKeys::new(vec![*key.public()], 1).unwrap()
}

impl Site {
    /// A federation of one authority, its node's key and its configuration.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let key = keyfile::create(&at("node.key")).unwrap();
        let [root, targets, snapshot, timestamp, own] =
            [(); 5].map(|()| keyfile::generate().unwrap());
        let new = NewFederation {
            root: one(&root),
            targets: one(&targets),
            snapshot: one(&snapshot),
            timestamp: one(&timestamp),
            lifetimes: Lifetimes::default(),
        };
        let offline = KeyRing::new([root, targets.clone()]);
        let mut federation = Federation::init(&at("federation"), new, &offline, now()).unwrap();
        let new = NewAuthority {
            authority: AuthorityId::new(AUTHORITY).unwrap(),
            name: DisplayName::new("Intérieur", "Interior").unwrap(),
            keys: one(&own),
            role_days: 365,
            node_key: *key.public(),
            quic: vec!["127.0.0.1:7400".parse().unwrap()],
            websocket: Vec::new(),
        };
        let mut authority = Authority::init(&at("authority"), new, now()).unwrap();
        authority.publish(&KeyRing::new([own]), now()).unwrap();
        let handover = authority.handover_dir();
        let grant = GrantChange {
            may_host: Some(true),
            ..GrantChange::default()
        };
        federation
            .add_authority(&handover, grant, &KeyRing::new([targets]), now())
            .unwrap();
        let online = KeyRing::new([snapshot, timestamp]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let handovers = [handover];
        let publish = federation.publish(&handovers, &online, Environment::Production, now());
        runtime.block_on(publish).unwrap();
        fs::copy(federation.root_file(), at("root.json")).unwrap();
        let site = Self { folder, key };
        site.configure("");
        site
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, more: &str) {
        let ports: Vec<TcpListener> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let [websocket, http, ops] = [0, 1, 2].map(|i: usize| ports[i].local_addr().unwrap());
        let text = format!(
            "authority = \"{AUTHORITY}\"\nkey = \"node.key\"\ndrain = \"5s\"\n{more}\n\
             [store]\nurl = \"fjall:store\"\nmin_free = \"1MiB\"\n\
             [listen]\nquic = \"127.0.0.1:0\"\nwebsocket = \"{websocket}\"\nhttp = \"{http}\"\nops = \"{ops}\"\n\
             [trust]\nroot = \"root.json\"\nsources = [\"federation/repository\"]\ndatastore = \"trust\"\n",
        );
        fs::write(self.at("node.toml"), text).unwrap();
    }

    fn address(&self, key: &str) -> SocketAddr {
        let text = fs::read_to_string(self.at("node.toml")).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{key} = ")))
            .unwrap();
        line.split('"').nth(1).unwrap().parse().unwrap()
    }

    fn node(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pli-node"));
        command.arg("--config").arg(self.at("node.toml"));
        command.env_remove("SSLKEYLOGFILE").env_remove("PLI_LOG");
        command
    }

    /// Runs until the process ends by itself, which a refusal does.
    fn refused(&self, with: impl FnOnce(&mut Command)) -> (i32, String) {
        let mut command = self.node();
        with(&mut command);
        let output = ended(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let text = format!("{}{}", text(&output.stdout), text(&output.stderr));
        (output.status.code().unwrap(), text)
    }

    fn start(&self) -> Running {
        let child = self
            .node()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Running {
            child,
            ops: self.address("ops"),
            http: self.address("http"),
        };
        let begin = Instant::now();
        while get(running.ops, "/readyz").is_none_or(|(status, _)| status != 200) {
            if let Some(status) = running.child.try_wait().unwrap() {
                let mut said = String::new();
                running
                    .child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                panic!("ended with {status}: {said}");
            }
            assert!(
                begin.elapsed() < SOON,
                "not ready: {:?}",
                get(running.ops, "/readyz")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

struct Running {
    child: Child,
    ops: SocketAddr,
    http: SocketAddr,
}

impl Running {
    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(name)
            .arg(self.child.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }
}

/// A test that fails must not leave a node behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > SOON {
            child.kill().unwrap();
            panic!("still runs: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn get(at: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {at}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[test]
fn the_example_is_printed_as_it_is_kept() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pli-node"));
    let output = command.arg("--print-example-config").output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), include_str!("../node.example.toml"));
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
fn case_74_a_key_of_another_ends_with_77_and_names_both_fingerprints() {
    let site = Site::new();
    fs::remove_file(site.at("node.key")).unwrap();
    fs::remove_file(site.at("node.key.pub")).unwrap();
    let other = keyfile::create(&site.at("node.key")).unwrap();
    for flag in ["--check", ""] {
        let (code, said) = site.refused(|command| {
            command.args((!flag.is_empty()).then_some(flag));
        });
        assert_eq!(code, 77, "{said}");
        assert!(said.contains(&other.public().id().to_string()), "{said}");
        assert!(said.contains(&site.key.public().id().to_string()), "{said}");
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
    let other = Site::new();
    fs::copy(other.at("root.json"), site.at("root.json")).unwrap();
    let (code, said) = site.refused(|_| {});
    assert_eq!(code, 65, "{said}");
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
fn check_finds_nothing_wrong_and_says_what_it_looked_at() {
    let site = Site::new();
    let (code, said) = site.refused(|command| {
        command.arg("--check");
    });
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&site.key.public().id().to_string()), "{said}");
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
        "listen.quic",
        "listen.ops",
    ] {
        assert!(looked.contains(&what), "{what}: {said}");
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
    assert!(
        !site.at("store").exists(),
        "only the key and the root are read"
    );

    for (name, value) in [
        ("--count", "0"),
        ("--count", "10001"),
        ("--valid-for", "31d"),
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
    let begin = Instant::now();
    let status = node.child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "{:?}",
        begin.elapsed()
    );
}

/// The half of a request keeps the node draining; nothing acknowledged can be lost by not waiting.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let site = Site::new();
    let mut node = site.start();
    let mut slow = TcpStream::connect(node.http).unwrap();
    slow.write_all(b"GET /trust/metadata/timestamp.json HTTP/1.1\r\nhost: x\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    node.signal("-TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        node.child.try_wait().unwrap(),
        None,
        "it waits for the request's end"
    );
    node.signal("-TERM");
    assert_eq!(node.child.wait().unwrap().code(), Some(143));
}

#[test]
fn sigint_stops_too_and_what_was_made_opens_again() {
    let site = Site::new();
    for signal in ["-INT", "-TERM"] {
        let mut node = site.start();
        node.signal(signal);
        assert_eq!(node.child.wait().unwrap().code(), Some(0), "{signal}");
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let refused = runtime.block_on(dialler.connect(&server, &endpoints));
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
