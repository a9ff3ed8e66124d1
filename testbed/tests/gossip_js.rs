//! Another implementation of everything below the payload, js-libp2p, in the gossip of real nodes: `interop-tests/gossip-js`.
//! `cargo test` alone passes it over, because its packages come from npm: `make test` runs it by `scripts/gossip-js.sh`.

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pli_protocol::evidence::{Checkpoint, Noted, SplitView};
use pli_testbed::Federation;
use pli_testbed::federation::AuthorityPlan;
use pli_testbed::sending::submit_all;
use pli_trust::keyfile;
use serde_json::Value;
use support::trust::alarmed;
use support::{HOME, ORIGIN, two_hosts};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const THIRD: &str = "numerique.gouv.fr";
const PATIENCE: Duration = Duration::from_secs(60);

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop-tests/gossip-js")
}

/// The program, and what it tells.
struct Joined {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Joined {
    /// With the key of [`THIRD`]'s node, in the gossip of [`ORIGIN`]'s; says this once it has heard a checkpoint.
    fn start(federation: &Federation, alert: &Path) -> Self {
        let public = |name: &str, key: &str| {
            let path = federation.node(name).home().join("keys").join(key);
            keyfile::load(&path).expect("a key").public().to_string()
        };
        let third = federation.node(THIRD).home().join("keys/node.key");
        let mut child = Command::new("node")
            .arg(program().join("join.mjs"))
            .arg("--key")
            .arg(third)
            .args([
                "--peer",
                &federation.node(ORIGIN).addresses().gossip.to_string(),
            ])
            .args(["--peer-key", &public(ORIGIN, "node.key")])
            .args(["--log-key", &public(ORIGIN, "log.key")])
            .args(["--log-key", &public(HOME, "log.key")])
            .args(["--topic", "pli/1/alerts", "--say"])
            .arg(alert)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js 20 or later: https://nodejs.org");
        let stdout = child.stdout.take().expect("piped");
        let lines = BufReader::new(stdout).lines();
        Self { child, lines }
    }

    /// The next event of this name; what is told before it is passed over.
    async fn tells(&mut self, event: &str) -> Value {
        let found = async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                let told: Value = serde_json::from_str(&line).expect("a line of JSON");
                if told["event"] == event {
                    return told;
                }
            }
            panic!("it ended without {event}");
        };
        timeout(PATIENCE, found).await.expect(event)
    }
}

/// GOS-1.1, GOS-2.1, GOS-2.3, GOS-3.5, GOS-5.1: it joins with a node's key, hears the directory and a checkpoint that it
/// verifies, and what it says is judged and told to all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js and the packages of interop-tests/gossip-js: scripts/gossip-js.sh runs it"]
async fn js_libp2p_hears_a_checkpoint_and_convicts_a_log() {
    let third = AuthorityPlan::new(THIRD, "Numérique", "Digital").hosts();
    let (mut federation, service, _citizen, grant) =
        support::scene(two_hosts().authority(third)).await;
    federation.node_mut(THIRD).kill().await.expect("killed");
    // Two heads of one log, signed by its key: as bad as a node can be.
    let log_key = federation.node(ORIGIN).home().join("keys/log.key");
    let log_key = keyfile::load(&log_key).expect("a key");
    let head = |root: u8| {
        let checkpoint = Checkpoint {
            origin: format!("{ORIGIN}/log/1700000000000")
                .parse()
                .expect("an origin"),
            size: 7,
            root: [root; 32],
        };
        Noted::parse(&checkpoint.sign(&log_key)).expect("a checkpoint")
    };
    let alert = federation.folder().join("alert");
    let view = SplitView::between(head(1), head(2)).expect("they differ");
    std::fs::write(&alert, view.encode()).expect("written");

    let mut joined = Joined::start(&federation, &alert);
    joined.tells("joined").await;
    let last = joined.tells("last").await;
    assert_eq!(last["topic"], "pli/1/trust", "{last}");
    assert_eq!(last["version"], 1, "{last}");
    let letters = support::letters(&service, &grant, 2).await;
    submit_all(&service, letters).await.expect("answered");
    let checkpoint = joined.tells("checkpoint").await;
    let origin = checkpoint["origin"].as_str().expect("an origin");
    assert!(
        origin.starts_with(ORIGIN) || origin.starts_with(HOME),
        "{origin}"
    );
    assert!(checkpoint["size"].as_u64().expect("a size") > 0);
    let said = joined.tells("said").await;
    assert_eq!(said["to"].as_array().expect("peers").len(), 1);
    for of in [ORIGIN, HOME] {
        let detail = alarmed(&federation, of, "split_view").await;
        assert!(detail.contains(ORIGIN), "{detail}");
    }
    drop(joined.child.stdin.take());
    let ended = timeout(PATIENCE, joined.child.wait()).await;
    assert!(ended.expect("it ends").expect("waited for").success());
}
