//! Bad networks, on the real datagrams: every session of the home goes through a relay that loses, delays, doubles,
//! cuts and blocks. What was promised arrives once, whatever the weather.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pli_protocol::custody::Disposition;
use pli_testbed::Federation;
use pli_testbed::impair::{Relay, Weather};
use pli_testbed::scene::{HOME, Scene};
use pli_testbed::sending::submit_all;
use pli_testbed::{federation::Builder, ports};

const PATIENCE: Duration = Duration::from_secs(60);
/// A failure prints it; the relay's choices follow from it.
const SEED: u64 = 20_261_122;

/// A scene whose home is reached through a relay, by service, node and device alike.
async fn behind_a_relay(plan: Builder) -> (Scene, Relay) {
    let front = ports::free();
    let mut federation = plan.published_quic(HOME, front).make().await.expect("made");
    let node = federation.node(HOME).addresses().quic;
    let relay = Relay::start(front, node, SEED).await.expect("relayed");
    federation.start().await.expect("two nodes");
    (Scene::of(federation).await.expect("set"), relay)
}

/// Sends letters and returns when the citizen's device has every one of them, once.
async fn all_arrive_once(scene: &mut Scene, count: usize) {
    let letters = scene.plain_letters(count).await.expect("sealed");
    let sent: BTreeSet<_> = letters.iter().map(|letter| letter.id).collect();
    let settled = submit_all(&scene.service, letters)
        .await
        .expect("submitted");
    assert!(
        settled
            .iter()
            .all(|one| one.disposition == Disposition::Accepted)
    );
    let shown = scene
        .citizen
        .receive_at_least(count, PATIENCE)
        .await
        .expect("delivered");
    let came: Vec<_> = shown
        .iter()
        .map(|one| one.verified().expect("verified").id())
        .collect();
    assert_eq!(came.len(), count, "exactly once in effect");
    assert_eq!(came.into_iter().collect::<BTreeSet<_>>(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_46_loss_reordering_and_duplication_deliver_exactly_once_in_effect() {
    // Without the fallback, or the letters would simply go round the bad weather.
    let plan = Federation::builder().two_hosts().without_websocket(HOME);
    let (mut scene, relay) = behind_a_relay(plan).await;
    relay.set(Weather {
        loss: 0.3,
        duplicate: 0.1,
        jitter: Duration::from_millis(20),
        ..Weather::default()
    });
    all_arrive_once(&mut scene, 200).await;
    let tally = relay.tally();
    assert!(
        tally.lost.load(Ordering::Relaxed) > 50,
        "the weather was bad: {tally:?}"
    );
    assert!(tally.duplicated.load(Ordering::Relaxed) > 10, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_47_a_one_way_partition_loses_nothing_and_heals_by_itself() {
    let plan = Federation::builder().two_hosts().without_websocket(HOME);
    let (mut scene, relay) = behind_a_relay(plan).await;
    // The home hears everything and its answers vanish: the worst of the two directions, because it may store what
    // the origin never learns of.
    relay.set(Weather {
        blocks_from_node: true,
        ..Weather::default()
    });
    let letters = scene.plain_letters(50).await.expect("sealed");
    let settled = submit_all(&scene.service, letters)
        .await
        .expect("the origin is well");
    assert!(
        settled
            .iter()
            .all(|one| one.disposition == Disposition::Accepted)
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    relay.set(Weather::default());
    let shown = scene
        .citizen
        .receive_at_least(50, PATIENCE)
        .await
        .expect("delivered");
    let ids: BTreeSet<_> = shown
        .iter()
        .map(|one| one.verified().expect("verified").id())
        .collect();
    assert_eq!((shown.len(), ids.len()), (50, 50), "exactly once in effect");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_48_an_mtu_black_hole_goes_on_with_1200_bytes() {
    let plan = Federation::builder().two_hosts().without_websocket(HOME);
    let (mut scene, relay) = behind_a_relay(plan).await;
    // First a good network, on which the peers find out that more than 1,200 bytes pass; then it does no more.
    all_arrive_once(&mut scene, 100).await;
    assert!(
        relay.tally().largest.load(Ordering::Relaxed) > 1_200,
        "{:?}",
        relay.tally()
    );
    relay.set(Weather {
        largest_bytes: 1_200,
        ..Weather::default()
    });
    all_arrive_once(&mut scene, 100).await;
    assert!(
        relay.tally().too_large.load(Ordering::Relaxed) > 0,
        "the hole swallowed something"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn case_49_where_udp_is_blocked_node_and_device_fall_back_to_websocket() {
    let (mut scene, relay) = behind_a_relay(Federation::builder().two_hosts()).await;
    relay.set(Weather::blocked());
    let over_tcp = |scene: &Scene| {
        let node = scene.federation.node(HOME).addresses().ops;
        async move {
            let answer = pli_testbed::ops::get(node, "/metrics")
                .await
                .expect("metrics");
            let samples = pli_testbed::ops::samples(&answer.body);
            pli_testbed::ops::sum(&samples, "pli_session_connections_total", "websocket")
        }
    };
    let before = over_tcp(&scene).await;
    all_arrive_once(&mut scene, 50).await;
    // The origin's node and the device, each by itself.
    assert!(over_tcp(&scene).await >= before + 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_50_a_session_survives_a_nat_that_rebinds() {
    let plan = Federation::builder().two_hosts().without_websocket(HOME);
    let (mut scene, relay) = behind_a_relay(plan).await;
    all_arrive_once(&mut scene, 5).await;
    let opened = |scene: &Scene| {
        let ops = scene.federation.node(HOME).addresses().ops;
        async move {
            let answer = pli_testbed::ops::get(ops, "/metrics")
                .await
                .expect("metrics");
            let samples = pli_testbed::ops::samples(&answer.body);
            pli_testbed::ops::sum(&samples, "pli_session_opened_total", "node")
        }
    };
    let before = opened(&scene).await;
    assert!(before >= 1.0, "the origin's node is connected");
    relay.rebind();
    let began = Instant::now();
    all_arrive_once(&mut scene, 5).await;
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(
        opened(&scene).await,
        before,
        "no new session of the origin's node"
    );
}
