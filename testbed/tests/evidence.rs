//! What happened to a letter is proven offline: by the logs of real nodes, through the real command.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_client::clock;
use pli_client::evidence::facts::{NotProven, Verdict, Verified};
use pli_client::evidence::make::{self, Parts};
use pli_client::evidence::verify::verify;
use pli_client::service::batch::Prepared;
use pli_client::service::batch::letter_file;
use pli_client::service::{Service, config};
use pli_protocol::code::Code;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::evidence::{Bundle, Checkpoint, Entry, Event, EventKind, Noted};
use pli_protocol::id::EnvelopeId;
use pli_protocol::limits::EVENTS_PER_ENVELOPE_MAX;
use pli_protocol::trust::Environment;
use pli_protocol::wire::{self, call, call_reply};
use pli_testbed::Federation;
use pli_testbed::sending::submit_all;
use pli_trust::keyfile;
use support::{HOME, ORIGIN, PATIENCE, POLL, SERVICE, two_hosts};

/// Everything that nodes say of a letter, once nothing is pending.
async fn bundle(service: &Service, letter: &Prepared<()>, proofs: usize) -> Bundle {
    let began = Instant::now();
    loop {
        let tracked = service
            .track(&[letter.id])
            .await
            .expect("the origin answers");
        let receipts: Vec<_> = tracked[0]
            .receipts
            .iter()
            .map(|checked| checked.encoded.clone())
            .collect();
        let said: Vec<_> = tracked[0]
            .receipts
            .iter()
            .filter_map(|checked| checked.receipt.clone())
            .collect();
        let known = make::events_of(&said, service.id().authority());
        let reply = service.evidence(letter.id, &known).await.expect("answered");
        if reply.proofs.len() >= proofs && reply.pending == 0 && reply.home_code == 0 {
            let directory = service.directory().copy();
            let envelope = Some(letter.envelope.clone());
            let id = letter.id;
            return make::make(Parts {
                id,
                envelope,
                receipts,
                reply,
                directory,
            })
            .expect("made");
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} proofs, {} pending",
            reply.proofs.len(),
            reply.pending
        );
        tokio::time::sleep(POLL).await;
    }
}

fn read(path: &Path) -> Bytes {
    std::fs::read(path).expect("a file").into()
}

async fn checked(bundle: &Bundle, root: &Path) -> Verified {
    verify(&bundle.encode(), &read(root), Environment::Production)
        .await
        .expect("genuine")
}

/// EVD-6.6, EVD-7.7, EVD-8.3, EVD-8.4
#[tokio::test(flavor = "multi_thread")]
async fn p4_the_whole_way_of_a_letter_is_proven_offline() {
    let plan = two_hosts().witnesses(1);
    let (federation, service, mut citizen, grant) = support::scene(plan).await;
    let root = federation.root_file();
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");
    let came = support::fetch_until(&mut citizen, 1, PATIENCE).await;
    assert_eq!(came, [letter.id]);
    let before = checked(&bundle(&service, &letter, 3).await, &root).await;
    let kinds = |verified: &Verified| -> Vec<(EventKind, String)> {
        let events = verified.events.iter();
        events
            .map(|facts| (facts.event.kind, facts.event.node.to_string()))
            .collect()
    };
    let accepted = (EventKind::SubmissionAcceptance, ORIGIN.to_owned());
    let relayed = (EventKind::RelayAcceptance, HOME.to_owned());
    let consigned = (EventKind::ContentConsignment, HOME.to_owned());
    let handed_over = (EventKind::ContentHandover, HOME.to_owned());
    let on_the_way = [accepted.clone(), relayed.clone(), consigned.clone()];
    assert_eq!(kinds(&before), on_the_way);
    assert!(before.not_proven.contains(&NotProven::Handover));
    assert_eq!(before.verdict(), Verdict::Proven);

    citizen
        .device
        .acknowledge(&[(1, letter.id)])
        .await
        .expect("acknowledged");
    support::steps_when(&service, letter.id, |step| step == Step::Retrieved).await;
    let whole = bundle(&service, &letter, 4).await;
    let after = checked(&whole, &root).await;
    assert_eq!(kinds(&after), [accepted, relayed, consigned, handed_over]);
    assert_eq!(
        after.letter.as_ref().expect("kept").sender.to_string(),
        SERVICE
    );
    assert!(after.receipts.iter().all(|facts| facts.logged));
    assert!(!after.not_proven.contains(&NotProven::Handover));
    assert!(!after.not_proven.contains(&NotProven::OneHand));
    for facts in &after.events {
        let other = if facts.event.node.as_str() == HOME {
            ORIGIN
        } else {
            HOME
        };
        let seen: Vec<_> = facts
            .witnesses
            .iter()
            .map(|one| one.witness.as_str())
            .collect();
        assert_eq!(seen, [other], "each node's log was seen by the other");
    }
    by_the_device(&federation, &citizen.folder, letter.id, &root).await;
    to_the_operator(&federation).await;
    to_the_sender(&federation, &service, letter.id).await;
    tampering(&whole, &root).await;
    forging(&federation, &whole, &root).await;
    by_command(&federation, &service, &letter, &root).await;
}

