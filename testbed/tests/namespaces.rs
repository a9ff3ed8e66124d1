//! Seven nodes, each in a network namespace of its own, over a network that is slow, loses packets and falls apart.
//! `cargo test` alone passes these over, because not every machine lets a program make namespaces: `make test` runs them by
//! `scripts/namespaces.sh`.

mod support;

use std::time::{Duration, Instant};

use pli_protocol::evidence::Noted;
use pli_testbed::federation::AuthorityPlan;
use pli_testbed::fork::{self, Fork};
use pli_testbed::impair::Weather;
use pli_testbed::internet::{Host, Internet};
use pli_testbed::sending::submit_all;
use pli_testbed::{Federation, ops};
use pli_trust::keyfile;
use serde_json::Value;
use support::trust::{alarmed, alarms, in_force, reaches, republish, without_mirror};
use support::{HOME, ORIGIN, PATIENCE, POLL, status, two_hosts};

const OTHERS: [&str; 5] = [
    "justice.gouv.fr",
    "sante.gouv.fr",
    "numerique.gouv.fr",
    "travail.gouv.fr",
    "culture.gouv.fr",
];

/// From one end of the country to the other, and some packets never arrive.
fn far() -> Weather {
    Weather {
        delay: Duration::from_millis(30),
        jitter: Duration::from_millis(10),
        loss: 0.01,
        ..Weather::default()
    }
}

async fn seven(internet: &Internet) -> Federation {
    internet.everywhere(far());
    let mut plan = two_hosts();
    for name in OTHERS {
        plan = plan.authority(AuthorityPlan::new(name, name, name).hosts());
    }
    let plan = plan.witnesses(3).on(internet.hosts());
    let mut federation = plan.make().await.expect("made");
    federation.start().await.expect("nodes");
    // One alone sees what is published.
    for of in OTHERS.iter().chain([&HOME]) {
        federation.node_mut(of).kill().await.expect("killed");
        without_mirror(&federation, of);
        federation.node_mut(of).restart().await.expect("ready");
    }
    for of in OTHERS.iter().chain([&HOME, &ORIGIN]) {
        connected(&federation, of, 6).await;
    }
    federation
}

/// Returns once the node gossips with so many others.
async fn connected(federation: &Federation, of: &str, count: usize) {
    let began = Instant::now();
    loop {
        let status = status(federation, of).await;
        let peers = status["gossip"]["peers"].as_array().expect("a list");
        let is_connected = |peer: &&Value| peer["connected"] == true;
        if peers.iter().filter(is_connected).count() == count {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{of}: {:#}", status["gossip"]);
        tokio::time::sleep(POLL).await;
    }
}

fn some(internet: &Internet, numbers: &[usize]) -> Vec<Host> {
    let host = |number: &usize| internet.hosts()[*number].clone();
    numbers.iter().map(host).collect()
}

/// Cases 21 and 47, TRU-5.6, GOS-3.4, CUS-5.3, EVD-6.6: the home and two others are cut off while a letter is sent and the
/// directory changes; joined again they have everything, the letter once.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the right to make network namespaces: scripts/namespaces.sh runs it"]
async fn a_partition_of_seven_nodes_delays_and_loses_nothing() {
    let internet = Internet::start(7, 47).await.expect("namespaces");
    let federation = seven(&internet).await;
    let service = federation.service(support::SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    let before = in_force(&federation, ORIGIN).await.timestamp;

    // Of the seven: the home, and the last two.
    internet.part(&some(&internet, &[1, 5, 6]));
    let letters = support::letters(&service, &grant, 20).await;
    submit_all(&service, letters.clone())
        .await
        .expect("answered");
    let newer = republish(&federation).await;
    let began = Instant::now();
    for of in [ORIGIN, OTHERS[0], OTHERS[1], OTHERS[2]] {
        reaches(&federation, of, newer).await;
    }
    let near = began.elapsed();
    assert!(near < Duration::from_secs(10), "{near:?}");
    let came = support::fetch_until(&mut citizen, 1, Duration::from_secs(3)).await;
    assert!(came.is_empty(), "{came:?}");
    for of in [HOME, OTHERS[3], OTHERS[4]] {
        assert_eq!(in_force(&federation, of).await.timestamp, before, "{of}");
    }

    internet.everywhere(far());
    let began = Instant::now();
    let came = support::fetch_until(&mut citizen, letters.len(), PATIENCE).await;
    let delivered = began.elapsed();
    support::each_once(letters.iter().map(|letter| letter.id), &came);
    for of in [HOME, OTHERS[3], OTHERS[4]] {
        reaches(&federation, of, newer).await;
    }
    println!(
        "in force on one side after {near:?}; joined again, delivered after {delivered:?}, in force everywhere after {:?}; \
         (packets carried, lost) {:?}",
        began.elapsed(),
        internet.carried_and_lost()
    );
    // Enough witnesses answer again, at each node.
    let began = Instant::now();
    for of in OTHERS.iter().chain([&HOME, &ORIGIN]) {
        while alarms(&federation, of).await.contains("unwitnessed") {
            assert!(began.elapsed() < PATIENCE, "{of}");
            tokio::time::sleep(POLL).await;
        }
    }
}

/// GOS-1, GOS-3.5, GOS-5.1, case 20: the last one reaches one other only, and that one is far: the directory and the proof
/// that a log is forked come to it all the same.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the right to make network namespaces: scripts/namespaces.sh runs it"]
async fn case_20_who_reaches_one_peer_alone_hears_everything() {
    let internet = Internet::start(7, 20).await.expect("namespaces");
    let federation = seven(&internet).await;
    let service = federation.service(support::SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    let (last, neighbour) = (OTHERS[4], OTHERS[3]);
    internet.part(&some(&internet, &[6]));
    let (near, far_away) = (&internet.hosts()[5], &internet.hosts()[6]);
    internet.between(near, far_away, far());
    internet.between(far_away, near, far());
    connected(&federation, last, 1).await;

    let newer = republish(&federation).await;
    reaches(&federation, last, newer).await;

    let letters = support::letters(&service, &grant, 2).await;
    submit_all(&service, letters).await.expect("answered");
    let http = federation.node(ORIGIN).addresses().http;
    let began = Instant::now();
    let noted = loop {
        let starts = ops::get(http, "/pli/log/starts").await.expect("answers");
        let start = starts.body.lines().last().expect("a log").to_owned();
        let path = format!("/pli/log/{start}/checkpoint");
        let answer = ops::get(http, &path).await.expect("answers");
        match Noted::parse(&answer.body) {
            Ok(noted) if noted.claimed_witnesses().count() >= 3 => break noted,
            _ => assert!(began.elapsed() < PATIENCE, "{}", answer.body),
        }
        tokio::time::sleep(POLL).await;
    };
    let key = keyfile::load(&federation.node(ORIGIN).home().join("keys/log.key")).expect("a key");
    let (origin, size) = (&noted.checkpoint().origin, noted.checkpoint().size);
    let fork = Fork { leaf: [20; 32] }.request(origin, &key, size, size);
    let told = federation.node(OTHERS[0]).addresses().http;
    let (answer, _) = fork::ask(told, &fork).await.expect("answers");
    assert_ne!(answer, 200);
    for of in [neighbour, last] {
        let detail = alarmed(&federation, of, "split_view").await;
        assert!(detail.contains(ORIGIN), "{of}: {detail}");
    }
}
