//! What a node promised it keeps, through SIGKILL at any moment. Whole processes; every promise is written down
//! outside of them.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pli_client::service::submit;
use pli_protocol::custody::Disposition;
use pli_testbed::Federation;
use pli_testbed::ledger::Ledger;
use support::{HOME, ORIGIN, PATIENCE, SERVICE};
use tokio::sync::mpsc;

/// The next number of a seed's sequence (SplitMix64).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn seed() -> u64 {
    match std::env::var("PLI_TEST_SEED") {
        Ok(seed) => seed.parse().expect("PLI_TEST_SEED is a number"),
        Err(_) => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.expect("after 1970").subsec_nanos().into()
        }
    }
}

/// Case 36, CUS-1.2, CUS-4.5, CUS-6.7, P3: both nodes are killed at random moments while letters stream through
/// them; every id that was acknowledged is in the inbox at the end, once.
#[tokio::test(flavor = "multi_thread")]
async fn case_36_what_was_acknowledged_survives_kill_9_of_both_nodes_and_arrives_once() {
    const KILLS: usize = 6;
    const AT_ONCE: usize = 16;
    let mut seed = seed();
    println!("PLI_TEST_SEED={seed}");
    let mut federation = Federation::builder()
        .two_hosts()
        .set("quotas", "sender_mailbox_per_day", "1000000")
        .set("quotas", "mailbox_envelopes", "1000000")
        .set("quotas", "mailbox_bytes", "\"1GiB\"")
        .start()
        .await
        .expect("two nodes");
    let service = Arc::new(federation.service(SERVICE).await.expect("open"));
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let (outgoing, to_submit) = mpsc::channel(AT_ONCE);
    let (settled, mut answers) = mpsc::channel(AT_ONCE);
    let feed = {
        let (service, ledger, stop) = (service.clone(), ledger.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let letters = support::letters(&service, &grant, AT_ONCE).await;
                for letter in letters {
                    ledger.lock().expect("held shortly").sent(letter.id);
                    outgoing.send(letter).await.expect("submitting goes on");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    let collect = {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            while let Some(one) = answers.recv().await {
                let one: submit::Settled<()> = one;
                // CUS-4.5: what was stored by a node that died before it could say so is a duplicate now.
                assert!(
                    matches!(
                        one.disposition,
                        Disposition::Accepted | Disposition::Duplicate { .. }
                    ),
                    "{:?}",
                    one.disposition
                );
                ledger.lock().expect("held shortly").acknowledged(one.id);
            }
        })
    };
    let origin = service.origin(PATIENCE);
    let submitting = tokio::spawn(async move { submit::submit(&origin, to_submit, settled).await });

    for _ in 0..KILLS {
        let victim = if next(&mut seed).is_multiple_of(2) {
            ORIGIN
        } else {
            HOME
        };
        tokio::time::sleep(Duration::from_millis(100 + next(&mut seed) % 700)).await;
        let node = federation.node_mut(victim);
        node.kill().await.expect("killed");
        tokio::time::sleep(Duration::from_millis(next(&mut seed) % 300)).await;
        node.restart().await.expect("ready again");
    }
    stop.store(true, Ordering::Relaxed);
    feed.await.expect("fed");
    let began = Instant::now();
    submitting
        .await
        .expect("no panic")
        .expect("everything is settled");
    println!("settled {:?} after the last restart", began.elapsed());
    collect.await.expect("collected");

    let began = Instant::now();
    while ledger.lock().expect("held shortly").outstanding() > 0 {
        assert!(
            began.elapsed() < PATIENCE,
            "{}",
            ledger.lock().expect("held shortly").balance()
        );
        for id in support::fetch(&mut citizen).await {
            ledger.lock().expect("held shortly").delivered(id);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("delivered {:?} after the last was settled", began.elapsed());
    // One of them might still come a second time.
    for id in support::fetch_until(&mut citizen, 1, Duration::from_secs(1)).await {
        ledger.lock().expect("held shortly").delivered(id);
    }
    let balance = ledger.lock().expect("held shortly").balance();
    println!("{balance}");
    assert!(balance.is_right(), "{balance}");
    assert_eq!(
        balance.acknowledged, balance.sent,
        "patience was enough for all of them"
    );
    assert!(balance.acknowledged > 100, "{balance}: this shows little");
}
