use super::super::code_of;
use super::super::receipt::Receipt;
use super::*;
use crate::codec::schema::ACK_BATCH;
use crate::codec::schema::DISPOSITION;
use crate::crypto::keys::SecretKey;
use crate::crypto::signed::signature_over;

const NODE: &str = "a.fr";

fn key() -> SecretKey {
    SecretKey::from_seed([5; 32])
}

fn disposition(outcome: u64, code: u64, first_at_ms: u64) -> Message {
    Message::new(&DISPOSITION)
        .with("outcome", outcome)
        .with("code", code)
        .with("first_at_ms", first_at_ms)
}

/// An honest acknowledgement of ids [1], [2], [3]: accepted, duplicate since 40, refused as EXPIRED.
fn ack() -> Message {
    let receipts = [
        build("accepted", NODE, &[1; 32], 50, 0),
        build("accepted", NODE, &[2; 32], 40, 0),
        build("refused", NODE, &[3; 32], 50, 60),
    ];
    let leaves: Vec<Hash> = receipts
        .iter()
        .map(|payload| merkle::leaf(RECEIPT, payload))
        .collect();
    Message::new(&ACK_BATCH)
        .with("first_seq", 1u32)
        .with("last_seq", 2u32)
        .with("at_ms", 50u32)
        .with_all(
            "dispositions",
            [
                disposition(1, 0, 0),
                disposition(2, 0, 40),
                disposition(3, 60, 0),
            ],
        )
        .with("signature", signature_over(RECEIPT, &leaves, &key()))
}

fn run(ack: &Message) -> Result<Vec<Acknowledged>, Refused> {
    let public = key().public();
    let by = Acknowledger {
        node: NODE,
        key: &public,
        step: "accepted",
    };
    check(&by, &[[1; 32], [2; 32], [3; 32]], ack)
}

#[test]
fn receipts_rebuilt_from_an_acknowledgement_stand_alone() {
    let all = run(&ack()).expect("honest");
    let read: Vec<Receipt> = all
        .iter()
        .map(|one| Receipt::check(&one.receipt, &key().public()).expect("stands alone"))
        .collect();
    assert_eq!(
        read.iter().map(|r| (r.step, r.at_ms)).collect::<Vec<_>>(),
        [("accepted", 50), ("accepted", 40), ("refused", 50)]
    );
    assert_eq!(read[2].code.as_deref(), Some("EXPIRED"));
    assert_eq!(all[1].payload, build("accepted", NODE, &[2; 32], 40, 0));
}

#[test]
fn case_31_what_does_not_fit_is_not_believed() {
    assert_eq!(
        code_of(run(&ack().replacing("at_ms", 51u32))),
        "BAD_SIGNATURE"
    );
    let public = key().public();
    let by = Acknowledger {
        node: NODE,
        key: &public,
        step: "accepted",
    };
    assert_eq!(
        code_of(check(&by, &[[1; 32], [2; 32]], &ack())),
        "ACK_MISMATCH"
    );
    assert_eq!(
        code_of(check(&by, &[[1; 32], [3; 32], [2; 32]], &ack())),
        "BAD_SIGNATURE"
    );
    let with = |third: Message| {
        ack().without("dispositions").with_all(
            "dispositions",
            [disposition(1, 0, 0), disposition(2, 0, 40), third],
        )
    };
    assert_eq!(code_of(run(&with(disposition(3, 61, 0)))), "BAD_SIGNATURE");
    assert_eq!(code_of(run(&with(disposition(3, 0, 0)))), "ACK_MISMATCH");
    assert_eq!(code_of(run(&with(disposition(1, 60, 0)))), "ACK_MISMATCH");
    assert_eq!(code_of(run(&with(disposition(1, 0, 40)))), "ACK_MISMATCH");
    assert_eq!(code_of(run(&with(disposition(4, 0, 0)))), "ACK_MISMATCH");
    assert_eq!(code_of(run(&ack().without("signature"))), "BAD_SIGNATURE");
}
