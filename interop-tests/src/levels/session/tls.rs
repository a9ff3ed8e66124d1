//! Below the session: TLS, ALPN, key exchange, the certificate's key, the WebSocket. Spec: SES-1, SES-6.

use super::super::{Level, Run, Went, fail, refused};
use super::Ground;
use crate::dial::websocket::{NotASession, misuse};
use crate::dial::{DialError, Groups, Offer, Via};
use crate::session::{Session, begin, check_hello, hello_offering};

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    let case = |case| ground.name(case);
    run.case(
        Level::Session,
        &case("certificate"),
        "the certificate, the hello and the configuration name one Ed25519 key",
        &["SES-1.2", "SES-3.3"],
        async {
            let connection = ground.server.dial(ground.via).await?;
            let (_stream, hello) = begin(&connection, &hello_offering(&[1])).await?;
            check_hello(&ground.server, connection.certified, &hello).map_err(Into::into)
        },
    )
    .await;
    run.case(
        Level::Session,
        &case("hybrid"),
        "X25519MLKEM768 alone is enough, and is chosen when it is offered first",
        &["SES-1.3"],
        async {
            let offer = Offer {
                groups: Groups::OnlyHybrid,
                ..Offer::right(ground.via)
            };
            let connection = ground.server.dial_with(ground.via, &offer).await?;
            begin(&connection, &hello_offering(&[1])).await?;
            let preferred = ground.server.dial(ground.via).await?;
            // QUIC's library does not show the group; there the first half of this case must do.
            match preferred.group.as_deref() {
                Some("X25519MLKEM768") | None => Ok(()),
                Some(other) => fail(format!("the server chose {other}")),
            }
        },
    )
    .await;
    run.case(
        Level::Session,
        &case("x25519"),
        "a peer that lacks it may use X25519",
        &["SES-1.3"],
        async {
            let offer = Offer {
                groups: Groups::OnlyX25519,
                ..Offer::right(ground.via)
            };
            let connection = ground.server.dial_with(ground.via, &offer).await?;
            begin(&connection, &hello_offering(&[1]))
                .await
                .map(drop)
                .map_err(Into::into)
        },
    )
    .await;
    match ground.via {
        Via::Quic => quic(run, ground).await,
        Via::WebSocket => websocket(run, ground).await,
    }
}

async fn quic(run: &mut Run<'_>, ground: &Ground) {
    for (case, title, alpn) in [
        (
            "alpn-other",
            "another ALPN is refused by TLS",
            vec![b"pli/2".to_vec()],
        ),
        ("alpn-h3", "HTTP/3 is refused by TLS", vec![b"h3".to_vec()]),
        ("alpn-none", "no ALPN is refused by TLS", vec![]),
    ] {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-1.1"],
            async {
                let offer = Offer {
                    alpn,
                    ..Offer::right(Via::Quic)
                };
                not_let_in(ground, &offer, "QUIC").await
            },
        )
        .await;
    }
}

async fn websocket(run: &mut Run<'_>, ground: &Ground) {
    run.case(
        Level::Session,
        &ground.name("tls12"),
        "TLS 1.2 is refused",
        &["SES-1.1"],
        async {
            let offer = Offer {
                only_tls12: true,
                groups: Groups::OnlyX25519,
                ..Offer::right(Via::WebSocket)
            };
            not_let_in(ground, &offer, "TLS").await
        },
    )
    .await;
    for (case, title, how) in [
        (
            "path-other",
            "another path is no session",
            NotASession::OtherPath,
        ),
        (
            "plain-get",
            "a plain HTTP request is no session",
            NotASession::PlainGet,
        ),
        (
            "text-message",
            "a text message closes the connection",
            NotASession::TextMessage,
        ),
        (
            "not-yamux",
            "bytes that are not yamux close the connection",
            NotASession::Garbage,
        ),
    ] {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-6.1", "SES-6.2", "SES-6.3"],
            async {
                misuse(&ground.server, how)
                    .await?
                    .map_or_else(fail, |()| Ok(()))?;
                // Nobody else suffers.
                Session::open(&ground.server, Via::WebSocket, &ground.stranger())
                    .await
                    .map(drop)
                    .map_err(Into::into)
            },
        )
        .await;
    }
}

/// The dial is refused, at this stage and no other; or the server closes at the first frame, since TLS 1.3 lets a
/// client believe for half a round trip that it is in.
async fn not_let_in(ground: &Ground, offer: &Offer, stage_wanted: &str) -> Went {
    match ground.server.dial_with(ground.via, offer).await {
        Err(DialError::Refused { stage, .. }) if stage == stage_wanted => Ok(()),
        Err(error) => Err(error.into()),
        Ok(connection) => match begin(&connection, &hello_offering(&[1])).await {
            Err(crate::session::Failed::Ended(ended)) if ended.is_an_end() => Ok(()),
            got => refused(
                ground.via,
                got.map(|(_, hello)| hello),
                &["UNSUPPORTED_VERSION"],
            ),
        },
    }
}
