//! A directory that is published at one node reaches the others (TRU-5.6), whoever's mirror is gone. Whole processes.

mod support;

use std::time::{Duration, Instant};

use pli_protocol::code::Code;
use pli_protocol::wire::{self, call, call_reply};
use pli_testbed::Federation;
use support::trust::{alarms, in_force, reaches, republish, without_mirror};
use support::{HOME, ORIGIN, SERVICE, node_session, two_hosts};

/// TRU-5.6: it was down while the directory changed, and its mirror is gone for good. What is published after its start
/// it learns in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn r18_a_node_without_a_mirror_catches_up_at_its_start_and_follows_its_peers() {
    let plan = two_hosts().set("trust", "refresh", "\"1s\"");
    let mut federation = plan.start().await.expect("nodes");
    federation.node_mut(HOME).kill().await.expect("killed");
    let newer = republish(&federation).await;
    reaches(&federation, ORIGIN, newer).await;
    without_mirror(&federation, HOME);
    let before_start =
        std::fs::metadata(federation.node(HOME).log_path()).map_or(0, |log| log.len());
    federation.node_mut(HOME).restart().await.expect("ready");
    let log = std::fs::read(federation.node(HOME).log_path()).expect("a log");
    let log =
        String::from_utf8_lossy(&log[usize::try_from(before_start).expect("short")..]).into_owned();
    let began_with = log.lines().find(|line| line.contains("directory in force"));
    let began_with = began_with.expect("it says with which directory it begins");
    assert!(
        began_with.contains(&format!("timestamp={newer}")),
        "{began_with}"
    );

    let newest = republish(&federation).await;
    reaches(&federation, HOME, newest).await;
    // The operator hears that the mirror is gone, although nothing is missing.
    let raised = alarms(&federation, HOME).await;
    assert!(raised.contains("directory_refresh_failed"), "{raised:?}");
    assert!(!raised.contains("directory_peer_refused"), "{raised:?}");
}

/// TRU-5.6
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_directory_comes_in_pieces_and_nothing_else_comes() {
    let federation = two_hosts().start().await.expect("nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let session = node_session(&federation, &service, HOME, ORIGIN).await;
    let ask = async |path: &str| {
        let path = path.to_owned();
        let kind = call::Kind::Trust(wire::Trust { path });
        let mut stream = support::open(&session, kind).await;
        support::reply(&mut stream).await.expect("an answer")
    };
    let mirror = federation.node(ORIGIN).home().join("trust/mirror");
    for name in ["metadata/timestamp.json", "metadata/1.root.json"] {
        let call_reply::Kind::Trust(piece) = ask(name).await else {
            panic!("a file is due")
        };
        let file = std::fs::read(mirror.join(name)).expect("there");
        assert_eq!((piece.size, piece.absent), (file.len() as u64, false));
        assert_eq!(piece.file, file);
    }
    let call_reply::Kind::Trust(piece) = ask("metadata/77.root.json").await else {
        panic!("an answer is due")
    };
    assert!(piece.absent && piece.size == 0 && piece.file.is_empty());
    for path in [
        "",
        "metadata/../../node.toml",
        "memory/timestamp.json",
        "targets/.x.json",
    ] {
        let refused = support::refusal(&ask(path).await);
        assert_eq!(refused, Code::FieldInvalid.number(), "{path:?}");
    }
}

/// How soon a change is everywhere when nobody hints at it: within two refreshes.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_a_node_without_a_mirror_within_two_refreshes() {
    let plan = two_hosts().set("trust", "refresh", "\"1s\"");
    let mut federation: Federation = plan.start().await.expect("nodes");
    federation.node_mut(HOME).kill().await.expect("killed");
    without_mirror(&federation, HOME);
    federation.node_mut(HOME).restart().await.expect("ready");
    for _ in 0..3 {
        let newer = republish(&federation).await;
        reaches(&federation, ORIGIN, newer).await;
        let began = Instant::now();
        reaches(&federation, HOME, newer).await;
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(in_force(&federation, HOME).await.timestamp, newer);
    }
}
