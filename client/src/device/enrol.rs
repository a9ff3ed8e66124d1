//! Enrolment: from an invitation link to a device of an account. Spec: MBX-1, MBX-2.
//!
//! Everything can be tried again: what comes to nothing leaves nothing behind, and where the home may
//! have enrolled the device and its answer was lost, the keys stay, it answers the same device with the
//! same invitation the same way, and `device.toml` is written last.

use std::path::Path;
use std::sync::Arc;

use pli_protocol::account::{AccountError, Enrolment, Invitation, InvitationLink};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::id::{AccountId, AuthorityId, IdError, to_hex};
use pli_protocol::session::Principal;
use pli_protocol::trust::TrustRefusal;
use pli_protocol::wire;
use pli_transport::{Credential, Dialler};
use pli_trust::keyfile::{self, KeyFileError};
use pli_trust::source::SourceError;
use pli_trust::{Source, TrustError};

use super::config::{self, DeviceConfig, Paths, SecretsFileError};
use super::traces::Traces;
use crate::call::{self, CallError};
use crate::clock;
use crate::directory::{DirectoryError, OpenDirectory};
use crate::folder::{self, FileError, Secrecy};
use crate::reach::{self, ReachError};
use crate::service::config::ConfigError;

/// What enrolling needs.
#[derive(Clone, Debug)]
pub struct EnrolRequest {
    /// What the operator of the home gave.
    pub link: InvitationLink,
    /// Where the directory can be fetched for the first time; nobody there has to be trusted.
    pub source: String,
    /// Accepts published test keys.
    pub dev: bool,
}

/// Why a device was not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// It is one already.
    #[error(
        "{folder} is a device of {home} already; use another folder (--home) for another account"
    )]
    Already { folder: String, home: String },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The account's secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsFileError),
    /// No root that the invitation pins. Whoever typed the link or the place is to blame, or nobody.
    #[error(
        "the invitation expects a root with the SHA-256 {expected}: {source}; copy the whole invitation again and check the place of the directory"
    )]
    Root {
        expected: String,
        source: TrustError,
    },
    /// The place of the directory.
    #[error("the place of the directory: {0}; expected a folder or an https address")]
    Place(#[from] SourceError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory does not know the home, or does not let it host.
    #[error("the home: {0}")]
    Home(#[from] TrustRefusal),
    /// The invitation.
    #[error("the invitation: {0}; ask the operator of the home for a new one")]
    Invitation(#[from] AccountError),
    /// The link names one home and the invitation in it another.
    #[error("the link names {link}, its invitation {invitation}: do not use it")]
    OtherHome {
        link: AuthorityId,
        invitation: AuthorityId,
    },
    /// The home was not reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The home said no.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The home broke the protocol.
    #[error("the home's answer: {0}")]
    Account(#[from] IdError),
}

impl EnrolError {
    /// The code, where there is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Home(refusal) => Some(refusal.code()),
            Self::Invitation(error) => Some(error.code()),
            Self::OtherHome { .. } => Some(Code::WrongHome),
            Self::Reach(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Account(error) => Some(error.code()),
            _ => None,
        }
    }

    /// Whether the home may have enrolled the device although nothing says so.
    pub fn is_undecided(&self) -> bool {
        match self {
            Self::Call(CallError::Refused(_)) => false,
            Self::Call(_) | Self::Account(_) => true,
            _ => false,
        }
    }
}

/// A device that was just enrolled.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Where.
    pub home: AuthorityId,
    /// The account there.
    pub account: AccountId,
    /// The device.
    pub device: PublicKey,
}

/// Makes `folder` a device of the home that invites.
pub async fn enrol(folder: &Path, request: &EnrolRequest) -> Result<Enrolled, EnrolError> {
    check_new(folder)?;
    let source: Source = request.source.parse()?;
    let home = &request.link.home;
    let (unchecked, _) = Invitation::read(request.link.invitation.clone())?;
    if unchecked.home != *home {
        return Err(EnrolError::OtherHome {
            link: home.clone(),
            invitation: unchecked.home,
        });
    }
    let mut traces = Traces::begin(folder)?;
    // Another process may have been faster.
    check_new(folder)?;
    let joined = join(folder, source, request).await;
    if joined
        .as_ref()
        .map_or_else(EnrolError::is_undecided, |_| true)
    {
        // From here on the home knows the keys, or may.
        traces.stay();
    }
    let (config, enrolled) = joined?;
    config.write_new(folder)?;
    Ok(enrolled)
}

fn check_new(folder: &Path) -> Result<(), EnrolError> {
    match DeviceConfig::read(folder) {
        Ok(config) => Err(EnrolError::Already {
            folder: folder.display().to_string(),
            home: config.home,
        }),
        Err(ConfigError::File(error)) if error.is_missing() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Everything up to the home's answer.
async fn join(
    folder: &Path,
    source: Source,
    request: &EnrolRequest,
) -> Result<(DeviceConfig, Enrolled), EnrolError> {
    let paths = Paths::new(folder);
    let home = request.link.home.clone();
    // The invitation pins the root, so whoever serves it cannot choose another federation.
    let expected = &request.link.root_sha256;
    let root = pli_trust::fetch_pinned_root(&source, expected).await;
    let root = root.map_err(|source| EnrolError::Root {
        expected: to_hex(expected),
        source,
    })?;
    folder::write(&paths.root(), &root, Secrecy::Public)?;

    let placeholder = AccountId::new([0; pli_protocol::limits::ACCOUNT_ID_LEN]);
    let config = DeviceConfig::new(&home, placeholder, &absolute(&request.source), request.dev);
    let now = clock::now();
    let directory = OpenDirectory::open(&config.directory_place(folder)?, now).await?;
    let directory = directory.current();
    directory.home(&home, now)?;
    let keys: Vec<PublicKey> = directory.node_keys(&home, now)?.copied().collect();
    let invitation = Invitation::verify(request.link.invitation.clone(), &home, &keys, now)?;

    let key = device_key(&paths)?;
    config::read_or_make_secrets(&paths)?;
    let credential = Credential {
        principal: Principal::Device,
        key: Arc::clone(&key),
    };
    let dialler = Dialler::new(credential);
    let connection = reach::connect(&dialler, &directory, &home, now).await?;
    let call = wire::call::Kind::Enrol(wire::Enrol {
        invitation: request.link.invitation.clone(),
        enrolment: Enrolment::sign(&invitation, &key, now),
    });
    let reply = call::ask(&connection, call, "an enrolment").await;
    connection.close(None, "");
    dialler.wait_idle().await;
    let account = match reply? {
        wire::call_reply::Kind::Enrolled(enrolled) => AccountId::from_slice(&enrolled.account_id)?,
        other => {
            let (got, expected) = (call::name(&other), "an enrolment");
            return Err(CallError::Unexpected { got, expected }.into());
        }
    };

    let config = DeviceConfig {
        account: account.to_string(),
        ..config
    };
    let enrolled = Enrolled {
        home,
        account,
        device: *key.public(),
    };
    Ok((config, enrolled))
}

/// Made once: a second attempt goes on with the same key, which the home may know already.
fn device_key(paths: &Paths) -> Result<Arc<SigningKey>, KeyFileError> {
    let path = paths.key();
    let key = if path.exists() {
        keyfile::load(&path)?
    } else {
        keyfile::create(&path)?
    };
    Ok(Arc::new(key))
}

/// A folder that was named from here must be found from anywhere.
fn absolute(source: &str) -> String {
    if source.contains("://") {
        return source.to_owned();
    }
    std::path::absolute(source)
        .map_or_else(|_| source.to_owned(), |path| path.display().to_string())
}
