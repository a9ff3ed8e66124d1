//! A letter that breaks its home each time it comes (R2, CUS-6.5). The origin is a real node; the home is played
//! here, with the home's own key, since no real node does this.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pli_client::clock;
use pli_protocol::code::Code;
use pli_protocol::custody::ack::{self, Issuer};
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::acknowledged_id;
use pli_protocol::id::EnvelopeId;
use pli_protocol::limits::{FRAME_MAX, POISON_TRIES_MAX};
use pli_protocol::wire::{self, call_reply};
use pli_protocol::{codec, crypto::sign::SigningKey};
use pli_testbed::sending::submit_all;
use pli_transport::AcceptedConnection;
use support::{HOME, ORIGIN, SERVICE, two_hosts};

/// Takes everything but the poison, at which it drops the connection; says whether it was alone on its way.
async fn take_until_poison(
    connection: &AcceptedConnection,
    key: &SigningKey,
    poison: EnvelopeId,
) -> Option<usize> {
    let mut stream = connection.accept_call().await.ok()?;
    stream.recv.next().await.ok()??;
    while let Some(frame) = stream.recv.next().await.ok()? {
        let batch: wire::EnvelopeBatch =
            codec::decode_canonical(&frame, FRAME_MAX).expect("a batch");
        let ids: Vec<EnvelopeId> = batch.envelopes.iter().map(acknowledged_id).collect();
        if ids.contains(&poison) {
            connection.close(None, "poisoned");
            return Some(ids.len());
        }
        let taken: Vec<_> = ids
            .into_iter()
            .map(|id| (id, Disposition::Accepted))
            .collect();
        let issuer = Issuer {
            node: support::authority(HOME),
            step: Step::Stored,
        };
        let ack = ack::sign(&issuer, batch.seq..=batch.seq, clock::now(), &taken, key)
            .expect("not empty");
        let reply = wire::CallReply {
            kind: Some(call_reply::Kind::Ack(ack)),
        };
        stream.send.send_message(&reply).await.ok()?;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_a_poisoned_letter_is_set_aside_and_the_others_arrive() {
    let (mut federation, service, _, grant) = support::scene(two_hosts()).await;
    let caller = federation.service(SERVICE).await.expect("open");
    let home = support::take_place(&mut federation, HOME).await;
    let key = support::node_key(&federation, HOME);
    let letters = support::letters(&service, &grant, 5).await;
    let poison = letters[2].id;
    let federation = Arc::new(federation);
    let alone = Arc::new(AtomicU32::new(0));
    let others = support::letters(&service, &grant, POISON_TRIES_MAX as usize).await;
    let other_ids: Vec<EnvelopeId> = others.iter().map(|letter| letter.id).collect();
    let playing = {
        let (federation, alone) = (federation.clone(), alone.clone());
        let mut others = others.into_iter();
        tokio::spawn(async move {
            loop {
                let Some(connection) = support::next_session(&home).await else {
                    continue;
                };
                if take_until_poison(&connection, &key, poison).await == Some(1) {
                    alone.fetch_add(1, Ordering::Relaxed);
                    // Only what gets through between its failures convicts it.
                    let next = others.next().into_iter().collect();
                    submit_all(&caller, next).await.expect("answered");
                }
                // CUS-6.3: heard from, the origin tries again at once, or this test would take minutes.
                drop(support::node_session(&federation, &caller, HOME, ORIGIN).await);
            }
        })
    };
    submit_all(&service, letters.clone())
        .await
        .expect("answered");
    let steps = support::steps_when(&service, poison, |step| {
        matches!(step, Step::Undeliverable(_))
    })
    .await;
    assert_eq!(steps, [Step::Accepted, Step::Undeliverable(Code::SetAside)]);
    let good = letters.iter().map(|letter| letter.id);
    for id in good.filter(|id| *id != poison).chain(other_ids) {
        let steps = support::steps_when(&service, id, |step| step == Step::Stored).await;
        assert_eq!(steps, [Step::Accepted, Step::Stored]);
    }
    let alone = alone.load(Ordering::Relaxed);
    assert_eq!(alone, POISON_TRIES_MAX, "tried alone, so often and no more");
    playing.abort();
}

/// CUS-6.5: alone in its queue it is convicted by nobody, so the operator sees it, with its tries and the reason.
#[tokio::test(flavor = "multi_thread")]
async fn r2_a_lone_letter_that_is_never_answered_is_shown_to_the_operator() {
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let caller = federation.service(SERVICE).await.expect("open");
    let home = support::take_place(&mut federation, HOME).await;
    let key = support::node_key(&federation, HOME);
    let letters = support::letters(&service, &grant, 1).await;
    let poison = letters[0].id;
    submit_all(&service, letters).await.expect("answered");
    for _ in 0..3 {
        loop {
            if let Some(connection) = support::next_session(&home).await
                && take_until_poison(&connection, &key, poison).await.is_some()
            {
                break;
            }
        }
        drop(support::node_session(&federation, &caller, HOME, ORIGIN).await);
    }
    let stuck = support::status(&federation, ORIGIN).await["queues"][0]["stuck"].clone();
    assert_eq!(stuck["envelope"], poison.to_string(), "{stuck}");
    assert!(stuck["tries"].as_u64() >= Some(2), "{stuck}");
    let reason = stuck["reason"].as_str().expect("a reason");
    assert!(reason.contains("poisoned"), "what the peer said: {reason}");
    let ops = federation.node(ORIGIN).addresses().ops;
    let shown = ["node", "status", "--url", &format!("http://{ops}")];
    let shown = federation.pli(&shown).await.expect("shown");
    for part in [&poison.to_string(), "tries since", "poisoned"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }

    home.close(None, "").await;
    drop(home);
    federation.node_mut(HOME).restart().await.expect("ready");
    let came = support::fetch_until(&mut citizen, 1, support::PATIENCE).await;
    support::each_once([poison], &came);
    let queues = support::status(&federation, ORIGIN).await["queues"].clone();
    let stuck = |queue: &serde_json::Value| !queue["stuck"].is_null();
    assert!(
        !queues.as_array().expect("queues").iter().any(stuck),
        "{queues}"
    );
}

/// CUS-6.5: a home that falls over whatever it is sent proves nothing against the letter at the head of its queue.
#[tokio::test(flavor = "multi_thread")]
async fn r2_a_home_that_breaks_at_every_letter_convicts_none() {
    let (mut federation, service, mut citizen, grant) = support::scene(two_hosts()).await;
    let caller = federation.service(SERVICE).await.expect("open");
    let home = support::take_place(&mut federation, HOME).await;
    let letters = support::letters(&service, &grant, 3).await;
    submit_all(&service, letters.clone())
        .await
        .expect("answered");
    for _ in 0..4 * POISON_TRIES_MAX {
        let Some(connection) = support::next_session(&home).await else {
            continue;
        };
        if let Ok(mut stream) = connection.accept_call().await {
            // The call, then a batch.
            drop(stream.recv.next().await);
            drop(stream.recv.next().await);
        }
        connection.close(None, "fallen over");
        drop(connection);
        drop(support::node_session(&federation, &caller, HOME, ORIGIN).await);
    }
    for letter in &letters {
        assert_eq!(support::track(&service, letter.id).await, [Step::Accepted]);
    }
    home.close(None, "").await;
    drop(home);
    federation.node_mut(HOME).restart().await.expect("ready");
    let came = support::fetch_until(&mut citizen, letters.len(), support::PATIENCE).await;
    support::each_once(letters.iter().map(|letter| letter.id), &came);
}
