//! Receipts. Spec: CUS-2.

use super::{INTEGER_MAX, Refused, canonical, names, refuse, version_1};
use crate::code;
use crate::codec::Message;
use crate::codec::schema::RECEIPT as RECEIPT_SCHEMA;
use crate::crypto::contexts::RECEIPT;
use crate::crypto::keys::PublicKey;
use crate::crypto::signed::Signed;

pub const STEPS: &[&str] = &[
    "accepted",
    "stored",
    "retrieved",
    "undeliverable",
    "refused",
];

/// What a receipt says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    pub step: &'static str,
    pub node: String,
    pub envelope_id: Vec<u8>,
    pub at_ms: u64,
    /// A code's name for undeliverable and refused.
    pub code: Option<String>,
}

impl Receipt {
    /// A receipt signed by `key`, which the caller takes for a key of the node that the receipt names.
    pub fn check(bytes: &[u8], key: &PublicKey) -> Result<Self, Refused> {
        let signed = Signed::decode(RECEIPT, bytes)?;
        signed.only_one()?;
        let receipt = Self::read(&canonical(&RECEIPT_SCHEMA, &signed.payload)?)?;
        signed.verify(key)?;
        Ok(receipt)
    }

    /// CUS-2.2 to CUS-2.4, in the order of fields.
    fn read(receipt: &Message) -> Result<Self, Refused> {
        version_1(receipt)?;
        let step = step(receipt.number("step"))?;
        let node = names::authority(receipt.text("node"))?.to_owned();
        let envelope_id = receipt.bytes("envelope_id");
        if envelope_id.len() != 32 {
            return refuse("FIELD_INVALID", "envelope_id");
        }
        let at_ms = receipt.number("at_ms");
        if at_ms == 0 || at_ms > INTEGER_MAX {
            return refuse("FIELD_INVALID", "at_ms");
        }
        let number = receipt.number("code");
        let fails = matches!(step, "undeliverable" | "refused");
        if fails != (number != 0) {
            return refuse(
                "FIELD_INVALID",
                "code exactly for undeliverable and refused",
            );
        }
        let code = fails.then(|| code::name(number));
        Ok(Self {
            step,
            node,
            envelope_id: envelope_id.to_vec(),
            at_ms,
            code,
        })
    }
}

/// CUS-2.4: what is not one of the five is invalid, none included.
fn step(number: u64) -> Result<&'static str, Refused> {
    let found = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
    match found.and_then(|at| STEPS.get(at)) {
        Some(step) => Ok(step),
        None => refuse("FIELD_INVALID", "step"),
    }
}

/// The payload of a receipt, as both sides of an acknowledgement build it.
pub fn build(step: &str, node: &str, envelope_id: &[u8], at_ms: u64, code: u64) -> Vec<u8> {
    let number = STEPS
        .iter()
        .position(|name| *name == step)
        .expect("a step of the table") as u64
        + 1;
    Message::new(&RECEIPT_SCHEMA)
        .with("version", 1u32)
        .with("step", number)
        .with("node", node)
        .with("envelope_id", envelope_id)
        .with("at_ms", at_ms)
        .with("code", code)
        .encode()
}

#[cfg(test)]
mod tests {
    use super::super::code_of;
    use super::*;
    use crate::crypto::keys::SecretKey;
    use crate::crypto::signed::sign_one;

    fn check(payload: &[u8]) -> &'static str {
        let key = SecretKey::from_seed([5; 32]);
        code_of(Receipt::check(
            &sign_one(RECEIPT, payload, &key),
            &key.public(),
        ))
    }

    #[test]
    fn steps_and_codes_go_together() {
        for (step, code, expected) in [
            ("accepted", 0, "accepted"),
            ("stored", 0, "accepted"),
            ("refused", 60, "accepted"),
            ("undeliverable", 9_999, "accepted"),
            ("accepted", 60, "FIELD_INVALID"),
            ("refused", 0, "FIELD_INVALID"),
        ] {
            assert_eq!(
                check(&build(step, "a.fr", &[1; 32], 7, code)),
                expected,
                "{step} {code}"
            );
        }
    }

    #[test]
    fn each_field_has_a_refused_neighbour() {
        assert_eq!(
            check(&build("stored", "a.fr", &[1; 31], 7, 0)),
            "FIELD_INVALID"
        );
        assert_eq!(
            check(&build("stored", "a.fr", &[1; 32], 0, 0)),
            "FIELD_INVALID"
        );
        assert_eq!(
            check(&build("stored", "a.fr", &[1; 32], INTEGER_MAX + 1, 0)),
            "FIELD_INVALID"
        );
        assert_eq!(
            check(&build("stored", "fr", &[1; 32], 7, 0)),
            "FIELD_INVALID"
        );
    }
}
