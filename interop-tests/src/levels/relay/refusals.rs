//! Letters that are wrong in one place, each with its code, and never at the cost of their neighbours (R1).
//! Spec: CUS-1.4, CUS-5, ENV, TRU-4.

use std::time::Duration;

use super::super::{Level, Run, Went, fail, unsupported};
use super::{Ground, custody, letters, submit};
use crate::clock::now_ms;
use crate::code;
use crate::codec::Message;
use crate::codec::schema::{ENVELOPE as ENVELOPE_SCHEMA, EXTENSION, SIGNED};
use crate::crypto::contexts::ENVELOPE;
use crate::crypto::keys::SecretKey;
use crate::crypto::random;
use crate::crypto::signed::sign_one;
use crate::validator::header::ENVELOPE_LIFETIME_MAX_MS;

const HOUR_MS: u64 = 3_600_000;
/// How long a node may take to learn that the home refuses.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

/// (case, title, requirement, the letter, the codes that are right).
type Bad = (
    &'static str,
    &'static str,
    &'static str,
    Vec<u8>,
    &'static [&'static str],
);

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    for (case, title, requirement, letter, codes) in bad(ground) {
        run.case(
            Level::Relay,
            case,
            title,
            &[requirement, "CUS-1.4"],
            async { among_good_ones(ground, letter, codes).await },
        )
        .await;
    }
    run.case(
        Level::Relay,
        "key-revoked",
        "a key whose time has passed",
        &["TRU-4.3"],
        async {
            let Some(revoked) = &ground.service.revoked else {
                return unsupported("no revoked_key_file is configured");
            };
            let letter = letters::letter_under(ground, &letters::header(ground), revoked);
            among_good_ones(ground, letter, &["KEY_NOT_VALID"]).await
        },
    )
    .await;
    run.case(
        Level::Relay,
        "mailbox-unknown",
        "a mailbox that the home does not keep",
        &["CUS-5.4", "CUS-6.6"],
        async { refused_by_home(ground, random(), "UNKNOWN_MAILBOX").await },
    )
    .await;
    run.case(
        Level::Relay,
        "mailbox-of-another",
        "a mailbox that was granted to another authority",
        &["CUS-5.4", "MBX-4.4"],
        async {
            if ground.is_one_node() {
                return unsupported("no second authority is configured");
            }
            let session = ground.at_home().await?;
            let other = ground.home.authority.as_str();
            let mailbox = ground.account.grant_to(&session, other).await?;
            refused_by_home(ground, mailbox, "NOT_GRANTED").await
        },
    )
    .await;
}

/// R1: the bad one in the middle is refused with its code; the good ones around it are accepted.
async fn among_good_ones(ground: &Ground, bad: Vec<u8>, codes: &[&str]) -> Went {
    let mut all = letters::letters(ground, &["avant", "après"]);
    all.insert(1, bad);
    let session = ground.at_origin().await?;
    let acknowledged = submit::submit(ground, &session, &all).await?;
    submit::each_accepted(&acknowledged[..1])?;
    submit::each_accepted(&acknowledged[2..])?;
    match acknowledged[1].refused {
        Some(number)
            if codes
                .iter()
                .any(|name| u64::from(code::number(name)) == number) =>
        {
            Ok(())
        }
        _ => fail(format!(
            "{}, wanted {}",
            submit::said(&acknowledged[1]),
            codes.join(" or ")
        )),
    }
}

/// What the home alone can know: refused at once when the origin is the home, otherwise shown by `Track` with
/// the home's own receipt (CUS-6.6).
async fn refused_by_home(ground: &Ground, mailbox: [u8; 16], wanted: &'static str) -> Went {
    let header = letters::header_to(ground, mailbox);
    let letter = letters::letter_under(ground, &header, &ground.service.key);
    if ground.is_one_node() {
        return among_good_ones(ground, letter, &[wanted]).await;
    }
    let id = submit::accepted(ground, &letter).await?;
    let ends = ["refused", "undeliverable", "stored", "retrieved"];
    let receipts = custody::track_until(ground, id, &ends, REFUSED_WITHIN).await?;
    match receipts.last() {
        Some(receipt)
            if receipt.step == "refused"
                && receipt.node == ground.home.authority
                && receipt.code.as_deref() == Some(wanted) =>
        {
            Ok(())
        }
        got => fail(format!("{got:?}, wanted the home's refusal with {wanted}")),
    }
}

