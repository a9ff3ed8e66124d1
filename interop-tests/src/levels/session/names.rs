//! Who may bear which name: the directory decides; and whom a node lets in at all. Spec: SES-3.5, SES-3.7.

use super::super::{Level, Run, refused, unsupported};
use super::Ground;
use super::handshake::shake;
use crate::crypto::keys::SecretKey;
use crate::session::{ROLE_NODE, ROLE_SERVICE, Who};

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground) {
    let stranger_as = |role, name: &str| Who {
        role,
        name: name.to_owned(),
        key: SecretKey::generate(),
    };
    let own = ground.server.authority.as_str();
    let service = ground.service.as_ref();
    let unlisted = format!("no-such-service-interop@{own}");
    // Another authority that takes part, if the run knows one.
    let other = Some(ground.home.authority.as_str()).filter(|other| *other != own);
    let service_as_node = |name: &&str| {
        service.map(|who| Who {
            role: ROLE_NODE,
            name: (*name).to_owned(),
            key: who.key.clone(),
        })
    };
    let cases: [(&str, &str, Option<Who>, &str); 6] = [
        (
            "key-unknown",
            "a key that the service does not list",
            service.map(|who| stranger_as(ROLE_SERVICE, &who.name)),
            "UNKNOWN_KEY",
        ),
        (
            "service-unknown",
            "a service that the authority does not list",
            Some(stranger_as(ROLE_SERVICE, &unlisted)),
            "UNKNOWN_SERVICE",
        ),
        (
            "service-elsewhere",
            "a service of another authority than the node's",
            Some(stranger_as(ROLE_SERVICE, "rdv@no-such-authority.example")),
            "NOT_AUTHORITATIVE",
        ),
        (
            "node-itself",
            "a node that names the server's own authority",
            Some(stranger_as(ROLE_NODE, own)),
            "NOT_AUTHORITATIVE",
        ),
        (
            "node-unknown",
            "a node of an authority that is not listed",
            Some(stranger_as(ROLE_NODE, "no-such-authority.example")),
            "UNKNOWN_AUTHORITY",
        ),
        (
            "role-wrong",
            "a service's key in the role of a node",
            other.as_ref().and_then(service_as_node),
            "UNKNOWN_KEY",
        ),
    ];
    for (case, title, who, wanted) in cases {
        run.case(
            Level::Session,
            &ground.name(case),
            title,
            &["SES-3.5", "SES-3.7", "TRU-4.6"],
            async {
                let Some(who) = who else {
                    return unsupported("no [service] or no second node is configured");
                };
                refused(
                    ground.via,
                    shake(ground, &who, &[1], |p, _| p).await,
                    &[wanted],
                )
            },
        )
        .await;
    }
}
