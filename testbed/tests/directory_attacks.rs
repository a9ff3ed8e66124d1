//! R18: each attack that TUF names, against a running node: by the mirror that it reads, and by the only node that it
//! can ask. It keeps what it had, its operator is told, and the next honest directory is in force.
//!
//! An attacker who has stolen keys signs with them: the online ones, or too few of the offline ones.

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::Timestamp;
use pli_testbed::Federation;
use serde_json::json;
use support::attack::{Copy, copy};
use support::trust::{
    alarmed, alarms, in_force, reaches, read_from, republish, version, without_mirror,
};
use support::{HOME, ORIGIN, PATIENCE, POLL, status, two_hosts};

/// By which way the node is attacked.
#[derive(Clone, Copy, Debug)]
enum By {
    Mirror,
    Peer,
}

impl By {
    /// What the operator of the attacked node reads.
    fn alarms(self) -> &'static [&'static str] {
        match self {
            Self::Mirror => &[
                "directory_refresh_failed",
                "directory_rollback",
                "directory_equivocation",
            ],
            Self::Peer => &["directory_peer_refused"],
        }
    }
}

/// The node of [`HOME`], which looks every second and has one way to the directory: the copy of the attacker.
async fn victim(by: By) -> (Federation, Copy) {
    let plan = two_hosts().set("gossip", "enabled", "false");
    let mut federation = plan.start().await.expect("nodes");
    federation.node_mut(HOME).kill().await.expect("killed");
    let attacker = match by {
        By::Mirror => {
            // Nobody else can be asked.
            federation.node_mut(ORIGIN).kill().await.expect("killed");
            let folder = federation.folder().join("mirror");
            copy(&federation.repository(), &folder);
            read_from(&federation, HOME, &folder);
            folder
        }
        By::Peer => {
            without_mirror(&federation, HOME);
            // It must not see by itself what is published: it would put that over what it gives.
            federation.node_mut(ORIGIN).kill().await.expect("killed");
            copy(&federation.repository(), &quiet(&federation));
            read_from(&federation, ORIGIN, &quiet(&federation));
            federation.node_mut(ORIGIN).restart().await.expect("ready");
            federation.node(ORIGIN).home().join("trust/mirror")
        }
    };
    let config = federation.node(HOME).config_path();
    let text = fs::read_to_string(config).expect("its configuration");
    let text = text.replace("[trust]", "[trust]\nrefresh = \"1s\"");
    fs::write(config, text).expect("written");
    federation.node_mut(HOME).restart().await.expect("ready");
    let attacker = Copy::at(&federation, attacker);
    (federation, attacker)
}

/// Where the peer that is asked reads the directory; nothing is published there by itself.
fn quiet(federation: &Federation) -> PathBuf {
    federation.folder().join("quiet")
}

/// The attack changes nothing but what the operator reads, and what is honest afterwards is taken.
async fn holds(by: By, attack: impl Fn(&Federation, &Copy)) {
    let (federation, attacker) = victim(by).await;
    // Older versions there are to roll back to.
    let before = republish(&federation).await;
    attacker.renew(&federation);
    reaches(&federation, HOME, before).await;
    let kept = in_force(&federation, HOME).await;
    attack(&federation, &attacker);
    let began = Instant::now();
    loop {
        let raised = alarms(&federation, HOME).await;
        if by.alarms().iter().any(|alarm| raised.contains(*alarm))
            && status(&federation, HOME).await["directory"]["in_force"] == true
        {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{by:?}: the operator reads {raised:?}"
        );
        tokio::time::sleep(POLL).await;
    }
    // It goes on being attacked, and keeps what it had.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(in_force(&federation, HOME).await, kept, "{by:?}");
    let honest = republish(&federation).await;
    attacker.renew(&federation);
    reaches(&federation, HOME, honest).await;
    let began = Instant::now();
    while let raised = alarms(&federation, HOME).await
        && (raised.contains("directory_peer_refused") || raised.contains("directory_rollback"))
    {
        assert!(began.elapsed() < PATIENCE, "{by:?}: still {raised:?}");
        tokio::time::sleep(POLL).await;
    }
}

async fn by_both(attack: impl Fn(&Federation, &Copy)) {
    holds(By::Mirror, &attack).await;
    holds(By::Peer, &attack).await;
}

