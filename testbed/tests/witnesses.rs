//! Real nodes cosign each other's logs; a foreign checker and the auditor's command read them; a witness that is killed
//! at any moment contradicts itself never.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_client::service::Service;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::Step;
use pli_protocol::evidence::submission::cosignature_lines;
use pli_protocol::evidence::{Bundle, Noted, Origin};
use pli_protocol::id::{EnvelopeId, to_hex};
use pli_protocol::merkle::Hash;
use pli_testbed::federation::Node;
use pli_testbed::fork::{Fork, ask};
use pli_testbed::sending::submit_all;
use pli_testbed::{Federation, ops};
use pli_trust::keyfile;
use support::{HOME, ORIGIN, PATIENCE, POLL, authority, two_hosts};

fn log_key(federation: &Federation, of: &str) -> SigningKey {
    keyfile::load(&federation.node(of).home().join("keys/log.key")).expect("a key")
}

/// The origin of a node's newest log.
async fn origin(node: &Node) -> Option<Origin> {
    let starts = ops::get(node.addresses().http, "/pli/log/starts")
        .await
        .ok()?;
    let start = starts.body.lines().last()?.to_owned();
    format!("{}/log/{start}", node.authority()).parse().ok()
}

/// A node's checkpoint, once so many have cosigned it.
async fn cosigned(federation: &Federation, of: &str, by: &str) -> Noted {
    let (node, key) = (federation.node(of), *log_key(federation, by).public());
    let began = Instant::now();
    loop {
        if let Some(origin) = origin(node).await {
            let path = format!("/pli/log/{}/checkpoint", origin.start.as_ms());
            let answer = ops::get(node.addresses().http, &path)
                .await
                .expect("answered");
            let noted = Noted::parse(&answer.body).ok();
            let cosigned = |noted: &Noted| !noted.cosignatures(|_| [key]).is_empty();
            if let Some(noted) = noted.filter(cosigned) {
                return noted;
            }
        }
        assert!(
            began.elapsed() < PATIENCE,
            "nobody cosigned the log of {of}"
        );
        tokio::time::sleep(POLL).await;
    }
}

fn pli(federation: &Federation, arguments: &[&str]) -> Output {
    auditor(federation, "seen", arguments)
}

/// What an auditor finds who keeps what he saw in this folder.
fn auditor(federation: &Federation, state: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(pli_testbed::binaries::Binaries::find().expect("built").pli);
    let state = federation.folder().join(state);
    command
        .arg("monitor")
        .arg("--once")
        .arg("--root")
        .arg(federation.root_file());
    command
        .arg("--trust")
        .arg(federation.repository())
        .arg("--state")
        .arg(state);
    command.args(arguments).output().expect("run")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The checker of interop-tests, which shares no code with ours.
fn foreign_checker(prefix: &str, key: &str, state: &Path) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = root.join(".venv/bin/python");
    let python = std::env::var_os("PLI_PYTHON").map_or(own, PathBuf::from);
    let mut command = Command::new(python);
    command.current_dir(root.join("interop-tests"));
    command.args([
        "-m", "tlog", "check", "--url", prefix, "--key", key, "--state",
    ]);
    command
        .arg(state)
        .output()
        .expect("PLI_PYTHON or .venv, made by scripts/setup.sh")
}

#[tokio::test(flavor = "multi_thread")]
async fn evd_7_5_nodes_cosign_each_other_and_foreign_eyes_find_their_logs_right() {
    let (federation, service, _citizen, grant) = support::scene(two_hosts()).await;
    for _ in 0..2 {
        let letters = support::letters(&service, &grant, 3).await;
        submit_all(&service, letters).await.expect("answered");
        for (of, by) in [(ORIGIN, HOME), (HOME, ORIGIN)] {
            let noted = cosigned(&federation, of, by).await;
            let origin = &noted.checkpoint().origin;
            let address = federation.node(of).addresses().http;
            let prefix = format!("http://{address}/pli/log/{}", origin.start.as_ms());
            let key = to_hex(log_key(&federation, of).public().as_bytes());
            let checked = foreign_checker(&prefix, &key, &federation.folder().join("checked"));
            assert!(checked.status.success(), "{}", said(&checked));
        }
        let monitored = pli(&federation, &["--witnesses", "1"]);
        assert_eq!(monitored.status.code(), Some(0), "{}", said(&monitored));
    }
    let short = pli(&federation, &["--witnesses", "2", "--json"]);
    assert_eq!(short.status.code(), Some(1), "{}", said(&short));
    assert!(said(&short).contains("too_few_witnesses"));
}

