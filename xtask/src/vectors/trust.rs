//! The directory's files and what they allow: TRU-3, TRU-4.

use pli_protocol::crypto::sign::SigningKey;
use serde_json::{Value, json};

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{DAY_MS, NOW_MS, SERVICE, hex, node_key, other_key, service_key};

const AUTHORITY: &str = "interieur.gouv.fr";
const HOME: &str = "social.gouv.fr";
const AUTHORITY_PATH: &str = "authorities/interieur.gouv.fr.json";
const NODE_PATH: &str = "interieur.gouv.fr/node.json";
const SERVICE_PATH: &str = "interieur.gouv.fr/services/rdv.json";

pub(super) fn file(_: &Annotator) -> File {
    let mut file = File::new(
        "trust",
        "L1",
        "The directory's files, and whether a sender is accepted",
    );
    files(&mut file);
    senders(&mut file);
    file
}

fn authority(name: &str) -> Value {
    json!({
        "version": 1, "authority": name, "name": { "fr": "Ministère", "en": "Ministry" }, "status": { "state": "active" },
        "may_host": true, "may_lookup": false,
        "alerts": [{ "event": "child-abduction", "cosigners": ["justice.gouv.fr"] }],
        "legal_bases": ["crpa:l112-8"], "quotas": { "envelopes_per_day": 1_000_000 },
    })
}

fn key(key: &SigningKey) -> Value {
    json!({ "key": key.public().to_string(), "not_before": "2026-01-01T00:00:00Z" })
}

fn node(name: &str, keys: Value) -> Value {
    json!({
        "version": 1, "authority": name, "keys": keys, "quic": ["pli.interieur.gouv.fr:7400"],
        "websocket": ["wss://pli.interieur.gouv.fr:7401/pli/1"], "gateway_keys": [], "log_keys": [],
    })
}

fn service() -> Value {
    json!({
        "version": 1, "service": SERVICE, "name": { "fr": "Rendez-vous", "en": "Appointments" }, "status": { "state": "active" },
        "keys": [key(&service_key())], "classes": ["message"], "importances": ["information", "action"],
        "link_hosts": ["www.interieur.gouv.fr"],
    })
}

fn files(file: &mut File) {
    let ask = |id, title, requirements, path: &str, text: String| Ask {
        id,
        title,
        requirements,
        op: "trust.file",
        input: json!({ "path": path, "text": text }),
    };
    #[rustfmt::skip]
    let forms: [(&'static str, &str, Value); 3] = [
        ("authority", AUTHORITY_PATH, authority(AUTHORITY)),
        ("node", NODE_PATH, node(AUTHORITY, json!([key(&node_key())]))),
        ("service", SERVICE_PATH, service()),
    ];
    for (form, path, value) in forms {
        let id = |what: &str| -> &'static str { format!("{form}-{what}").leak() };
        let strict: &'static [&'static str] = &["TRU-3.1"];
        let text = |value: &Value| value.to_string();
        file.accepts(
            ask(
                form,
                "as the specification shows it",
                strict,
                path,
                text(&value),
            ),
            json!({ "path": path }),
        );
        let with = |member: &str, new: Value| {
            let mut bent = value.clone();
            bent[member] = new;
            text(&bent)
        };
        let mut less = value.clone();
        less.as_object_mut().expect("an object").remove("version");
        let doubled = text(&value).replacen("\"version\":1", "\"version\":1,\"version\":1", 1);
        let cases: [(&'static str, &'static str, String, &str); 7] = [
            (
                id("unknown"),
                "a member that is not known",
                with("note", json!("")),
                "DIRECTORY_INVALID",
            ),
            (
                id("no-version"),
                "no version",
                text(&less),
                "DIRECTORY_INVALID",
            ),
            (
                id("version-2"),
                "a version of the future",
                with("version", json!(2)),
                "UNSUPPORTED_VERSION",
            ),
            (
                id("version-text"),
                "a version that is a text",
                with("version", json!("1")),
                "DIRECTORY_INVALID",
            ),
            (id("twice"), "a member twice", doubled, "DIRECTORY_INVALID"),
            (
                id("trailing"),
                "something after the object",
                format!("{}{{}}", text(&value)),
                "DIRECTORY_INVALID",
            ),
            (
                id("array"),
                "not an object",
                "[]".into(),
                "DIRECTORY_INVALID",
            ),
        ];
        for (id, title, text, code) in cases {
            file.refuses(ask(id, title, strict, path, text), form, code);
        }
        let other = path.replace(AUTHORITY, HOME);
        file.refuses(
            ask(
                id("elsewhere"),
                "at the path of another authority",
                &["TRU-3.2"],
                &other,
                text(&value),
            ),
            form,
            "NOT_AUTHORITATIVE",
        );
    }
    for (form, id, title, requirements, path, member, value) in MEMBERS {
        let mut bent = match *form {
            "authority" => authority(AUTHORITY),
            "node" => node(AUTHORITY, json!([key(&node_key())])),
            _ => service(),
        };
        bent[*member] = serde_json::from_str(value).expect("JSON of the table");
        file.refuses(
            ask(id, title, requirements, path, bent.to_string()),
            form,
            "DIRECTORY_INVALID",
        );
    }
}

