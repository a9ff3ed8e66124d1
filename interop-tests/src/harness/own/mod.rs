//! The suite's own answer to every operation, from its own codec and rules. A vector that it does not decide
//! as the file says is in doubt: the suite or the vector is wrong, and no implementation is blamed.

mod evidence;
mod input;

use serde_json::{Map, Value, json};

use super::Answer;
use crate::codec::frame::{self, FRAME_MAX, Reading};
use crate::codec::schema;
use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::signed::{Signed, sign_batch, strong};
use crate::crypto::{Hash, account, hpke, merkle, padding};
use crate::validator::header::Header;
use crate::validator::receipt::Receipt;
use crate::validator::{
    self, Refused, canonical, content, envelope, mailbox, names, refuse, session, trust,
};
use input::{Input, No};

type Outcome = Result<Value, No>;

/// Answers one operation.
pub fn answer(op: &str, input: &Value) -> Answer {
    match decide(op, &Input(input)) {
        Ok(Value::Object(map)) => Answer::Ok(map),
        Ok(_) => Answer::Ok(Map::new()),
        Err(No::Refused(refused)) => Answer::Refused(refused.code.to_owned()),
        Err(No::Input(why)) => Answer::Error(why),
        Err(No::Unsupported) => Answer::Unsupported,
    }
}

fn decide(op: &str, input: &Input<'_>) -> Outcome {
    match op {
        "frame.decode" => frame_decode(&input.bytes("bytes")?),
        "frame.encode" => frame_encode(&input.bytes("body")?),
        "canonical.check" => canonical_check(input),
        "id.parse" => id_parse(input.text("kind")?, input.text("text")?),
        "header.check" => Ok(header_fields(&Header::check(&input.bytes("header")?)?)),
        "content.check" => Ok(json!({ "kind": content::check(&input.bytes("content")?)? })),
        "key.id" => key_id(&input.bytes("key")?),
        "leaf.hash" => Ok(
            json!({ "hash": hex::encode(merkle::leaf(input.context()?, &input.bytes("payload")?)) }),
        ),
        "merkle.root" => {
            Ok(json!({ "root": hex::encode(merkle::root(&tree(&input.hashes("leaves")?)?)) }))
        }
        "merkle.path" => merkle_path(&input.hashes("leaves")?, input.number("index")?),
        "merkle.verify" => merkle_verify(input),
        "signed.sign" => signed_sign(input),
        "signed.decode" => {
            signed_decode(&Signed::decode(input.context()?, &input.bytes("signed")?)?)
        }
        "signed.verify" => signed_verify(input),
        "seal.pad" => match padding::pad(&input.bytes("content")?) {
            Some(plaintext) => Ok(json!({ "plaintext": hex::encode(plaintext) })),
            None => Ok(refuse("TOO_LONG", "content")?),
        },
        "seal.unpad" => match padding::unpad(&input.bytes("plaintext")?) {
            Some(content) => Ok(json!({ "content": hex::encode(content) })),
            None => Ok(refuse("BAD_PADDING", "plaintext")?),
        },
        "seal.public" => {
            Ok(json!({ "public_key": hex::encode(hpke::public_key(&input.array("secret")?)) }))
        }
        "seal.open" => seal_open(input),
        "envelope.check" => envelope_check(input),
        "receipt.check" => receipt_check(input),
        "grant.check" => grant_check(input),
        "invitation.check" => {
            let (id, expires_ms) = mailbox::invitation(
                &input.bytes("signed")?,
                &input.key("key")?,
                input.text("home")?,
                input.number("now_ms")?,
            )?;
            Ok(json!({ "invitation_id": hex::encode(id), "expires_ms": expires_ms }))
        }
        "enrolment.check" => {
            let (signed, invitation) = (input.bytes("signed")?, input.bytes("invitation_id")?);
            let key = mailbox::enrolment(
                &signed,
                input.text("home")?,
                &invitation,
                &input.key("session")?,
                input.number("now_ms")?,
            )?;
            Ok(json!({ "device_key": hex::encode(key.0) }))
        }
        "trust.file" => {
            let path = input.text("path")?;
            trust::file(path, input.text("text")?)?;
            Ok(json!({ "path": path }))
        }
        "trust.sender" => trust_sender(input),
        "session.hello" => Ok(json!({ "version": session::hello(&input.bytes("hello")?)? })),
        "session.proof" => session_proof(input),
        "session.answer" => session_answer(input),
        "ack.check" => ack_check(input),
        "handover.check" => handover_check(input),
        "event.check" => evidence::event(input),
        "entry.check" => evidence::entry(input),
        "checkpoint.check" => evidence::checkpoint(input),
        "cosignature.check" => evidence::cosignature(input),
        "consistency.check" => evidence::consistency(input),
        "proof.check" => evidence::proof(input),
        "submission.check" => evidence::submission(input),
        "splitview.check" => evidence::split_view(input),
        "account.keys" => account_keys(input),
        "seal.seal" => seal_seal(input),
        _ => Err(No::Unsupported),
    }
}

