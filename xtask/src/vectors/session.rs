//! The handshake, each side alone: SES-3.

use bytes::Bytes;
use pli_protocol::crypto::contexts::{INVITATION, SESSION};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::{codec, wire};
use serde_json::{Value, json};

use super::annotate::Annotator;
use super::case::{Ask, Bent, BentFrom, File};
use super::samples::{SERVICE, bent, flipped, hex, node_key, other_key, read, service_key, sign};

const NONCE: [u8; 32] = [0x51; 32];
const AUTHORITY: &str = "social.gouv.fr";

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new(
        "sessions",
        "L2",
        "The four messages of the handshake, without a network",
    );
    hellos(&mut file, annotator);
    proofs(&mut file, annotator);
    answers(&mut file, annotator);
    file
}

fn hello(versions: &[u32]) -> Bytes {
    codec::encode(&wire::DiallerHello {
        versions: versions.to_vec(),
    })
}

fn hellos(file: &mut File, annotator: &Annotator) {
    let ask = |id, title, requirements, hello: &[u8]| Ask {
        id,
        title,
        requirements,
        op: "session.hello",
        input: json!({ "hello": hex(hello) }),
    };
    let r: &[&str] = &["SES-3.1"];
    let many: Vec<u32> = (1..=16).collect();
    let over: Vec<u32> = (1..=17).collect();
    type Offer<'a> = (
        &'static str,
        &'static str,
        &'a [u32],
        &'static str,
        Option<&'static str>,
    );
    let cases: [Offer<'_>; 9] = [
        ("offer", "version 1", &[1], "", None),
        (
            "offer-none",
            "no version",
            &[],
            "offer",
            Some("UNSUPPORTED_VERSION"),
        ),
        (
            "offer-future",
            "only a version of the future",
            &[2],
            "offer",
            Some("UNSUPPORTED_VERSION"),
        ),
        (
            "offer-0",
            "version 0 does not exist",
            &[0, 1],
            "offer",
            Some("UNSUPPORTED_VERSION"),
        ),
        (
            "offer-twice",
            "a version twice",
            &[1, 1],
            "offer",
            Some("FIELD_INVALID"),
        ),
        (
            "offer-descending",
            "descending",
            &[2, 1],
            "offer",
            Some("FIELD_INVALID"),
        ),
        (
            "offer-two",
            "the highest in common is chosen",
            &[1, 9],
            "",
            None,
        ),
        ("offer-16", "VERSIONS_MAX versions", &many, "", None),
        ("offer-17", "one more", &over, "offer-16", Some("TOO_MANY")),
    ];
    for (id, title, versions, neighbour, code) in cases {
        let bytes = hello(versions);
        match code {
            None => file.accepts(ask(id, title, r, &bytes), json!({ "version": 1 })),
            Some(code) => file.refuses(ask(id, title, r, &bytes), neighbour, code),
        };
        file.annotate("hello", annotator.message("DiallerHello", "", &bytes));
    }
    file.refuses(
        ask(
            "offer-two-descending",
            "the same, descending",
            r,
            &hello(&[9, 1]),
        ),
        "offer-two",
        "FIELD_INVALID",
    );
    file.refuses(
        ask(
            "offer-unpacked",
            "not packed",
            &["SES-3.2", "SIG-1.2"],
            &[0x08, 0x01],
        ),
        "offer",
        "NOT_CANONICAL",
    );
    file.refuses(
        ask(
            "offer-garbage",
            "not protobuf",
            &["SES-3.2", "SIG-1.1"],
            &[0xff],
        ),
        "offer",
        "DECODE",
    );
}

fn proof() -> wire::SessionProof {
    wire::SessionProof {
        version: 1,
        offered_versions: vec![1],
        nonce: NONCE.to_vec().into(),
        server_key: key_bytes(&node_key()),
        role: wire::Role::Service.into(),
        own_key: key_bytes(&service_key()),
        name: SERVICE.into(),
    }
}

fn key_bytes(key: &SigningKey) -> Bytes {
    Bytes::copy_from_slice(key.public().as_bytes())
}