type Member = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static str,
);

/// Form, id, title, requirements, path, member, its bad value.
#[rustfmt::skip]
const MEMBERS: &[Member] = &[
    ("authority", "authority-status", "an unknown status", &["TRU-3.1"], AUTHORITY_PATH, "status", "{\"state\":\"paused\"}"),
    ("authority", "authority-suspended", "suspended since nobody knows when", &["TRU-3.1"], AUTHORITY_PATH, "status", "{\"state\":\"suspended\"}"),
    ("authority", "authority-name-bidi", "a name with a direction override", &["TRU-3.1"], AUTHORITY_PATH, "name", "{\"fr\":\"a\\u202e\",\"en\":\"b\"}"),
    ("authority", "authority-name-empty", "an empty name", &["TRU-3.1"], AUTHORITY_PATH, "name", "{\"fr\":\"\",\"en\":\"b\"}"),
    ("authority", "authority-legal-twice", "a legal basis twice", &["TRU-3.1"], AUTHORITY_PATH, "legal_bases", "[\"a\",\"a\"]"),
    ("node", "node-key-short", "a key of 31 bytes", &["SIG-4.4", "TRU-3.1"], NODE_PATH, "keys", "[{\"key\":\"ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ\",\"not_before\":\"2026-01-01T00:00:00Z\"}]"),
    ("node", "node-key-weak", "a key of small order", &["SIG-4.3", "TRU-3.1"], NODE_PATH, "keys", "[{\"key\":\"ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"not_before\":\"2026-01-01T00:00:00Z\"}]"),
    ("node", "node-time", "a time that is none", &["TRU-3.1", "TRU-3.3"], NODE_PATH, "keys", "[{\"key\":\"ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"not_before\":\"yesterday\"}]"),
    ("node", "node-time-zone", "a time of a time zone", &["TRU-3.1", "TRU-3.3"], NODE_PATH, "keys", "[{\"key\":\"ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"not_before\":\"2026-01-01T00:00:00+01:00\"}]"),
    ("node", "node-quic-port", "an endpoint without a port", &["TRU-3.1"], NODE_PATH, "quic", "[\"pli.interieur.gouv.fr\"]"),
    ("node", "node-quic-port-0", "port 0", &["TRU-3.1"], NODE_PATH, "quic", "[\"pli.interieur.gouv.fr:0\"]"),
    ("node", "node-websocket", "a WebSocket without TLS", &["TRU-3.1"], NODE_PATH, "websocket", "[\"ws://pli.interieur.gouv.fr/\"]"),
    ("service", "service-class", "an unknown class", &["TRU-3.1", "TRU-3.4"], SERVICE_PATH, "classes", "[\"letter\"]"),
    ("service", "service-class-twice", "a class twice", &["TRU-3.1", "TRU-3.4"], SERVICE_PATH, "classes", "[\"message\",\"message\"]"),
    ("service", "service-importance", "an unknown importance", &["TRU-3.1", "TRU-3.4"], SERVICE_PATH, "importances", "[\"vital\"]"),
    ("service", "service-host", "a link host in upper case", &["TRU-3.1", "TRU-3.4"], SERVICE_PATH, "link_hosts", "[\"WWW.interieur.gouv.fr\"]"),
];

