//! A service and a device facing a node that lies, breaks off or withholds.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_client::content_json;
use pli_client::device::config::DeviceConfig;
use pli_client::device::cursor::PageFault;
use pli_client::device::evidence;
use pli_client::device::{Device, DeviceError, Standing};
use pli_client::reach::{self, ReachError};
use pli_client::service::draft::Draft;
use pli_client::service::submit::SubmitError;
use pli_client::service::{Service, ServiceError};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::ack::{self, Issuer};
use pli_protocol::custody::{Disposition, Receipt, Step};
use pli_protocol::envelope::{Class, Letter};
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::limits;
use pli_protocol::session::Refusal;
use pli_protocol::wire;
use pli_protocol::wire::call_reply::Kind as Reply;
use support::home::{all, draft, enrolled, item};
use support::{Federation, SERVICE, batch, reply, script};

const PATIENCE: Duration = Duration::from_secs(20);

fn ids(batch: &wire::EnvelopeBatch) -> Vec<EnvelopeId> {
    batch
        .envelopes
        .iter()
        .map(|bytes| Letter::decode(bytes.clone()).unwrap().id())
        .collect()
}

fn acknowledged(
    federation: &Federation,
    seqs: std::ops::RangeInclusive<u64>,
    dispositions: &[(EnvelopeId, Disposition)],
    key: &SigningKey,
) -> Reply {
    let issuer = Issuer {
        node: federation.authority(),
        step: Step::Accepted,
    };
    Reply::Ack(ack::sign(&issuer, seqs, clock::now(), dispositions, key).unwrap())
}

/// A service with one contact, for tests in which nobody reads.
async fn service(federation: &Federation) -> (Service, Draft) {
    let service = Service::open(&federation.path("service")).await.unwrap();
    let secrets = pli_protocol::account::AccountSecrets::new([1; 32], [2; 32]);
    let mailbox = pli_protocol::id::MailboxAddress {
        mailbox: pli_protocol::id::MailboxId::new([7; 16]),
        home: federation.authority(),
    };
    let grant = pli_protocol::account::SignedGrant::make(
        &secrets,
        federation.authority(),
        mailbox,
        BTreeSet::from([Class::Message]),
        clock::now(),
    );
    let (contact, _) = service
        .contacts()
        .add(grant.encoded().clone(), Some("citoyen"), clock::now())
        .unwrap();
    let draft = draft(&contact.grant, 0);
    (service, draft)
}

#[tokio::test]
async fn case_31_an_acknowledgement_that_the_node_did_not_sign_is_not_believed() {
    let federation = Arc::new(Federation::new().await);
    let (service, draft) = service(&federation).await;
    let forger = Arc::clone(&federation);
    federation
        .node(script(move |_, _, mut stream| {
            let federation = Arc::clone(&forger);
            async move {
                let batch = batch(&mut stream).await.unwrap();
                let accepted: Vec<_> = ids(&batch)
                    .into_iter()
                    .map(|id| (id, Disposition::Accepted))
                    .collect();
                let other = SigningKey::from_seed(&[77; 32]);
                reply(
                    &mut stream,
                    acknowledged(&federation, 1..=1, &accepted, &other),
                )
                .await;
                let _ = stream.recv.next().await;
            }
        }))
        .await;
    let error = service.send_one(draft, PATIENCE).await.unwrap_err();
    assert!(
        matches!(error, ServiceError::Submit(SubmitError::Ack(_))),
        "{error}"
    );
    assert_eq!(error.code(), Some(Code::BadSignature));
}

#[tokio::test]
async fn cus_4_4_an_acknowledgement_of_what_was_never_sent_is_not_believed() {
    let federation = Arc::new(Federation::new().await);
    let (service, draft) = service(&federation).await;
    let liar = Arc::clone(&federation);
    federation
        .node(script(move |_, _, mut stream| {
            let federation = Arc::clone(&liar);
            async move {
                let batch = batch(&mut stream).await.unwrap();
                let accepted: Vec<_> = ids(&batch)
                    .into_iter()
                    .map(|id| (id, Disposition::Accepted))
                    .collect();
                reply(
                    &mut stream,
                    acknowledged(&federation, 1..=2, &accepted, &federation.node_key()),
                )
                .await;
                let _ = stream.recv.next().await;
            }
        }))
        .await;
    let error = service.send_one(draft, PATIENCE).await.unwrap_err();
    assert!(
        matches!(error, ServiceError::Submit(SubmitError::Order(_))),
        "{error}"
    );
}

