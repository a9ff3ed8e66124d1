//! Where a node dials, how often, and what it makes of a key that it does not know. Whole processes; the hostile home
//! is played here, with its own key.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pli_client::{clock, reach};
use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::limits::{FRAME_MAX, RETRY_BASE_MS};
use pli_protocol::session::{Principal, Refusal, Welcome};
use pli_protocol::wire::{self, call, call_reply};
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use pli_transport::{Credential, Dialler};
use pli_trust::keyfile;
use support::{HOME, ORIGIN, PATIENCE, SERVICE};

const POLL: Duration = Duration::from_millis(50);

async fn dials(federation: &Federation) -> f64 {
    let origin = federation.node(ORIGIN);
    let dials = origin.count("pli_deliver_dials_total", "").await;
    dials.expect("it answers")
}

/// SES-1.8: the letter waits, nothing goes to the home, and the operator reads why.
#[tokio::test(flavor = "multi_thread")]
async fn r5_a_node_dials_no_private_address_that_its_operator_has_not_listed() {
    let plan = Federation::builder().two_hosts();
    let plan = plan.set("dial", "private_networks", "[\"10.0.0.0/8\"]");
    let mut federation = plan.start().await.expect("two nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    let letters = support::letters(&service, &grant, 1).await;
    submit_all(&service, letters.clone())
        .await
        .expect("answered");

    let began = Instant::now();
    while dials(&federation).await < 4.0 {
        assert!(began.elapsed() < PATIENCE, "it tries again and again");
        tokio::time::sleep(POLL).await;
    }
    let ops = federation.node(ORIGIN).addresses().ops;
    let shown = ["node", "status", "--url", &format!("http://{ops}")];
    let shown = federation.pli(&shown).await.expect("shown");
    let log = std::fs::read_to_string(federation.node(ORIGIN).log_path()).expect("a log");
    let why = "not dialled: the address is loopback, and private_networks does not list";
    // The screen breaks the line where it will.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&shown).contains(why), "{shown}");
    let forwarding = log.lines().filter(|line| line.contains("forwarding waits"));
    let said: Vec<&str> = forwarding.filter(|line| line.contains(why)).collect();
    assert_eq!(said.len(), 1, "once, not at each try: {log}");
    assert!(said[0].contains("WARN"), "{log}");
    let home = federation.node(HOME);
    let came = home.count("pli_session_opened_total", "role=\"node\"");
    assert_eq!(came.await.expect("it answers"), 0.0);

    let config = federation.node(ORIGIN).config_path().to_owned();
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let open = text.replace("10.0.0.0/8", "127.0.0.1/32");
    std::fs::write(&config, open).expect("written");
    let origin = federation.node_mut(ORIGIN);
    origin.terminate(PATIENCE).await.expect("stopped");
    origin.restart().await.expect("ready");
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    support::each_once([letters[0].id], &came);
}

/// CUS-6.3: each call says that the home is there; each dial finds that it is not.
#[tokio::test(flavor = "multi_thread")]
async fn r5_a_home_that_calls_all_the_time_is_not_dialled_all_the_time() {
    const WATCHED: Duration = Duration::from_secs(6);
    const CALLS_MIN: u64 = 60;
    let mut federation = Federation::builder()
        .two_hosts()
        .start()
        .await
        .expect("two nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    federation.node_mut(HOME).kill().await.expect("killed");
    let key = support::node_key(&federation, HOME);
    let home = support::stand_in(&federation, HOME, key);
    let dialled = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&dialled);
    let playing = tokio::spawn(async move {
        while let Some(pending) = home.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let welcome = Welcome {
                server_time: clock::now(),
                max_batches_in_flight: 4,
            };
            let session = pending.authenticate(|_| async move { Ok(welcome) }).await;
            if let Ok(connection) = session {
                connection.close(None, "not now");
            }
        }
    });
    let letters = support::letters(&service, &grant, 1).await;
    submit_all(&service, letters).await.expect("answered");

    let (began, before) = (Instant::now(), dials(&federation).await);
    let mut calls = 0;
    while began.elapsed() < WATCHED || calls < CALLS_MIN {
        drop(support::node_session(&federation, &service, HOME, ORIGIN).await);
        calls += 1;
    }
    let made = dials(&federation).await - before;
    let bound = began.elapsed().as_millis() as f64 / RETRY_BASE_MS as f64 + 2.0;
    println!("{calls} calls, {made} dials; at most {bound}");
    assert!(made <= bound, "{made} dials for {calls} calls");
    assert!(dialled.load(Ordering::Relaxed) >= 2, "it does try");
    playing.abort();
}

