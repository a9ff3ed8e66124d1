//! What a node does not let others do to it, and how it stops. Whole processes.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pli_client::service::submit;
use pli_protocol::code::Code;
use pli_protocol::content::{Content, Kind, Notice, Text};
use pli_protocol::custody::Disposition;
use pli_protocol::wire::{self, call, call_reply};
use pli_protocol::{codec, limits};
use pli_testbed::Federation;
use pli_testbed::hostile::Hostile;
use pli_testbed::sending::submit_all;
use pli_transport::{CallStream, Via};
use support::{HOME, ORIGIN, SERVICE, two_hosts};
use tokio::sync::{Notify, mpsc};

fn content() -> Content {
    Content::from(Kind::Notice(Notice::new(
        Text::french("Titre"),
        Text::french("Bonjour"),
    )))
}

const SUBMIT: call::Kind = call::Kind::Submit(wire::Submit {});

/// CUS-1.1, case 27: the stages come in their order. What several would refuse, the first refuses, and what is
/// refused before admission uses up no quota.
#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_is_refused_by_the_first_stage_that_finds_a_fault() {
    let (_running, service, _, grant) =
        support::scene(two_hosts().set("quotas", "sender_mailbox_per_day", "1")).await;
    let hostile = Hostile::new(&service, grant, content());
    let connection = support::service_session(&service).await;
    for (what, letter, code) in [
        (
            "forged, before anything counted",
            hostile.forged(),
            Some(Code::UnknownKey),
        ),
        ("the only one that the quota allows", hostile.good(), None),
        ("over the quota", hostile.good(), Some(Code::QuotaExceeded)),
        (
            "forged and over the quota",
            hostile.forged(),
            Some(Code::UnknownKey),
        ),
        (
            "expired and over the quota",
            hostile.expired(),
            Some(Code::Expired),
        ),
        (
            "too large and over the quota",
            hostile.oversized(),
            Some(Code::EnvelopeTooLarge),
        ),
    ] {
        let answer = support::hand_over(&connection, SUBMIT, vec![letter.expect("made")]).await;
        assert_eq!(
            support::codes(&answer),
            [code.map_or(0, Code::number)],
            "{what}"
        );
    }
}

/// Case 55, SES-5.4: a peer that floods with bad signatures is cut; a service beside it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn case_55_a_flood_of_bad_signatures_cuts_the_peer_and_nobody_else() {
    let (_running, service, _, grant) = support::scene(two_hosts()).await;
    let hostile = Hostile::new(&service, grant.clone(), content());
    let connection = support::service_session(&service).await;
    let beside = support::service_session(&service).await;
    // Two batches, since so many do not fit one frame.
    const HALF: usize = limits::BAD_ENVELOPES_MAX as usize / 2;
    for _ in 0..2 {
        let bad = (0..HALF)
            .map(|_| hostile.bad_signature().expect("made"))
            .collect();
        let answer = support::hand_over(&connection, SUBMIT, bad).await;
        assert_eq!(support::codes(&answer), [Code::BadSignature.number(); HALF]);
    }
    let lost = tokio::time::timeout(support::PATIENCE, connection.closed())
        .await
        .expect("it is cut");
    assert_eq!(lost.code(), Some(Code::PeerCut));
    let answer = support::hand_over(&beside, SUBMIT, vec![hostile.good().expect("made")]).await;
    assert_eq!(support::codes(&answer), [0], "who behaves goes on");
}

