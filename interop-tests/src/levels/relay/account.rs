//! The device and its account: enrolment by an invitation, grants, and where the secrets are kept between runs.
//! Spec: MBX-1 to MBX-4.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::super::{Level, Run, Stop, Went, fail, refused, unsupported};
use super::Ground;
use crate::clock::now_ms;
use crate::codec::Message;
use crate::codec::schema::{
    CALL, ENROL, ENROLMENT as ENROLMENT_SCHEMA, GRANT as GRANT_SCHEMA,
    INVITATION as INVITATION_SCHEMA, MAILBOX_ADDRESS, PUBLISH_GRANT, SEALING_KEY,
};
use crate::config::{Config, Device};
use crate::crypto::account::{identity_key, sealing_seed};
use crate::crypto::contexts::{ENROLMENT, GRANT, INVITATION};
use crate::crypto::keys::SecretKey;
use crate::crypto::signed::{Signed, sign_one};
use crate::crypto::{hpke, random};
use crate::dial::Server;
use crate::session::{Failed, Session, Who};

/// The only epoch of the suite's account.
const EPOCH: u32 = 1;
const CLASS_MESSAGE: u32 = 1;

/// The secrets of an account with one device.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) device: SecretKey,
    root: [u8; 32],
    epoch_secret: [u8; 32],
    /// The mailbox of this run.
    pub(super) mailbox: [u8; 16],
    home: String,
    authority: String,
}

#[derive(Deserialize, Serialize)]
struct Kept {
    device: String,
    root: String,
    epoch_secret: String,
}

impl Account {
    /// The kept account, or a new one by the invitation.
    pub(super) async fn ready(
        device: &Device,
        home: &Server,
        authority: &str,
    ) -> Result<Self, Stop> {
        let of = |device, root, epoch_secret| Self {
            device,
            root,
            epoch_secret,
            mailbox: random(),
            home: home.authority.clone(),
            authority: authority.to_owned(),
        };
        if let Some(path) = device.state_file.as_deref().filter(|path| path.exists()) {
            let kept =
                read(path).map_err(|why| Stop::Harness(format!("{}: {why}", path.display())))?;
            return Ok(of(SecretKey::from_seed(kept.0), kept.1, kept.2));
        }
        let Some(invitation) = &device.invitation else {
            return unsupported("[device] has neither a kept account nor an invitation");
        };
        let invitation = Invitation::parse(invitation)?;
        let account = of(SecretKey::generate(), random(), random());
        let call = invitation.enrol(&account.device, &home.authority);
        let session = Session::open(
            home,
            Ground::via(home),
            &Who::device(account.device.clone()),
        )
        .await?;
        let enrolled = session.ask(&call, "enrolled").await?;
        if enrolled.bytes("account_id").len() != 32 {
            return fail(format!(
                "an account id of {} bytes",
                enrolled.bytes("account_id").len()
            ));
        }
        if let Some(path) = &device.state_file {
            account
                .keep(path)
                .map_err(|why| Stop::Harness(format!("{}: {why}", path.display())))?;
        }
        Ok(account)
    }

    fn keep(&self, path: &Path) -> std::io::Result<()> {
        let kept = Kept {
            device: hex::encode(self.device.seed()),
            root: hex::encode(self.root),
            epoch_secret: hex::encode(self.epoch_secret),
        };
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        serde_json::to_writer(&mut file, &kept)?;
        file.write_all(b"\n")
    }

    /// The X-Wing seed of the mailbox's sealing key.
    pub(super) fn sealing_seed(&self) -> [u8; 32] {
        sealing_seed(&self.epoch_secret, &self.authority, EPOCH)
    }

    pub(super) fn sealing_key(&self) -> (Vec<u8>, u32) {
        (hpke::public_key(&self.sealing_seed()), EPOCH)
    }

