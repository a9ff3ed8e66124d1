//! Bad networks between real nodes (cases 46 to 50): the letters of a real service, over a relay that loses,
//! repeats, reorders and blocks real datagrams.

mod support;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pli_testbed::impair::{Relay, Weather};
use pli_testbed::sending::submit_all;
use pli_testbed::{Federation, ports};
use support::{HOME, ORIGIN, SERVICE};

const SEED: u64 = 46;

/// Two nodes; whoever dials `behind` by QUIC goes through the relay, in this weather from the first datagram.
async fn federation(behind: &str, weather: Weather) -> (Federation, Relay) {
    let front: SocketAddr = ports::free();
    let plan = Federation::builder()
        .two_hosts()
        .published_quic(behind, front);
    let mut federation = plan.make().await.expect("made");
    let node = federation.node(behind).addresses().quic;
    let relay = Relay::start(front, node, SEED).await.expect("started");
    relay.set(weather);
    federation.start().await.expect("two nodes");
    (federation, relay)
}

/// Cases 46, 48 and 50, CUS-5.3: in effect each letter arrives once, whatever the path between two nodes does.
#[tokio::test(flavor = "multi_thread")]
async fn cases_46_48_50_forwarding_survives_loss_a_black_hole_and_a_new_address() {
    let (federation, relay) = federation(HOME, Weather::default()).await;
    let service = federation.service(SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    let path_changes = Weather {
        largest_bytes: 1_200,
        ..Weather::default()
    };
    let storm = Weather {
        loss: 0.3,
        duplicate: 0.1,
        jitter: Duration::from_millis(20),
        ..Weather::default()
    };
    // The first on a good path, so that the nodes find out that long datagrams pass.
    for (weather, rebind) in [
        (Weather::default(), false),
        (path_changes, false),
        (Weather::default(), true),
        (storm, false),
    ] {
        relay.set(weather);
        if rebind {
            relay.rebind();
        }
        let letters = support::letters(&service, &grant, 40).await;
        submit_all(&service, letters.clone())
            .await
            .expect("answered");
        // The citizen's way to the home leads through the same weather.
        let came = support::fetch_until(&mut citizen, letters.len(), support::PATIENCE).await;
        support::each_once(letters.iter().map(|letter| letter.id), &came);
    }
    let lost = relay.tally().lost.load(Ordering::Relaxed);
    let doubled = relay.tally().duplicated.load(Ordering::Relaxed);
    println!("{lost} datagrams lost, {doubled} doubled");
    assert!(
        lost > 10 && doubled > 0,
        "the weather was good: {lost} lost, {doubled} doubled"
    );
}

/// Case 49: where UDP does not pass, a node forwards and a service submits over the WebSocket by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn case_49_where_udp_is_blocked_everyone_takes_the_websocket_by_themselves() {
    for behind in [HOME, ORIGIN] {
        let (federation, relay) = federation(behind, Weather::blocked()).await;
        let service = federation.service(SERVICE).await.expect("open");
        let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
        let grant = citizen.grant(&service).await.expect("granted");
        let letters = support::letters(&service, &grant, 20).await;
        submit_all(&service, letters.clone())
            .await
            .expect("answered");
        let came = support::fetch_until(&mut citizen, letters.len(), support::PATIENCE).await;
        support::each_once(letters.iter().map(|letter| letter.id), &came);
        let node = federation.node(behind);
        let counted = node
            .count("pli_session_connections_total", "websocket")
            .await
            .expect("counted");
        assert!(counted >= 1.0, "nobody came to {behind} by WebSocket");
        assert_eq!(
            relay.tally().passed.load(Ordering::Relaxed),
            0,
            "UDP passed"
        );
    }
}

/// Case 47: the home hears everything and its answers vanish, which is the worse of the two directions: it stores what
/// the origin never learns of. After it heals each letter is there, once.
#[tokio::test(flavor = "multi_thread")]
async fn case_47_a_one_way_partition_loses_nothing_and_heals_by_itself() {
    let (federation, relay) = federation(HOME, Weather::default()).await;
    let service = federation.service(SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    // A session that stands already, so that what is forwarded goes into the one-way street.
    let first = support::letters(&service, &grant, 1).await;
    submit_all(&service, first.clone()).await.expect("answered");
    support::fetch_until(&mut citizen, 1, support::PATIENCE).await;
    let lost = || relay.tally().lost.load(Ordering::Relaxed);
    let before = lost();
    relay.set(Weather {
        blocks_from_node: true,
        ..Weather::default()
    });
    // So few that they go out before the first acknowledgement of QUIC is missed.
    let letters = support::letters(&service, &grant, 4).await;
    submit_all(&service, letters.clone())
        .await
        .expect("the origin is well");
    let stored = || async {
        let home = federation.node(HOME);
        home.count("pli_store_stored_total", "mailbox")
            .await
            .expect("counted")
    };
    let began = Instant::now();
    while stored().await < 5.0 {
        assert!(
            began.elapsed() < support::PATIENCE,
            "the home hears nothing"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(lost() > before, "its answers got through");
    relay.set(Weather::default());
    let came = support::fetch_until(&mut citizen, letters.len(), support::PATIENCE).await;
    support::each_once(letters.iter().map(|letter| letter.id), &came);
}