#[tokio::test]
async fn case_60_what_a_broken_call_left_unacknowledged_is_sent_again_with_the_same_id() {
    let federation = Arc::new(Federation::new().await);
    let (service, draft) = service(&federation).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (node, sent) = (Arc::clone(&federation), Arc::clone(&seen));
    federation
        .node(script(move |nth, _, mut stream| {
            let (federation, sent) = (Arc::clone(&node), Arc::clone(&sent));
            async move {
                let batch = batch(&mut stream).await.unwrap();
                sent.lock()
                    .unwrap()
                    .push((ids(&batch), batch.envelopes.clone()));
                if nth < 2 {
                    // Takes the letter and dies without a word; or says that it is stopping, which
                    // acknowledges nothing (CUS-3.6).
                    if nth == 1 {
                        let refusal = Refusal::new(Code::ShuttingDown, "").to_wire();
                        reply(&mut stream, Reply::Refusal(refusal)).await;
                    }
                    return;
                }
                let first_at = Timestamp::from_ms(clock::now().as_ms() - 5_000);
                let duplicate: Vec<_> = ids(&batch)
                    .into_iter()
                    .map(|id| (id, Disposition::Duplicate { first_at }))
                    .collect();
                reply(
                    &mut stream,
                    acknowledged(&federation, 1..=1, &duplicate, &federation.node_key()),
                )
                .await;
                let _ = stream.recv.next().await;
                let _ = stream.send.finish().await;
            }
        }))
        .await;
    let settled = service.send_one(draft, PATIENCE).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter().all(|sent| *sent == seen[0]),
        "the very same bytes each time"
    );
    assert_eq!(seen[0].0, [settled.id]);
    assert!(matches!(settled.disposition, Disposition::Duplicate { .. }));
    let receipt = Receipt::verify(settled.receipt, federation.node_key().public()).unwrap();
    assert_eq!(
        (receipt.envelope, receipt.step),
        (settled.id, Step::Accepted)
    );
}

#[tokio::test]
async fn a_letter_that_is_refused_for_now_is_sent_again_and_one_that_is_refused_for_good_is_not() {
    let federation = Arc::new(Federation::new().await);
    let (service, draft) = service(&federation).await;
    for (first, expected, batches) in [
        (Code::Overloaded, Disposition::Accepted, 2),
        (
            Code::UnknownMailbox,
            Disposition::Refused(Code::UnknownMailbox),
            1,
        ),
        (
            Code::QuotaExceeded,
            Disposition::Refused(Code::QuotaExceeded),
            1,
        ),
    ] {
        let count = Arc::new(Mutex::new(0));
        let (node, counted) = (Arc::clone(&federation), Arc::clone(&count));
        federation
            .node(script(move |_, _, mut stream| {
                let (federation, counted) = (Arc::clone(&node), Arc::clone(&counted));
                async move {
                    while let Some(batch) = batch(&mut stream).await {
                        let nth = {
                            let mut count = counted.lock().unwrap();
                            *count += 1;
                            *count
                        };
                        let what = if nth == 1 {
                            Disposition::Refused(first)
                        } else {
                            Disposition::Accepted
                        };
                        let answer: Vec<_> = ids(&batch).into_iter().map(|id| (id, what)).collect();
                        reply(
                            &mut stream,
                            acknowledged(
                                &federation,
                                batch.seq..=batch.seq,
                                &answer,
                                &federation.node_key(),
                            ),
                        )
                        .await;
                    }
                    let _ = stream.send.finish().await;
                }
            }))
            .await;
        let settled = service.send_one(draft.clone(), PATIENCE).await.unwrap();
        assert_eq!(settled.disposition, expected, "{first}");
        assert_eq!(*count.lock().unwrap(), batches, "{first}");
    }
}

