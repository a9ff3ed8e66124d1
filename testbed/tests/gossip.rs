//! What is published at one node reaches all by gossip (GOS), between real nodes whose next refresh is ten minutes away.

mod support;

use std::time::{Duration, Instant};

use pli_protocol::evidence::Noted;
use pli_testbed::federation::AuthorityPlan;
use pli_testbed::fork::{self, Fork};
use pli_testbed::sending::submit_all;
use pli_testbed::{Federation, ops};
use pli_trust::keyfile;
use serde_json::Value;
use support::trust::{alarmed, in_force, reaches, republish, suspend, without_mirror};
use support::{HOME, ORIGIN, PATIENCE, POLL, status, two_hosts};

const THIRD: &str = "numerique.gouv.fr";

fn three() -> pli_testbed::federation::Builder {
    two_hosts().authority(AuthorityPlan::new(THIRD, "Numérique", "Digital").hosts())
}

/// The peer as an operator sees it, once it is as wanted.
async fn peer(federation: &Federation, of: &str, who: &str, wanted: impl Fn(&Value) -> bool) {
    let began = Instant::now();
    loop {
        let status = status(federation, of).await;
        let peers = status["gossip"]["peers"].as_array().expect("a list");
        let peer = peers.iter().find(|peer| peer["authority"] == who);
        if wanted(peer.unwrap_or(&Value::Null)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{:#}", status["gossip"]);
        tokio::time::sleep(POLL).await;
    }
}

/// This node alone sees what is published; the others have nobody but each other, and are connected.
async fn one_mirror(federation: &mut Federation, at: &str) {
    let others = [ORIGIN, HOME, THIRD].into_iter().filter(|of| *of != at);
    for of in others.clone() {
        federation.node_mut(of).kill().await.expect("killed");
        without_mirror(federation, of);
        federation.node_mut(of).restart().await.expect("ready");
    }
    for of in others {
        connected(federation, at, of).await;
        connected(federation, of, at).await;
    }
}

async fn connected(federation: &Federation, of: &str, who: &str) {
    peer(federation, of, who, |peer| peer["connected"] == true).await;
}

/// GOS-3.4, GOS-5.1: published where one node alone looks; one is killed and comes again, and hears what it missed.
#[tokio::test(flavor = "multi_thread")]
async fn gos_3_4_a_directory_that_one_node_sees_is_in_force_everywhere_in_seconds() {
    let mut federation = three().start().await.expect("nodes");
    one_mirror(&mut federation, ORIGIN).await;
    let newer = republish(&federation).await;
    let began = Instant::now();
    for of in [HOME, THIRD] {
        reaches(&federation, of, newer).await;
    }
    println!("everywhere after {:?}", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );

    // Killed without a word: it is let in at once, and hears what was said while it was away.
    federation.node_mut(THIRD).kill().await.expect("killed");
    let newest = republish(&federation).await;
    reaches(&federation, HOME, newest).await;
    federation.node_mut(THIRD).restart().await.expect("ready");
    connected(&federation, THIRD, HOME).await;
    reaches(&federation, THIRD, newest).await;
    assert_eq!(in_force(&federation, THIRD).await.timestamp, newest);
}

/// GOS-3.5, EVD-10.2, case 20: one witness sees the second head of a log; all are told, and keep the proof.
#[tokio::test(flavor = "multi_thread")]
async fn case_20_a_forked_log_that_one_node_sees_is_convicted_by_all() {
    let (mut federation, service, _citizen, grant) = support::scene(three()).await;
    for of in [HOME, THIRD] {
        connected(&federation, ORIGIN, of).await;
    }
    let letters = support::letters(&service, &grant, 2).await;
    submit_all(&service, letters).await.expect("answered");
    let http = federation.node(ORIGIN).addresses().http;
    let began = Instant::now();
    let noted = loop {
        let starts = ops::get(http, "/pli/log/starts")
            .await
            .expect("answers")
            .body;
        let start = starts.lines().last().expect("a log").to_owned();
        let path = format!("/pli/log/{start}/checkpoint");
        let answer = ops::get(http, &path).await.expect("answers");
        match Noted::parse(&answer.body) {
            Ok(noted) if noted.claimed_witnesses().count() == 2 => break noted,
            _ => assert!(began.elapsed() < PATIENCE, "{}", answer.body),
        }
        tokio::time::sleep(POLL).await;
    };
    let key = keyfile::load(&federation.node(ORIGIN).home().join("keys/log.key")).expect("a key");
    let (origin, size) = (&noted.checkpoint().origin, noted.checkpoint().size);
    let fork = Fork { leaf: [20; 32] }.request(origin, &key, size, size);
    let told = federation.node(HOME).addresses().http;
    let (status, _) = fork::ask(told, &fork).await.expect("answers");
    assert_ne!(status, 200);
    let convicted = format!(
        "evidence/convicted/{ORIGIN}/{}-{size}",
        origin.start.as_ms()
    );
    for of in [HOME, THIRD, ORIGIN] {
        let detail = alarmed(&federation, of, "split_view").await;
        assert!(detail.contains(ORIGIN), "{detail}");
        let kept = std::fs::read_to_string(federation.node(of).home().join(&convicted));
        assert!(kept.expect("kept").contains(&origin.to_string()));
    }
    // Who was away hears of it when it comes.
    federation.node_mut(THIRD).kill().await.expect("killed");
    let folder = federation.node(THIRD).home().join("evidence/convicted");
    std::fs::remove_dir_all(folder).expect("forgotten");
    federation.node_mut(THIRD).restart().await.expect("ready");
    alarmed(&federation, THIRD, "split_view").await;
}

/// GOS-1.2: a suspended authority's node is cut off from gossip, and let in when that is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn gos_1_2_who_is_suspended_is_cut_off_live_and_comes_again() {
    let mut federation = three().start().await.expect("nodes");
    one_mirror(&mut federation, ORIGIN).await;
    suspend(&federation, THIRD, &[]).await;
    peer(&federation, ORIGIN, THIRD, Value::is_null).await;
    peer(&federation, HOME, THIRD, Value::is_null).await;
    suspend(&federation, THIRD, &["--lift"]).await;
    connected(&federation, ORIGIN, THIRD).await;
    connected(&federation, HOME, THIRD).await;
}

/// Case 21, TRU-4.6: the thief of a key is connected to one node, and the revocation is seen by another.
#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_revocation_heard_by_gossip_cuts_the_session_and_refuses_the_next_letter() {
    let (mut federation, service, _citizen, grant) = support::scene(three()).await;
    one_mirror(&mut federation, HOME).await;
    let session = support::service_session(&service).await;
    let authority = support::authority(ORIGIN);
    let key = federation
        .service_home(&authority, "rdv")
        .join("service.key");
    let revoked = federation.revoke(&authority, &["--service", "rdv"], &key);
    revoked.await.expect("published");
    let cut = tokio::time::timeout(PATIENCE, session.closed()).await;
    println!("{:?}", cut.expect("the session is cut"));
    let letters = support::letters(&service, &grant, 1).await;
    let refused = submit_all(&service, letters).await.expect_err("refused");
    assert!(refused.to_string().contains("KEY_NOT_VALID"), "{refused}");
}
