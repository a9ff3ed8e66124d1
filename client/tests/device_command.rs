//! `pli device …` as a citizen meets it: in the citizen's language, whatever goes wrong.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pli_client::device::{Device, Standing};
use pli_client::service::Service;
use pli_client::service::draft::{Draft, Handling, Randomness};
use pli_protocol::code::Code;
use pli_protocol::content::{Kind, Notice, Text};
use pli_protocol::id::EnvelopeId;
use pli_protocol::limits;
use pli_protocol::session::Refusal;
use pli_protocol::wire;
use pli_protocol::wire::call::Kind as Call;
use pli_protocol::wire::call_reply::Kind as Reply;
use support::command::{names, pli, pli_in};
use support::home::{all, device, invitation, item, page_home};
use support::{Federation, reply, script};

const FRENCH: [(&str, &str); 1] = [("LANG", "fr_FR.UTF-8")];

fn enrol<'a>(link: &'a str, place: &'a str) -> Vec<&'a str> {
    vec![
        "device",
        "enrol",
        "--home",
        "@/new/device",
        "--directory",
        place,
        link,
    ]
}

const PLACE: &str = "@/federation/repository";

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_fails_leaves_nothing_and_says_what_was_expected() {
    let federation = Federation::new().await;
    let refusing = script(|_, _, mut stream| async move {
        let refusal = Refusal::new(Code::InvitationUsed, "").to_wire();
        reply(&mut stream, Reply::Refusal(refusal)).await;
        let _ = stream.send.finish().await;
    });
    federation.node(refusing).await;
    let link = invitation(&federation);
    let good = link.to_string();
    let mut other = link.clone();
    other.root_sha256[0] ^= 1;
    let root = pli_protocol::id::to_hex(&other.root_sha256);
    let mut forged = link;
    let mut signed = forged.invitation.to_vec();
    *signed.last_mut().unwrap() ^= 1;
    forged.invitation = signed.into();
    let (other, forged) = (other.to_string(), forged.to_string());
    for (link, place, exit, english, french) in [
        (&other, PLACE, 1, &root[..], &root[..]),
        (
            &good,
            "@/none",
            1,
            "metadata and targets",
            "metadata et targets",
        ),
        (
            &good,
            "ftp://example.org",
            1,
            "Expected: an https address",
            "Attendu : une adresse https",
        ),
        (
            &forged,
            PLACE,
            1,
            "Copy all of it again",
            "Recopiez-la entière",
        ),
        (&good, PLACE, 1, "used already", "a déjà servi"),
    ] {
        let line = enrol(link, place);
        pli(&federation, &line).await.ended(exit, &[english]);
        pli_in(&federation, &line, &FRENCH)
            .await
            .ended(exit, &[french]);
        assert!(
            !federation.path("new").exists(),
            "{place} left something behind"
        );
    }
    // What was there before stays.
    std::fs::create_dir_all(federation.path("new/device")).unwrap();
    std::fs::write(federation.path("new/device/mine"), "").unwrap();
    pli(&federation, &enrol(&other, PLACE))
        .await
        .ended(1, &[&root]);
    assert_eq!(names(federation.path("new/device")), ["mine"]);
    // And a link that is none is not understood.
    pli_in(&federation, &enrol("pli:invite?home=a", PLACE), &FRENCH)
        .await
        .ended(2, &["attendu : l'invitation entière"]);
}