/// SES-3.6: a node that asks to be left alone is, as long as there is patience.
#[tokio::test]
async fn a_node_that_says_when_to_come_back_is_left_alone_until_then_and_no_longer_than_patience() {
    const ASKED: Duration = Duration::from_millis(1_500);
    let federation = Arc::new(Federation::new().await);
    let (service, draft) = service(&federation).await;
    let busy = |ms| {
        Refusal::new(Code::Overloaded, "busy")
            .retry_after_ms(ms)
            .to_wire()
    };
    let node = Arc::clone(&federation);
    federation
        .node(script(move |nth, _, mut stream| {
            let federation = Arc::clone(&node);
            async move {
                if nth == 0 {
                    // As a node does that takes nothing more: its last word, and no more is read.
                    reply(&mut stream, Reply::Refusal(busy(ASKED.as_millis() as u64))).await;
                    let _ = stream.send.finish().await;
                    return;
                }
                while let Some(batch) = batch(&mut stream).await {
                    let ids = ids(&batch).into_iter();
                    let taken: Vec<_> = ids.map(|id| (id, Disposition::Accepted)).collect();
                    let seqs = batch.seq..=batch.seq;
                    let key = federation.node_key();
                    reply(&mut stream, acknowledged(&federation, seqs, &taken, &key)).await;
                }
                let _ = stream.send.finish().await;
            }
        }))
        .await;
    let began = Instant::now();
    let settled = service.send_one(draft.clone(), PATIENCE).await.unwrap();
    assert_eq!(settled.disposition, Disposition::Accepted);
    assert!(began.elapsed() >= ASKED, "{:?}", began.elapsed());

    federation
        .node(script(move |_, _, mut stream| async move {
            reply(&mut stream, Reply::Refusal(busy(limits::INTEGER_MAX))).await;
            let _ = stream.send.finish().await;
        }))
        .await;
    let (began, patience) = (Instant::now(), Duration::from_secs(2));
    let error = service.send_one(draft, patience).await.unwrap_err();
    let gave_up = matches!(
        error,
        ServiceError::Submit(SubmitError::OutOfPatience { .. })
    );
    assert!(gave_up, "{error}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn tru_4_7_only_nodes_that_the_directory_names_are_dialled() {
    let federation = Federation::new().await;
    let (service, _) = service(&federation).await;
    let origin = service.origin(PATIENCE);
    let elsewhere = "elsewhere.gouv.fr".parse().unwrap();
    let directory = origin.directory.current();
    let dialled = reach::connect(&origin.dialler, &directory, &elsewhere, clock::now()).await;
    let error = dialled.unwrap_err();
    assert!(matches!(error, ReachError::Directory(_)), "{error}");
    assert_eq!(error.code(), Some(Code::UnknownAuthority));
}

#[tokio::test]
async fn without_any_progress_a_service_gives_up_and_says_so() {
    let federation = Federation::new().await;
    let (service, draft) = service(&federation).await;
    let error = service
        .send_one(draft, Duration::from_millis(1))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ServiceError::Submit(SubmitError::OutOfPatience { .. })
        ),
        "{error}"
    );
    assert!(error.to_string().contains("start again later"), "{error}");
}

#[tokio::test]
async fn case_57_a_home_that_withholds_a_letter_is_found_out_and_nothing_of_its_page_is_taken() {
    let federation = Federation::new().await;
    let (mut device, letters, pages) = enrolled(&federation, 3).await;
    let whole = |range: std::ops::Range<usize>| {
        range
            .map(|n| item(n as u64 + 1, &letters[n]))
            .collect::<Vec<_>>()
    };
    // The second is missing.
    let mut gap = whole(0..3);
    gap.remove(1);
    *pages.lock().unwrap() = vec![wire::SyncPage {
        items: gap,
        latest_seq: 3,
    }];
    let error = device.sync().await.unwrap_err();
    assert!(
        matches!(
            error,
            DeviceError::Page(PageFault::Gap {
                expected: 2,
                got: 3
            })
        ),
        "{error}"
    );
    assert_eq!(device.inbox().cursor().after, 0);
    // It says three and gives two.
    *pages.lock().unwrap() = vec![wire::SyncPage {
        items: whole(0..2),
        latest_seq: 3,
    }];
    let error = device.sync().await.unwrap_err();
    assert!(
        matches!(
            error,
            DeviceError::Page(PageFault::Withheld {
                after: 2,
                latest: 3
            })
        ),
        "{error}"
    );
    // What came before the gap is kept and shown.
    let (shown, errors) = all(&device).await;
    assert!(errors.is_empty());
    assert_eq!(
        shown
            .iter()
            .filter(|letter| letter.verified().is_some())
            .count(),
        2
    );
    *pages.lock().unwrap() = vec![wire::SyncPage {
        items: whole(2..3),
        latest_seq: 3,
    }];
    assert_eq!(device.sync().await.unwrap().len(), 1);
}

#[tokio::test]
async fn case_58_a_home_that_reorders_repeats_or_injects_is_refused() {
    let federation = Federation::new().await;
    let (mut device, letters, pages) = enrolled(&federation, 2).await;
    for (items, expected) in [
        (
            vec![item(2, &letters[1]), item(1, &letters[0])],
            PageFault::Gap {
                expected: 1,
                got: 2,
            },
        ),
        (
            vec![item(1, &letters[0]), item(1, &letters[0])],
            PageFault::Order {
                expected: 2,
                got: 1,
            },
        ),
    ] {
        *pages.lock().unwrap() = vec![wire::SyncPage {
            items,
            latest_seq: 2,
        }];
        match device.sync().await.unwrap_err() {
            DeviceError::Page(fault) => assert_eq!(fault, expected),
            other => panic!("a refused page was expected, not {other}"),
        }
    }
    // In order, but: the same letter under two numbers is one letter; what the home made itself, or
    // took from another mailbox, is not shown as a message. The next letter is.
    let (_, mut forged) = letters[1].clone();
    let mut bytes = forged.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    forged = bytes.into();
    let items = vec![
        item(1, &letters[0]),
        item(2, &letters[0]),
        item(3, &(letters[1].0, forged)),
        item(4, &letters[1]),
    ];
    *pages.lock().unwrap() = vec![wire::SyncPage {
        items,
        latest_seq: 4,
    }];
    device.sync().await.unwrap();
    let (shown, _) = all(&device).await;
    assert!(shown[0].verified().is_some() && shown[0].repeats.is_none());
    assert_eq!(shown[1].repeats, Some(1));
    let refusal = shown[2].letter.as_ref().unwrap().as_ref().unwrap_err();
    assert_eq!(refusal.code(), Code::BadSignature);
    assert!(
        shown[3].verified().is_some(),
        "R7: it does not stop the next one"
    );
}

