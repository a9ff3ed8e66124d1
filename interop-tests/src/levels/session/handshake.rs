//! The handshake, right and wrong in one place each. Spec: SES-3.

use super::super::{Level, Run, Went, fail, refused};
use super::Ground;
use crate::codec::Message;
use crate::codec::schema::SIGNATURE;
use crate::codec::schema::SIGNED;
use crate::crypto::contexts::{HANDOVER, SESSION};
use crate::crypto::keys::SecretKey;
use crate::crypto::signed::sign_one;
use crate::session::{
    Failed, Hello, ROLE_SERVICE, Session, Who, begin, check_hello, hello_offering, proof, prove,
};

/// How far the server's clock may be from ours without our saying so.
const CLOCK_MAX_MS: u64 = 300_000;
const BATCHES_IN_FLIGHT_MAX: u64 = 64;

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    right(run, ground).await;
    versions(run, ground).await;
    proofs(run, ground).await;
}

async fn right(run: &mut Run<'_>, ground: &Ground) {
    let name = |case| ground.name(case);
    run.case(
        Level::Session,
        &name("service"),
        "a service is welcome",
        &["SES-3.4", "SES-3.6"],
        async {
            welcome(
                &Session::open(&ground.server, ground.via, ground.service()?)
                    .await?
                    .welcome,
            )
        },
    )
    .await;
    run.case(
        Level::Session,
        &name("device"),
        "a device that nobody knows is welcome",
        &["SES-3.5", "SES-3.6"],
        async {
            welcome(
                &Session::open(&ground.home, ground.via, &ground.stranger())
                    .await?
                    .welcome,
            )
        },
    )
    .await;
    run.case(
        Level::Session,
        &name("nonce-fresh"),
        "each handshake has its own nonce",
        &["SES-3.3"],
        async {
            let mut nonces = Vec::new();
            for _ in 0..4 {
                let connection = ground.server.dial(ground.via).await?;
                let (_stream, hello) = begin(&connection, &hello_offering(&[1])).await?;
                check_hello(&ground.server, connection.certified, &hello)?;
                nonces.push(hello.nonce);
            }
            nonces.sort();
            nonces.dedup();
            if nonces.len() == 4 {
                Ok(())
            } else {
                fail("a nonce came twice in four handshakes")
            }
        },
    )
    .await;
}

fn welcome(welcome: &Message) -> Went {
    let in_flight = welcome.number("max_batches_in_flight");
    if in_flight == 0 || in_flight > BATCHES_IN_FLIGHT_MAX {
        return fail(format!(
            "max_batches_in_flight is {in_flight}, not 1 to {BATCHES_IN_FLIGHT_MAX}"
        ));
    }
    let (theirs, ours) = (welcome.number("server_time_ms"), crate::clock::now_ms());
    if theirs.abs_diff(ours) > CLOCK_MAX_MS {
        return fail(format!(
            "server_time_ms is {theirs}, our clock reads {ours}"
        ));
    }
    Ok(())
}

/// Case 6: version 0, future, downgrade.
async fn versions(run: &mut Run<'_>, ground: &Ground) {
    let offers: [(&str, &str, &[u32], &[&str]); 6] = [
        (
            "version-0",
            "version 0 is never offered",
            &[0, 1],
            &["UNSUPPORTED_VERSION"],
        ),
        (
            "version-future",
            "only a future version",
            &[2],
            &["UNSUPPORTED_VERSION"],
        ),
        (
            "version-none",
            "no version at all",
            &[],
            // An empty message is an empty frame, which over WebSocket ends the stream.
            &["UNSUPPORTED_VERSION", "FRAME_EMPTY", "TRUNCATED"],
        ),
        (
            "versions-twice",
            "a version twice",
            &[1, 1],
            &["FIELD_INVALID"],
        ),
        (
            "versions-order",
            "versions descending",
            &[2, 1],
            &["FIELD_INVALID"],
        ),
        (
            "versions-17",
            "VERSIONS_MAX + 1 versions",
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17],
            &["TOO_MANY"],
        ),
    ];
    for (case, title, versions, codes) in offers {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-3.1"],
            async {
                let connection = ground.server.dial(ground.via).await?;
                let got = begin(&connection, &hello_offering(versions))
                    .await
                    .map(|(_, hello)| hello);
                refused(ground.via, got, codes)
            },
        )
        .await;
    }
    run.case(
        Level::Session,
        &ground.name("version-among"),
        "version 1 is chosen among later ones",
        &["SES-3.1"],
        async {
            let offered = [1, 2, u32::MAX];
            let who = ground.stranger();
            shake(ground, &who, &offered, |payload, _| payload)
                .await
                .map(drop)
                .map_err(Into::into)
        },
    )
    .await;
    run.case(
        Level::Session,
        &ground.name("downgrade"),
        "the proof names fewer versions than the hello",
        &["SES-3.4"],
        async {
            let who = ground.stranger();
            let got = shake(ground, &who, &[1, 2], |payload, _| {
                payload
                    .without("offered_versions")
                    .with("offered_versions", 1u32)
            })
            .await;
            refused(ground.via, got, &["UNSUPPORTED_VERSION"])
        },
    )
    .await;
}

/// A handshake whose proof `change` has changed before it is signed. Gives the `Welcome`.
pub(super) async fn shake(
    ground: &Ground,
    who: &Who,
    offered: &[u32],
    change: impl Fn(Message, &Hello) -> Message,
) -> Result<Message, Failed> {
    let connection = ground.server.dial(ground.via).await?;
    let (mut stream, hello) = begin(&connection, &hello_offering(offered)).await?;
    let payload = change(proof(who, offered, &hello), &hello);
    prove(&mut stream, &sign_one(SESSION, &payload.encode(), &who.key)).await
}

