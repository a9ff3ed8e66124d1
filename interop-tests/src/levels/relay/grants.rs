//! Grants that a home does not take. Spec: MBX-4.

use super::super::{Level, Run, refused};
use super::Ground;
use super::account::publish;
use crate::clock::now_ms;
use crate::codec::Message;
use crate::crypto::contexts::GRANT;
use crate::crypto::keys::SecretKey;
use crate::crypto::random;
use crate::crypto::signed::sign_one;

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    type Change = fn(Message) -> Message;
    let account = &ground.account;
    let elsewhere: Change = |grant| {
        let address = grant.message("mailbox").cloned().expect("a grant has one");
        grant.replacing(
            "mailbox",
            address.replacing("home", "no-such-authority.example"),
        )
    };
    let cases: [(&str, &str, Change, &str); 5] = [
        (
            "grant-elsewhere",
            "a grant for a mailbox of another home",
            elsewhere,
            "WRONG_HOME",
        ),
        (
            "grant-early",
            "a grant of the day after tomorrow",
            |g| g.replacing("issued_ms", now_ms() + 172_800_000),
            "NOT_YET_VALID",
        ),
        (
            "grant-no-class",
            "a grant that accepts nothing",
            |g| g.without("accepts"),
            "FIELD_MISSING",
        ),
        (
            "grant-version",
            "a grant of version 2",
            |g| g.replacing("version", 2u32),
            "UNSUPPORTED_VERSION",
        ),
        (
            "grant-class-order",
            "a grant with its classes descending",
            |g| g.with("accepts", 1u32),
            "NOT_CANONICAL",
        ),
    ];
    for (case, title, change, code) in cases {
        run.case(Level::Relay, case, title, &["MBX-4.1", "MBX-4.2"], async {
            let grant = change(account.grant(ground.authority(), random()));
            let session = ground.at_home().await?;
            refused(
                session.connection.via(),
                session.ask(&account.signed_grant(&grant), "done").await,
                &[code],
            )
        })
        .await;
    }
    run.case(
        Level::Relay,
        "grant-unknown-authority",
        "a grant to an authority that is not listed",
        &["MBX-4.2"],
        async {
            let session = ground.at_home().await?;
            let granted = account
                .grant_to(&session, "no-such-authority.example")
                .await;
            refused(session.connection.via(), granted, &["UNKNOWN_AUTHORITY"])
        },
    )
    .await;
    run.case(
        Level::Relay,
        "grant-forged",
        "a grant that its identity key did not sign",
        &["MBX-4.1"],
        async {
            let grant = account.grant(ground.authority(), random());
            let session = ground.at_home().await?;
            let call = publish(sign_one(GRANT, &grant.encode(), &SecretKey::generate()));
            refused(
                session.connection.via(),
                session.ask(&call, "done").await,
                &["UNKNOWN_KEY"],
            )
        },
    )
    .await;
    run.case(
        Level::Relay,
        "grant-stale",
        "an older grant, or one by another key, replaces nothing",
        &["MBX-4.3"],
        async {
            let session = ground.at_home().await?;
            let via = session.connection.via();
            let first = account.grant(ground.authority(), random());
            session.ask(&account.signed_grant(&first), "done").await?;
            let older = first
                .clone()
                .replacing("issued_ms", first.number("issued_ms") - 1);
            refused(
                via,
                session.ask(&account.signed_grant(&older), "done").await,
                &["STALE_GRANT"],
            )?;
            let thief = SecretKey::generate();
            let stolen = first
                .clone()
                .replacing("identity_key", thief.public().0)
                .replacing("issued_ms", first.number("issued_ms") + 1);
            let call = publish(sign_one(GRANT, &stolen.encode(), &thief));
            refused(via, session.ask(&call, "done").await, &["STALE_GRANT"])?;
            let newer = first
                .clone()
                .replacing("issued_ms", first.number("issued_ms") + 1);
            session
                .ask(&account.signed_grant(&newer), "done")
                .await
                .map(drop)
                .map_err(Into::into)
        },
    )
    .await;
}