fn frame_decode(stream: &[u8]) -> Outcome {
    let (mut rest, mut bodies) = (stream, Vec::new());
    while !rest.is_empty() {
        match frame::read(rest) {
            Reading::Whole { body, rest: more } => {
                bodies.push(hex::encode(body));
                rest = more;
            }
            Reading::Short => return Ok(refuse("TRUNCATED", "frame")?),
            Reading::Empty => return Ok(refuse("FRAME_EMPTY", "frame")?),
            Reading::TooLarge { .. } => return Ok(refuse("FRAME_TOO_LARGE", "frame")?),
        }
    }
    Ok(json!({ "bodies": bodies }))
}

fn frame_encode(body: &[u8]) -> Outcome {
    match body.len() {
        0 => Ok(refuse("FRAME_EMPTY", "body")?),
        length if length > FRAME_MAX => Ok(refuse("FRAME_TOO_LARGE", "body")?),
        _ => Ok(json!({ "bytes": hex::encode(frame::write(body)) })),
    }
}

fn canonical_check(input: &Input<'_>) -> Outcome {
    let schema =
        schema::named(input.text("type")?).ok_or_else(|| No::Input("no such type".to_owned()))?;
    canonical(schema, &input.bytes("bytes")?)?;
    Ok(json!({}))
}

fn id_parse(kind: &str, text: &str) -> Outcome {
    let written = match kind {
        "authority" => names::authority(text)?.to_owned(),
        "service" => names::service(text).map(|(name, home)| format!("{name}@{home}"))?,
        "mailbox" => names::mailbox_text(text)
            .map(|(mailbox, home)| format!("{}@{home}", hex::encode(mailbox)))?,
        "key" => {
            let Ok(key) = text.parse::<PublicKey>() else {
                return Ok(refuse("FIELD_INVALID", "key text")?);
            };
            strong(&key)?;
            key.to_string()
        }
        _ => return Err(No::Input(format!("no such kind: {kind}"))),
    };
    Ok(json!({ "text": written }))
}

fn header_fields(header: &Header) -> Value {
    json!({
        "sender": header.sender,
        "recipient": header.recipient,
        "created_ms": header.created_ms,
        "expires_ms": header.expires_ms,
        "class": header.class,
        "urgency": header.urgency,
        "importance": header.importance,
        "supersedes": header.supersedes.as_ref().map(hex::encode),
    })
}

fn key_id(key: &[u8]) -> Outcome {
    let Ok(key) = key.try_into().map(PublicKey) else {
        return Ok(refuse("FIELD_INVALID", "key length")?);
    };
    strong(&key)?;
    Ok(json!({ "key_id": hex::encode(key.key_id()) }))
}

/// SIG-3.3
fn tree(leaves: &[Hash]) -> Result<Vec<Hash>, Refused> {
    if (1..=merkle::TREE_LEAVES_MAX).contains(&(leaves.len() as u64)) {
        Ok(leaves.to_vec())
    } else {
        refuse("BAD_INCLUSION", "number of leaves")
    }
}

fn merkle_path(leaves: &[Hash], index: u64) -> Outcome {
    let leaves = tree(leaves)?;
    if index >= leaves.len() as u64 {
        return Ok(refuse("BAD_INCLUSION", "index")?);
    }
    let path: Vec<String> = merkle::path(index as usize, &leaves)
        .iter()
        .map(hex::encode)
        .collect();
    Ok(json!({ "path": path }))
}

