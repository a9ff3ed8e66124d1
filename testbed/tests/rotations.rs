//! A service's key is replaced while its letters are on their way (TRU-4.8, CUS-6.8). Whole processes.

mod support;

use pli_protocol::custody::Step;
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, PATIENCE, SERVICE};

/// Ends the key of the service and names another, as the README says.
async fn rotate(federation: &Federation, number: u8) {
    let origin = support::authority(ORIGIN);
    let folder = federation.service_home(&origin, "rdv");
    let draft = federation.home(&origin).join("authority");
    let new = folder.join(format!("service-{number}.key"));
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let arguments = [
        "authority",
        "revoke",
        "--dir",
        &path(&draft),
        "--service",
        "rdv",
        "--new-key",
        &path(&new),
    ];
    federation.pli(&arguments).await.expect("revoked");
    federation.publish_authority(&origin).await.expect("signed");
    federation.publish().await.expect("published");
    std::fs::rename(&new, folder.join("service.key")).expect("renamed");
    let public = folder.join(format!("service-{number}.key.pub"));
    std::fs::rename(public, folder.join("service.key.pub")).expect("renamed");
}

/// What the origin accepted under the old key while the home was away is delivered after the key has ended, and what
/// it accepts under the new key is delivered by a home that has not heard of that key yet.
#[tokio::test(flavor = "multi_thread")]
async fn case_21_no_letter_is_lost_when_a_key_is_replaced() {
    const LETTERS: usize = 4;
    let plan = Federation::builder().two_hosts();
    let mut federation = plan.start().await.expect("two nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");

    federation.node_mut(HOME).kill().await.expect("killed");
    let old = support::letters(&service, &grant, LETTERS).await;
    submit_all(&service, old.clone()).await.expect("answered");
    rotate(&federation, 2).await;
    federation.node_mut(HOME).restart().await.expect("ready");
    let came = support::fetch_until(&mut citizen, LETTERS, PATIENCE).await;
    support::each_once(old.iter().map(|letter| letter.id), &came);

    // Only the origin learns of this one: a home looks for a newer directory every ten minutes.
    rotate(&federation, 3).await;
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
