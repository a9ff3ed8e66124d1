//! What became of letters that could not go straight through: repeated, refused, late, poisonous, or to a home
//! that is away, slow or lying. Whole processes.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_protocol::code::Code;
use pli_protocol::crypto::contexts::RECEIPT;
use pli_protocol::custody::{Disposition, Receipt, Step};
use pli_protocol::id::EnvelopeId;
use pli_protocol::limits;
use pli_protocol::signed::sign_one;
use pli_protocol::wire::{self, call, call_reply};
use pli_testbed::Federation;
use pli_testbed::federation::AuthorityPlan;
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, SERVICE, two_hosts};

const THIRD: &str = "sante.gouv.fr";
/// No timeout of a node's session with another is shorter.
const FIRST_TIMEOUT: Duration = Duration::from_millis(limits::HANDSHAKE_TIMEOUT_MS);

/// Case 26, CUS-3.8, CUS-5.3: whoever says it a thousand times is answered a thousand times with the same receipt,
/// and the citizen gets one letter.
/// More copies than the quota allows letters use up none of it.
#[tokio::test(flavor = "multi_thread")]
async fn case_26_a_letter_sent_a_thousand_times_is_delivered_once_and_has_one_receipt() {
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    let copies = vec![letter.clone(); 1_000];
    let mut settled = submit_all(&service, copies).await.expect("answered");
    federation.node_mut(ORIGIN).kill().await.expect("killed");
    federation
        .node_mut(ORIGIN)
        .restart()
        .await
        .expect("ready again");
    settled.extend(
        submit_all(&service, vec![letter.clone()])
            .await
            .expect("answered"),
    );

    let receipts: Vec<Receipt> = settled
        .iter()
        .map(|one| Receipt::decode(one.receipt.clone()).expect("readable").0)
        .collect();
    assert_eq!(settled.len(), 1_001);
    assert_eq!(receipts[0].step, Step::Accepted);
    if let Some(other) = settled
        .iter()
        .zip(&receipts)
        .find(|(_, receipt)| **receipt != receipts[0])
    {
        panic!(
            "{:?} and {:?}, not {:?}",
            other.0.disposition, other.1, receipts[0]
        );
    }
    let accepted = settled
        .iter()
        .filter(|one| one.disposition == Disposition::Accepted)
        .count();
    assert_eq!(accepted, 1);
    let first_at = receipts[0].at;
    let duplicates = settled
        .iter()
        .filter(|one| one.disposition == Disposition::Duplicate { first_at })
        .count();
    assert_eq!(duplicates, 1_000);

    let came = support::fetch_until(&mut citizen, 1, support::PATIENCE).await;
    support::each_once([letter.id], &came);
    assert!(
        support::fetch_until(&mut citizen, 1, Duration::from_secs(1))
            .await
            .is_empty()
    );
}

/// CUS-3.6, SES-7.3: a refusal of the whole call ends it and acknowledges nothing of what came with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_acknowledges_nothing() {
    let (_running, service, _, grant) = support::scene(two_hosts()).await;
    let letter = support::letters(&service, &grant, 1).await.remove(0);

    let connection = support::service_session(&service).await;
    let mut stream = support::open(&connection, call::Kind::Forward(wire::Forward {})).await;
    let batch = wire::EnvelopeBatch {
        seq: 1,
        envelopes: vec![letter.envelope.clone()],
    };
    // The node may have refused already, and taken nothing.
    drop(stream.send.send_message(&batch).await);
    let refused = support::reply(&mut stream).await.expect("a refusal");
    assert_eq!(support::refusal(&refused), Code::RoleNotAllowed.number());
    assert_eq!(
        support::reply(&mut stream).await,
        None,
        "after a refusal the call ends"
    );
    assert_eq!(
        support::track(&service, letter.id).await,
        [],
        "nothing was acknowledged, nothing is known"
    );

    // The session goes on, and the letter is as new.
    let answer = support::hand_over(
        &connection,
        call::Kind::Submit(wire::Submit {}),
        vec![letter.envelope],
    )
    .await;
    let call_reply::Kind::Ack(ack) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        ack.dispositions[0].outcome,
        i32::from(wire::Outcome::Accepted),
        "not a duplicate"
    );
}

fn retrieved(node: &str, envelope: EnvelopeId, step: Step) -> Receipt {
    Receipt {
        step,
        node: support::authority(node),
        envelope,
        at: clock::now(),
    }
}