fn merkle_verify(input: &Input<'_>) -> Outcome {
    let bad = || Ok(refuse("BAD_INCLUSION", "path")?);
    // A hash of another length fits no path.
    let path: Option<Vec<Hash>> = input
        .list("path")?
        .into_iter()
        .map(|hash| hash.try_into().ok())
        .collect();
    let Some(path) = path else { return bad() };
    let (leaf, root): (Hash, Hash) = (input.array("leaf")?, input.array("root")?);
    match merkle::climb(
        &leaf,
        input.number("index")?,
        input.number("tree_size")?,
        &path,
    ) {
        Some(top) if top == root => Ok(json!({})),
        _ => bad(),
    }
}

fn signed_sign(input: &Input<'_>) -> Outcome {
    let payloads = input.list("payloads")?;
    if payloads.is_empty() || payloads.len() as u64 > merkle::TREE_LEAVES_MAX {
        return Ok(refuse("BAD_INCLUSION", "number of payloads")?);
    }
    let key = SecretKey::from_seed(input.array("seed")?);
    let signed: Vec<String> = sign_batch(input.context()?, &payloads, &key)
        .iter()
        .map(hex::encode)
        .collect();
    Ok(json!({ "signed": signed }))
}

fn signed_decode(signed: &Signed) -> Outcome {
    let key_ids: Vec<String> = signed
        .signatures
        .iter()
        .map(|(key_id, _)| hex::encode(key_id))
        .collect();
    Ok(
        json!({ "payload": hex::encode(&signed.payload), "leaf": hex::encode(signed.leaf), "key_ids": key_ids }),
    )
}

fn signed_verify(input: &Input<'_>) -> Outcome {
    let signed = Signed::decode(input.context()?, &input.bytes("signed")?)?;
    signed.verify(&input.key("key")?)?;
    Ok(json!({ "payload": hex::encode(&signed.payload), "leaf": hex::encode(signed.leaf) }))
}

fn seal_open(input: &Input<'_>) -> Outcome {
    let sealed = canonical(&schema::SEALED, &input.bytes("sealed")?)?;
    let content = envelope::open(&input.array("secret")?, &input.bytes("header")?, &sealed)?;
    Ok(json!({ "content": hex::encode(content) }))
}

fn envelope_check(input: &Input<'_>) -> Outcome {
    let signed = input.bytes("signed")?;
    let envelope = envelope::Envelope::check(&signed, &input.key("key")?, input.number("now_ms")?)?;
    let mut fields = header_fields(&envelope.header);
    fields["envelope_id"] = json!(hex::encode(envelope.id));
    Ok(fields)
}

fn receipt_check(input: &Input<'_>) -> Outcome {
    let receipt = Receipt::check(&input.bytes("signed")?, &input.key("key")?)?;
    Ok(json!({
        "step": receipt.step,
        "node": receipt.node,
        "envelope_id": hex::encode(receipt.envelope_id),
        "at_ms": receipt.at_ms,
        "code": receipt.code,
    }))
}

fn grant_check(input: &Input<'_>) -> Outcome {
    let grant = mailbox::grant(
        &input.bytes("signed")?,
        input.text("authority")?,
        input.number("now_ms")?,
    )?;
    Ok(json!({
        "identity_key": hex::encode(grant.identity_key.0),
        "mailbox": grant.mailbox,
        "epoch": grant.epoch,
        "issued_ms": grant.issued_ms,
        "accepts": grant.accepts,
    }))
}

fn trust_sender(input: &Input<'_>) -> Outcome {
    let files = input.get("files")?.as_array();
    let files = files.ok_or_else(|| No::Input("files is not a list".to_owned()))?;
    let files: Vec<trust::Listed> = files
        .iter()
        .map(|file| serde_json::from_value(file.clone()))
        .collect::<Result<_, _>>()
        .map_err(|why| No::Input(format!("files: {why}")))?;
    let production = match input.text("environment")? {
        "production" => true,
        "development" => false,
        other => return Err(No::Input(format!("no such environment: {other}"))),
    };
    let directory = trust::Directory::load(&files, production, input.number("expires_ms")?)?;
    let key_id = input.bytes("key_id")?;
    directory.sender(&trust::Question {
        service: input.text("service")?,
        key_id: &key_id,
        class: input.text("class")?,
        importance: input.text("importance")?,
        home: input.text("home")?,
        now_ms: input.number("now_ms")?,
    })?;
    Ok(json!({}))
}

