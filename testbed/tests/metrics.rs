//! What an operator reads in `/metrics` moves: a counter that always shows zero says that all is well when nothing is.

mod support;

use std::time::Instant;

use pli_protocol::content::{Content, Kind, Notice, Text};
use pli_protocol::wire::{self, call};
use pli_testbed::federation::Federation;
use pli_testbed::hostile::Hostile;
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, PATIENCE, POLL, two_hosts};

#[tokio::test(flavor = "multi_thread")]
async fn the_way_of_letters_shows_in_the_metrics_of_both_nodes() {
    let (federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let letters = support::letters(&service, &grant, 5).await;
    submit_all(&service, letters.clone())
        .await
        .expect("submitted");
    submit_all(&service, letters[..2].to_vec())
        .await
        .expect("submitted again");
    let notice = Notice::new(Text::french("Titre"), Text::french("Corps"));
    let content = Content::from(Kind::Notice(notice));
    let forged = Hostile::new(&service, grant, content).forged();
    let connection = support::service_session(&service).await;
    support::hand_over(
        &connection,
        call::Kind::Submit(wire::Submit {}),
        vec![forged.expect("made")],
    )
    .await;
    reaches(&federation, ORIGIN, "pli_deliver_answered_total", 5.0).await;

    let at_origin = [
        ("pli_ingress_envelopes_total", "submit", 8.0),
        ("pli_verify_verified_total", "submit", 7.0),
        ("pli_verify_refused_total", "UNKNOWN_KEY", 1.0),
        ("pli_verify_roots_total", "hit", 6.0),
        ("pli_verify_roots_total", "miss", 1.0),
        ("pli_store_stored_total", "peer", 5.0),
        ("pli_store_duplicates_total", "", 2.0),
        ("pli_deliver_answered_total", "accepted", 5.0),
    ];
    let at_home = [
        ("pli_ingress_envelopes_total", "forward", 5.0),
        ("pli_store_stored_total", "mailbox", 5.0),
    ];
    for (node, expected) in [(ORIGIN, &at_origin[..]), (HOME, &at_home[..])] {
        for (metric, label, expected) in expected {
            let counted = federation.node(node).count(metric, label).await;
            assert_eq!(
                counted.expect("counted"),
                *expected,
                "{metric}{{{label}}} of {node}"
            );
        }
        let started = federation
            .node(node)
            .count("pli_process_start_time_seconds", "")
            .await;
        assert!(started.expect("set") > 1.7e9, "{node} says when it started");
    }

    let received = citizen.receive_at_least(letters.len(), PATIENCE);
    received.await.expect("taken and handed over");
    for metric in ["pli_deliver_synced_total", "pli_deliver_retrieved_total"] {
        reaches(&federation, HOME, metric, 5.0).await;
    }
    reaches(&federation, ORIGIN, "pli_deliver_reported_total", 5.0).await;
}

/// Waits for what is counted a moment after it was seen.
async fn reaches(federation: &Federation, node: &str, metric: &str, expected: f64) {
    let began = Instant::now();
    loop {
        let counted = federation.node(node).count(metric, "").await;
        let counted = counted.expect("counted");
        if counted >= expected {
            assert_eq!(counted, expected, "{metric} of {node}");
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{metric} of {node} stays at {counted}"
        );
        tokio::time::sleep(POLL).await;
    }
}
