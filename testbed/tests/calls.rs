//! What one call does to the others of its connection, over both ways. Whole processes.

mod support;

use pli_protocol::wire::{self, call, call_reply};
use pli_transport::Via;
use support::two_hosts;

/// SES-2.6, SES-7.4: a call that its dialler gives up is reset over QUIC and looks cut short over WebSocket. What it
/// brought before is kept, and the calls beside it and after it go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_costs_no_other_call_of_its_connection() {
    let (federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let submit = || call::Kind::Submit(wire::Submit {});
    let mut sent = Vec::new();
    for via in [Via::Quic, Via::WebSocket] {
        let connection = support::session_by(&federation, &service, via).await;
        let letters = support::letters(&service, &grant, 3).await;
        let batch = |seq, nth: usize| wire::EnvelopeBatch {
            seq,
            envelopes: vec![letters[nth].envelope.clone()],
        };
        let mut beside = support::open(&connection, submit()).await;
        beside.send.send_message(&batch(1, 0)).await.expect("sent");
        let answer = support::reply(&mut beside).await.expect("an answer");
        assert_eq!(support::codes(&answer), [0], "{via}");

        let mut given_up = support::open(&connection, submit()).await;
        given_up
            .send
            .send_message(&batch(1, 1))
            .await
            .expect("sent");
        let answer = support::reply(&mut given_up).await.expect("an answer");
        assert_eq!(support::codes(&answer), [0], "{via}");
        drop(given_up);

        beside.send.send_message(&batch(2, 2)).await.expect("sent");
        let answer = support::reply(&mut beside).await.expect("an answer");
        assert_eq!(support::codes(&answer), [0], "{via}: a call beside it");
        beside.send.finish().await.expect("said");
        assert_eq!(support::reply(&mut beside).await, None, "{via}");

        let envelope_ids = letters
            .iter()
            .map(|letter| letter.id.as_bytes().to_vec().into())
            .collect();
        let track = call::Kind::Track(wire::Track { envelope_ids });
        let mut later = support::open(&connection, track).await;
        let Some(call_reply::Kind::Track(tracked)) = support::reply(&mut later).await else {
            panic!("{via}: a call after it")
        };
        assert!(
            tracked.envelopes.iter().all(|letter| letter.step != 0),
            "{via}: {tracked:?}"
        );
        sent.extend(letters.iter().map(|letter| letter.id));
    }
    let came = support::fetch_until(&mut citizen, sent.len(), support::PATIENCE).await;
    support::each_once(sent, &came);
}