/// What the proof binds.
async fn proofs(run: &mut Run<'_>, ground: &Ground) {
    type Change = fn(Message) -> Message;
    let changes: [(&str, &str, Change, &[&str]); 10] = [
        (
            "nonce-wrong",
            "a proof over another nonce",
            |p| p.replacing("nonce", [9; 32]),
            &["AUTH_FAILED"],
        ),
        (
            "nonce-none",
            "a proof without a nonce",
            |p| p.without("nonce"),
            &["AUTH_FAILED", "FIELD_MISSING", "FIELD_INVALID"],
        ),
        (
            "server-key-wrong",
            "a proof for another server",
            |p| p.replacing("server_key", SecretKey::generate().public().0),
            &["AUTH_FAILED"],
        ),
        (
            "own-key-wrong",
            "a proof that names a key which did not sign",
            |p| p.replacing("own_key", SecretKey::generate().public().0),
            &["AUTH_FAILED"],
        ),
        (
            "own-key-weak",
            "a proof that names a key of small order",
            |p| p.replacing("own_key", [0; 32]),
            &["WEAK_KEY"],
        ),
        (
            "proof-version",
            "a proof of another version",
            |p| p.replacing("version", 2u32),
            &["UNSUPPORTED_VERSION"],
        ),
        (
            "role-none",
            "a proof without a role",
            |p| p.without("role"),
            &["FIELD_MISSING"],
        ),
        (
            "role-unknown",
            "a role that does not exist",
            |p| p.replacing("role", 9u32),
            &["FIELD_INVALID"],
        ),
        (
            "device-named",
            "a device with a name",
            |p| p.with("name", "rdv@interieur.gouv.fr"),
            &["FIELD_INVALID"],
        ),
        (
            "name-bad",
            "a service with a name that is none",
            |p| {
                p.replacing("role", ROLE_SERVICE)
                    .with("name", "RDV@interieur.gouv.fr")
            },
            &["FIELD_INVALID"],
        ),
    ];
    for (case, title, change, codes) in changes {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-3.4", "SES-3.5"],
            async {
                refused(
                    ground.via,
                    shake(ground, &ground.stranger(), &[1], |p, _| change(p)).await,
                    codes,
                )
            },
        )
        .await;
    }
    run.case(
        Level::Session,
        &ground.name("proof-replayed"),
        "a proof that another handshake used",
        &["SES-3.4"],
        async {
            let who = ground.stranger();
            let first = ground.server.dial(ground.via).await?;
            let (mut stream, hello) = begin(&first, &hello_offering(&[1])).await?;
            let signed = sign_one(SESSION, &proof(&who, &[1], &hello).encode(), &who.key);
            prove(&mut stream, &signed).await?;
            let second = ground.server.dial(ground.via).await?;
            let (mut stream, _) = begin(&second, &hello_offering(&[1])).await?;
            refused(
                ground.via,
                prove(&mut stream, &signed).await,
                &["AUTH_FAILED"],
            )
        },
    )
    .await;
    type Sign = fn(&[u8], &SecretKey) -> Vec<u8>;
    let signings: [(&str, &str, Sign, &[&str]); 4] = [
        (
            "signature-bad",
            "a signature with one bit changed",
            bit_flipped,
            &["BAD_SIGNATURE"],
        ),
        (
            "signature-context",
            "a signature of another context",
            |p, key| sign_one(HANDOVER, p, key),
            &["BAD_SIGNATURE"],
        ),
        (
            "signatures-two",
            "two signatures",
            twice_signed,
            &["SIGNATURE_COUNT"],
        ),
        (
            "signature-none",
            "no signature",
            |p, key| decoded(p, key).without("signatures").encode(),
            &["SIGNATURE_COUNT"],
        ),
    ];
    for (case, title, sign, codes) in signings {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-3.4", "SIG-5.1", "SIG-5.4"],
            async {
                let who = ground.stranger();
                let connection = ground.server.dial(ground.via).await?;
                let (mut stream, hello) = begin(&connection, &hello_offering(&[1])).await?;
                let payload = proof(&who, &[1], &hello).encode();
                refused(
                    ground.via,
                    prove(&mut stream, &sign(&payload, &who.key)).await,
                    codes,
                )
            },
        )
        .await;
    }
}

fn decoded(payload: &[u8], key: &SecretKey) -> Message {
    Message::decode(&SIGNED, &sign_one(SESSION, payload, key)).expect("own bytes")
}

fn bit_flipped(payload: &[u8], key: &SecretKey) -> Vec<u8> {
    let signed = decoded(payload, key);
    let signature = signed.message("signatures").cloned().expect("own bytes");
    let mut bytes = signature.bytes("signature").to_vec();
    bytes[0] ^= 1;
    signed
        .replacing("signatures", signature.replacing("signature", bytes))
        .encode()
}

fn twice_signed(payload: &[u8], key: &SecretKey) -> Vec<u8> {
    let signed = decoded(payload, key);
    let mut all: Vec<Message> = signed.messages("signatures").into_iter().cloned().collect();
    all.push(
        Message::new(&SIGNATURE)
            .with("key_id", [0xff; 32])
            .with("signature", [1; 64]),
    );
    signed
        .without("signatures")
        .with_all("signatures", all)
        .encode()
}