fn session_proof(input: &Input<'_>) -> Outcome {
    let proven = session::proof(
        &input.bytes("hello")?,
        &input.bytes("nonce")?,
        &input.bytes("server_key")?,
        &input.bytes("proof")?,
    )?;
    Ok(json!({ "role": proven.role, "name": proven.name, "key": hex::encode(proven.key.0) }))
}

fn ack_check(input: &Input<'_>) -> Outcome {
    let key = input.key("key")?;
    let by = validator::ack::Acknowledger {
        node: input.text("node")?,
        key: &key,
        step: input.text("step")?,
    };
    let ack = canonical(&schema::ACK_BATCH, &input.bytes("ack")?)?;
    let all = validator::ack::check(&by, &input.hashes("envelope_ids")?, &ack)?;
    let receipts: Vec<String> = all.iter().map(|one| hex::encode(&one.receipt)).collect();
    Ok(json!({ "receipts": receipts }))
}

fn session_answer(input: &Input<'_>) -> Outcome {
    let key = SecretKey::from_seed(input.array("seed")?);
    let server_key = input.bytes("server_key")?;
    let wanted = (input.text("authority")?, &server_key[..]);
    let hello = input.bytes("server_hello")?;
    let proof = session::answer(
        input.text("role")?,
        input.text("name")?,
        &key,
        wanted,
        &hello,
    )?;
    Ok(json!({ "proof": hex::encode(proof) }))
}

fn account_keys(input: &Input<'_>) -> Outcome {
    let (root, epoch) = (input.array("root")?, input.array("epoch_secret")?);
    let authority = input.text("authority")?;
    let identity = account::identity_key(&root, authority);
    let sealing = account::sealing_seed(&epoch, authority, 1);
    Ok(json!({
        "identity_key": hex::encode(identity.public().0),
        "sealing_key": hex::encode(hpke::public_key(&sealing)),
    }))
}

fn seal_seal(input: &Input<'_>) -> Outcome {
    let sealed = envelope::seal_with(
        &input.bytes("public_key")?,
        &input.array("randomness")?,
        input.u32("epoch")?,
        &input.bytes("header")?,
        &input.bytes("content")?,
    )?;
    Ok(json!({ "sealed": hex::encode(sealed.encode()) }))
}

fn handover_check(input: &Input<'_>) -> Outcome {
    let ids = validator::handover::check(&input.bytes("handover")?, &input.key("key")?)?;
    let ids: Vec<String> = ids.iter().map(hex::encode).collect();
    Ok(json!({ "envelope_ids": ids }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_examples_of_the_vectors_readme() {
        let ok = answer("frame.decode", &json!({ "bytes": "0000000101" }));
        assert!(ok.satisfies(&Answer::read(&json!({"ok":{"bodies":["01"]}})).expect("ok")));
        assert_eq!(
            answer("frame.decode", &json!({ "bytes": "00010001" })),
            Answer::Refused("FRAME_TOO_LARGE".to_owned())
        );
    }

    #[test]
    fn a_bad_request_is_an_error_and_never_a_verdict() {
        for (op, input) in [
            ("frame.decode", json!({})),
            ("frame.decode", json!({ "bytes": "0g" })),
            ("frame.decode", json!({ "bytes": "AB" })),
            ("frame.decode", json!({ "bytes": 7 })),
            ("canonical.check", json!({ "type": "Nothing", "bytes": "" })),
            (
                "leaf.hash",
                json!({ "context": "pli/2/envelope", "payload": "" }),
            ),
        ] {
            assert!(
                matches!(answer(op, &input), Answer::Error(_)),
                "{op} {input}"
            );
        }
        assert_eq!(answer("no.such", &json!({})), Answer::Unsupported);
    }
}