/// MBX-2: the home may have enrolled the device, so the keys stay, and the next attempt is by them.
#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_whose_answer_is_lost_is_gone_on_with_by_the_same_keys() {
    let federation = Federation::new().await;
    let seen: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let devices = Arc::clone(&seen);
    let node = script(move |_, call, mut stream| {
        let devices = Arc::clone(&devices);
        async move {
            let Call::Enrol(enrol) = call else {
                panic!("{call:?}")
            };
            devices.lock().unwrap().push(enrol.enrolment);
            if devices.lock().unwrap().len() > 1 {
                let account_id = Bytes::from(vec![9; limits::ACCOUNT_ID_LEN]);
                reply(&mut stream, Reply::Enrolled(wire::Enrolled { account_id })).await;
            }
            let _ = stream.send.finish().await;
            stream.send.taken().await;
        }
    });
    federation.node(node).await;
    let link = invitation(&federation).to_string();
    let ran = pli(&federation, &enrol(&link, PLACE)).await;
    ran.ended(
        4,
        &[
            "maybe it has enrolled this device already",
            "same command again",
        ],
    );
    let key = || std::fs::read(federation.path("new/device/device.key")).unwrap();
    let made = key();
    let ran = pli(&federation, &enrol(&link, PLACE)).await;
    ran.ended(0, &["home"]);
    assert_eq!(key(), made);
    assert_eq!(seen.lock().unwrap().len(), 2);
    Device::open(&federation.path("new/device"), Standing::Looking)
        .await
        .unwrap();
    // Enrolled: a third attempt changes nothing.
    pli_in(&federation, &enrol(&link, PLACE), &FRENCH)
        .await
        .ended(1, &["déjà un appareil"]);
    assert_eq!(key(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_locale_chooses_the_language_and_lang_has_the_last_word() {
    let federation = Federation::new().await;
    let line = ["device", "inbox", "--home", "@/none"];
    let (french, english) = (
        "n'est pas encore un appareil",
        "is no device of an account yet",
    );
    for (variables, said) in [
        (&[][..], english),
        (&[("LANG", "C")][..], english),
        (&[("LANG", "POSIX")][..], english),
        (&[("LANG", "de_DE.UTF-8")][..], english),
        (&[("LANG", "fr_FR.UTF-8")][..], french),
        (&[("LANG", "fr_FR.UTF-8"), ("LC_ALL", "C")][..], english),
        (&[("LANG", "C"), ("LC_MESSAGES", "fr_CA")][..], french),
    ] {
        pli_in(&federation, &line, variables)
            .await
            .ended(1, &[said]);
    }
    let line = ["device", "inbox", "--home", "@/none", "--lang"];
    pli_in(&federation, &[&line[..], &["fr"]].concat(), &[])
        .await
        .ended(1, &[french]);
    pli_in(&federation, &[&line[..], &["en"]].concat(), &FRENCH)
        .await
        .ended(1, &[english]);
    let help = ["--lang=fr", "device", "show", "--help"];
    let help = pli_in(&federation, &help, &[]).await;
    help.ended(
        0,
        &["Utilisation : pli device show", "Son numéro dans la boîte"],
    );
}

/// More letters than one table, or one page, or one day, and all are there once and in order.
#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_of_very_many_letters_is_listed_whole_and_related_across_pages() {
    const ABSENT: u64 = 1_500;
    let federation = Federation::new().await;
    let pages: Arc<Mutex<Vec<wire::SyncPage>>> = Arc::default();
    let given = Arc::clone(&pages);
    federation
        .node(page_home(move |_| given.lock().unwrap().clone()))
        .await;
    let (folder, grant) = device(&federation).await;
    let letters = related(&federation, grant).await;

    // First two of which the second replaces the first, then the crowd, then a repeat and one more
    // that replaces the second.
    let mut items: Vec<wire::SyncItem> = vec![item(1, &letters[0]), item(2, &letters[1])];
    items.extend((3..3 + ABSENT).map(|seq| wire::SyncItem {
        seq,
        absence: wire::Absence::Expired.into(),
        ..wire::SyncItem::default()
    }));
    items.push(item(3 + ABSENT, &letters[1]));
    items.push(item(4 + ABSENT, &letters[2]));
    let latest_seq = 4 + ABSENT;
    *pages.lock().unwrap() = items
        .chunks(limits::SYNC_ITEMS_MAX)
        .map(|items| wire::SyncPage {
            items: items.to_vec(),
            latest_seq,
        })
        .collect();

    let line = ["device", "inbox", "--home", "@/device"];
    let ran = pli(&federation, &line).await;
    ran.ended(
        0,
        &[
            "replaced by 2",
            "repeats letter 2",
            &format!("replaced by {latest_seq}"),
        ],
    );
    let line = ["device", "inbox", "--home", "@/device", "--offline"];
    let again = pli(&federation, &line).await;
    assert_eq!(ran.out, again.out);
    let rows: Vec<u64> = ran
        .out
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    assert_eq!(rows, (1..=latest_seq).collect::<Vec<_>>());
    let headers = ran.out.lines().filter(|line| line.starts_with("No "));
    assert_eq!(headers.count(), 2, "a table has an end");

    let line = [
        "device",
        "inbox",
        "--home",
        "@/device",
        "--offline",
        "--json",
    ];
    let json = pli(&federation, &line).await;
    assert_eq!(json.out.lines().count() as u64, latest_seq);
    let second = json.out.lines().nth(1).unwrap();
    let second: serde_json::Value = serde_json::from_str(second).unwrap();
    assert_eq!(second["superseded_by"], latest_seq);

    // One letter says the same as the whole.
    let device = Device::open(&folder, Standing::Looking).await.unwrap();
    let (shown, errors) = all(&device).await;
    assert!(errors.is_empty());
    for seq in [1, 2, 3, 3 + ABSENT, latest_seq] {
        let one = device.look_at(seq).await.unwrap().unwrap();
        let same = &shown[usize::try_from(seq).unwrap() - 1];
        assert_eq!(
            (one.repeats, one.superseded_by),
            (same.repeats, same.superseded_by),
            "{seq}"
        );
    }
    assert!(device.look_at(latest_seq + 1).await.unwrap().is_none());
    let line = ["device", "show", "--home", "@/device", "9999"];
    pli_in(&federation, &line, &FRENCH)
        .await
        .ended(1, &["il n'y a pas de lettre 9999"]);
    // A repeat was received too; only what was never there was not.
    let line = ["device", "ack", "--home", "@/device"];
    pli(&federation, &line)
        .await
        .ended(0, &["4 letters handed over"]);
    pli_in(&federation, &line, &FRENCH)
        .await
        .ended(0, &["0 lettre à accuser"]);
}

/// Three letters to the device's own mailbox, with one replacement key.
async fn related(federation: &Federation, grant: Bytes) -> Vec<(EnvelopeId, Bytes)> {
    let service = Service::open(&federation.path("service")).await.unwrap();
    let now = pli_client::clock::now();
    let (contact, _) = service.contacts().add(grant, Some("citoyen"), now).unwrap();
    let drafts = ["Un", "Deux", "Trois"].map(|title| {
        let notice = Notice::new(Text::french(title), Text::french("Bonjour"));
        let handling = Handling {
            supersedes: Some([8; 16]),
            ..Handling::new(now)
        };
        let content = Kind::Notice(notice).into();
        (
            (),
            Draft::new(Arc::clone(&contact.grant), &content, handling).unwrap(),
        )
    });
    let sealer = service.sealer(Randomness::Fresh);
    let prepared = sealer.batch(drafts.into()).await.unwrap();
    prepared
        .into_iter()
        .map(|letter| (letter.id, letter.envelope))
        .collect()
}

/// What a letter says, and why another is not shown, in each language and in no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_and_a_refusal_are_shown_in_the_language_of_the_citizen() {
    let federation = Federation::new().await;
    let pages: Arc<Mutex<Vec<wire::SyncPage>>> = Arc::default();
    let given = Arc::clone(&pages);
    federation
        .node(page_home(move |_| given.lock().unwrap().clone()))
        .await;
    let (_, grant) = device(&federation).await;
    let letter = related(&federation, grant).await.remove(0);
    let mut garbage = item(2, &letter);
    garbage.envelope = Bytes::from_static(b"garbage");
    garbage.envelope_id = Bytes::new();
    *pages.lock().unwrap() = vec![wire::SyncPage {
        items: vec![item(1, &letter), garbage],
        latest_seq: 2,
    }];
    let line = ["device", "inbox", "--home", "@/device"];
    pli_in(&federation, &line, &FRENCH)
        .await
        .ended(3, &["vérifiée", "REFUSÉE : "]);
    let show = ["device", "show", "--home", "@/device"];
    let french = pli_in(&federation, &[&show[..], &["1"]].concat(), &FRENCH).await;
    french.ended(0, &["Envoyée", "vérifiée sur cet appareil", "Rendez-vous"]);
    let english = pli(&federation, &[&show[..], &["1"]].concat()).await;
    english.ended(0, &["Sent", "verified on this device", "Appointments"]);
    let line = [&show[..], &["2"]].concat();
    let french = pli_in(&federation, &line, &FRENCH).await;
    french.ended(1, &["n'est pas affichée", "Raison : "]);
    let english = pli(&federation, &line).await;
    english.ended(1, &["is not shown", "Reason: "]);
    let code = |text: &str| text.rsplit_once('(').map(|(_, code)| code.to_owned());
    assert_eq!(
        code(&french.out),
        code(&english.out),
        "the code is the same"
    );
}