#[tokio::test]
async fn case_60_a_stale_device_that_hands_over_or_grants_again_changes_nothing() {
    let federation = Federation::new().await;
    let (mut device, letters, pages) = enrolled(&federation, 1).await;
    *pages.lock().unwrap() = vec![wire::SyncPage {
        items: vec![item(1, &letters[0])],
        latest_seq: 1,
    }];
    device.sync().await.unwrap();
    for _ in 0..2 {
        device.acknowledge(&[(1, letters[0].0)]).await.unwrap();
        assert!(device.acknowledged().unwrap().contains(1));
    }
    let accepts = BTreeSet::from([Class::Message]);
    let first = device
        .grant(&federation.authority(), accepts.clone(), false)
        .await
        .unwrap();
    let again = device
        .grant(&federation.authority(), accepts.clone(), false)
        .await
        .unwrap();
    assert_eq!(first, again, "the very same bytes");
    let renewed = device
        .grant(&federation.authority(), accepts, true)
        .await
        .unwrap();
    renewed.replaces(first.grant()).unwrap();
}

#[tokio::test]
async fn letters_stay_verifiable_offline_with_the_directory_of_their_day() {
    let federation = Federation::new().await;
    let (mut device, letters, pages) = enrolled(&federation, 1).await;
    *pages.lock().unwrap() = vec![wire::SyncPage {
        items: vec![item(1, &letters[0])],
        latest_seq: 1,
    }];
    device.sync().await.unwrap();
    drop(device);
    // The repository is gone, and so is the network: what the device has is enough.
    std::fs::remove_dir_all(federation.path("federation/repository")).unwrap();
    let device = Device::open(&federation.path("device"), Standing::Looking)
        .await
        .unwrap();
    let (shown, _) = all(&device).await;
    assert!(shown[0].verified().is_some());

    // Should its sender leave the directory one day, the directory of the day it came still says
    // who it was, verified again from the trusted root.
    let folder = federation.path("device");
    let place = DeviceConfig::read(&folder)
        .unwrap()
        .directory_place(&folder)
        .unwrap();
    let day = shown[0].entry.arrival.directory;
    let then = evidence::open(&folder.join("evidence"), &place, day, clock::now())
        .await
        .unwrap();
    assert_eq!(then.versions(), day);
    assert!(then.service(&SERVICE.parse().unwrap()).is_ok());
    // Evidence that was altered is none.
    for file in std::fs::read_dir(folder.join("evidence/files")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let altered = evidence::open(&folder.join("evidence"), &place, day, clock::now()).await;
    assert!(altered.is_err());
}

/// MBX-5.9: whoever steals a key dates letters back, and a home may help: what came to the device after
/// the key's end is said to have.
#[tokio::test]
async fn case_21_a_letter_that_comes_after_the_end_of_its_key_is_shown_with_a_caution() {
    let federation = Federation::new().await;
    let (mut device, letters, pages) = enrolled(&federation, 2).await;
    let give = |n: usize| {
        let seq = n as u64 + 1;
        *pages.lock().unwrap() = vec![wire::SyncPage {
            items: vec![item(seq, &letters[n])],
            latest_seq: seq,
        }];
    };
    give(0);
    device.sync().await.unwrap();
    // The directory's times are whole seconds.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let stolen = clock::now().as_ms() / 1_000;
    for line in [
        &format!(
            "authority revoke --dir @/interior --service rdv --new-key @/service/service-2.key --stolen-at {}",
            content_json::time(Timestamp::from_ms(stolen * 1_000))
        ),
        "authority publish --dir @/interior --key @/interior-keys/role.key",
        "federation publish --dir @/federation --key @/keys/online --from @/interior/handover",
    ] {
        federation.pli(line).await;
    }
    give(1);
    device.sync().await.unwrap();
    let (shown, _) = all(&device).await;
    assert!(shown.iter().all(|letter| letter.verified().is_some()));
    assert_eq!(shown[0].key_ended, None, "it came before");
    assert_eq!(
        shown[1].key_ended,
        Some(Timestamp::from_ms(stolen * 1_000)),
        "it came after"
    );
}