fn bad(ground: &Ground) -> Vec<Bad> {
    let key = &ground.service.key;
    let right = || letters::header(ground);
    let under = |header: Message| letters::letter_under(ground, &header, key);
    let elsewhere = |home: &str| {
        let recipient = right()
            .message("recipient")
            .cloned()
            .expect("a header has one");
        right().replacing("recipient", recipient.replacing("home", home))
    };
    let now = now_ms();
    let other_service = format!("no-such-service-interop@{}", ground.authority());
    let other_authority = format!(
        "rdv@{}",
        if ground.is_one_node() {
            "no-such-authority.example"
        } else {
            &ground.home.authority
        }
    );
    let critical = Message::new(&EXTENSION)
        .with("id", 4_711u32)
        .with("critical", true);
    let mut not_canonical = letters::letter(ground, "x");
    not_canonical.extend_from_slice(&[0xf8, 0x7f, 1]);
    vec![
        (
            "signature-bad",
            "a signature with one bit changed",
            "SIG-5.4",
            bit_flipped(&letters::letter(ground, "x")),
            &["BAD_SIGNATURE"],
        ),
        (
            "readdressed",
            "a letter whose recipient was changed after it was signed",
            "ENV-4.10",
            readdressed(ground),
            &["BAD_SIGNATURE"],
        ),
        (
            "key-unknown",
            "a key that the service does not list",
            "TRU-4.3",
            letters::letter_under(ground, &right(), &SecretKey::generate()),
            &["UNKNOWN_KEY"],
        ),
        (
            "expired",
            "a letter past its expiry",
            "ENV-4.6",
            under(
                right()
                    .replacing("created_ms", now - 2 * HOUR_MS)
                    .replacing("expires_ms", now - HOUR_MS),
            ),
            &["EXPIRED"],
        ),
        (
            "not-yet-valid",
            "a letter of tomorrow",
            "ENV-4.7",
            under(
                right()
                    .replacing("created_ms", now + 24 * HOUR_MS)
                    .replacing("expires_ms", now + 48 * HOUR_MS),
            ),
            &["NOT_YET_VALID"],
        ),
        (
            "lifetime",
            "a lifetime of 400 days and a millisecond",
            "ENV-4.5",
            under(
                right()
                    .replacing("created_ms", now)
                    .replacing("expires_ms", now + ENVELOPE_LIFETIME_MAX_MS + 1),
            ),
            &["LIFETIME_TOO_LONG"],
        ),
        (
            "home-unknown",
            "a home that is no authority of the federation",
            "TRU-4.5",
            under(elsewhere("no-such-authority.example")),
            &["UNKNOWN_AUTHORITY", "CANNOT_HOST"],
        ),
        (
            "sender-of-another",
            "a sender of another authority",
            "CUS-5.1",
            under(right().replacing("service", other_authority.as_str())),
            &[
                "NOT_AUTHORITATIVE",
                "SENDER_MISMATCH",
                "UNKNOWN_SERVICE",
                "UNKNOWN_KEY",
                "UNKNOWN_AUTHORITY",
            ],
        ),
        (
            "sender-unlisted",
            "a sender that the authority does not list",
            "TRU-4.2",
            under(right().replacing("service", other_service.as_str())),
            &["UNKNOWN_SERVICE", "SENDER_MISMATCH"],
        ),
        (
            "oversized",
            "a letter over ENVELOPE_MAX",
            "ENV-3.2",
            oversized(ground),
            &["ENVELOPE_TOO_LARGE"],
        ),
        (
            "garbage",
            "bytes that are no letter",
            "SIG-1.1",
            vec![0xff; 300],
            &["DECODE"],
        ),
        (
            "empty",
            "no bytes at all",
            "SIG-3.3",
            Vec::new(),
            &["BAD_INCLUSION", "SIGNATURE_COUNT", "FIELD_MISSING"],
        ),
        (
            "not-canonical",
            "a letter with an unknown field behind it",
            "SIG-1.2",
            not_canonical,
            &["NOT_CANONICAL"],
        ),
        (
            "version-2",
            "a header of version 2",
            "ENV-4.2",
            under(right().replacing("version", 2u32)),
            &["UNSUPPORTED_VERSION"],
        ),
        (
            "extension-critical",
            "an unknown critical extension",
            "SIG-6.2",
            under(right().with("extensions", critical)),
            &["UNKNOWN_CRITICAL_EXTENSION"],
        ),
        (
            "suite-unknown",
            "a sealing suite that nobody has",
            "ENV-5.2",
            other_suite(ground),
            &["UNKNOWN_SUITE"],
        ),
        (
            "class-none",
            "a header without a class",
            "ENV-4.3",
            under(right().without("class")),
            &["FIELD_MISSING"],
        ),
    ]
}

fn bit_flipped(letter: &[u8]) -> Vec<u8> {
    let signed = Message::decode(&SIGNED, letter).expect("own bytes");
    let signature = signed.message("signatures").cloned().expect("own bytes");
    let mut bytes = signature.bytes("signature").to_vec();
    bytes[3] ^= 0x10;
    signed
        .replacing("signatures", signature.replacing("signature", bytes))
        .encode()
}

fn readdressed(ground: &Ground) -> Vec<u8> {
    let signed = Message::decode(&SIGNED, &letters::letter(ground, "x")).expect("own bytes");
    let envelope = Message::decode(&ENVELOPE_SCHEMA, signed.bytes("payload")).expect("own bytes");
    let header = letters::header_to(ground, random());
    signed
        .replacing(
            "payload",
            envelope.replacing("header", header.encode()).encode(),
        )
        .encode()
}

/// An envelope with its body changed before it is signed.
fn with_body(ground: &Ground, change: impl Fn(Message) -> Message) -> Vec<u8> {
    let payload = letters::payload(ground, &letters::header(ground), "x");
    let envelope = Message::decode(&ENVELOPE_SCHEMA, &payload).expect("own bytes");
    let body = envelope.message("body").cloned().expect("own bytes");
    sign_one(
        ENVELOPE,
        &envelope.replacing("body", change(body)).encode(),
        &ground.service.key,
    )
}

fn oversized(ground: &Ground) -> Vec<u8> {
    with_body(ground, |body| body.replacing("ciphertext", vec![7; 45_000]))
}

fn other_suite(ground: &Ground) -> Vec<u8> {
    with_body(ground, |body| body.replacing("suite", 4_711u32))
}