fn ask(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    proof: &Bytes,
) -> Ask {
    let input = json!({
        "hello": hex(hello(&[1])), "nonce": hex(NONCE), "server_key": hex(node_key().public().as_bytes()),
        "proof": hex(proof),
    });
    Ask {
        id,
        title,
        requirements,
        op: "session.proof",
        input,
    }
}

fn proofs(file: &mut File, annotator: &Annotator) {
    let ok = |role: &str, name: &str| -> Value {
        json!({ "role": role, "name": name, "key": hex(service_key().public().as_bytes()) })
    };
    let signed = |bend: Bend| {
        let mut proof = proof();
        bend(&mut proof);
        sign(SESSION, codec::encode(&proof), &service_key())
    };
    #[rustfmt::skip]
    let roles: [(&'static str, Bend, &str, &str); 4] = [
        ("service", |_| {}, "service", SERVICE),
        ("node", |p| (p.role, p.name) = (1, "interieur.gouv.fr".into()), "node", "interieur.gouv.fr"),
        ("gateway", |p| (p.role, p.name) = (3, "interieur.gouv.fr".into()), "gateway", "interieur.gouv.fr"),
        ("device", |p| (p.role, p.name) = (4, String::new()), "device", ""),
    ];
    for (id, bend, role, name) in roles {
        let proof = signed(bend);
        file.accepts(
            ask(
                id,
                "each role with a name of its kind",
                &["SES-3.4", "SES-3.5"],
                &proof,
            ),
            ok(role, name),
        );
        file.annotate("proof", annotator.message("Signed", "SessionProof", &proof));
    }
    for (id, title, requirements, neighbour, bend, code) in PROOFS {
        let proof = signed(*bend);
        file.refuses(ask(id, title, requirements, &proof), neighbour, code);
        file.annotate("proof", annotator.message("Signed", "SessionProof", &proof));
    }
    let good = signed(|_| {});
    let forged = sign(SESSION, codec::encode(&proof()), &other_key());
    file.refuses(
        ask(
            "other-signer",
            "signed by another key than own_key",
            &["SES-3.4"],
            &forged,
        ),
        "service",
        "AUTH_FAILED",
    );
    let garbled = bent(&good, |s| {
        s.signatures[0].signature = flipped(&s.signatures[0].signature, 0)
    });
    file.refuses(
        ask(
            "garbled",
            "one bit of the signature is wrong",
            &["SES-3.4"],
            &garbled,
        ),
        "service",
        "BAD_SIGNATURE",
    );
    let renamed = bent(&good, |s| {
        let mut proof: wire::SessionProof = read(&s.payload);
        proof.name = "autre@interieur.gouv.fr".into();
        s.payload = codec::encode(&proof);
    });
    file.refuses(
        ask(
            "renamed",
            "another name than was signed",
            &["SES-3.4"],
            &renamed,
        ),
        "service",
        "BAD_SIGNATURE",
    );
    let twice = bent(&good, |s| {
        let other: wire::Signed = read(&forged);
        s.signatures.extend(other.signatures);
        s.signatures.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    });
    file.refuses(
        ask(
            "two-signatures",
            "a signature more",
            &["SES-3.4", "SIG-5.1"],
            &twice,
        ),
        "service",
        "SIGNATURE_COUNT",
    );
    let context = sign(INVITATION, codec::encode(&proof()), &service_key());
    file.refuses(
        ask(
            "other-context",
            "signed as an invitation",
            &["SES-3.4", "SIG-2.3"],
            &context,
        ),
        "service",
        "BAD_SIGNATURE",
    );
    let long = Bytes::from(vec![0; 8_193]);
    file.refuses(
        ask(
            "long",
            "longer than SIGNED_OBJECT_MAX",
            &["SES-3.2", "SIG-1.3"],
            &long,
        ),
        "service",
        "TOO_LONG",
    );
}

type Bend = fn(&mut wire::SessionProof);

#[rustfmt::skip]
const PROOFS: &[BentFrom<wire::SessionProof>] = &[
    ("other-nonce", "for another nonce: a replay", &["SES-3.4"], "service", |p| p.nonce = vec![0x52; 32].into(), "AUTH_FAILED"),
    ("nonce-31", "a nonce cut short", &["SES-3.4"], "service", |p| p.nonce.truncate(31), "AUTH_FAILED"),
    ("other-server", "made for another server, passed on here", &["SES-3.4"], "service", |p| p.server_key = key_bytes(&other_key()), "AUTH_FAILED"),
    ("downgrade-offer", "the dialler had offered more: somebody removed it", &["SES-3.4"], "service", |p| p.offered_versions = vec![1, 2], "UNSUPPORTED_VERSION"),
    ("downgrade-version", "for another version than was chosen", &["SES-3.4"], "service", |p| p.version = 2, "UNSUPPORTED_VERSION"),
    ("weak-key", "own_key is of small order", &["SES-3.5", "SIG-4.3"], "service", |p| p.own_key = vec![0; 32].into(), "WEAK_KEY"),
    ("key-31", "own_key has 31 bytes", &["SES-3.5", "SIG-4.1"], "service", |p| p.own_key.truncate(31), "FIELD_INVALID"),
    ("no-role", "no role", &["SES-3.5"], "service", |p| p.role = 0, "FIELD_MISSING"),
    ("role-9", "an unknown role", &["SES-3.5"], "service", |p| p.role = 9, "FIELD_INVALID"),
    ("service-as-node", "a node with the name of a service", &["SES-3.5"], "node", |p| p.role = 1, "FIELD_INVALID"),
    ("gateway-nameless", "a gateway without a name", &["SES-3.5"], "gateway", |p| (p.role, p.name) = (3, String::new()), "FIELD_INVALID"),
    ("device-named", "a device with a name", &["SES-3.5"], "device", |p| p.role = 4, "FIELD_INVALID"),
    ("service-authority", "a service with the name of an authority", &["SES-3.5"], "service", |p| p.name = "interieur.gouv.fr".into(), "FIELD_INVALID"),
];

fn answers(file: &mut File, annotator: &Annotator) {
    let hello = || wire::ServerHello {
        version: 1,
        nonce: NONCE.to_vec().into(),
        server_key: key_bytes(&node_key()),
        authority: AUTHORITY.into(),
    };
    let ask = |id, title, requirements, hello: &wire::ServerHello| Ask {
        id,
        title,
        requirements,
        op: "session.answer",
        input: json!({
            "role": "service", "name": SERVICE, "seed": hex([1; 32]), "authority": AUTHORITY,
            "server_key": hex(node_key().public().as_bytes()), "server_hello": hex(codec::encode(hello)),
        }),
    };
    let expected = sign(SESSION, codec::encode(&proof()), &service_key());
    file.accepts(
        ask(
            "answer",
            "the dialler signs for the server that TLS has proven",
            &["SES-3.3", "SES-3.4"],
            &hello(),
        ),
        json!({ "proof": hex(expected) }),
    );
    file.annotate(
        "server_hello",
        annotator.message("ServerHello", "", &codec::encode(&hello())),
    );
    #[rustfmt::skip]
    let cases: [Bent<wire::ServerHello>; 6] = [
        ("answer-other-key", "the server names another key than TLS has proven", |h| h.server_key = key_bytes(&other_key()), "SERVER_KEY_MISMATCH"),
        ("answer-other-authority", "the server is another's", |h| h.authority = "justice.gouv.fr".into(), "AUTH_FAILED"),
        ("answer-version", "a version that was not offered", |h| h.version = 2, "UNSUPPORTED_VERSION"),
        ("answer-nonce-31", "a nonce of 31 bytes", |h| h.nonce.truncate(31), "FIELD_INVALID"),
        ("answer-no-nonce", "no nonce", |h| h.nonce.clear(), "FIELD_INVALID"),
        ("answer-weak-key", "a server key of small order", |h| h.server_key = vec![0; 32].into(), "WEAK_KEY"),
    ];
    for (id, title, bend, code) in cases {
        let mut hello = hello();
        bend(&mut hello);
        file.refuses(ask(id, title, &["SES-3.3"], &hello), "answer", code);
        file.annotate(
            "server_hello",
            annotator.message("ServerHello", "", &codec::encode(&hello)),
        );
    }
}
