//! A device that watches, by the command of a citizen. Whole processes.

mod support;

use std::time::{Duration, Instant};

use pli_protocol::custody::Step;
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use support::{HOME, PATIENCE, two_hosts};

/// Sessions of devices that the home ever had.
async fn sessions(federation: &Federation) -> f64 {
    let home = federation.node(HOME);
    let opened = home.count("pli_session_opened_total", "device").await;
    opened.expect("counted")
}

/// MBX-5.3, CUS-7.1: `pli device watch --ack` hands each letter over as it comes, on the connection on which it came: a
/// second one of the same key would cost a place, and a letter could come to neither.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_watches_hands_over_on_the_connection_it_has() {
    const LETTERS: usize = 3;
    let (federation, service, citizen, grant) = support::scene(two_hosts()).await;
    let folder = citizen.folder.display().to_string();
    // One program at a time has the folder.
    drop(citizen);
    let before = sessions(&federation).await;
    let count = LETTERS.to_string();
    let watch = [
        "device", "watch", "--home", &folder, "--ack", "--count", &count,
    ];
    let watching = federation.pli(&watch);
    let writing = async {
        let began = Instant::now();
        while sessions(&federation).await == before {
            assert!(began.elapsed() < PATIENCE, "it does not connect");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for letter in support::letters(&service, &grant, LETTERS).await {
            let id = letter.id;
            submit_all(&service, vec![letter]).await.expect("answered");
            let steps = support::steps_when(&service, id, |step| step == Step::Retrieved).await;
            assert_eq!(steps, [Step::Accepted, Step::Stored, Step::Retrieved]);
        }
    };
    let (watched, ()) = tokio::join!(watching, writing);
    watched.expect("it ends after the last letter");
    assert_eq!(sessions(&federation).await - before, 1.0);
}