/// What is asked, and the files it is asked of.
struct Question {
    authority: Value,
    node: Value,
    service: Value,
    home: Value,
    home_key: SigningKey,
    signer: &'static str,
    environment: &'static str,
    asked: Value,
}

fn question() -> Question {
    Question {
        authority: authority(AUTHORITY),
        node: node(AUTHORITY, json!([key(&SigningKey::from_seed(&[0x61; 32]))])),
        service: service(),
        home: authority(HOME),
        home_key: node_key(),
        signer: AUTHORITY,
        environment: "development",
        asked: json!({
            "service": SERVICE, "key_id": hex(service_key().public().id().as_bytes()), "class": "message",
            "importance": "action", "home": HOME, "now_ms": NOW_MS, "expires_ms": NOW_MS + DAY_MS,
        }),
    }
}

impl Question {
    fn input(&self) -> Value {
        let file = |path: &str, signer: Option<&str>, text: &Value| {
            let mut file = json!({ "path": path, "text": text.to_string() });
            if let Some(signer) = signer {
                file["signer"] = signer.into();
            }
            file
        };
        let mut home_node = node(HOME, json!([key(&self.home_key)]));
        home_node["quic"] = json!(["pli.social.gouv.fr:7400"]);
        let mut input = self.asked.clone();
        input["environment"] = self.environment.into();
        input["files"] = json!([
            file(AUTHORITY_PATH, None, &self.authority),
            file("authorities/social.gouv.fr.json", None, &self.home),
            file(NODE_PATH, Some(AUTHORITY), &self.node),
            file("social.gouv.fr/node.json", Some(HOME), &home_node),
            file(SERVICE_PATH, Some(self.signer), &self.service),
        ]);
        input
    }
}

type Bend = fn(&mut Question);
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    Bend,
    Option<&'static str>,
);

fn senders(file: &mut File) {
    for (id, title, requirements, neighbour, bend, code) in SENDERS {
        let mut question = question();
        bend(&mut question);
        let ask = Ask {
            id,
            title,
            requirements,
            op: "trust.sender",
            input: question.input(),
        };
        match code {
            None => file.accepts(ask, json!({})),
            Some(code) => file.refuses(ask, neighbour, code),
        };
    }
}

