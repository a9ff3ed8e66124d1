//! A home that is away: what waits for it is bounded in time, goes in the right order, and is answered for.

use std::time::{Duration, Instant};

use pli_client::clock;
use pli_client::service::draft::Handling;
use pli_protocol::code::Code;
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::Urgency;
use pli_testbed::Federation;
use pli_testbed::scene::{HOME, ORIGIN, Scene};
use pli_testbed::sending::submit_all;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn case_33_what_expires_while_a_home_is_down_is_reported_undeliverable_and_never_delivered() {
    let mut scene = Scene::set(Federation::builder().two_hosts())
        .await
        .expect("set");
    scene
        .federation
        .node_mut(HOME)
        .kill()
        .await
        .expect("killed");
    // Seven days in two seconds: the lifetime is the sender's to choose.
    let now = clock::now();
    let short = Handling {
        expires: now.plus_ms(2_000),
        ..Handling::new(now)
    };
    let letters = scene.letters(20, short).await.expect("sealed");
    let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    let settled = submit_all(&scene.service, letters.clone())
        .await
        .expect("submitted");
    assert!(
        settled
            .iter()
            .all(|one| one.disposition == Disposition::Accepted)
    );

    let began = Instant::now();
    loop {
        let tracked = scene.service.track(&ids).await.expect("tracked");
        let undeliverable = tracked
            .iter()
            .filter_map(|one| one.proven())
            .filter(|receipt| {
                // CUS-6.6: the origin says so, by its signature: it had promised to deliver or to report.
                receipt.node.as_str() == ORIGIN
                    && receipt.step == Step::Undeliverable(Code::Unreachable)
            });
        if undeliverable.count() == ids.len() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{:?}", tracked.first());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Case 27: nor does it come back to life when somebody sends it again.
    let again = submit_all(&scene.service, letters).await.expect("answered");
    assert!(
        again
            .iter()
            .all(|one| one.disposition == Disposition::Refused(Code::Expired))
    );
    scene
        .federation
        .node_mut(HOME)
        .restart()
        .await
        .expect("ready");
    let live = scene.plain_letters(1).await.expect("sealed");
    let id = live[0].id;
    submit_all(&scene.service, live).await.expect("submitted");
    let shown = scene
        .citizen
        .receive_at_least(1, PATIENCE)
        .await
        .expect("delivered");
    let came: Vec<_> = shown
        .iter()
        .map(|one| one.verified().expect("verified").id())
        .collect();
    assert_eq!(came, [id], "only what is alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_34_a_home_that_returns_gets_urgent_letters_first_and_everything_in_the_end() {
    const BULK: usize = 2_000;
    const URGENT: usize = 5;
    let plan = Federation::builder()
        .two_hosts()
        .set("quotas", "sender_mailbox_per_day", "1000000")
        .set("quotas", "mailbox_envelopes", "1000000");
    let mut scene = Scene::set(plan).await.expect("set");
    scene
        .federation
        .node_mut(HOME)
        .kill()
        .await
        .expect("killed");
    let bulk = scene.plain_letters(BULK).await.expect("sealed");
    submit_all(&scene.service, bulk).await.expect("submitted");
    // Written last, and yet they overtake (CUS-6).
    let urgent = Handling {
        urgency: Urgency::High,
        ..Handling::new(clock::now())
    };
    let urgent = scene.letters(URGENT, urgent).await.expect("sealed");
    let urgent_ids: Vec<_> = urgent.iter().map(|letter| letter.id).collect();
    submit_all(&scene.service, urgent).await.expect("submitted");
    let waiting = scene
        .federation
        .node(ORIGIN)
        .count("pli_deliver_waiting", "")
        .await
        .expect("counted");
    assert_eq!(waiting as usize, BULK + URGENT);

    scene
        .federation
        .node_mut(HOME)
        .restart()
        .await
        .expect("ready");
    // Live traffic of the home itself is not starved by its own mail that comes in.
    let aides = scene
        .federation
        .service("aides@social.gouv.fr")
        .await
        .expect("open");
    let grant = scene.citizen.grant(&aides).await.expect("granted");
    let live = pli_testbed::scene::write(&aides, &grant, 1, Handling::new(clock::now()))
        .await
        .expect("sealed");
    let live_id = live[0].id;
    submit_all(&aides, live).await.expect("submitted");

    let shown = scene
        .citizen
        .receive_at_least(BULK + URGENT + 1, PATIENCE)
        .await
        .expect("delivered");
    let seq_of = |id| {
        let found = shown
            .iter()
            .find(|one| one.verified().is_some_and(|letter| letter.id() == id));
        found.expect("it came").entry.numbered.seq
    };
    assert_eq!(shown.len(), BULK + URGENT + 1, "each once");
    let last_urgent = urgent_ids
        .into_iter()
        .map(seq_of)
        .max()
        .expect("there are some");
    println!(
        "the last urgent letter is number {last_urgent} of {}",
        shown.len()
    );
    assert!(
        last_urgent <= (BULK / 2) as u64,
        "number {last_urgent}: it waited behind bulk that was written before"
    );
    println!("the live letter is number {}", seq_of(live_id));
}
