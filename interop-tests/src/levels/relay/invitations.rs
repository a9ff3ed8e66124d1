//! Enrolment by an invitation, and invitations that enrol nobody. Spec: MBX-1, MBX-2.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::{Level, Run, Stop, refused};
use super::{Ground, delivery};
use crate::clock::now_ms;
use crate::codec::Message;
use crate::codec::schema::{
    CALL, ENROL, ENROLMENT as ENROLMENT_SCHEMA, INVITATION as INVITATION_SCHEMA,
};
use crate::config::Config;
use crate::crypto::contexts::{ENROLMENT, INVITATION};
use crate::crypto::keys::SecretKey;
use crate::crypto::random;
use crate::crypto::signed::{Signed, sign_one};
use crate::session::{Session, Who};

/// An invitation as the operator gave it.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    signed: Vec<u8>,
    id: Vec<u8>,
}

impl Invitation {
    /// MBX-1.3
    pub(super) fn parse(text: &str) -> Result<Self, Stop> {
        let bad = |why: &str| Stop::Harness(format!("device.invitation: {why}"));
        let rest = text
            .strip_prefix("pli:invite?")
            .ok_or_else(|| bad("begins with pli:invite?"))?;
        let parts: Vec<&str> = rest.split('&').collect();
        let [home, root, invitation] = parts[..] else {
            return Err(bad("has home, root and i"));
        };
        if !home.starts_with("home=") || !root.starts_with("root=") {
            return Err(bad("has home, root and i, in that order"));
        }
        let encoded = invitation
            .strip_prefix("i=")
            .ok_or_else(|| bad("has no i"))?;
        let signed = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| bad("i is not base64url"))?;
        let payload = Signed::decode(INVITATION, &signed)
            .map_err(|refused| bad(&refused.to_string()))
            .and_then(|signed| {
                Message::decode(&INVITATION_SCHEMA, &signed.payload)
                    .map_err(|fault| bad(&fault.to_string()))
            })?;
        Ok(Self {
            id: payload.bytes("id").to_vec(),
            signed,
        })
    }

    fn enrolment(&self, device: &SecretKey, home: &str) -> Message {
        Message::new(&ENROLMENT_SCHEMA)
            .with("version", 1u32)
            .with("invitation_id", &self.id[..])
            .with("home", home)
            .with("device_key", device.public().0)
            .with("at_ms", now_ms())
    }

    pub(super) fn enrol(&self, device: &SecretKey, home: &str) -> Message {
        self.call(sign_one(
            ENROLMENT,
            &self.enrolment(device, home).encode(),
            device,
        ))
    }

    fn call(&self, enrolment: Vec<u8>) -> Message {
        let enrol = Message::new(&ENROL)
            .with("invitation", &self.signed[..])
            .with("enrolment", enrolment);
        Message::new(&CALL).with("enrol", enrol)
    }
}

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground, config: &Config) {
    run.case(
        Level::Relay,
        "enrolled",
        "a device with an account may sync",
        &["MBX-2.3"],
        async {
            let call = delivery::sync(0, false);
            ground
                .at_home()
                .await?
                .ask(&call, "page")
                .await
                .map(drop)
                .map_err(Into::into)
        },
    )
    .await;
    let invitation = config
        .device
        .as_ref()
        .and_then(|device| device.invitation.clone());
    run.case(
        Level::Relay,
        "invitation-used",
        "a used invitation enrols nobody else",
        &["MBX-1.4"],
        async {
            let invitation = Invitation::parse(&used(&invitation)?)?;
            let other = SecretKey::generate();
            let session = Session::open(
                &ground.home,
                Ground::via(&ground.home),
                &Who::device(other.clone()),
            )
            .await?;
            let call = invitation.enrol(&other, &ground.home.authority);
            refused(
                session.connection.via(),
                session.ask(&call, "enrolled").await,
                &["INVITATION_USED"],
            )
        },
    )
    .await;
    run.case(
        Level::Relay,
        "enrolment-of-another",
        "an enrolment by another key than holds the session",
        &["MBX-2.2"],
        async {
            let invitation = Invitation::parse(&used(&invitation)?)?;
            let (holder, other) = (SecretKey::generate(), SecretKey::generate());
            let session = Session::open(
                &ground.home,
                Ground::via(&ground.home),
                &Who::device(holder),
            )
            .await?;
            let call = invitation.enrol(&other, &ground.home.authority);
            refused(
                session.connection.via(),
                session.ask(&call, "enrolled").await,
                &["SENDER_MISMATCH"],
            )
        },
    )
    .await;
    run.case(
        Level::Relay,
        "invitation-forged",
        "an invitation that the home's node did not sign",
        &["MBX-1.1"],
        async {
            let forger = SecretKey::generate();
            let payload = Message::new(&INVITATION_SCHEMA)
                .with("version", 1u32)
                .with("id", random::<16>())
                .with("home", ground.home.authority.as_str())
                .with("expires_ms", now_ms() + 3_600_000);
            let signed = sign_one(INVITATION, &payload.encode(), &forger);
            let forged = Invitation {
                id: payload.bytes("id").to_vec(),
                signed,
            };
            let device = SecretKey::generate();
            let session = Session::open(
                &ground.home,
                Ground::via(&ground.home),
                &Who::device(device.clone()),
            )
            .await?;
            let call = forged.enrol(&device, &ground.home.authority);
            refused(
                session.connection.via(),
                session.ask(&call, "enrolled").await,
                &["UNKNOWN_KEY"],
            )
        },
    )
    .await;
}

fn used(invitation: &Option<String>) -> Result<String, Stop> {
    invitation
        .clone()
        .ok_or_else(|| Stop::Unsupported("no invitation is configured".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mbx_1_3_invitation_text() {
        let key = SecretKey::from_seed([5; 32]);
        let payload = Message::new(&INVITATION_SCHEMA)
            .with("version", 1u32)
            .with("id", [3; 16]);
        let signed = URL_SAFE_NO_PAD.encode(sign_one(INVITATION, &payload.encode(), &key));
        let text = format!("pli:invite?home=a.fr&root={}&i={signed}", "0".repeat(64));
        assert_eq!(Invitation::parse(&text).expect("right").id, [3; 16]);
        for bad in [
            text.replace("pli:", ""),
            text.replace("&root=", "&r="),
            text.replace("&i=", "&i=%"),
            format!("{text}&x=1"),
        ] {
            assert!(
                matches!(Invitation::parse(&bad), Err(Stop::Harness(_))),
                "{bad}"
            );
        }
    }
}
