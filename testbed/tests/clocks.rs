//! A node whose clock nobody shares. Whole processes.

mod support;

use std::time::{Duration, Instant};

use pli_client::clock;
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;
use pli_protocol::session::Welcome;
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use support::{HOME, ORIGIN, PATIENCE, two_hosts};

/// Waits until the origin's alarm is raised, or is not.
async fn alarm_is(federation: &Federation, raised: bool) {
    let began = Instant::now();
    loop {
        let status = support::status(federation, ORIGIN).await;
        let alarms = status["alarms"].as_array().expect("alarms");
        let now = alarms
            .iter()
            .any(|alarm| alarm["alarm"] == "clock_unsynchronised");
        if now == raised {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{status:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The home says another time, as it does when the origin's own clock is wrong: the two look the same from the
/// origin, and nobody's clock has to be set for the test.
#[tokio::test(flavor = "multi_thread")]
async fn case_76_a_clock_that_no_peer_shares_is_an_alarm_until_they_agree_again() {
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let other_time = support::take_place(&mut federation, HOME).await;
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");

    let ahead = async {
        // Held, and never answered.
        let mut sessions = Vec::new();
        while let Some(pending) = other_time.accept().await {
            let welcome = Welcome {
                server_time: clock::now().plus_ms(CLOCK_SKEW_MAX_MS),
                max_batches_in_flight: 1,
            };
            sessions.push(pending.authenticate(|_| async { Ok(welcome) }).await);
        }
    };
    tokio::select! {
        () = ahead => panic!("the listener ended"),
        () = alarm_is(&federation, true) => {}
    }
    other_time.close(None, "").await;
    drop(other_time);
    federation
        .node_mut(HOME)
        .restart()
        .await
        .expect("ready again");
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([letter.id], &came);
    alarm_is(&federation, false).await;
}
