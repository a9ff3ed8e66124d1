//! A device that is open: its folder read and checked, its directory at hand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pli_protocol::account::{AccountSecrets, SignedGrant};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::Class;
use pli_protocol::id::AuthorityId;
use pli_protocol::session::Principal;
use pli_protocol::trust::TrustRefusal;
use pli_transport::{Credential, DialledConnection, Dialler};
use pli_trust::keyfile::{self, KeyFileError};

use super::budget::Spent;
use super::config::{self, DeviceConfig, Paths, SecretsFileError};
use super::cursor::PageFault;
use super::evidence::EvidenceError;
use super::grants::{Grants, GrantsError};
use super::inbox::{Inbox, InboxError};
use super::verify::Roots;
use crate::call::CallError;
use crate::clock;
use crate::directory::{DirectoryError, DirectoryPlace, OpenDirectory};
use crate::folder::{FileError, FolderLock};
use crate::reach::{self, ReachError};
use crate::service::config::ConfigError;

/// Why a device cannot be opened, or something it was asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no device.
    #[error("{folder} is no device yet; run: pli device enrol INVITATION")]
    NotEnrolled { folder: String },
    /// `device.toml`.
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
    /// The grants.
    #[error(transparent)]
    Grants(#[from] GrantsError),
    /// The inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The directory of an earlier day.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory does not know an authority.
    #[error(transparent)]
    Authority(#[from] TrustRefusal),
    /// The home was not reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The home said no, or broke off.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The home withholds, repeats, reorders or swaps letters (cases 57, 58).
    #[error("{0}. Nothing of it was taken. Tell the operator of the home, or move to another one")]
    Page(#[from] PageFault),
    /// MBX-5.8: the home has more, or sends without end.
    #[error(
        "{0}. To go on, run the same again; if it never ends, or most of it is refused or absent, the home is at fault: tell its operator"
    )]
    Spent(#[from] Spent),
    /// MBX-5.8
    #[error(
        "{}: {free} bytes are free and {min} must stay free; make room and run the same again. What came before is kept",
        .folder.display()
    )]
    DiskFull {
        folder: PathBuf,
        free: u64,
        min: u64,
    },
}

impl DeviceError {
    /// The code, where there is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Authority(refusal) => Some(refusal.code()),
            Self::Directory(error) => error.code(),
            Self::Reach(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Page(fault) => Some(fault.code()),
            _ => None,
        }
    }

    /// Whether the same may succeed a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Reach(error) => error.may_pass(),
            Self::Call(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// An open device.
#[derive(Debug)]
pub struct Device {
    paths: Paths,
    home: AuthorityId,
    key: Arc<SigningKey>,
    secrets: AccountSecrets,
    grants: Grants,
    inbox: Inbox,
    place: DirectoryPlace,
    directory: OpenDirectory,
    dialler: Dialler,
    roots: Roots,
    _lock: Option<FolderLock>,
}

/// How a device is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// To fetch, grant or hand over: one process at a time.
    Working,
    /// Only to look at what is there, beside another process that works.
    Looking,
}

impl Device {
    /// Opens the device in `folder`.
    pub async fn open(folder: &Path, standing: Standing) -> Result<Self, DeviceError> {
        let config = match DeviceConfig::read(folder) {
            Err(ConfigError::File(error)) if error.is_missing() => {
                return Err(DeviceError::NotEnrolled {
                    folder: folder.display().to_string(),
                });
            }
            other => other?,
        };
        let lock = match standing {
            Standing::Working => Some(FolderLock::take(folder)?),
            Standing::Looking => None,
        };
        let paths = Paths::new(folder);
        let key = Arc::new(keyfile::load(&paths.key())?);
        let secrets = config::read_secrets(&paths)?;
        let grants = Grants::read(&paths.grants())?;
        let inbox = Inbox::open(&paths.inbox())?;
        let place = config.directory_place(folder)?;
        let directory = OpenDirectory::open(&place, clock::now()).await?;
        let credential = Credential {
            principal: Principal::Device,
            key: Arc::clone(&key),
        };
        Ok(Self {
            home: config.home(folder)?,
            paths,
            key,
            secrets,
            grants,
            inbox,
            place,
            directory,
            dialler: Dialler::new(credential),
            roots: Roots::default(),
            _lock: lock,
        })
    }

    /// Where the account is.
    pub fn home(&self) -> &AuthorityId {
        &self.home
    }

    /// The grants given.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// What the home gave.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The directory.
    pub fn directory(&self) -> &OpenDirectory {
        &self.directory
    }

    pub(super) fn inbox_mut(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    pub(super) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Dials the home, with the directory's latest news if there are any.
    pub(super) async fn connect(&self) -> Result<DialledConnection, DeviceError> {
        let now = clock::now();
        self.directory.refresh(now).await;
        let directory = self.directory.current();
        Ok(reach::connect(&self.dialler, &directory, &self.home, now).await?)
    }

    /// Waits until the home could hear that the connection is closed; before a process ends.
    pub async fn hang_up(&self) {
        self.dialler.wait_idle().await;
    }

    /// Lets `authority` write, and tells the home. A grant that exists is given again as it is,
    /// unless a new one is asked for or something else is to be accepted.
    pub async fn grant(
        &mut self,
        authority: &AuthorityId,
        accepts: BTreeSet<Class>,
        renew: bool,
    ) -> Result<SignedGrant, DeviceError> {
        let now = clock::now();
        self.directory.refresh(now).await;
        self.directory.current().active(authority, now)?;
        let fits = |grant: &&SignedGrant| {
            let said = grant.grant();
            !renew
                && said.accepts == accepts
                && said.mailbox.home == self.home
                && said.sealing.epoch == self.secrets.latest_epoch()
        };
        let grant = match self.grants.to(authority).filter(fits) {
            Some(grant) => grant.clone(),
            None => {
                let (folder, home) = (self.paths.grants(), self.home.clone());
                let made =
                    self.grants
                        .make(&folder, &self.secrets, authority, &home, accepts, now)?;
                made.clone()
            }
        };
        self.publish_grant(grant.encoded().clone()).await?;
        Ok(grant)
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    pub(super) fn secrets(&self) -> &AccountSecrets {
        &self.secrets
    }

    pub(super) fn place(&self) -> &DirectoryPlace {
        &self.place
    }
}
