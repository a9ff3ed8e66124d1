//! Keys end while letters are on their way (TRU-4.8, CUS-6.8) and while sessions stand (TRU-4.6). Whole processes.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use pli_client::{clock, content_json};
use pli_protocol::code::Code;
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::id::Timestamp;
use pli_protocol::wire::{self, call};
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, PATIENCE, SERVICE, two_hosts};

fn take_up(key: &Path) {
    for ending in ["key", "key.pub"] {
        let new = key.with_file_name(format!("new.{ending}"));
        std::fs::rename(new, key.with_extension(ending)).expect("renamed");
    }
}

/// Ends the key of the service and gives it another.
async fn rotate(federation: &Federation) {
    let home = federation.service_home(&support::authority(ORIGIN), "rdv");
    let key = home.join("service.key");
    let of = support::authority(ORIGIN);
    let revoked = federation.revoke(&of, &["--service", "rdv"], &key).await;
    revoked.expect("published");
    take_up(&key);
}

/// What the origin accepted under the old key while the home was away is delivered after the key has ended, and what
/// it accepts under the new key is delivered by a home that has not heard of that key yet.
#[tokio::test(flavor = "multi_thread")]
async fn case_21_no_letter_is_lost_when_a_key_is_replaced() {
    const LETTERS: usize = 4;
    // Each learns of a change at its start, and from nobody before.
    let plan = two_hosts().set("gossip", "enabled", "false");
    let (mut federation, service, mut citizen, grant) = support::scene(plan).await;

    federation.node_mut(HOME).kill().await.expect("killed");
    let old = support::letters(&service, &grant, LETTERS).await;
    submit_all(&service, old.clone()).await.expect("answered");
    rotate(&federation).await;
    federation.node_mut(HOME).restart().await.expect("ready");
    let came = support::fetch_until(&mut citizen, LETTERS, PATIENCE).await;
    support::each_once(old.iter().map(|letter| letter.id), &came);

    // Only the origin learns of this one: a home looks for a newer directory every ten minutes.
    rotate(&federation).await;
    federation.node_mut(ORIGIN).kill().await.expect("killed");
    federation.node_mut(ORIGIN).restart().await.expect("ready");
    let service = federation.service(SERVICE).await.expect("open");
    let new = support::letters(&service, &grant, LETTERS).await;
    submit_all(&service, new.clone()).await.expect("answered");
    let came = support::fetch_until(&mut citizen, LETTERS, PATIENCE).await;
    support::each_once(new.iter().map(|letter| letter.id), &came);
    for letter in old.iter().chain(&new) {
        let steps = support::steps_when(&service, letter.id, |step| step == Step::Stored).await;
        assert_eq!(steps, [Step::Accepted, Step::Stored]);
    }
}

/// TRU-4.3, TRU-4.8, R18: the key was stolen an hour ago, and that of the service's own node with it. From the revocation on
/// nobody takes what is signed by it: not the service's own node, not a citizen's home to which the thief speaks as that node, in
/// his own words or in what he had waiting before.
#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_stolen_key_is_refused_everywhere() {
    let (federation, thief, mut citizen, grant) = support::scene(two_hosts()).await;
    let before = support::letters(&thief, &grant, 2).await;
    submit_all(&thief, before[..1].to_vec())
        .await
        .expect("answered");
    support::fetch_until(&mut citizen, 1, PATIENCE).await;

    let key = federation
        .service_home(&support::authority(ORIGIN), "rdv")
        .join("service.key");
    let hour_ago = Timestamp::from_ms(clock::now().as_ms() - 3_600_000);
    let since = content_json::time(hour_ago);
    let whose = ["--service", "rdv", "--stolen-at", &since];
    let revoked = federation
        .revoke(&support::authority(ORIGIN), &whose, &key)
        .await;
    revoked.expect("published");
    let newest = federation.repository().join("metadata/timestamp.json");
    for node in [ORIGIN, HOME] {
        support::trust::reaches(&federation, node, support::trust::version(&newest)).await;
    }

    let after = support::letters(&thief, &grant, 2).await;
    let refused = submit_all(&thief, after[..1].to_vec()).await;
    let refused = refused.expect_err("a session with that key").to_string();
    assert!(refused.contains("KEY_NOT_VALID"), "{refused}");
    // Signed by the old key, in a session with the new one.
    take_up(&key);
    let renewed = federation.service(SERVICE).await.expect("open");
    let settled = submit_all(&renewed, after.clone()).await.expect("answered");
    for one in settled {
        assert_eq!(one.disposition, Disposition::Refused(Code::KeyNotValid));
    }
    let as_origin = support::node_session(&federation, &renewed, ORIGIN, HOME).await;
    for letter in before[1..].iter().chain(&after) {
        let forward = call::Kind::Forward(wire::Forward {});
        let answer = support::hand_over(&as_origin, forward, vec![letter.envelope.clone()]).await;
        assert_eq!(support::codes(&answer), [Code::KeyNotValid.number()]);
    }
    let genuine = support::letters(&renewed, &grant, 1).await;
    submit_all(&renewed, genuine.clone())
        .await
        .expect("answered");
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([genuine[0].id], &came);
}

/// How many sessions the origin has made with other nodes.
async fn dialled_are(federation: &Federation, wanted: u64) {
    let began = Instant::now();
    loop {
        let status = support::status(federation, ORIGIN).await;
        if status["sessions"]["dialled"] == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{status:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// TRU-4.6: the origin hangs up on a home whose key has ended, and gives its letters to nobody but the new key's holder.
#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_session_with_a_home_ends_when_its_key_does() {
    let plan = two_hosts().set("trust", "refresh", "\"1s\"");
    let (mut federation, service, mut citizen, grant) = support::scene(plan).await;
    let before = support::letters(&service, &grant, 1).await;
    submit_all(&service, before).await.expect("answered");
    support::fetch_until(&mut citizen, 1, PATIENCE).await;
    dialled_are(&federation, 1).await;

    let key = federation.node(HOME).home().join("keys/node.key");
    let of = support::authority(HOME);
    let revoked = federation.revoke(&of, &["--node"], &key).await;
    revoked.expect("published");
    dialled_are(&federation, 0).await;
    let after = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![after.clone()])
        .await
        .expect("answered");
    federation.node_mut(HOME).kill().await.expect("killed");
    assert_eq!(
        support::track(&service, after.id).await,
        [Step::Accepted],
        "the old key's holder ran on and got nothing"
    );
    take_up(&key);
    federation.node_mut(HOME).restart().await.expect("ready");
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([after.id], &came);
}

/// TRU-4.6: and on one whose authority is suspended, until that is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_session_with_a_home_ends_when_its_authority_is_suspended() {
    let plan = two_hosts().set("trust", "refresh", "\"1s\"");
    let (federation, service, mut citizen, grant) = support::scene(plan).await;
    let before = support::letters(&service, &grant, 1).await;
    submit_all(&service, before).await.expect("answered");
    support::fetch_until(&mut citizen, 1, PATIENCE).await;
    dialled_are(&federation, 1).await;
    support::trust::suspend(&federation, HOME, &[]).await;
    dialled_are(&federation, 0).await;
    support::trust::suspend(&federation, HOME, &["--lift"]).await;
    // The home too has to hear that it may be written to again.
    let after = support::letters(&service, &grant, 1).await.remove(0);
    let began = Instant::now();
    while submit_all(&service, vec![after.clone()])
        .await
        .expect("answered")[0]
        .disposition
        != Disposition::Accepted
    {
        assert!(began.elapsed() < PATIENCE, "it stays refused");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([after.id], &came);
}
