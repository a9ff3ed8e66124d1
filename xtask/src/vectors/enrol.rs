//! Invitations and enrolments: MBX-1, MBX-2.

use bytes::Bytes;
use pli_protocol::account::{Enrolment, Invitation, InvitationId};
use pli_protocol::crypto::contexts::{ENROLMENT, INVITATION};
use pli_protocol::id::Timestamp;
use pli_protocol::limits::{CLOCK_SKEW_MAX_MS, INVITATION_LIFETIME_MAX_MS};
use pli_protocol::{codec, wire};
use serde_json::{Value, json};

use super::account::{AUTHORITY, HOME, authority};
use super::annotate::Annotator;
use super::case::{Ask, Bent, File};
use super::samples::{
    DAY_MS, NOW_MS, bent, device_key, flipped, hex, node_key, other_key, read, sign,
};

fn invitation() -> Invitation {
    Invitation {
        id: InvitationId::new([0x31; 16]),
        home: authority(HOME),
        expires: Timestamp::from_ms(NOW_MS + DAY_MS),
    }
}

pub(super) fn invitations(file: &mut File, annotator: &Annotator) {
    let ask = |id, title, requirements, signed: &Bytes, home: &str, now_ms: u64| Ask {
        id,
        title,
        requirements,
        op: "invitation.check",
        input: json!({ "signed": hex(signed), "key": hex(node_key().public().as_bytes()), "home": home, "now_ms": now_ms }),
    };
    let ok = |expires_ms: u64| -> Value {
        json!({ "invitation_id": hex([0x31; 16]), "expires_ms": expires_ms })
    };
    let signed = invitation().sign(&node_key());
    let (expires, r1, r2): (u64, &[&str], &[&str]) = (NOW_MS + DAY_MS, &["MBX-1.1"], &["MBX-1.2"]);
    file.accepts(
        ask(
            "invitation",
            "by the node's key, for this home, in time",
            &["MBX-1.1", "MBX-1.2"],
            &signed,
            HOME,
            NOW_MS,
        ),
        ok(expires),
    );
    file.annotate("signed", annotator.message("Signed", "Invitation", &signed));
    let forged = invitation().sign(&other_key());
    file.refuses(
        ask(
            "invitation-forged",
            "by another key",
            r1,
            &forged,
            HOME,
            NOW_MS,
        ),
        "invitation",
        "UNKNOWN_KEY",
    );
    let garbled = bent(&signed, |s| s.payload = flipped(&s.payload, 5));
    file.refuses(
        ask(
            "invitation-bent",
            "another id than was signed",
            r1,
            &garbled,
            HOME,
            NOW_MS,
        ),
        "invitation",
        "BAD_SIGNATURE",
    );
    file.refuses(
        ask(
            "invitation-elsewhere",
            "at another home",
            r2,
            &signed,
            AUTHORITY,
            NOW_MS,
        ),
        "invitation",
        "WRONG_HOME",
    );
    file.refuses(
        ask(
            "invitation-expired",
            "at its expiry",
            r2,
            &signed,
            HOME,
            expires,
        ),
        "invitation",
        "INVITATION_EXPIRED",
    );
    let mut longest = invitation();
    longest.expires = Timestamp::from_ms(NOW_MS + INVITATION_LIFETIME_MAX_MS);
    let limit = longest.sign(&node_key());
    file.accepts(
        ask(
            "invitation-30-days",
            "thirty days ahead",
            r2,
            &limit,
            HOME,
            NOW_MS,
        ),
        ok(NOW_MS + INVITATION_LIFETIME_MAX_MS),
    );
    longest.expires = longest.expires.plus_ms(1);
    let over = longest.sign(&node_key());
    file.refuses(
        ask(
            "invitation-over",
            "a millisecond more",
            r2,
            &over,
            HOME,
            NOW_MS,
        ),
        "invitation-30-days",
        "LIFETIME_TOO_LONG",
    );
    let payload = |bend: fn(&mut wire::Invitation)| {
        let signed: wire::Signed = read(&signed);
        let mut payload: wire::Invitation = read(&signed.payload);
        bend(&mut payload);
        sign(INVITATION, codec::encode(&payload), &node_key())
    };
    #[rustfmt::skip]
    let cases: [Bent<wire::Invitation>; 3] = [
        ("invitation-version", "a version of the future", |i| i.version = 2, "UNSUPPORTED_VERSION"),
        ("invitation-id", "an id of 15 bytes", |i| i.id.truncate(15), "FIELD_INVALID"),
        ("invitation-no-expiry", "no expiry", |i| i.expires_ms = 0, "FIELD_MISSING"),
    ];
    for (id, title, bend, code) in cases {
        file.refuses(
            ask(id, title, r1, &payload(bend), HOME, NOW_MS),
            "invitation",
            code,
        );
    }
}

pub(super) fn enrolments(file: &mut File, annotator: &Annotator) {
    let (device, now) = (device_key(), Timestamp::from_ms(NOW_MS));
    let signed = Enrolment::sign(&invitation(), &device, now);
    let ask = |id, title, signed: &Bytes, session: &[u8], now_ms: u64| Ask {
        id,
        title,
        requirements: &["MBX-2.2"],
        op: "enrolment.check",
        input: json!({
            "signed": hex(signed), "home": HOME, "invitation_id": hex([0x31; 16]), "session": hex(session),
            "now_ms": now_ms,
        }),
    };
    let key = *device.public().as_bytes();
    file.accepts(
        ask(
            "enrolment",
            "a device uses its invitation",
            &signed,
            &key,
            NOW_MS,
        ),
        json!({ "device_key": hex(key) }),
    );
    file.annotate("signed", annotator.message("Signed", "Enrolment", &signed));
    file.refuses(
        ask(
            "enrolment-session",
            "in another device's session",
            &signed,
            other_key().public().as_bytes(),
            NOW_MS,
        ),
        "enrolment",
        "SENDER_MISMATCH",
    );
    file.refuses(
        ask(
            "enrolment-late",
            "more than five minutes later",
            &signed,
            &key,
            NOW_MS + CLOCK_SKEW_MAX_MS + 1,
        ),
        "enrolment",
        "EXPIRED",
    );
    file.refuses(
        ask(
            "enrolment-early",
            "more than five minutes before",
            &signed,
            &key,
            NOW_MS - CLOCK_SKEW_MAX_MS - 1,
        ),
        "enrolment",
        "NOT_YET_VALID",
    );
    let payload = |bend: fn(&mut wire::Enrolment)| {
        let signed: wire::Signed = read(&signed);
        let mut payload: wire::Enrolment = read(&signed.payload);
        bend(&mut payload);
        sign(ENROLMENT, codec::encode(&payload), &device_key())
    };
    #[rustfmt::skip]
    let cases: [Bent<wire::Enrolment>; 4] = [
        ("enrolment-invitation", "another invitation than it came with", |e| e.invitation_id = vec![0x32; 16].into(), "FIELD_INVALID"),
        ("enrolment-home", "another home", |e| e.home = AUTHORITY.into(), "WRONG_HOME"),
        ("enrolment-key", "a key that did not sign", |e| e.device_key = Bytes::copy_from_slice(other_key().public().as_bytes()), "UNKNOWN_KEY"),
        ("enrolment-version", "a version of the future", |e| e.version = 2, "UNSUPPORTED_VERSION"),
    ];
    for (id, title, bend, code) in cases {
        file.refuses(
            ask(id, title, &payload(bend), &key, NOW_MS),
            "enrolment",
            code,
        );
    }
}