/// What an auditor says of the node of [`ORIGIN`] that lost the files of its log, or of its past alone.
async fn audited(lost: impl Fn(&str) -> bool) -> String {
    let (mut federation, service, _citizen, grant) = support::scene(two_hosts()).await;
    let letters = support::letters(&service, &grant, 3).await;
    submit_all(&service, letters).await.expect("answered");
    let noted = cosigned(&federation, ORIGIN, HOME).await;
    let seen = pli(&federation, &["--node", ORIGIN]);
    assert_eq!(seen.status.code(), Some(0), "{}", said(&seen));
    lose(&mut federation, &noted, lost).await;
    let began = Instant::now();
    loop {
        let audited = pli(&federation, &["--node", ORIGIN, "--json"]);
        let text = said(&audited);
        if audited.status.code() == Some(5) {
            assert!(
                text.contains(&noted.checkpoint().origin.to_string()),
                "{text}"
            );
            return text;
        }
        // The node may not have recorded its past again yet.
        assert!(began.elapsed() < PATIENCE, "{text}");
        tokio::time::sleep(POLL).await;
    }
}

/// Takes files of the log of this checkpoint from the node of [`ORIGIN`] while it does not run.
async fn lose(federation: &mut Federation, noted: &Noted, lost: impl Fn(&str) -> bool) {
    federation.node_mut(ORIGIN).kill().await.expect("killed");
    let start = noted.checkpoint().origin.start.as_ms().to_string();
    let log = federation.node(ORIGIN).home().join("evidence").join(&start);
    for file in std::fs::read_dir(log).expect("a folder") {
        let file = file.expect("a file");
        if lost(&file.file_name().to_string_lossy()) {
            std::fs::remove_file(file.path()).expect("removed");
        }
    }
    federation.node_mut(ORIGIN).start().expect("started");
    federation
        .node_mut(ORIGIN)
        .wait_ready()
        .await
        .expect("ready");
}