    /// A right grant to `authority` for a mailbox; a case changes what it wants to be wrong.
    fn grant(&self, authority: &str, mailbox: [u8; 16]) -> Message {
        let address = Message::new(&MAILBOX_ADDRESS)
            .with("mailbox", mailbox)
            .with("home", self.home.as_str());
        let seed = sealing_seed(&self.epoch_secret, authority, EPOCH);
        let sealing = Message::new(&SEALING_KEY)
            .with("suite", hpke::SUITE)
            .with("epoch", EPOCH)
            .with("public_key", hpke::public_key(&seed));
        Message::new(&GRANT_SCHEMA)
            .with("version", 1u32)
            .with(
                "identity_key",
                identity_key(&self.root, authority).public().0,
            )
            .with("authority", authority)
            .with("mailbox", address)
            .with("sealing_key", sealing)
            .with("issued_ms", now_ms())
            .with("accepts", CLASS_MESSAGE)
    }

    fn signed_grant(&self, grant: &Message) -> Message {
        let key = identity_key(&self.root, grant.text("authority"));
        publish(sign_one(GRANT, &grant.encode(), &key))
    }

    /// Opens a mailbox to this authority; gives the mailbox.
    pub(super) async fn grant_to(
        &self,
        session: &Session,
        authority: &str,
    ) -> Result<[u8; 16], Failed> {
        let mailbox = random();
        session
            .ask(&self.signed_grant(&self.grant(authority, mailbox)), "done")
            .await?;
        Ok(mailbox)
    }
}

fn publish(signed: Vec<u8>) -> Message {
    Message::new(&CALL).with(
        "publish_grant",
        Message::new(&PUBLISH_GRANT).with("grant", signed),
    )
}

fn read(path: &Path) -> Result<([u8; 32], [u8; 32], [u8; 32]), String> {
    let text = std::fs::read_to_string(path).map_err(|why| why.to_string())?;
    let kept: Kept = serde_json::from_str(&text).map_err(|why| why.to_string())?;
    let secret = |text: &str| -> Result<[u8; 32], String> {
        let bytes = hex::decode(text).map_err(|why| why.to_string())?;
        bytes
            .try_into()
            .map_err(|_| "a secret has 32 bytes".to_owned())
    };
    Ok((
        secret(&kept.device)?,
        secret(&kept.root)?,
        secret(&kept.epoch_secret)?,
    ))
}

/// An invitation as the operator gave it.
#[derive(Clone, Debug)]
struct Invitation {
    signed: Vec<u8>,
    id: Vec<u8>,
}

impl Invitation {
    /// MBX-1.3
    fn parse(text: &str) -> Result<Self, Stop> {
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

    fn enrol(&self, device: &SecretKey, home: &str) -> Message {
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

/// Opens the mailbox of this run.
pub(super) async fn open_mailbox(ground: &Ground) -> Went {
    let account = &ground.account;
    let grant = account.grant(ground.authority(), account.mailbox);
    ground
        .at_home()
        .await?
        .ask(&account.signed_grant(&grant), "done")
        .await?;
    Ok(())
}

pub(super) async fn run(run: &mut Run<'_>, ground: &Ground, config: &Config) {
    run.case(
        Level::Relay,
        "enrolled",
        "a device with an account may sync",
        &["MBX-2.3"],
        async {
            let call = super::delivery::sync(0, false);
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
    grants(run, ground).await;
}

fn used(invitation: &Option<String>) -> Result<String, Stop> {
    invitation
        .clone()
        .ok_or_else(|| Stop::Unsupported("no invitation is configured".to_owned()))
}

async fn grants(run: &mut Run<'_>, ground: &Ground) {
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

    #[test]
    fn secrets_are_kept_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("device.json");
        let account = Account {
            device: SecretKey::from_seed([1; 32]),
            root: [2; 32],
            epoch_secret: [3; 32],
            mailbox: [4; 16],
            home: "a.fr".to_owned(),
            authority: "b.fr".to_owned(),
        };
        account.keep(&path).expect("written");
        assert_eq!(read(&path), Ok(([1; 32], [2; 32], [3; 32])));
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            account.keep(&path).is_err(),
            "an account is never written over"
        );
    }
}