/// SES-7.5, CUS-1.2: a node that is told to stop finishes what it has begun and ends well; what it acknowledged is
/// there afterwards, and nothing else is lost either, since the sender still has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_drains_keeps_what_it_acknowledged_and_ends_with_0() {
    let (mut federation, service, mut citizen, grant) =
        support::scene(two_hosts().set("quotas", "sender_mailbox_per_day", "1000000")).await;
    let letters = support::letters(&service, &grant, 1_000).await;
    let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    let (outgoing, to_submit) = mpsc::channel(16);
    let (settled, mut answers) = mpsc::channel(2_048);
    let origin = service.origin(support::PATIENCE);
    let submitting = tokio::spawn(async move { submit::submit(&origin, to_submit, settled).await });
    let feed = tokio::spawn(async move {
        for part in letters.chunks(20) {
            for letter in part {
                outgoing
                    .send(letter.clone())
                    .await
                    .expect("submitting goes on");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let first = answers.recv().await.expect("an answer");
    assert_eq!(first.disposition, Disposition::Accepted);
    let idle = support::service_session(&federation.service(SERVICE).await.expect("open")).await;
    let node = federation.node_mut(ORIGIN);
    let status = node
        .terminate(Duration::from_secs(30))
        .await
        .expect("it ends by itself");
    assert!(status.success(), "{status}");
    assert!(!feed.is_finished(), "it was stopped in the middle");
    tokio::time::timeout(support::PATIENCE, idle.closed())
        .await
        .expect("every session is closed");
    node.restart().await.expect("ready again");
    feed.await.expect("fed");
    submitting.await.expect("no panic").expect("settled");
    while answers.recv().await.is_some() {}
    let came = support::fetch_until(&mut citizen, ids.len(), support::PATIENCE).await;
    support::each_once(ids, &came);
}

/// Sends batches for ever, always as many as the window lets it, whatever the node says, until the call breaks.
/// Gives the code with which it was refused.
async fn send_for_ever(
    mut stream: CallStream,
    envelopes: Vec<Bytes>,
    begun: Arc<Notify>,
) -> Option<u32> {
    let (mut seq, mut answered) = (0, 0);
    let mut refused = None;
    loop {
        while seq - answered < u64::from(limits::BATCHES_IN_FLIGHT_MAX) {
            seq += 1;
            let envelopes = envelopes.clone();
            let batch = wire::EnvelopeBatch { seq, envelopes };
            if stream.send.send_message(&batch).await.is_err() {
                // What was said before that may still be read.
                break;
            }
        }
        let Ok(Some(frame)) = stream.recv.next().await else {
            return refused;
        };
        let reply: wire::CallReply =
            codec::decode_canonical(&frame, limits::FRAME_MAX).expect("a reply");
        answered = match reply.kind.expect("it says something") {
            call_reply::Kind::Ack(ack) => ack.last_seq,
            // As if it had not heard.
            call_reply::Kind::Refusal(refusal) => {
                refused = Some(refusal.code);
                seq
            }
            other => panic!("neither an acknowledgement nor a refusal: {other:?}"),
        };
        begun.notify_one();
    }
}

/// SES-7.5: who never stops sending does not keep a node from stopping, by either way.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_drains_while_a_peer_sends_for_ever() {
    // It must not be the end of its patience that ends it.
    let plan =
        two_hosts()
            .set("", "drain", "\"10m\"")
            .set("quotas", "sender_mailbox_per_day", "1000000");
    let (mut federation, service, _, grant) = support::scene(plan).await;
    let letters = support::letters(&service, &grant, 16).await;
    let envelopes: Vec<Bytes> = letters.into_iter().map(|letter| letter.envelope).collect();
    let mut peers = Vec::new();
    for via in [Via::Quic, Via::WebSocket] {
        let connection = support::session_by(&federation, &service, via).await;
        let stream = support::open(&connection, SUBMIT).await;
        let begun = Arc::new(Notify::new());
        let peer = tokio::spawn(send_for_ever(stream, envelopes.clone(), begun.clone()));
        begun.notified().await;
        peers.push((via, connection, peer));
    }
    let node = federation.node_mut(ORIGIN);
    let status = node.terminate(support::PATIENCE).await.expect("it ends");
    assert!(status.success(), "{status}");
    for (via, _connection, peer) in peers {
        let refused = tokio::time::timeout(support::PATIENCE, peer).await;
        let refused = refused.expect("it hears of the end").expect("no panic");
        assert_eq!(refused, Some(Code::ShuttingDown.number()), "{via}");
    }
}

/// MBX-2.1: an account id has 32 bytes, is another for each citizen, and no other node ever sees it.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_id_never_leaves_its_home() {
    let federation = Federation::builder()
        .two_hosts()
        .start()
        .await
        .expect("two nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut accounts = Vec::new();
    for name in ["une", "autre"] {
        let mut citizen = federation.citizen(name, HOME).await.expect("enrolled");
        let config = std::fs::read_to_string(citizen.folder.join("device.toml")).expect("read");
        let account = config
            .lines()
            .find_map(|line| line.strip_prefix("account = "))
            .expect("an account");
        accounts.push(bytes(account.trim_matches('"')));
        let grant = citizen.grant(&service).await.expect("granted");
        let letters = support::letters(&service, &grant, 1).await;
        submit_all(&service, letters).await.expect("answered");
        assert_eq!(
            support::fetch_until(&mut citizen, 1, support::PATIENCE)
                .await
                .len(),
            1
        );
    }
    assert_ne!(accounts[0], accounts[1]);
    for account in &accounts {
        assert_eq!(account.len(), limits::ACCOUNT_ID_LEN);
        let kept_by = |node: &str| keeps(&federation.node(node).home().join("store"), account);
        assert!(kept_by(HOME), "so the search can find one");
        assert!(
            !kept_by(ORIGIN),
            "the origin knows an account of another home"
        );
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal"))
        .collect()
}

/// Whether a file below this folder holds these bytes.
fn keeps(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return keeps(&path, wanted);
        }
        // The engine may take a file away meanwhile.
        std::fs::read(&path)
            .is_ok_and(|content| content.windows(wanted.len()).any(|part| part == wanted))
    })
}