/// `pli evidence get`, again until nothing is pending.
async fn kept_bundle(federation: &Federation, service: &Service, id: EnvelopeId) -> String {
    let home = federation.service_home(service.id().authority(), service.id().name());
    let (home, id) = (home.to_str().expect("UTF-8"), id.to_string());
    let began = Instant::now();
    for attempt in 0.. {
        let file = federation.folder().join(format!("letter-{attempt}.pli"));
        let file = file.to_str().expect("UTF-8");
        let get = ["evidence", "get", &id, "--home", home, "--out", file];
        match federation.pli(&get).await {
            Ok(_) => return file.to_owned(),
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(POLL).await;
    }
    unreachable!("it tries until it has one, or has no patience left")
}

/// EVD-6.5: what an auditor says of a bundle that lacks something, and lacks it no more where another one has it.
fn missing(federation: &Federation, whole: &str, lose: impl Fn(&mut Bundle), alarm: &str) {
    let bytes = std::fs::read(whole).expect("a bundle");
    let (mut bundle, _) = Bundle::decode(&bytes.into()).expect("a bundle");
    lose(&mut bundle);
    let file = federation.folder().join(format!("{alarm}.pli"));
    std::fs::write(&file, bundle.encode()).expect("written");
    let file = file.to_str().expect("UTF-8");
    let at_once = ["--bundle", file, "--logged-within", "0", "--json"];
    let told = pli(federation, &at_once);
    assert_eq!(told.status.code(), Some(1), "{}", said(&told));
    assert!(said(&told).contains(&format!("\"{alarm}\"")));
    let later = pli(federation, &["--bundle", file]);
    assert_eq!(later.status.code(), Some(0), "{}", said(&later));
    let with_another = pli(federation, &[&at_once[..], &["--bundle", whole]].concat());
    assert_eq!(
        with_another.status.code(),
        Some(0),
        "{}",
        said(&with_another)
    );
}

/// EVD-6: a bundle suffices where no auditor had looked before.
#[tokio::test(flavor = "multi_thread")]
async fn case_20_a_bundle_convicts_a_past_that_was_written_again_before_the_auditor_came() {
    let (mut federation, service, _citizen, grant) = support::scene(two_hosts()).await;
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    let id = letter.id;
    submit_all(&service, vec![letter]).await.expect("answered");
    support::steps_when(&service, id, |step| step == Step::Stored).await;
    let noted = cosigned(&federation, ORIGIN, HOME).await;
    let bundle = kept_bundle(&federation, &service, id).await;

    let right = pli(&federation, &["--bundle", &bundle, "--logged-within", "0"]);
    assert_eq!(right.status.code(), Some(0), "{}", said(&right));
    let broken = federation.folder().join("broken.pli");
    let mut bytes = std::fs::read(&bundle).expect("a bundle");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&broken, bytes).expect("written");
    let broken = broken.to_str().expect("UTF-8");
    let both = pli(
        &federation,
        &["--bundle", broken, "--bundle", &bundle, "--json"],
    );
    assert_eq!(both.status.code(), Some(1), "{}", said(&both));
    assert!(said(&both).contains("\"broken_bundle\""));
    missing(&federation, &bundle, |b| b.proofs.clear(), "missing_event");
    missing(
        &federation,
        &bundle,
        |b| b.receipts.clear(),
        "missing_receipt",
    );

    lose(&mut federation, &noted, |file| file != "IDENTITY").await;
    let began = Instant::now();
    for attempt in 0.. {
        let state = format!("fresh-{attempt}");
        let blind = auditor(&federation, &state, &["--node", ORIGIN]);
        assert_ne!(blind.status.code(), Some(5), "{}", said(&blind));
        let state = format!("shown-{attempt}");
        let shown = ["--node", ORIGIN, "--json", "--bundle", &bundle];
        let audited = auditor(&federation, &state, &shown);
        let text = said(&audited);
        if audited.status.code() == Some(5) {
            let origin = noted.checkpoint().origin.to_string();
            assert!(text.contains(&origin), "{text}");
            assert!(
                text.contains("\"forked\"") || text.contains("\"shrunk\""),
                "{text}"
            );
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evd_3_4_an_auditor_notices_a_log_that_its_node_forgot() {
    let text = audited(|_| true).await;
    assert!(text.contains("\"shrunk\""), "{text}");
}

/// The recorded past is dated anew under the same name and key.
#[tokio::test(flavor = "multi_thread")]
async fn case_20_an_auditor_notices_a_past_that_was_written_again() {
    let text = audited(|file| file != "IDENTITY").await;
    assert!(
        text.contains("\"forked\"") || text.contains("\"shrunk\""),
        "{text}"
    );
}

/// Two forks of one log press a witness that is killed again and again. Whatever it cosigned, it never cosigned two
/// roots of one size.
#[tokio::test(flavor = "multi_thread")]
async fn r16_a_witness_killed_at_any_moment_cosigns_one_root_of_a_size() {
    const ROUNDS: u64 = 12;
    let mut federation = two_hosts().start().await.expect("nodes");
    let (key, witness) = (
        log_key(&federation, ORIGIN),
        *log_key(&federation, HOME).public(),
    );
    // A log that began after the node's own, which is cosigned at the same time.
    let start = clock::now().as_ms();
    let origin: Origin = format!("{ORIGIN}/log/{start}").parse().expect("an origin");
    let forks = [Fork { leaf: [1; 32] }, Fork { leaf: [2; 32] }];
    let mut cosigned: BTreeMap<u64, Hash> = BTreeMap::new();
    let mut size = 0;
    for round in 0..ROUNDS {
        let node = federation.node(HOME);
        let (address, pid) = (
            node.addresses().http,
            node.pid().expect("it runs").to_string(),
        );
        let killed = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(5 + 7 * round)).await;
            Command::new("kill")
                .args(["-KILL", &pid])
                .status()
                .expect("killed")
        });
        'pressed: loop {
            let requests = forks
                .each_ref()
                .map(|fork| fork.request(&origin, &key, size, size + 1));
            let answers = tokio::join!(ask(address, &requests[0]), ask(address, &requests[1]));
            let mut named = size;
            for (request, answer) in requests.iter().zip([answers.0, answers.1]) {
                let Some((status, body)) = answer else {
                    break 'pressed;
                };
                match status {
                    200 => {
                        let lines = cosignature_lines(&body).expect("lines");
                        let line = request
                            .noted
                            .cosignature(&lines[0], &authority(HOME), &witness);
                        assert!(line.is_some(), "{body}");
                        let root = request.noted.checkpoint().root;
                        let first = *cosigned.entry(size + 1).or_insert(root);
                        assert_eq!(first, root, "two roots of {} entries", size + 1);
                        named = named.max(size + 1);
                    }
                    409 => named = named.max(body.trim().parse().expect("a size")),
                    422 => {}
                    other => panic!("{other}: {body}"),
                }
            }
            size = named;
        }
        assert!(killed.await.expect("it ran").success());
        federation.node_mut(HOME).kill().await.expect("killed");
        federation.node_mut(HOME).start().expect("started");
        federation.node_mut(HOME).wait_ready().await.expect("ready");
    }
    assert!(
        cosigned.len() as u64 > ROUNDS,
        "only {} heads were cosigned",
        cosigned.len()
    );
}