/// SES-3.6, CUS-6.3
#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_asks_to_be_left_alone_is_left_alone_for_so_long() {
    // The wait after a first failure is half a second at most.
    const ASKED: Duration = Duration::from_secs(3);
    let (mut federation, service, _citizen, grant) = support::scene(support::two_hosts()).await;
    let home = support::take_place(&mut federation, HOME).await;
    let letters = support::letters(&service, &grant, 1).await;
    submit_all(&service, letters).await.expect("answered");
    let mut refused_at = None;
    loop {
        let Some(connection) = support::next_session(&home).await else {
            continue;
        };
        let Ok(mut stream) = connection.accept_call().await else {
            continue;
        };
        let Ok(Some(frame)) = stream.recv.next().await else {
            continue;
        };
        let asked: wire::Call = codec::decode_canonical(&frame, FRAME_MAX).expect("a call");
        // Who follows the directory comes when it likes.
        if !matches!(asked.kind, Some(call::Kind::Forward(_))) {
            continue;
        }
        if let Some(at) = refused_at {
            let waited = Instant::now() - at;
            assert!(waited >= ASKED, "{waited:?}");
            break;
        }
        let ms = ASKED.as_millis() as u64;
        let refusal = Refusal::new(Code::Overloaded, "busy").retry_after_ms(ms);
        let reply = wire::CallReply {
            kind: Some(call_reply::Kind::Refusal(refusal.to_wire())),
        };
        stream.send.send_message(&reply).await.expect("sent");
        stream.send.finish().await.expect("sent");
        // As a node does that takes nothing more.
        stream.recv.stop(Code::Overloaded);
        refused_at = Some(Instant::now());
        let _ = tokio::time::timeout(PATIENCE, connection.closed()).await;
    }
}

/// TRU-5.5: the regular refresh is ten minutes away.
#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_node_that_replaced_its_key_is_known_soon() {
    let plan = Federation::builder().two_hosts();
    let plan = plan.set("gossip", "enabled", "false");
    let federation = plan.start().await.expect("two nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let home = support::authority(HOME);
    let new = federation.home(&home).join("keys/node-2.key");
    let draft = federation.home(&home).join("authority");
    let dir = draft.to_str().expect("UTF-8");
    let key = new.to_str().expect("UTF-8");
    let arguments = ["authority", "revoke", "--node", "--dir", dir];
    let arguments = [&arguments[..], &["--new-key", key]].concat();
    federation.pli(&arguments).await.expect("revoked");
    federation.publish_authority(&home).await.expect("signed");
    federation.publish().await.expect("published");

    let dialler = Dialler::new(Credential {
        principal: Principal::Node(home),
        key: Arc::new(keyfile::load(&new).expect("a key")),
    });
    let directory = service.directory().current();
    let origin = support::authority(ORIGIN);
    let dial = async || reach::connect(&dialler, &directory, &origin, clock::now()).await;
    let refused = dial().await.expect_err("not known yet");
    assert_eq!(refused.code(), Some(Code::UnknownKey), "{refused}");
    let began = Instant::now();
    while let Err(refused) = dial().await {
        assert_eq!(refused.code(), Some(Code::UnknownKey), "{refused}");
        assert!(began.elapsed() < PATIENCE, "not before the regular refresh");
        tokio::time::sleep(POLL).await;
    }
}