/// CUS-8.2, CUS-8.3: who is not the home of an envelope reports nothing of it, a home reports in its own name
/// only, all of a report counts or none; and however often it is said, few receipts are kept.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_home_of_an_envelope_reports_that_a_device_has_it() {
    let (federation, service, _, grant) = support::scene(
        support::two_hosts().authority(AuthorityPlan::new(THIRD, "Santé", "Health").hosts()),
    )
    .await;
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");
    support::steps_when(&service, letter.id, |step| step == Step::Stored).await;

    let (home_key, third_key) = (
        support::node_key(&federation, HOME),
        support::node_key(&federation, THIRD),
    );
    let by_home = |step| {
        sign_one(
            RECEIPT,
            retrieved(HOME, letter.id, step).encode(),
            &home_key,
        )
    };
    let by_third = sign_one(
        RECEIPT,
        retrieved(THIRD, letter.id, Step::Retrieved).encode(),
        &third_key,
    );
    let in_anothers_name = sign_one(
        RECEIPT,
        retrieved(HOME, letter.id, Step::Retrieved).encode(),
        &third_key,
    );
    let nobody_knows = EnvelopeId::new([7; 32]);
    let unknown = sign_one(
        RECEIPT,
        retrieved(HOME, nobody_knows, Step::Retrieved).encode(),
        &home_key,
    );
    let good = by_home(Step::Retrieved);
    let third = support::node_session(&federation, &service, THIRD, ORIGIN).await;
    let home = support::node_session(&federation, &service, HOME, ORIGIN).await;
    for (what, from, receipts, code) in [
        (
            "not its home",
            &third,
            vec![by_third],
            Code::UnknownEnvelope,
        ),
        (
            "the home's receipt, stolen",
            &third,
            vec![good.clone()],
            Code::NotAuthoritative,
        ),
        (
            "in the home's name",
            &home,
            vec![in_anothers_name],
            Code::UnknownKey,
        ),
        (
            "another step",
            &home,
            vec![by_home(Step::Stored)],
            Code::FieldInvalid,
        ),
        (
            "all unknown",
            &home,
            vec![unknown.clone()],
            Code::UnknownEnvelope,
        ),
        (
            "one of two says another step",
            &home,
            vec![good.clone(), by_home(Step::Stored)],
            Code::FieldInvalid,
        ),
        ("empty", &home, vec![], Code::FieldMissing),
        (
            "one too many",
            &home,
            vec![good.clone(); limits::REPORT_RECEIPTS_MAX + 1],
            Code::TooMany,
        ),
    ] {
        let mut stream = support::open(from, call::Kind::Report(wire::Report { receipts })).await;
        let answer = support::reply(&mut stream).await.expect("an answer");
        assert_eq!(support::refusal(&answer), code.number(), "{what}");
        let steps = support::track(&service, letter.id).await;
        assert_eq!(steps, [Step::Accepted, Step::Stored], "{what}");
    }
    for _ in 0..2 * limits::RECEIPTS_PER_ENVELOPE_MAX {
        // CUS-8.3: the one of a letter that is not remembered does not hold back the other.
        let report = wire::Report {
            receipts: vec![unknown.clone(), by_home(Step::Retrieved)],
        };
        let mut stream = support::open(&home, call::Kind::Report(report)).await;
        assert_eq!(
            support::reply(&mut stream).await,
            Some(call_reply::Kind::Done(wire::Done {}))
        );
    }
    let steps = support::track(&service, letter.id).await;
    assert_eq!(
        steps,
        [Step::Accepted, Step::Stored, Step::Retrieved],
        "said {} times",
        2 * 4
    );
}

/// Case 33, CUS-6.6, P3: a home that stays away until a letter expires; the sender finds a signed receipt of that.
#[tokio::test(flavor = "multi_thread")]
async fn case_33_a_letter_that_expires_while_its_home_is_away_is_reported_undeliverable() {
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    federation.node_mut(HOME).kill().await.expect("killed");
    let short = support::short_lived(&service, &grant, 2_500).await;
    let long = support::letters(&service, &grant, 1).await.remove(0);
    let settled = submit_all(&service, vec![short.clone(), long.clone()])
        .await
        .expect("answered");
    assert!(
        settled
            .iter()
            .all(|one| one.disposition == Disposition::Accepted),
        "an absent home refuses nothing"
    );

    let steps = support::steps_when(&service, short.id, |step| {
        matches!(step, Step::Undeliverable(_))
    })
    .await;
    assert_eq!(
        steps,
        [Step::Accepted, Step::Undeliverable(Code::Unreachable)]
    );
    federation
        .node_mut(HOME)
        .restart()
        .await
        .expect("ready again");
    let came = support::fetch_until(&mut citizen, 1, support::PATIENCE).await;
    support::each_once([long.id], &came);
}

