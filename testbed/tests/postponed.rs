//! What a home refuses for now, and a home that says nothing (CUS-6.3, CUS-6.4, R2). Whole processes.

mod support;

use std::time::{Duration, Instant};

use pli_client::clock;
use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::custody::ack::{self, Issuer};
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::acknowledged_id;
use pli_protocol::limits::FRAME_MAX;
use pli_protocol::wire::{self, call_reply};
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, PATIENCE, SERVICE, two_hosts};

/// CUS-6.3: however many letters wait for a full mailbox, a few attempts are made, fewer and fewer; others go on, and
/// `/status` says how many wait and why.
#[tokio::test(flavor = "multi_thread")]
async fn cus_6_3_a_full_mailbox_costs_a_few_attempts_and_holds_back_no_other() {
    const LETTERS: usize = 500;
    let plan = Federation::builder()
        .two_hosts()
        .set("quotas", "mailbox_envelopes", "10")
        .set("quotas", "sender_mailbox_per_day", "1000000");
    let federation = plan.start().await.expect("two nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut full = federation.citizen("plein", HOME).await.expect("enrolled");
    let mut other = federation.citizen("autre", HOME).await.expect("enrolled");
    let to_full = full.grant(&service).await.expect("granted");
    let to_other = other.grant(&service).await.expect("granted");
    let letters = support::letters(&service, &to_full, LETTERS).await;
    submit_all(&service, letters).await.expect("answered");
    let began = Instant::now();
    let waiting = loop {
        let status = support::status(&federation, ORIGIN).await;
        let queues = status["queues"].as_array().expect("queues");
        let queue = queues.iter().find(|queue| queue["destination"] == HOME);
        let of_queue = |name: &str| queue.and_then(|queue| queue[name].as_u64());
        let put_off = queue.and_then(|queue| queue["postponed"]["MAILBOX_FULL"].as_u64());
        // What was on its way when the mailbox became full may have been taken too.
        let waiting = of_queue("bulk").filter(|bulk| Some(*bulk) == put_off);
        if let Some(waiting) = waiting {
            break waiting;
        }
        assert!(began.elapsed() < PATIENCE, "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(waiting > 100, "only {waiting} wait");

    let origin = federation.node(ORIGIN);
    let sent = || async {
        origin
            .count("pli_deliver_forwarded_total", "")
            .await
            .expect("counted")
    };
    let before = sent().await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let tries = sent().await - before;
    println!("{tries} attempts in 8 s for {waiting} letters that wait");
    // After 0.5, 1, 2, 4 s at the most, each with jitter down to the half.
    assert!(tries <= 6.0, "{tries} attempts");
    let gauge = origin.count("pli_deliver_postponed", "MAILBOX_FULL").await;
    assert_eq!(gauge.expect("counted"), waiting as f64);

    let letter = support::letters(&service, &to_other, 1).await.remove(0);
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");
    let came = support::fetch_until(&mut other, 1, PATIENCE).await;
    support::each_once([letter.id], &came);
}

/// R2, CUS-6.4: the letter with which an overloaded home is tried again finds its own mailbox full. The home answers
/// again, so the others go.
#[tokio::test(flavor = "multi_thread")]
async fn r2_a_full_mailbox_after_an_overload_holds_back_no_other() {
    let (mut federation, service, _citizen, grant) = support::scene(two_hosts()).await;
    let mut other = federation.citizen("autre", HOME).await.expect("enrolled");
    let to_other = other.grant(&service).await.expect("granted");
    let home = support::take_place(&mut federation, HOME).await;
    let key = support::node_key(&federation, HOME);
    let full = support::letters(&service, &grant, 1).await.remove(0);
    let free = support::letters(&service, &to_other, 1).await.remove(0);
    let ids = [full.id, free.id];
    for letter in [full, free] {
        submit_all(&service, vec![letter]).await.expect("answered");
    }
    let mut codes = [Code::Overloaded, Code::MailboxFull].into_iter();
    let began = Instant::now();
    let mut stream = None;
    while began.elapsed() < PATIENCE {
        let (_connection, stream) = match &mut stream {
            Some(open) => open,
            none => {
                let Some(connection) = support::next_session(&home).await else {
                    continue;
                };
                let Ok(mut call) = connection.accept_call().await else {
                    continue;
                };
                call.recv.next().await.expect("a call").expect("its kind");
                none.insert((connection, call))
            }
        };
        let frame = stream.recv.next().await.expect("open").expect("a batch");
        let batch: wire::EnvelopeBatch = codec::decode_canonical(&frame, FRAME_MAX).expect("one");
        let letters: Vec<_> = batch.envelopes.iter().map(acknowledged_id).collect();
        if letters == ids[1..] && codes.len() == 0 {
            return;
        }
        // Whatever comes at first is refused for the home's sake, then the first letter for its mailbox's.
        let code = match letters.contains(&ids[0]) {
            true => codes.next().unwrap_or(Code::MailboxFull),
            false => Code::Overloaded,
        };
        let said: Vec<_> = letters
            .iter()
            .map(|id| (*id, Disposition::Refused(code)))
            .collect();
        let issuer = Issuer {
            node: support::authority(HOME),
            step: Step::Stored,
        };
        let seq = batch.seq;
        let ack = ack::sign(&issuer, seq..=seq, clock::now(), &said, &key).expect("not empty");
        let reply = wire::CallReply {
            kind: Some(call_reply::Kind::Ack(ack)),
        };
        stream.send.send_message(&reply).await.expect("sent");
    }
    let status = support::status(&federation, ORIGIN).await;
    panic!("the other mailbox's letter is held: {}", status["queues"]);
}

/// R2: a home that takes the connection and never answers loses it, and is not called reachable meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn r2_a_home_that_stays_connected_and_silent_does_not_hold_its_queue() {
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let home = support::take_place(&mut federation, HOME).await;
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    let lost = support::short_lived(&service, &grant, 12_000).await;
    let both = vec![letter.clone(), lost.clone()];
    submit_all(&service, both).await.expect("answered");
    let connection = support::next_session(&home).await.expect("a session");
    let mut stream = connection.accept_call().await.expect("a call");
    drop(stream.recv.next().await);
    let began = Instant::now();
    // CUS-6.6: it was connected, and it was not there.
    let steps = support::steps_when(&service, lost.id, |step| step != Step::Accepted).await;
    let unreachable = Step::Undeliverable(Code::Unreachable);
    assert_eq!(steps, [Step::Accepted, unreachable]);
    let status = support::status(&federation, ORIGIN).await;
    let queues = status["queues"].as_array().expect("queues");
    let queue = queues.iter().find(|queue| queue["destination"] == HOME);
    assert_eq!(queue.expect("it waits")["reachable"], false);
    let gone = tokio::time::timeout(PATIENCE, connection.closed()).await;
    println!("cut after {:?}: {:?}", began.elapsed(), gone.expect("cut"));
    home.close(None, "").await;
    drop((stream, connection, home));
    federation.node_mut(HOME).restart().await.expect("ready");
    drop(support::node_session(&federation, &service, HOME, ORIGIN).await);
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([letter.id], &came);
}

/// CUS-6.6: the ministry hears of a letter that nobody fetched before it expired in its mailbox.
#[tokio::test(flavor = "multi_thread")]
async fn p3_a_letter_that_no_device_took_in_time_is_reported_by_its_home() {
    let (_running, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let letter = support::short_lived(&service, &grant, 5_000).await;
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");
    let expired = Step::Undeliverable(Code::Expired);
    let steps = support::steps_when(&service, letter.id, |step| step == expired).await;
    assert_eq!(steps, [Step::Accepted, Step::Stored, expired]);
    assert!(support::fetch(&mut citizen).await.is_empty());
}
