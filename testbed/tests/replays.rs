//! Letters that are sent again: by a client that forgot that it sent them, and by whoever kept them until after
//! their time. Whole processes.

mod support;

use std::time::Duration;

use pli_client::clock;
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::Letter;
use pli_protocol::wire::{self, call};
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, PATIENCE, SERVICE, two_hosts};

/// How long one looks that nothing comes.
const NOTHING_WITHIN: Duration = Duration::from_secs(1);

/// Case 27, CUS-5.3: after its time an envelope that everybody accepted has no effect, whether its own sender sends it again
/// or a node that kept it: it is known, its receipts stay, the citizen gets it once.
#[tokio::test(flavor = "multi_thread")]
async fn case_27_a_delivered_letter_that_is_replayed_after_its_expiry_changes_nothing() {
    const LIFETIME_MS: u64 = 8_000;
    let (federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let letter = support::short_lived(&service, &grant, LIFETIME_MS).await;
    let settled = submit_all(&service, vec![letter.clone()]).await;
    let settled = settled.expect("answered");
    assert_eq!(settled[0].disposition, Disposition::Accepted);
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([letter.id], &came);

    let expires = Letter::decode(letter.envelope.clone())
        .expect("a letter")
        .header()
        .expires;
    let left = expires.since_ms(clock::now());
    tokio::time::sleep(Duration::from_millis(left + 1)).await;
    let again = submit_all(&service, vec![letter.clone()]).await;
    let again = again.expect("answered");
    let known = |disposition: &Disposition| matches!(disposition, Disposition::Duplicate { .. });
    assert!(known(&again[0].disposition), "{:?}", again[0].disposition);
    let forward = call::Kind::Forward(wire::Forward {});
    let connection = support::node_session(&federation, &service, ORIGIN, HOME).await;
    let answer = support::hand_over(&connection, forward, vec![letter.envelope.clone()]).await;
    assert_eq!(
        support::codes(&answer),
        [0],
        "a duplicate, whose receipt stays"
    );
    let more = support::fetch_until(&mut citizen, 1, NOTHING_WITHIN).await;
    support::each_once([], &more);
}

/// Case 60, CUS-5.3: a client that was restored from an old copy sends everything again, when the letters are on
/// their way, when they were read, and after both nodes were killed. Each time it gets the receipts of the first time.
#[tokio::test(flavor = "multi_thread")]
async fn case_60_a_stale_client_that_sends_everything_again_changes_nothing() {
    const LETTERS: usize = 20;
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let letters = support::letters(&service, &grant, LETTERS).await;
    let first = submit_all(&service, letters.clone())
        .await
        .expect("answered");
    let receipts: Vec<_> = first.iter().map(|one| one.receipt.clone()).collect();

    for stage in ["under way", "read", "killed"] {
        if stage == "read" {
            let shown = citizen.receive_at_least(LETTERS, PATIENCE).await;
            let ids = shown.expect("they came");
            let ids: Vec<_> = ids.iter().filter_map(|one| one.entry.numbered.id).collect();
            support::each_once(letters.iter().map(|letter| letter.id), &ids);
            for letter in &letters {
                let read = |step| step == Step::Retrieved;
                support::steps_when(&service, letter.id, read).await;
            }
        }
        if stage == "killed" {
            for node in [ORIGIN, HOME] {
                federation.node_mut(node).kill().await.expect("killed");
            }
            for node in [HOME, ORIGIN] {
                federation.node_mut(node).restart().await.expect("ready");
            }
        }
        // It knows no more than its key and what it sealed once.
        let stale = federation.service(SERVICE).await.expect("open");
        let again = submit_all(&stale, letters.clone()).await.expect("answered");
        for (one, receipt) in again.iter().zip(&receipts) {
            let duplicate = matches!(one.disposition, Disposition::Duplicate { .. });
            assert!(duplicate, "{stage}: {:?}", one.disposition);
            let says = |bytes: &bytes::Bytes| {
                pli_protocol::custody::Receipt::decode(bytes.clone())
                    .expect("a receipt")
                    .0
            };
            assert_eq!(says(&one.receipt), says(receipt), "{stage}");
        }
    }
    let more = support::fetch_until(&mut citizen, 1, NOTHING_WITHIN).await;
    support::each_once([], &more);
    for letter in &letters {
        let steps = support::track(&service, letter.id).await;
        assert_eq!(steps, [Step::Accepted, Step::Stored, Step::Retrieved]);
    }
}
