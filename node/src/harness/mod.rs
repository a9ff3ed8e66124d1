//! Harness: answers the operations of `spec/vectors/README.md`, one JSON line each, so that a
//! conformance suite can test this implementation from outside, without a network.
//!
//! In: requests `{"id","op","input"}`. Out: `{"id","ok"}`, `{"id","refused"}`, `{"id","unsupported"}` or
//! `{"id","error"}`, one line per line, in order. No state: each request stands alone.

mod account;
mod codec;
mod crypto;
mod custody;
mod envelope;
mod evidence;
mod fault;
mod input;
mod session;
mod trust;

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value, json};

use fault::Fault;
use input::Input;

/// What an operation answers when it accepts.
type Output = Map<String, Value>;
/// One operation.
type Operation = fn(&Input) -> Result<Output, Fault>;

/// Every operation of `spec/vectors/README.md` that this implementation has.
const OPERATIONS: &[(&str, Operation)] = &[
    ("account.keys", account::keys),
    ("ack.check", custody::ack_check),
    ("canonical.check", codec::canonical_check),
    ("checkpoint.check", evidence::checkpoint_check),
    ("consistency.check", evidence::consistency_check),
    ("content.check", envelope::content_check),
    ("cosignature.check", evidence::cosignature_check),
    ("enrolment.check", account::enrolment_check),
    ("entry.check", evidence::entry_check),
    ("envelope.check", envelope::check),
    ("event.check", evidence::event_check),
    ("frame.decode", codec::frame_decode),
    ("frame.encode", codec::frame_encode),
    ("grant.check", account::grant_check),
    ("handover.check", custody::handover_check),
    ("header.check", envelope::header_check),
    ("id.parse", codec::id_parse),
    ("invitation.check", account::invitation_check),
    ("key.id", crypto::key_id),
    ("leaf.hash", crypto::leaf_hash),
    ("merkle.path", crypto::merkle_path),
    ("merkle.root", crypto::merkle_root),
    ("merkle.verify", crypto::merkle_verify),
    ("proof.check", evidence::proof_check),
    ("receipt.check", custody::receipt_check),
    ("seal.open", crypto::seal_open),
    ("seal.pad", crypto::seal_pad),
    ("seal.public", crypto::seal_public),
    ("seal.seal", crypto::seal_seal),
    ("seal.unpad", crypto::seal_unpad),
    ("session.answer", session::answer),
    ("session.hello", session::hello),
    ("session.proof", session::proof),
    ("signed.decode", crypto::signed_decode),
    ("signed.sign", crypto::signed_sign),
    ("signed.verify", crypto::signed_verify),
    ("splitview.check", evidence::split_view_check),
    ("submission.check", evidence::submission_check),
    ("trust.file", trust::file),
    ("trust.sender", trust::sender),
];

/// Answers request after request until the input ends.
pub fn run(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    for line in input.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        serde_json::to_writer(&mut output, &answer(&line))?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}

/// The answer to one line.
#[must_use]
pub fn answer(line: &str) -> Value {
    let request: Value = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => return json!({ "id": null, "error": format!("not JSON: {error}") }),
    };
    let id = request["id"].clone();
    let Some(op) = request["op"].as_str() else {
        return json!({ "id": id, "error": "op: a name is expected" });
    };
    let Some((_, operation)) = OPERATIONS.iter().find(|(name, _)| *name == op) else {
        return json!({ "id": id, "unsupported": true });
    };
    match operation(&Input::new(&request["input"])) {
        Ok(output) => json!({ "id": id, "ok": output }),
        Err(Fault::Refused(code)) => json!({ "id": id, "refused": code.name() }),
        Err(Fault::Request(reason)) => json!({ "id": id, "error": reason }),
    }
}

/// An output of these members.
fn output<const N: usize>(members: [(&str, Value); N]) -> Output {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered_in_order_and_a_fault_is_no_verdict() {
        let requests = concat!(
            "{\"id\":\"1\",\"op\":\"frame.decode\",\"input\":{\"bytes\":\"0000000101\"}}\n\n",
            "{\"id\":\"2\",\"op\":\"frame.decode\",\"input\":{\"bytes\":\"00010001\"}}\n",
            "{\"id\":\"3\",\"op\":\"frame.fly\",\"input\":{}}\n",
            "{\"id\":\"4\",\"op\":\"frame.decode\",\"input\":{\"bytes\":\"0G\"}}\n",
            "not JSON\n",
        );
        let mut answers = Vec::new();
        run(requests.as_bytes(), &mut answers).unwrap();
        let answers: Vec<Value> = answers
            .split(|b| *b == b'\n')
            .filter_map(|l| serde_json::from_slice(l).ok())
            .collect();
        assert_eq!(answers[0], json!({ "id": "1", "ok": { "bodies": ["01"] } }));
        assert_eq!(
            answers[1],
            json!({ "id": "2", "refused": "FRAME_TOO_LARGE" })
        );
        assert_eq!(answers[2], json!({ "id": "3", "unsupported": true }));
        assert!(answers[3]["error"].is_string());
        assert!(answers[4]["error"].is_string());
        assert_eq!(answers.len(), 5);
    }

    #[test]
    fn operations_are_listed_once_each() {
        assert!(OPERATIONS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