fn one_more(signed: &mut serde_json::Value) {
    signed["version"] = (signed["version"].as_u64().expect("a number") + 1).into();
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_arbitrary_metadata_by_a_foreign_key() {
    by_both(|_, copy| {
        let mut timestamp = copy.read("timestamp.json");
        one_more(&mut timestamp["signed"]);
        copy.sign(&mut timestamp, &[SigningKey::from_seed(&[77; 32])]);
        copy.write("timestamp.json", &timestamp);
    })
    .await;
}

/// Signed once, and older than what the node has. The online keys are not even needed.
#[tokio::test(flavor = "multi_thread")]
async fn case_18_r18_rollback_to_an_older_snapshot() {
    by_both(|_, copy| {
        let older = copy.version("snapshot") - 1;
        let meta = copy.meta(&format!("{older}.snapshot.json"), older);
        copy.stolen_timestamp(|signed| {
            one_more(signed);
            signed["meta"]["snapshot.json"] = meta;
        });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_mix_and_match_of_files_that_never_were_together() {
    by_both(|_, copy| {
        let version = copy.version("snapshot");
        let snapshot = copy.read(&format!("{}.snapshot.json", version - 1));
        copy.write(&format!("{version}.snapshot.json"), &snapshot);
        // As new as may be, so that the snapshot is looked at.
        copy.stolen_timestamp(|signed| {
            one_more(signed);
            signed["meta"]["snapshot.json"]["version"] = (version + 1).into();
        });
        copy.write(&format!("{}.snapshot.json", version + 1), &snapshot);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_wrong_target_under_a_right_name() {
    by_both(|_, copy| {
        // The next directory is the federation's own but for one file, which is not what was signed.
        let version = copy.version("targets");
        let mut targets = copy.read(&format!("{version}.targets.json"));
        one_more(&mut targets["signed"]);
        let names = targets["signed"]["targets"]
            .as_object_mut()
            .expect("targets");
        let (path, first) = names.iter_mut().next().expect("one");
        let signed = "00".repeat(32);
        first["hashes"]["sha256"] = json!(signed);
        let (folder, file) = path.rsplit_once('/').expect("a path");
        let place = copy.folder().join("targets").join(folder);
        fs::write(place.join(format!("{signed}.{file}")), "{}").expect("written");
        let name = format!("{}.targets.json", version + 1);
        copy.sign(
            &mut targets,
            &[
                copy.key("offline/targets-1.key"),
                copy.key("offline/targets-2.key"),
            ],
        );
        copy.write(&name, &targets);
        let meta = copy.meta(&name, version + 1);
        copy.stolen_snapshot(|files| files["targets.json"] = meta);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_stolen_keys_below_the_threshold() {
    by_both(|_, copy| {
        let version = copy.version("targets");
        let mut targets = copy.read(&format!("{version}.targets.json"));
        one_more(&mut targets["signed"]);
        copy.sign(&mut targets, &[copy.key("offline/targets-1.key")]);
        let name = format!("{}.targets.json", version + 1);
        copy.write(&name, &targets);
        let meta = copy.meta(&name, version + 1);
        copy.stolen_snapshot(|files| files["targets.json"] = meta);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_file_that_is_longer_than_any_may_be() {
    by_both(|_, copy| {
        let endless = vec![b' '; 64 << 20];
        fs::write(copy.file("timestamp.json"), endless).expect("written");
    })
    .await;
}

/// A server that sends on and on: the node reads no more than its bound, each time.
#[tokio::test(flavor = "multi_thread")]
async fn r18_endless_data_over_http_is_cut_and_costs_no_memory() {
    let (mut federation, _) = victim(By::Mirror).await;
    let kept = in_force(&federation, HOME).await;
    federation.node_mut(HOME).kill().await.expect("killed");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let head =
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"signatures\":[";
                let mut sent = stream.write_all(head);
                while sent.is_ok() {
                    sent = stream.write_all(&[b' '; 65_536]);
                }
            });
        }
    });
    read_from(&federation, HOME, std::path::Path::new(&url));
    federation.node_mut(HOME).restart().await.expect("ready");
    alarmed(&federation, HOME, "directory_refresh_failed").await;
    let before = federation.node(HOME).resident_bytes().expect("it runs");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grown = federation
        .node(HOME)
        .resident_bytes()
        .expect("it runs")
        .saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    assert_eq!(in_force(&federation, HOME).await, kept);
}

/// The node takes a directory that ends within seconds. One that ended before it was fetched is rightly refused, so
/// that on a slow machine there is another.
async fn ends_in_force(federation: &Federation, attacker: &Copy) {
    const LASTS: Duration = Duration::from_secs(6);
    let began = Instant::now();
    loop {
        let ends = pli_client::clock::now().plus_ms(LASTS.as_millis() as u64);
        let ends = Timestamp::from_ms(ends.as_ms() / 1_000 * 1_000).to_string();
        attacker.stolen_timestamp(|signed| {
            one_more(signed);
            signed["expires"] = json!(ends.replace(".000Z", "Z"));
        });
        let version = version(&attacker.file("timestamp.json"));
        let shown = Instant::now();
        while shown.elapsed() < LASTS {
            if in_force(federation, HOME).await.timestamp >= version {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
        assert!(began.elapsed() < PATIENCE, "never in force");
    }
}

/// The attacker shows the same directory for ever: past its end nothing new is accepted, and the operator was told before.
#[tokio::test(flavor = "multi_thread")]
async fn case_19_r18_a_frozen_directory_expires_and_the_next_honest_one_ends_it() {
    for by in [By::Mirror, By::Peer] {
        let (federation, attacker) = victim(by).await;
        ends_in_force(&federation, &attacker).await;
        alarmed(&federation, HOME, "directory_expired").await;
        let expired = status(&federation, HOME).await;
        assert_eq!(expired["directory"]["in_force"], false, "{by:?}");
        assert_eq!(expired["ready"]["ready"], false, "{by:?}");
        // Past the versions that the attacker has used.
        let mut honest = republish(&federation).await;
        while honest <= in_force(&federation, HOME).await.timestamp {
            honest = republish(&federation).await;
        }
        attacker.renew(&federation);
        // The peer may have learned of the frozen one too; expired, it lets nobody in until it sees another.
        copy(&federation.repository(), &quiet(&federation));
        reaches(&federation, HOME, honest).await;
        let began = Instant::now();
        while alarms(&federation, HOME)
            .await
            .contains("directory_expired")
        {
            assert!(began.elapsed() < PATIENCE, "{by:?}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Whoever stole the online keys jumps to the last version; the root's holders name other keys, and versions begin anew.
#[tokio::test(flavor = "multi_thread")]
async fn case_22_r18_a_fast_forward_is_recovered_by_a_root_rotation() {
    let (federation, attacker) = victim(By::Mirror).await;
    attacker.stolen_timestamp(|signed| signed["version"] = (i64::MAX as u64).into());
    reaches(&federation, HOME, i64::MAX as u64).await;
    republish(&federation).await;
    attacker.renew(&federation);
    alarmed(&federation, HOME, "directory_rollback").await;

    let at = |path: &str| federation.folder().join(path).display().to_string();
    let (dir, online) = (at("federation"), at("keys/online"));
    for name in ["timestamp", "snapshot"] {
        fs::remove_file(format!("{online}/{name}.key")).expect("stolen");
        drop(fs::remove_file(format!("{online}/{name}.key.pub")));
    }
    let (timestamp, snapshot) = (
        format!("{online}/timestamp.key"),
        format!("{online}/snapshot.key"),
    );
    let [first, second] = [1, 2].map(|n| at(&format!("keys/offline/root-{n}.key")));
    let arguments = [
        "federation",
        "rotate-root",
        "--dir",
        &dir,
        "--timestamp",
        &timestamp,
        "--snapshot",
        &snapshot,
        "--key",
        &first,
        "--key",
        &second,
    ];
    federation.pli(&arguments).await.expect("rotated");
    let honest = republish(&federation).await;
    attacker.renew(&federation);
    let began = Instant::now();
    loop {
        let now = in_force(&federation, HOME).await;
        if now.root == 2 && now.timestamp == honest {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{now:?}, published {honest}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_a_blocked_mirror_keeps_the_directory_and_tells() {
    let (federation, attacker) = victim(By::Mirror).await;
    let kept = in_force(&federation, HOME).await;
    fs::remove_dir_all(attacker.folder()).expect("blocked");
    alarmed(&federation, HOME, "directory_refresh_failed").await;
    assert_eq!(in_force(&federation, HOME).await, kept);
    let honest = republish(&federation).await;
    attacker.renew(&federation);
    reaches(&federation, HOME, honest).await;
}