/// EVD-8.1: the citizen proves what came, by the home's log alone, with the same command.
async fn by_the_device(federation: &Federation, device: &Path, id: EnvelopeId, root: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.pli").display().to_string();
    let (device, root) = (device.display().to_string(), root.display().to_string());
    let make = ["device", "evidence", "--home", &device, "1", "--out", &file];
    let began = Instant::now();
    while let Err(not_yet) = federation.pli(&make).await {
        assert!(began.elapsed() < PATIENCE, "{not_yet}");
        drop(std::fs::remove_file(&file));
        tokio::time::sleep(POLL).await;
    }
    let check = ["--json", "evidence", "verify", &file, "--root", &root];
    let said = federation.pli(&check).await.expect("exit status 0");
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["verdict"], "proven");
    assert_eq!(said["letter"]["sender"], SERVICE);
    let events = said["events"].as_array().expect("a list").iter();
    let events: Vec<_> = events
        .map(|event| event["event"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        events,
        ["RelayAcceptance", "ContentConsignment", "ContentHandover"]
    );
    // By its id it is the same letter; one that is not here is told as such.
    let (same, id) = (folder.path().join("same.pli"), id.to_string());
    let mut by_id = make;
    (by_id[4], by_id[6]) = (&id, same.to_str().expect("UTF-8"));
    federation.pli(&by_id).await.expect("exit status 0");
    let read = |path: &Path| Bytes::from(std::fs::read(path).expect("written"));
    let of = |path: &Path| Bundle::decode(&read(path)).expect("a bundle").0.envelope;
    assert_eq!(of(&same), of(Path::new(&file)));
    let other = EnvelopeId::new([7; 32]).to_string();
    by_id[4] = &other;
    let none = federation.pli(&by_id).await.expect_err("exit status 1");
    assert!(none.to_string().contains(&other), "{none}");
}

