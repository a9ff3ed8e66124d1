//! `pli service …` as its user meets it: what is mistyped, missing or away, and how it ends.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use pli_client::service::Service;
use pli_protocol::code::Code;
use pli_protocol::custody::Disposition;
use pli_protocol::custody::Step;
use pli_protocol::custody::ack::{self, Issuer};
use pli_protocol::envelope::Letter;
use pli_protocol::session::Refusal;
use pli_protocol::wire::call_reply::Kind as Reply;
use pli_trust::keyfile;
use support::command::{names, pli};
use support::home::{device, page_home};
use support::{AUTHORITY, Federation, SERVICE, batch, reply, script};

const ROOT: &str = "@/federation/repository/metadata/root.json";
const ID: &str = "7777777777777777777777777777777777777777777777777777777777777777";
const LETTER: [&str; 8] = [
    "service",
    "send",
    "--home",
    "@/service",
    "--to",
    "citoyen",
    "--patience",
    "2",
];

/// `pli service init` of this folder and id, and more.
fn init<'a>(home: &'a str, id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let directory = "@/federation/repository";
    let line = [
        "service",
        "init",
        "--home",
        home,
        "--id",
        id,
        "--root",
        ROOT,
        "--directory",
        directory,
    ];
    [&line[..], more].concat()
}

/// A federation with a service that has one contact.
async fn with_contact() -> Federation {
    let federation = Federation::new().await;
    federation.node(page_home(|_| Vec::new())).await;
    let (_, grant) = device(&federation).await;
    let service = Service::open(&federation.path("service")).await.unwrap();
    let now = pli_client::clock::now();
    service.contacts().add(grant, Some("citoyen"), now).unwrap();
    federation
}

