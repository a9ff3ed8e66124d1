//! A home that is away and comes back: what waited for it goes out in the right order, and nobody is starved.

mod support;

use pli_client::clock;
use pli_client::service::draft::Handling;
use pli_protocol::envelope::Urgency;
use pli_protocol::id::EnvelopeId;
use pli_testbed::sending::{prepare, submit_all};
use support::{HOME, ORIGIN, PATIENCE, two_hosts};

/// Case 34, CUS-6.3: a priority lane overtakes bulk, and live traffic is not starved by mail that comes in.
#[tokio::test(flavor = "multi_thread")]
async fn case_34_a_home_that_returns_gets_urgent_letters_first_and_everything_in_the_end() {
    const BULK: usize = 1_024;
    const URGENT: usize = 5;
    let (mut federation, service, mut citizen, grant) =
        support::scene(two_hosts().set("quotas", "sender_mailbox_per_day", "1000000")).await;
    federation.node_mut(HOME).kill().await.expect("killed");
    let bulk = support::letters(&service, &grant, BULK).await;
    submit_all(&service, bulk).await.expect("submitted");
    // Written last, and yet they overtake.
    let urgent = Handling {
        urgency: Urgency::High,
        ..Handling::new(clock::now())
    };
    let urgent = (0..URGENT).map(|_| ((), support::draft(&grant, urgent)));
    let urgent = prepare(&service, urgent.collect()).await.expect("sealed");
    let urgent_ids: Vec<EnvelopeId> = urgent.iter().map(|letter| letter.id).collect();
    submit_all(&service, urgent).await.expect("submitted");
    let origin = federation.node(ORIGIN);
    let waiting = origin.count("pli_deliver_waiting", "").await;
    assert_eq!(waiting.expect("counted") as usize, BULK + URGENT);

    federation.node_mut(HOME).restart().await.expect("ready");
    let aides = federation.service("aides@social.gouv.fr").await;
    let aides = aides.expect("open");
    let grant = citizen.grant(&aides).await.expect("granted");
    let live = support::letters(&aides, &grant, 1).await;
    let live_id = live[0].id;
    submit_all(&aides, live).await.expect("submitted");

    // The device's numbers are the order in which the home stored.
    let came = support::fetch_until(&mut citizen, BULK + URGENT + 1, PATIENCE).await;
    let place = |id: &EnvelopeId| {
        let mut places = came.iter().enumerate().filter(|(_, came)| *came == id);
        let place = places.next().expect("it came").0;
        assert!(places.next().is_none(), "it came twice");
        place
    };
    assert_eq!(came.len(), BULK + URGENT + 1);
    let last_urgent = urgent_ids.iter().map(place).max().expect("there are some");
    println!(
        "the last urgent letter came as number {last_urgent}, the live one as {}",
        place(&live_id)
    );
    assert!(
        last_urgent <= BULK / 2,
        "number {last_urgent}: it waited behind bulk that was written before"
    );
}
