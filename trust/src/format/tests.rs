use pli_protocol::code::Code;
use pli_protocol::id::AuthorityId;
use serde_json::{Value, json};

use super::*;

const PATH: &str = "a file";

fn authority_file() -> Value {
    json!({
        "version": 1,
        "authority": "interieur.gouv.fr",
        "name": { "fr": "Ministère de l’Intérieur", "en": "Ministry of the Interior" },
        "status": { "state": "active" },
        "may_host": true,
        "may_lookup": false,
        "alerts": [ { "event": "child-abduction", "cosigners": ["justice.gouv.fr"] } ],
        "legal_bases": ["crpa:l112-8"],
        "quotas": { "envelopes_per_minute": 60000 }
    })
}

fn node_file() -> Value {
    json!({
        "version": 1,
        "authority": "interieur.gouv.fr",
        "keys": [ { "key": key(), "not_before": "2026-01-01T00:00:00Z" } ],
        "quic": ["pli.interieur.gouv.fr:7400"],
        "websocket": ["wss://pli.interieur.gouv.fr:7401/pli/1"],
        "gateway_keys": [],
        "log_keys": []
    })
}

fn service_file() -> Value {
    json!({
        "version": 1,
        "service": "rdv@interieur.gouv.fr",
        "name": { "fr": "Rendez-vous passeport", "en": "Passport appointments" },
        "status": { "state": "suspended", "since": "2026-06-01T00:00:00Z" },
        "keys": [ { "key": key(), "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z" } ],
        "classes": ["message"],
        "importances": ["information", "action"],
        "link_hosts": ["www.interieur.gouv.fr"]
    })
}

fn key() -> String {
    pli_protocol::crypto::sign::SigningKey::from_seed(&[0; 32])
        .public()
        .to_string()
}

/// Reads by the form's name, writes again; `Ok` is what was written.
fn reread(form: &str, bytes: &[u8]) -> Result<Vec<u8>, RecordRefusal> {
    let authority: AuthorityId = "interieur.gouv.fr".parse().unwrap();
    match form {
        "authority" => {
            AuthorityFile::read(&authority, PATH, bytes).map(|record| AuthorityFile::write(&record))
        }
        "node" => NodeFile::read(&authority, PATH, bytes).map(|record| NodeFile::write(&record)),
        _ => {
            let service = "rdv@interieur.gouv.fr".parse().unwrap();
            ServiceFile::read(&service, PATH, bytes).map(|record| ServiceFile::write(&record))
        }
    }
}

fn forms() -> [(&'static str, Value); 3] {
    [
        ("authority", authority_file()),
        ("node", node_file()),
        ("service", service_file()),
    ]
}

fn refusal(form: &str, file: &Value) -> Code {
    reread(form, &serde_json::to_vec(file).unwrap())
        .expect_err("this file must be refused")
        .code()
}

#[test]
fn tru_3_each_form_of_the_specification_reads_back_the_same() {
    for (form, file) in forms() {
        let written = reread(form, &serde_json::to_vec(&file).unwrap()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&written).unwrap(),
            file,
            "{form}"
        );
        assert_eq!(reread(form, &written).unwrap(), written, "{form}");
    }
}

#[test]
fn tru_3_1_unknown_missing_repeated_and_mistyped_members_are_refused() {
    for (form, file) in forms() {
        for member in file.as_object().unwrap().keys() {
            let mut missing = file.clone();
            missing.as_object_mut().unwrap().remove(member);
            assert_eq!(
                refusal(form, &missing),
                Code::DirectoryInvalid,
                "{form} without {member}"
            );
            let mut mistyped = file.clone();
            mistyped[member] = json!([[1.5]]);
            assert_eq!(
                refusal(form, &mistyped),
                Code::DirectoryInvalid,
                "{form} with {member} of another type"
            );
        }
        let mut unknown = file.clone();
        unknown["colour"] = json!("blue");
        assert_eq!(refusal(form, &unknown), Code::DirectoryInvalid, "{form}");
        let text = file.to_string();
        let repeated = format!("{{\"version\":1,{}", &text[1..]);
        assert_eq!(
            reread(form, repeated.as_bytes()).unwrap_err().code(),
            Code::DirectoryInvalid,
            "{form}"
        );
        let trailing = format!("{text} {{}}");
        assert_eq!(
            reread(form, trailing.as_bytes()).unwrap_err().code(),
            Code::DirectoryInvalid,
            "{form}"
        );
        assert_eq!(
            reread(form, b"").unwrap_err().code(),
            Code::DirectoryInvalid
        );
        assert_eq!(
            reread(form, &[0xff, 0xfe]).unwrap_err().code(),
            Code::DirectoryInvalid
        );
    }
}

#[test]
fn tru_3_1_another_version_is_named_as_such_whatever_else_is_new() {
    for (form, mut file) in forms() {
        file["colour"] = json!("blue");
        for version in [0, 2] {
            file["version"] = version.into();
            assert_eq!(refusal(form, &file), Code::UnsupportedVersion, "{form}");
        }
    }
}

#[test]
fn tru_3_2_a_file_that_speaks_of_another_is_refused() {
    for (form, member, other) in [
        ("authority", "authority", "social.gouv.fr"),
        ("node", "authority", "social.gouv.fr"),
        ("service", "service", "rdv@social.gouv.fr"),
        ("service", "service", "titres@interieur.gouv.fr"),
    ] {
        let mut file = forms()
            .into_iter()
            .find(|(name, _)| *name == form)
            .unwrap()
            .1;
        file[member] = other.into();
        assert_eq!(
            refusal(form, &file),
            Code::NotAuthoritative,
            "{form} of {other}"
        );
    }
}

#[test]
fn tru_3_1_words_inside_are_checked_too() {
    let changes: [(&str, &str, Value); 14] = [
        ("authority", "/name/fr", json!("Minist\u{202e}ère")),
        ("authority", "/status", json!({ "state": "suspended" })),
        (
            "authority",
            "/status",
            json!({ "state": "active", "since": "2026-06-01T00:00:00Z" }),
        ),
        ("authority", "/status", json!({ "state": "retired" })),
        (
            "authority",
            "/legal_bases",
            json!(["crpa:l112-8", "crpa:l112-8"]),
        ),
        ("authority", "/alerts/0/cosigners/0", json!("Justice")),
        ("authority", "/quotas/envelopes_per_minute", json!(-1)),
        (
            "node",
            "/keys/0/key",
            json!("ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ),
        ("node", "/keys/0/not_before", json!("2026-01-01")),
        ("node", "/quic/0", json!("pli.interieur.gouv.fr")),
        ("node", "/websocket/0", json!("ws://pli.interieur.gouv.fr/")),
        ("service", "/classes", json!(["message", "message"])),
        ("service", "/importances/0", json!("urgent")),
        (
            "service",
            "/link_hosts/0",
            json!("https://www.interieur.gouv.fr"),
        ),
    ];
    for (form, pointer, value) in changes {
        let mut file = forms()
            .into_iter()
            .find(|(name, _)| *name == form)
            .unwrap()
            .1;
        *file.pointer_mut(pointer).unwrap() = value;
        assert_eq!(
            refusal(form, &file),
            Code::DirectoryInvalid,
            "{form} {pointer}"
        );
    }
}
