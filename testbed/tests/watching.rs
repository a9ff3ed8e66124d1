//! A device that watches, by the command of a citizen. Whole processes.

mod support;

use std::time::{Duration, Instant};

use pli_client::device::{Device, Standing};
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

/// Case 41: a page that is gone from a device is fetched again, beside those that are there.
#[tokio::test(flavor = "multi_thread")]
async fn case_41_a_page_that_was_moved_away_is_given_again() {
    const ROUNDS: usize = 4;
    const LETTERS: usize = 5;
    let (_federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    for _ in 0..ROUNDS {
        let letters = support::letters(&service, &grant, LETTERS).await;
        submit_all(&service, letters).await.expect("submitted");
        support::fetch_until(&mut citizen, LETTERS, PATIENCE).await;
    }
    let folder = citizen.folder.clone();
    drop(citizen);
    let inbox = folder.join("inbox");
    let mut pages: Vec<_> = std::fs::read_dir(&inbox)
        .expect("its folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    pages.sort();
    assert!(pages.len() >= ROUNDS, "{pages:?}");
    for lost in [0, pages.len() / 2] {
        std::fs::remove_file(&pages[lost]).expect("own file");
    }
    let mut device = Device::open(&folder, Standing::Working)
        .await
        .expect("opens");
    let left: Vec<_> = device.inbox().entries().filter_map(Result::ok).collect();
    assert!(!left.is_empty(), "what is there can be read");
    let again = device.sync().await.expect("fetched");
    assert_eq!(
        again.len() + left.len(),
        ROUNDS * LETTERS,
        "only what was missing"
    );
    let numbers = |device: &Device| -> Vec<u64> {
        let entries = device.inbox().entries();
        entries
            .map(|entry| entry.expect("whole").numbered.seq)
            .collect()
    };
    let all: Vec<u64> = (1..=(ROUNDS * LETTERS) as u64).collect();
    assert_eq!(numbers(&device), all);
    assert!(device.sync().await.expect("nothing").is_empty());
    drop(device);
    let device = Device::open(&folder, Standing::Working)
        .await
        .expect("opens");
    assert_eq!(numbers(&device), all);
}
