//! Several sessions of one service at a time.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::time::Duration;

use pli_client::service::Service;
use pli_client::{clock, reach};
use pli_protocol::id::EnvelopeId;
use pli_protocol::wire;
use pli_protocol::wire::call::Kind as Call;
use pli_protocol::wire::call_reply::Kind as Reply;
use support::{Federation, reply, script};

const PATIENCE: Duration = Duration::from_secs(20);

/// CUS-8.1: tracking is a session of its own. It neither needs nor waits for the end of another one.
#[tokio::test]
async fn a_service_tracks_while_another_of_its_sessions_is_open() {
    let federation = Federation::new().await;
    let node = script(|_, call, mut stream| async move {
        let Call::Track(asked) = call else {
            panic!("{call:?}")
        };
        let unknown = |envelope_id| wire::Custody {
            envelope_id,
            ..Default::default()
        };
        let envelopes = asked.envelope_ids.into_iter().map(unknown).collect();
        reply(&mut stream, Reply::Track(wire::TrackReply { envelopes })).await;
        stream.send.finish().await.unwrap();
    });
    federation.node(node).await;
    let service = Service::open(&federation.path("service")).await.unwrap();
    let origin = service.origin(PATIENCE);
    let directory = service.directory().current();
    let held = reach::connect(&origin.dialler, &directory, &origin.authority, clock::now());
    let held = held.await.unwrap();

    let ids = [EnvelopeId::new([7; 32])];
    for _ in 0..2 {
        let tracked = tokio::time::timeout(PATIENCE, service.track(&ids));
        let tracked = tracked.await.expect("no wait for the other session");
        assert_eq!(tracked.unwrap()[0].claimed, None);
    }
    // Even who forgets to close it gets to its end.
    let ending = tokio::time::timeout(PATIENCE, service.hang_up());
    ending.await.expect("a moment");
    held.close(None, "");
}