/// Case 30, CUS-6.1: a home that is there and answers nothing holds back itself alone.
#[tokio::test(flavor = "multi_thread")]
async fn case_30_a_home_that_hangs_holds_back_no_other_destination() {
    let mut federation = Federation::builder()
        .two_hosts()
        .authority(AuthorityPlan::new(THIRD, "Santé", "Health").hosts())
        .start()
        .await
        .expect("three nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut slow = federation.citizen("lente", HOME).await.expect("enrolled");
    let to_slow = slow.grant(&service).await.expect("granted");
    let mut quick = federation.citizen("vif", THIRD).await.expect("enrolled");
    let to_quick = quick.grant(&service).await.expect("granted");

    // What the way takes on this machine while nothing hangs.
    let began = Instant::now();
    let before = support::letters(&service, &to_quick, 100).await;
    submit_all(&service, before.clone())
        .await
        .expect("answered");
    let came = support::fetch_until(&mut quick, before.len(), support::PATIENCE).await;
    support::each_once(before.iter().map(|letter| letter.id), &came);
    let usual = began.elapsed();

    federation
        .node_mut(HOME)
        .process()
        .expect("runs")
        .freeze()
        .expect("frozen");
    let waiting = support::letters(&service, &to_slow, 200).await;
    submit_all(&service, waiting.clone())
        .await
        .expect("answered");
    let passing = support::letters(&service, &to_quick, 100).await;
    let began = Instant::now();
    submit_all(&service, passing.clone())
        .await
        .expect("answered");
    let came = support::fetch_until(&mut quick, passing.len(), support::PATIENCE).await;
    println!(
        "{} letters to the other home took {:?}, {usual:?} before",
        came.len(),
        began.elapsed()
    );
    assert!(
        began.elapsed() < FIRST_TIMEOUT.max(4 * usual),
        "a timeout of the frozen home was waited for"
    );
    support::each_once(passing.iter().map(|letter| letter.id), &came);

    federation
        .node_mut(HOME)
        .process()
        .expect("runs")
        .thaw()
        .expect("thawed");
    let came = support::fetch_until(&mut slow, waiting.len(), support::PATIENCE).await;
    support::each_once(waiting.iter().map(|letter| letter.id), &came);
}

/// When the origin will try the home again, by its own `/status`.
async fn next_try_ms(federation: &Federation) -> Option<u64> {
    let status = support::status(federation, ORIGIN).await;
    let queues = status["queues"].as_array().expect("queues");
    let queue = queues.iter().find(|queue| queue["destination"] == HOME)?;
    queue["next_try_ms"].as_u64()
}

/// CUS-6.3, TRU-4.7: an origin that waits longer and longer for a home begins at once when the home is heard
/// from. Until then a stranger answers at the home's address, and gets nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_is_heard_from_gets_its_letters_before_the_wait_is_over() {
    // In this time a home starts again and a letter arrives, even on a busy machine.
    const WAIT_MS: u64 = 15_000;
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    federation.node_mut(HOME).kill().await.expect("killed");
    let stranger = Arc::new(support::stand_in(
        &federation,
        HOME,
        pli_trust::keyfile::generate().expect("a key"),
    ));
    let accepting = stranger.clone();
    let answering = tokio::spawn(async move {
        while let Some(pending) = accepting.accept().await {
            let session =
                pending.authenticate(|peer| async move { panic!("{peer:?} believed a stranger") });
            drop::<Result<_, _>>(session.await);
        }
    });
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");

    let began = Instant::now();
    let next_try = loop {
        let now = clock::now().as_ms();
        if let Some(next) = next_try_ms(&federation).await
            && next > now + WAIT_MS
        {
            break next;
        }
        assert!(began.elapsed() < support::PATIENCE, "the waits do not grow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    stranger.close(None, "").await;
    answering.abort();
    drop(answering.await);
    drop(stranger);
    federation
        .node_mut(HOME)
        .restart()
        .await
        .expect("ready again");
    drop(support::node_session(&federation, &service, HOME, ORIGIN).await);
    let came = support::fetch_until(&mut citizen, 1, support::PATIENCE).await;
    support::each_once([letter.id], &came);
    assert!(clock::now().as_ms() < next_try, "it was not waited for");
}
