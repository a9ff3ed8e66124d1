//! A citizen takes a permission back while a letter is on its way. Whole processes.

mod support;

use std::collections::BTreeSet;

use pli_protocol::code::Code;
use pli_protocol::custody::Step;
use pli_protocol::envelope::Class;
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, PATIENCE, two_hosts};

/// MBX-4.4, CUS-5.4: the origin accepted a letter that the citizen wanted then; the home asks what the citizen wants now,
/// and the sender hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn mbx_4_4_a_letter_meets_the_grant_of_the_day_on_which_it_arrives() {
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    federation.node_mut(HOME).kill().await.expect("killed");
    let late = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![late.clone()])
        .await
        .expect("answered");
    // So that the citizen is there before the letter is.
    federation.node_mut(ORIGIN).kill().await.expect("killed");
    federation.node_mut(HOME).restart().await.expect("ready");
    let origin = support::authority(ORIGIN);
    let alerts = BTreeSet::from([Class::Alert]);
    let narrower = citizen.device.grant(&origin, alerts, true).await;
    narrower.expect("granted");
    federation.node_mut(ORIGIN).restart().await.expect("ready");
    let steps = support::steps_when(&service, late.id, |step| step != Step::Accepted).await;
    assert_eq!(steps, [Step::Accepted, Step::Refused(Code::NotGranted)]);
    assert!(support::fetch(&mut citizen).await.is_empty());

    let grant = citizen.grant(&service).await.expect("granted again");
    let next = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![next.clone()])
        .await
        .expect("answered");
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([next.id], &came);
}