/// What `pli node status` says of the log of the home.
async fn to_the_operator(federation: &Federation) {
    let url = format!("http://{}", federation.node(HOME).addresses().ops);
    let said = federation
        .pli(&["node", "status", "--json", "--url", &url])
        .await
        .expect("exit status 0");
    let status: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let evidence = &status["evidence"];
    let number = |name: &str| evidence[name].as_u64().expect("a number");
    assert!(number("events") >= 3 && number("entries") >= 1, "{said}");
    assert_eq!(number("waiting"), 0, "all that there is was proven: {said}");
    assert_eq!(number("witnesses_reached"), 1, "{said}");
    assert!(number("closed_ms") > 1_700_000_000_000, "{said}");
    let said = federation
        .pli(&["node", "status", "--url", &url])
        .await
        .expect("exit status 0");
    for part in ["no event waits", "1 witness cosigned lately, 1 needed"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// What `pli service status` says of a letter that was handed over.
async fn to_the_sender(federation: &Federation, service: &Service, id: EnvelopeId) {
    let home = federation.service_home(service.id().authority(), service.id().name());
    let (home, id) = (home.display().to_string(), id.to_string());
    let said = federation
        .pli(&["service", "status", "--json", "--home", &home, &id])
        .await
        .expect("exit status 0");
    let status: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let stages = status["stages"].as_array().expect("a list").iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let stages: Vec<_> = stages
        .map(|one| ["stage", "reached", "node"].map(|field| text(&one[field])))
        .collect();
    let expected = [
        ["accepted", "yes", ORIGIN],
        ["relayed", "yes", HOME],
        ["stored", "yes", HOME],
        ["notified", "untold", "-"],
        ["handed_over", "yes", HOME],
    ];
    assert_eq!(stages, expected.map(|one| one.map(str::to_owned)));
    let table = ["service", "status", "--home", &home, &id, "--lang", "en"];
    let said = federation.pli(&table).await.expect("exit status 0");
    assert!(said.contains("handed over  "), "{said}");
}

/// Any part that is another one is found, and named: EVD-5.3, EVD-6.1, EVD-6.2, EVD-6.3, EVD-6.5.
async fn tampering(whole: &Bundle, root: &Path) {
    let refused = async |edit: &dyn Fn(&mut Bundle)| {
        let mut other = whole.clone();
        edit(&mut other);
        let broken = verify(&other.encode(), &read(root), Environment::Production)
            .await
            .expect_err("must be caught");
        broken.part
    };
    let flip = |bytes: &Bytes, at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let envelope = whole.envelope.clone().expect("kept");
    let at = envelope.len() - 1;
    assert_eq!(
        refused(&|b| b.envelope = Some(flip(&envelope, at))).await,
        "letter"
    );
    let at = whole.receipts[1].len() - 1;
    assert_eq!(
        refused(&|b| b.receipts[1] = flip(&whole.receipts[1], at)).await,
        "receipt 2"
    );
    // EVD-6.4: a witness's line with another byte in its signature.
    let of_witness = refused(&|b: &mut Bundle| {
        for note in &mut b.checkpoints {
            let line = note.rfind("/witness ").expect("cosigned");
            let at = note.len() - 10;
            assert!(at > line);
            let other = if &note[at..=at] == "A" { "B" } else { "A" };
            note.replace_range(at..=at, other);
        }
    })
    .await;
    assert!(of_witness.starts_with("proof of "), "{of_witness}");
    assert_eq!(refused(&|b| b.directory.swap(0, 1)).await, "file");
    assert_eq!(
        refused(&|b| b.id = EnvelopeId::new([7; 32])).await,
        "letter"
    );
    assert_eq!(
        refused(&|b| b.proofs[0].index += 1).await,
        "proof of SubmissionAcceptance"
    );
    assert_eq!(
        refused(&|b| b.proofs[0].batch_at_ms += 1).await,
        "proof of SubmissionAcceptance"
    );
    let last = whole.proofs.len() - 1;
    let of_last = refused(&|b: &mut Bundle| {
        let note = b.proofs[last].checkpoint as usize;
        b.checkpoints[note] = b.checkpoints[note].replacen("\n\n", "\n \n\n", 1);
    })
    .await;
    assert!(of_last.starts_with("proof of "), "a checkpoint");
    for (number, (name, content)) in whole.directory.iter().enumerate() {
        // Older versions of a role are not looked at; the newest of each are.
        if !name.contains("timestamp") && !name.contains("node.json") {
            continue;
        }
        let at = content.len() / 2;
        let part = refused(&|b| b.directory[number].1 = flip(content, at)).await;
        assert_eq!(part, "directory", "{name}");
    }
    // What nobody signed is covered by the digest.
    let mut bytes = whole.encode().to_vec();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    let broken = verify(&bytes.into(), &read(root), Environment::Production)
        .await
        .expect_err("caught");
    assert_eq!(broken.part, "file");
    // Another federation's root.
    let other = two_hosts().start().await.expect("nodes");
    let others = read(&other.root_file());
    let broken = verify(&whole.encode(), &others, Environment::Production).await;
    assert_eq!(
        broken.expect_err("not of this federation").part,
        "directory"
    );
}

/// EVD-1.5, EVD-6.3: the sender's own node logs and signs what only the recipient's home can know.
async fn forging(federation: &Federation, whole: &Bundle, root: &Path) {
    let origin = federation.node(ORIGIN).home().join("keys");
    let key = keyfile::load(&origin.join("log.key")).expect("a key");
    let at = clock::now();
    let event = Event {
        kind: EventKind::ContentHandover,
        node: support::authority(ORIGIN),
        envelope: whole.id,
        at,
    };
    let entry = Entry {
        at,
        size: 1,
        root: event.leaf(),
    };
    let checkpoint = Checkpoint {
        origin: format!("{ORIGIN}/log/{}", at.as_ms())
            .parse()
            .expect("an origin"),
        size: 1,
        root: entry.leaf(),
    };
    let mut noted = Noted::parse(&checkpoint.sign(&key)).expect("written here");
    // A witness sees hashes, so it cosigns.
    let home = federation.node(HOME).home().join("keys/log.key");
    let home = keyfile::load(&home).expect("a key");
    assert!(noted.add(noted.cosign(&support::authority(HOME), at, &home)));
    let forged = wire::EventProof {
        event: event.encode(),
        in_batch: Some(wire::Inclusion {
            index: 0,
            tree_size: 1,
            path: Vec::new(),
        }),
        batch_at_ms: at.as_ms(),
        index: 0,
        path: Vec::new(),
        checkpoint: 0,
    };
    let mut bundle = Bundle {
        receipts: Vec::new(),
        proofs: vec![forged],
        checkpoints: vec![noted.encode()],
        ..whole.clone()
    };
    let root = read(root);
    let verified =
        async |bundle: &Bundle| verify(&bundle.encode(), &root, Environment::Production).await;
    let broken = verified(&bundle).await.expect_err("not its word");
    assert_eq!(broken.part, "proof of ContentHandover");
    assert_eq!(broken.code, Some(Code::NotAuthoritative));

    // Without the letter it is genuine, and proves nothing about whose letter it was.
    bundle.envelope = None;
    let said = verified(&bundle).await.expect("rightly signed");
    assert!(said.events[0].is_final);
    assert!(said.not_proven.contains(&NotProven::Letter));
    assert_eq!(said.verdict(), Verdict::Incomplete);

    // CUS-2.5: the same in a receipt.
    let key = keyfile::load(&origin.join("node.key")).expect("a key");
    let receipt = Receipt {
        step: Step::Retrieved,
        node: support::authority(ORIGIN),
        envelope: whole.id,
        at,
    };
    let bundle = Bundle {
        receipts: vec![receipt.sign(&key)],
        ..whole.clone()
    };
    let broken = verified(&bundle).await.expect_err("not its word");
    assert_eq!(broken.part, "receipt 1");
    assert_eq!(broken.code, Some(Code::NotAuthoritative));
}

/// `pli evidence get` and `verify`, with their exit codes.
async fn by_command(
    federation: &Federation,
    service: &Service,
    letter: &Prepared<()>,
    root: &Path,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (file, page) = (
        folder.path().join("letter.pli"),
        folder.path().join("letter.html"),
    );
    let sealed: PathBuf = folder.path().join("letter.bin");
    std::fs::write(&sealed, &letter.envelope).expect("written");
    let home = federation.service_home(service.id().authority(), service.id().name());
    let id = letter.id.to_string();
    let (out, home, sealed) = (text(&file), text(&home), text(&sealed));
    let get = [
        "evidence", "get", &id, "--home", &home, "--letter", &sealed, "--out", &out,
    ];
    let said = federation.pli(&get).await.expect("made");
    assert!(said.contains("pli evidence verify"), "{said}");
    let (root, html) = (text(root), text(&page));
    let check = [
        "evidence", "verify", &out, "--root", &root, "--html", &html, "--lang", "en",
    ];
    let said = federation.pli(&check).await.expect("exit status 0");
    assert!(
        said.starts_with("Proven: each event below is established."),
        "{said}"
    );
    let inspected = federation
        .pli(&["inspect", &out])
        .await
        .expect_err("exit status 1");
    let next = format!("pli evidence verify {out} --root root.json");
    assert!(inspected.to_string().contains(&next), "{inspected}");
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(
        page.contains("lang=\"fr\"") && page.contains("lang=\"en\"") && !page.contains("<script")
    );
    let over = [
        "evidence", "verify", &out, "--root", &root, "--html", &out, "--lang", "en",
    ];
    let refused = federation.pli(&over).await.expect_err("exit status 1");
    assert!(refused.to_string().contains("would replace"), "{refused}");

    let mut bytes = std::fs::read(&file).expect("the bundle");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).expect("written");
    let refused = federation
        .pli(&check)
        .await
        .expect_err("exit status 1")
        .to_string();
    assert!(
        refused.contains("nothing in this file is to be believed"),
        "{refused}"
    );
    let page = std::fs::read_to_string(html).expect("another page");
    assert!(!page.contains("Proven: each") && page.contains("is to be believed"));
}

/// EVD-6.2: what a sender keeps of its letters is found again when a judge asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_letter_stands_in_its_bundle() {
    let (federation, service, _citizen, grant) = support::scene(two_hosts().witnesses(1)).await;
    let home = federation.service_home(service.id().authority(), service.id().name());
    let kept = service
        .keep_letters(&config::letters_folder(&home))
        .expect("a folder");
    let mut letters = support::letters(&kept, &grant, 2).await;
    let (other, letter) = (letters.remove(1), letters.remove(0));
    submit_all(&kept, vec![letter.clone()])
        .await
        .expect("answered");
    let whole = bundle(&kept, &letter, 3).await;
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("letter.pli").display().to_string();
    let (id, home) = (letter.id.to_string(), home.display().to_string());
    let get = ["evidence", "get", &id, "--home", &home, "--out", &out];
    federation.pli(&get).await.expect("exit status 0");
    let (made, _) = Bundle::decode(&read(Path::new(&out))).expect("a bundle");
    assert_eq!(made.envelope, whole.envelope);

    let others = letter_file(
        Path::new(&config::letters_folder(Path::new(&home))),
        other.id,
    );
    let others = others.display().to_string();
    let out = folder.path().join("other.pli").display().to_string();
    let wrong = [
        "evidence", "get", &id, "--home", &home, "--out", &out, "--letter", &others,
    ];
    let refused = federation.pli(&wrong).await.expect_err("exit status 1");
    assert!(
        refused.to_string().contains("it is the letter"),
        "{refused}"
    );
}

