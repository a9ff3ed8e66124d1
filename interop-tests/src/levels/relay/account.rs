//! The account that the level's letters go to: its secrets, kept between runs, and its grants.
//! Spec: MBX-2, MBX-3, MBX-4.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::{Stop, Went, fail, unsupported};
use super::Ground;
use super::invitations::Invitation;
use crate::clock::now_ms;
use crate::codec::Message;
use crate::codec::schema::{
    CALL, GRANT as GRANT_SCHEMA, MAILBOX_ADDRESS, PUBLISH_GRANT, SEALING_KEY,
};
use crate::config::Device;
use crate::crypto::account::{identity_key, sealing_seed};
use crate::crypto::contexts::GRANT;
use crate::crypto::keys::SecretKey;
use crate::crypto::signed::sign_one;
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
            let [device, root, epoch] =
                read(path).map_err(|why| Stop::Harness(format!("{}: {why}", path.display())))?;
            return Ok(of(SecretKey::from_seed(device), root, epoch));
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
    pub(super) fn grant(&self, authority: &str, mailbox: [u8; 16]) -> Message {
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

    pub(super) fn signed_grant(&self, grant: &Message) -> Message {
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
/// The call that brings a signed grant to its home.
pub(super) fn publish(signed: Vec<u8>) -> Message {
    Message::new(&CALL).with(
        "publish_grant",
        Message::new(&PUBLISH_GRANT).with("grant", signed),
    )
}

fn read(path: &Path) -> Result<[[u8; 32]; 3], String> {
    let text = std::fs::read_to_string(path).map_err(|why| why.to_string())?;
    let kept: Kept = serde_json::from_str(&text).map_err(|why| why.to_string())?;
    let secret = |text: &str| -> Result<[u8; 32], String> {
        let bytes = hex::decode(text).map_err(|why| why.to_string())?;
        bytes
            .try_into()
            .map_err(|_| "a secret has 32 bytes".to_owned())
    };
    Ok([
        secret(&kept.device)?,
        secret(&kept.root)?,
        secret(&kept.epoch_secret)?,
    ])
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(read(&path), Ok([[1; 32], [2; 32], [3; 32]]));
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