/// Id, title, requirements, neighbour, bend, code.
#[rustfmt::skip]
const SENDERS: &[Row] = &[
    ("sender", "a listed service with a valid key, to a home that may host", &["TRU-4.2", "TRU-4.3", "TRU-4.4", "TRU-4.5"], "", |_| {}, None),
    ("unknown-authority", "an authority that is not listed", &["TRU-4.2"], "sender", |q| q.asked["service"] = json!("rdv@justice.gouv.fr"), Some("UNKNOWN_AUTHORITY")),
    ("unknown-service", "a service that is not listed", &["TRU-4.2"], "sender", |q| q.asked["service"] = json!("autre@interieur.gouv.fr"), Some("UNKNOWN_SERVICE")),
    ("unknown-home", "a home that is not listed", &["TRU-4.5"], "sender", |q| q.asked["home"] = json!("justice.gouv.fr"), Some("UNKNOWN_AUTHORITY")),
    ("cannot-host", "a home that may not host", &["TRU-4.5"], "sender", |q| q.home["may_host"] = json!(false), Some("CANNOT_HOST")),
    ("suspended-authority", "the federation has suspended the authority", &["TRU-4.2", "TRU-6.2"], "sender", |q| suspend(&mut q.authority), Some("SUSPENDED")),
    ("suspended-service", "the authority has suspended its service", &["TRU-4.2"], "sender", |q| suspend(&mut q.service), Some("SUSPENDED")),
    ("suspended-home", "the home is suspended", &["TRU-4.5"], "sender", |q| suspend(&mut q.home), Some("SUSPENDED")),
    ("class", "a class that the service does not list", &["TRU-3.4", "TRU-4.4"], "sender", |q| q.asked["class"] = json!("alert"), Some("CLASS_NOT_ALLOWED")),
    ("importance", "an importance that the service does not list", &["TRU-3.4", "TRU-4.4"], "sender", |q| q.asked["importance"] = json!("legal"), Some("CLASS_NOT_ALLOWED")),
    ("key", "a key that nobody lists", &["TRU-4.3"], "sender", |q| q.asked["key_id"] = hex([9; 32]), Some("UNKNOWN_KEY")),
    ("key-of-node", "the key of the authority's node", &["TRU-4.3"], "sender", |q| q.asked["key_id"] = hex(SigningKey::from_seed(&[0x61; 32]).public().id().as_bytes()), Some("UNKNOWN_KEY")),
    ("key-of-home", "the key of another authority's node", &["TRU-4.3"], "sender", |q| q.asked["key_id"] = hex(node_key().public().id().as_bytes()), Some("UNKNOWN_KEY")),
    ("last-moment", "a millisecond before the directory expires", &["TRU-4.1"], "", |q| q.asked["now_ms"] = json!(NOW_MS + DAY_MS - 1), None),
    ("directory-expired", "the directory has expired", &["TRU-4.1"], "last-moment", |q| q.asked["now_ms"] = json!(NOW_MS + DAY_MS), Some("DIRECTORY_EXPIRED")),
    ("key-valid", "in the last second of the key", &["TRU-3.3", "TRU-4.3"], "", |q| until(q, "2027-01-15T08:00:01Z"), None),
    ("key-revoked", "the key has ended", &["TRU-3.3", "TRU-4.3"], "key-valid", |q| until(q, "2027-01-15T08:00:00Z"), Some("KEY_NOT_VALID")),
    ("key-early", "the key has not begun", &["TRU-3.3", "TRU-4.3"], "key-valid", |q| q.service["keys"][0]["not_before"] = json!("2027-01-15T08:00:01Z"), Some("KEY_NOT_VALID")),
    ("service-other-signer", "another authority's role names the service", &["TRU-3.2"], "sender", |q| q.signer = HOME, Some("NOT_AUTHORITATIVE")),
    ("service-no-key", "a service without a key", &["TRU-3.5"], "sender", |q| q.service["keys"] = json!([]), Some("DIRECTORY_INVALID")),
    ("service-key-twice", "a key twice", &["TRU-3.5"], "sender", |q| q.service["keys"] = json!([key(&service_key()), key(&service_key())]), Some("DIRECTORY_INVALID")),
    ("service-key-of-node", "a service with the key of its own node", &["TRU-3.5"], "sender", |q| q.service["keys"] = json!([key(&SigningKey::from_seed(&[0x61; 32]))]), Some("DIRECTORY_INVALID")),
    ("keys-16", "KEYS_PER_HOLDER_MAX keys", &["TRU-3.5"], "", |q| q.service["keys"] = keys(15), None),
    ("keys-17", "one more", &["TRU-3.5"], "keys-16", |q| q.service["keys"] = keys(16), Some("DIRECTORY_INVALID")),
    ("production", "keys that are printed nowhere", &["TRU-3.6"], "", production, None),
    ("published", "a key whose seed is one repeated byte", &["TRU-3.6"], "production", |q| { production(q); q.service["keys"] = json!([key(&other_key())]); }, Some("PUBLISHED_KEY")),
];

fn suspend(record: &mut Value) {
    record["status"] = json!({ "state": "suspended", "since": "2027-01-01T00:00:00Z" });
}

fn until(question: &mut Question, end: &str) {
    question.service["keys"][0]["not_after"] = json!(end);
}

/// The signing key and so many others.
fn keys(others: u8) -> Value {
    let others = (0..others).map(|n| key(&SigningKey::from_seed(&[0x70 + n; 32])));
    [key(&service_key())].into_iter().chain(others).collect()
}

/// Seeds that no page prints and no rule covers.
fn production(question: &mut Question) {
    let seed = |byte: u8| {
        let mut seed = [byte; 32];
        seed[31] ^= 0x55;
        SigningKey::from_seed(&seed)
    };
    question.environment = "production";
    question.home_key = seed(0x63);
    question.node["keys"] = json!([key(&seed(0x61))]);
    question.service["keys"] = json!([key(&seed(0x62))]);
    question.asked["key_id"] = hex(seed(0x62).public().id().as_bytes());
}