/// EVD-1.5: an administration that writes to a citizen whose mailbox it keeps itself is told as the only one who says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_within_one_administration_has_its_word_alone() {
    let federation = two_hosts().witnesses(1).start().await.expect("nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut citizen = federation
        .citizen("voisin", ORIGIN)
        .await
        .expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");
    let whole = bundle(&service, &letter, 2).await;
    let said = checked(&whole, &federation.root_file()).await;
    assert!(
        said.events
            .iter()
            .all(|facts| facts.event.node.as_str() == ORIGIN)
    );
    assert!(said.not_proven.contains(&NotProven::OneHand));
    assert_eq!(said.verdict(), Verdict::Proven);
}

/// EVD-8.1, EVD-8.2: only whoever sent a letter, or can name what happened to it, hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn evd_8_1_a_stranger_hears_nothing_of_a_letter() {
    let (federation, service, _citizen, grant) = support::scene(two_hosts()).await;
    let letter = support::letters(&service, &grant, 1).await.remove(0);
    submit_all(&service, vec![letter.clone()])
        .await
        .expect("answered");
    let whole = bundle(&service, &letter, 3).await;
    let events: Vec<_> = whole
        .proofs
        .iter()
        .map(|proof| proof.event.clone())
        .collect();
    let other = federation
        .service("aides@social.gouv.fr")
        .await
        .expect("open");
    let connection = support::service_session(&other).await;
    let ask = async |id: EnvelopeId, events: Vec<Bytes>| {
        let envelope_id = id.as_bytes().to_vec().into();
        let asked = call::Kind::Evidence(wire::Evidence {
            envelope_id,
            events,
        });
        let mut stream = support::open(&connection, asked).await;
        support::reply(&mut stream).await.expect("an answer")
    };
    // At the home's own node, where the letter is: it is not this service's.
    let unknown = ask(letter.id, Vec::new()).await;
    assert_eq!(support::refusal(&unknown), Code::UnknownEnvelope.number());
    let of_another = ask(EnvelopeId::new([7; 32]), events.clone()).await;
    assert_eq!(support::refusal(&of_another), Code::FieldInvalid.number());
    let many = vec![events[0].clone(); EVENTS_PER_ENVELOPE_MAX + 1];
    let many = ask(letter.id, many).await;
    assert_eq!(support::refusal(&many), Code::TooMany.number());
    // Who holds receipts can name the events, and is answered for those of this node.
    match ask(letter.id, events[1..].to_vec()).await {
        call_reply::Kind::Evidence(reply) => assert_eq!(reply.proofs.len(), 2),
        other => panic!("{other:?}"),
    }
}

/// P3, P4: what is killed at any moment has recorded everything that was acknowledged, once it runs again.
#[tokio::test(flavor = "multi_thread")]
async fn case_36_every_acknowledged_letter_is_in_the_log_whatever_is_killed() {
    const ROUNDS: usize = 4;
    let (mut federation, service, _citizen, grant) = support::scene(two_hosts()).await;
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        let letters = support::letters(&service, &grant, 30).await;
        submit_all(&service, letters.clone())
            .await
            .expect("answered");
        sent.extend(letters);
        // At another place of the second in which a batch is closed.
        tokio::time::sleep(Duration::from_millis(270 * round as u64)).await;
        let killed = if round % 2 == 0 { ORIGIN } else { HOME };
        federation.node_mut(killed).kill().await.expect("killed");
        federation.node_mut(killed).restart().await.expect("ready");
    }
    for letter in sent.iter().step_by(7) {
        support::steps_when(&service, letter.id, |step| step == Step::Stored).await;
        let verified = checked(&bundle(&service, letter, 3).await, &federation.root_file()).await;
        assert_eq!(verified.events.len(), 3);
        assert!(verified.receipts.iter().all(|facts| facts.logged));
    }
}