/// The node takes every letter.
async fn honest(federation: &Federation) {
    let (authority, key) = (federation.authority(), federation.node_key());
    let key = std::sync::Arc::new(key);
    federation
        .node(script(move |_, _, mut stream| {
            let (node, key) = (authority.clone(), std::sync::Arc::clone(&key));
            async move {
                while let Some(batch) = batch(&mut stream).await {
                    let id = |bytes: &bytes::Bytes| Letter::decode(bytes.clone()).unwrap().id();
                    let ids = batch.envelopes.iter().map(id);
                    let taken: Vec<_> = ids.map(|id| (id, Disposition::Accepted)).collect();
                    let issuer = Issuer {
                        node: node.clone(),
                        step: Step::Accepted,
                    };
                    let (seqs, now) = (batch.seq..=batch.seq, pli_client::clock::now());
                    let ack = ack::sign(&issuer, seqs, now, &taken, &key).unwrap();
                    reply(&mut stream, Reply::Ack(ack)).await;
                }
                let _ = stream.send.finish().await;
            }
        }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_refused_by_rule_ends_with_1_and_a_busy_node_with_4() {
    let federation = Federation::new().await;
    for (code, exit) in [(Code::UnknownService, 1), (Code::Overloaded, 4)] {
        let refusing = script(move |_, _, mut stream| async move {
            let refusal = Refusal::new(code, "so it is").to_wire();
            reply(&mut stream, Reply::Refusal(refusal)).await;
            let _ = stream.send.finish().await;
        });
        federation.node(refusing).await;
        let line = ["service", "status", "--home", "@/service", ID];
        pli(&federation, &line).await.ended(exit, &[code.name()]);
        let line = ["service", "status", "--json", "--home", "@/service", ID];
        let exit_in_json = format!("\"exit\":{exit}");
        pli(&federation, &line)
            .await
            .ended(exit, &[code.name(), &exit_in_json]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_init_every_command_says_what_to_do_next() {
    let federation = Federation::new().await;
    std::fs::write(federation.path("grant.txt"), "pli:grant?g=AA").unwrap();
    for line in [
        &["send", "--to", "a", "--title", "a", "--body", "b"][..],
        &["status", ID],
        &["contact", "list"],
        &["contact", "add", "@/grant.txt"],
    ] {
        let line = [&["service"][..], line, &["--home", "@/none"]].concat();
        let ran = pli(&federation, &line).await;
        ran.ended(1, &["is no service yet", "pli service init --home"]);
        assert!(!ran.err.contains("os error"), "{ran:?}");
        assert!(
            !federation.path("none").exists(),
            "{line:?} made its folder"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_contradicts_the_directory_is_refused_with_the_one_expected() {
    let federation = Federation::new().await;
    std::fs::remove_file(federation.path("service/service.toml")).unwrap();
    // The key in this folder is listed, for another name.
    let wrong = "rvd@interieur.gouv.fr";
    let ran = pli(&federation, &init("@/service", wrong, &[])).await;
    ran.ended(1, &[&format!("got {wrong}, expected {SERVICE}")]);
    assert!(!federation.path("service/service.toml").exists());
    // An authority that is not there.
    let ran = pli(&federation, &init("@/new", "rdv@interior.gouv.fr", &[])).await;
    ran.ended(1, &["no authority interior.gouv.fr", AUTHORITY]);
    assert!(!federation.path("new").exists(), "nothing is left behind");

    let ran = pli(&federation, &init("@/service", SERVICE, &[])).await;
    assert_eq!(ran.ended(0, &[SERVICE]).err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_sticks_is_found_at_the_first_send_and_corrected_with_its_key() {
    let federation = with_contact().await;
    // A new key and a name that could be listed later: that is how an administration begins.
    let wrong = "rvd@interieur.gouv.fr";
    let ran = pli(&federation, &init("@/new", wrong, &[])).await;
    ran.ended(0, &["cannot send yet", SERVICE, "--correct"]);
    let line = [
        "service", "send", "--home", "@/new", "--to", "citoyen", "--title", "a", "--body", "b",
    ];
    pli(&federation, &line).await.ended(
        1,
        &[
            "UNKNOWN_SERVICE",
            SERVICE,
            "pli service init --correct --id",
        ],
    );

    let key = || keyfile::load(&federation.path("new/service.key")).unwrap();
    let made = key().public().to_string();
    // Not by accident.
    let ran = pli(&federation, &init("@/new", SERVICE, &[])).await;
    ran.ended(1, &[wrong, "--correct"]);
    let ran = pli(&federation, &init("@/new", SERVICE, &["--correct"])).await;
    ran.ended(0, &[SERVICE, wrong, &made]);
    assert_eq!(key().public().to_string(), made);
    let config = std::fs::read_to_string(federation.path("new/service.toml")).unwrap();
    assert!(
        config.contains(SERVICE) && !config.contains(wrong),
        "{config}"
    );

    // What is right already cannot be made wrong.
    let ran = pli(&federation, &init("@/service", wrong, &["--correct"])).await;
    ran.ended(1, &[&format!("expected {SERVICE}")]);
    let service = Service::open(&federation.path("service")).await.unwrap();
    assert_eq!(service.id().to_string(), SERVICE);
    service.contacts().find("citoyen").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_missing_leaves_nothing_behind() {
    let federation = with_contact().await;
    std::fs::create_dir(federation.path("letters")).unwrap();
    std::fs::write(federation.path("one.ndjson"), "\n").unwrap();
    for (more, said) in [
        (&["--file", "@/letters/none.ndjson"][..], "none.ndjson"),
        (&["--file", "@/letters"][..], "irectory"),
        (
            &["--file", "@/one.ndjson", "--results", "@/nowhere/results"][..],
            "nowhere",
        ),
        (
            &["--file", "@/one.ndjson", "--state", "@/nowhere/state"][..],
            "nowhere",
        ),
    ] {
        let line = [&["service", "send", "--home", "@/service"][..], more].concat();
        pli(&federation, &line)
            .await
            .ended(1, &[said, "nothing was sent"]);
    }
    assert!(names(federation.path("letters")).is_empty());
    let beside = names(federation.path(""));
    assert!(
        !beside.iter().any(|name| name.contains("pli-")),
        "{beside:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_or_body_that_says_nothing_is_refused_and_blank_lines_are_no_letters() {
    let federation = with_contact().await;
    honest(&federation).await;
    for (title, body, option) in [
        ("", "b", "--title"),
        (" \t", "b", "--title"),
        ("a", "\n", "--body"),
    ] {
        let line = [&LETTER[..], &["--title", title, "--body", body]].concat();
        let said = format!("{option} is empty");
        pli(&federation, &line)
            .await
            .ended(1, &[&said, "expected a text"]);
    }
    let line = [&LETTER[..], &["--title", "a", "--body", "b"]].concat();
    pli(&federation, &line).await.ended(0, &["accepted"]);

    let good = r#"{"to":"citoyen","content":{"notice":{"title":"a","body":"b"}}}"#;
    let other = good.replace("\"a\"", "\"c\"");
    let blank = r#"{"to":"citoyen","content":{"notice":{"title":" ","body":"b"}}}"#;
    let empty = r#"{"to":"citoyen","content":{"notice":{"title":"a","body":{"fr":"a","en":""}}}}"#;
    let event = r#"{"to":"citoyen","event":{"recipient_fc_hash":"4abd71ec1f581dce2ea2221cbeac7c973c6aea7bcb835acdfe7d6494f1528060","content_title":" ","content_body":"b","event_date":"2026-11-22T10:55:00.000Z"}}"#;
    let lines =
        format!("\u{feff}\n\n{good}\r\n\r\n \t\n\u{a0}\n{blank}\n{empty}\n{event}\n{other}\n\n");
    std::fs::write(federation.path("letters.ndjson"), lines).unwrap();
    let line = [
        "service",
        "send",
        "--home",
        "@/service",
        "--file",
        "@/letters.ndjson",
    ];
    let counts = "5 lines: 2 accepted, 0 duplicate, 0 refused, 3 invalid";
    let ran = pli(&federation, &line).await;
    ran.ended(
        3,
        &[
            counts,
            "2 content: lines 7, 8",
            "is empty",
            "1 event: line 9",
        ],
    );
    let failed = std::fs::read_to_string(federation.path("letters.ndjson.failed.ndjson")).unwrap();
    assert_eq!(failed, format!("{blank}\n{empty}\n{event}\n"));
}

/// Nobody listens at the node's address.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_away_is_said_with_its_address_and_how_to_go_on() {
    let federation = with_contact().await;
    federation.silence().await;
    let line = [&LETTER[..], &["--title", "a", "--body", "b"]].concat();
    let address = federation.address().to_string();
    let ran = pli(&federation, &line).await;
    let said = [
        "the node of interieur.gouv.fr",
        &address,
        "cannot be reached: no answer yet",
        "Trying again until",
        "nothing was sent",
        "no progress for 2 s",
    ];
    ran.ended(4, &said);
    let line = [&LETTER[..], &["--title", "a", "--body", "b", "--json"]].concat();
    let ran = pli(&federation, &line).await;
    ran.ended(4, &[]);
    let first: serde_json::Value = serde_json::from_str(ran.err.lines().next().unwrap()).unwrap();
    assert_eq!(first["addresses"][0], address);
    assert!(
        first["waiting"].is_string() && first["until"].is_string(),
        "{first}"
    );
}
