//! `invite`: one-time invitations, made offline with the node's key. In: the same configuration file
//! as the node's, of which `authority`, `key` and `trust.root` are read. Out: links to hand over.
//! That each works once is for the running node's store to see to. Spec: MBX-1.

use pli_protocol::account::{Invitation, InvitationId, InvitationLink};
use pli_protocol::id::Timestamp;
use pli_protocol::limits::{INVITATION_ID_LEN, INVITATION_LIFETIME_MAX_MS};
use pli_protocol::trust::Directory;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::config::{Config, Period};
use crate::fatal::Fatal;
use crate::foundation;

/// Invitations of one run: a sheet for a counter, not for a town.
pub const COUNT_MAX: u32 = 10_000;

/// A day less than an invitation may last, so that a clock which is behind does not refuse it.
const VALID_FOR_MAX_MS: u64 = INVITATION_LIFETIME_MAX_MS - DAY_MS;
const DAY_MS: u64 = 86_400_000;

/// An invitation, as `--json` prints it, one a line.
#[derive(Clone, Debug, Serialize)]
pub struct Invited {
    /// Names the invitation; the node's log names it so when it is used.
    pub id: String,
    /// Until when it works, in Unix milliseconds.
    pub expires_ms: u64,
    /// What to hand over.
    pub link: String,
}

/// Makes `count` invitations that work for `valid_for`. Where there is a directory, it must let this
/// node host citizens, and list its key: a device would refuse the invitation otherwise.
pub fn invite(
    config: &Config,
    directory: Option<&Directory>,
    count: u32,
    valid_for: Period,
    now: Timestamp,
) -> Result<Vec<Invited>, Fatal> {
    let lifetime_ms = u64::try_from(valid_for.0.as_millis()).unwrap_or(u64::MAX);
    if lifetime_ms == 0 || lifetime_ms > VALID_FOR_MAX_MS {
        let days = VALID_FOR_MAX_MS / DAY_MS;
        return Err(Fatal::Usage(format!(
            "--valid-for: expected more than 0s, at most {days}d"
        )));
    }
    if count == 0 || count > COUNT_MAX {
        return Err(Fatal::Usage(format!(
            "--count: got {count}, expected 1 to {COUNT_MAX}"
        )));
    }
    let key = foundation::key(config)?;
    let root = std::fs::read(&config.trust.root).map_err(|error| {
        let path = config.trust.root.display();
        Fatal::Trust(match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("there is no {path}; the federation makes it with: pli federation publish")
            }
            _ => format!("{path}: {error}"),
        })
    })?;
    if let Some(directory) = directory {
        directory.home(&config.authority, now).map_err(|refusal| {
            Fatal::Trust(format!("no device could use an invitation: {refusal}"))
        })?;
        key.check_listed(directory, now)?;
    }
    let root_sha256: [u8; 32] = Sha256::digest(&root).into();
    let expires = now.plus_ms(lifetime_ms);
    let one = |_| {
        let mut id = [0; INVITATION_ID_LEN];
        getrandom::fill(&mut id)
            .map_err(|error| Fatal::Internal(format!("no random bytes: {error}")))?;
        let invitation = Invitation {
            id: InvitationId::new(id),
            home: config.authority.clone(),
            expires,
        };
        let link = InvitationLink {
            home: config.authority.clone(),
            root_sha256,
            invitation: invitation.sign(&key.key),
        };
        Ok(Invited {
            id: invitation.id.to_string(),
            expires_ms: expires.as_ms(),
            link: link.to_string(),
        })
    };
    (0..count).map(one).collect()
}
