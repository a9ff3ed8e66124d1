//! A service that is open: configuration, key, directory and contacts read and checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::Event;
use pli_protocol::id::{EnvelopeId, ServiceId};
use pli_protocol::session::Principal;
use pli_protocol::trust::{Environment, TrustRefusal, is_published};
use pli_protocol::wire;
use pli_transport::{Credential, Dialler};
use pli_trust::keyfile::{self, KeyFileError};
use tokio::sync::mpsc;

use super::allowed::Allowed;
use super::batch::{PrepareError, Prepared, Sealer};
use super::config::{self, ConfigError, ServiceConfig};
use super::contacts::{ContactError, Contacts};
use super::draft::{Draft, Randomness};
use super::listing::Listing;
use super::submit::{self, Origin, Settled, SubmitError};
use super::track::{self, Tracked};
use super::trouble::OnTrouble;
use crate::call::CallError;
use crate::clock;
use crate::directory::{DirectoryError, OpenDirectory};
use crate::evidence::ask;
use crate::folder;
use crate::reach::{self, ReachError};

/// How long a service goes on without progress unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Why a service cannot be opened, or something it was asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no service.
    #[error(
        "{} is no service yet; make it with: pli service init --home {} --id NAME@AUTHORITY --root FILE --directory DIR|URL (or say with --home where it is)",
        .folder.display(), .folder.display()
    )]
    NotMade { folder: PathBuf },
    /// `service.toml`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The secret key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// R9
    #[error("{} is a published example key; anyone could sign with it. Make an own one with: pli service init", .path.display())]
    PublishedKey { path: PathBuf },
    /// The directory cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory does not let this service send with this key.
    #[error("{refusal}{}; {}", expected(.listing), next_step(.refusal, .service, .key))]
    NotListed {
        refusal: Box<TrustRefusal>,
        service: ServiceId,
        key: String,
        listing: Listing,
    },
    /// A contact.
    #[error(transparent)]
    Contact(#[from] ContactError),
    /// Sealing, or keeping what was sealed.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The node was not reached.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Submitting failed.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl ServiceError {
    /// The code, where there is one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::PublishedKey { .. } => Some(Code::PublishedKey),
            Self::NotListed { refusal, .. } => Some(refusal.code()),
            Self::Contact(ContactError::Grant(error)) => Some(error.code()),
            Self::Directory(error) => error.code(),
            Self::Reach(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Submit(error) => error.code(),
            Self::Prepare(PrepareError::Seal(error)) => Some(error.code()),
            Self::Prepare(PrepareError::Keep(_))
            | Self::NotMade { .. }
            | Self::Config(_)
            | Self::Key(_)
            | Self::Contact(_) => None,
        }
    }
}

/// What the directory has in its place.
fn expected(listing: &Listing) -> String {
    match listing {
        Listing::Listed => String::new(),
        Listing::NoAuthority { .. } | Listing::KeyOf { .. } | Listing::NoService { .. } => format!(
            "; {listing}; if the id was mistyped, correct it with: pli service init --correct --id …, the key stays"
        ),
        Listing::OtherKey => format!("; {listing}"),
    }
}

/// Who does what about it.
fn next_step(refusal: &TrustRefusal, service: &ServiceId, key: &str) -> String {
    const PUBLISH: &str =
        "then pli authority publish; the federation then: pli federation publish --from …/handover";
    let (name, authority) = (service.name(), service.authority());
    match refusal {
        TrustRefusal::UnknownService { .. } => format!(
            "the operator of {authority} lists it with: pli authority add-service {name} --service-key {key} --name-fr … --name-en …, {PUBLISH}"
        ),
        TrustRefusal::UnknownAuthority { .. } | TrustRefusal::NoNode { .. } => format!(
            "the federation takes {authority} in with: pli federation add-authority …/handover, then pli federation publish; if it did, is this directory of the right federation?"
        ),
        TrustRefusal::UnknownKey { .. } => format!(
            "this folder's key is {key}: use the key that is listed, or the operator of {authority} lists this one in its place with: pli authority revoke --service {name} --new-key {key}, {PUBLISH}"
        ),
        TrustRefusal::KeyNotValid { .. } => format!(
            "use the key that is in force now; if there is none, the operator of {authority} lists one with: pli authority revoke --service {name} --new-key …, {PUBLISH}"
        ),
        TrustRefusal::Suspended { owner, .. } if owner.authority == *authority => format!(
            "nothing can be sent or asked for until that is lifted: ask the federation, which lifts it with: pli federation suspend {authority} --lift, then pli federation publish"
        ),
        TrustRefusal::DirectoryExpired { .. } => "the federation renews it with: pli federation publish; if it did, see that the places in service.toml can be reached and that this machine's clock is right".to_owned(),
        TrustRefusal::AuthorityExpired { authority, .. } => format!(
            "the operator of {authority} signs anew with: pli authority publish; the federation then: pli federation publish --from …/handover"
        ),
        _ => format!("ask the operator of {authority}"),
    }
}

/// The configuration of the service in `home`.
pub fn config_of(home: &Path) -> Result<ServiceConfig, ServiceError> {
    match ServiceConfig::read(home) {
        Err(ConfigError::File(error)) if error.is_missing() => Err(ServiceError::NotMade {
            folder: home.to_owned(),
        }),
        read => Ok(read?),
    }
}

/// An open service.
#[derive(Debug)]
pub struct Service {
    id: ServiceId,
    key: Arc<SigningKey>,
    directory: Arc<OpenDirectory>,
    contacts: Arc<Contacts>,
    dialler: Dialler,
    on_trouble: OnTrouble,
    /// Where its letters are kept, if they are.
    letters: Option<Arc<Path>>,
}

impl Service {
    /// Opens the service in `home`, offline if there is a copy of the directory.
    pub async fn open(home: &Path) -> Result<Self, ServiceError> {
        let config = config_of(home)?;
        let id = config.service_id(home)?;
        let path = config.key_path(home);
        let key = Arc::new(keyfile::load(&path)?);
        if config.environment() == Environment::Production && is_published(key.public()) {
            return Err(ServiceError::PublishedKey { path });
        }
        let place = config.directory_place(home)?;
        let directory = Arc::new(OpenDirectory::open(&place, clock::now()).await?);
        let contacts = Contacts::open(config::contacts_folder(home), id.authority().clone())?;
        let principal = Principal::Service(id.clone());
        let dialler = Dialler::new(Credential {
            principal,
            key: Arc::clone(&key),
        });
        Ok(Self {
            id,
            key,
            directory,
            contacts: Arc::new(contacts),
            dialler,
            on_trouble: OnTrouble::default(),
            letters: None,
        })
    }

    /// Calls `tell` each time that submitting must be tried again.
    #[must_use]
    pub fn on_trouble(mut self, tell: impl Fn(&SubmitError) + Send + Sync + 'static) -> Self {
        self.on_trouble = OnTrouble::new(tell);
        self
    }

    /// Who.
    pub fn id(&self) -> &ServiceId {
        &self.id
    }

    /// Its contacts.
    pub fn contacts(&self) -> &Arc<Contacts> {
        &self.contacts
    }

    /// Its directory.
    pub fn directory(&self) -> &Arc<OpenDirectory> {
        &self.directory
    }

    /// The addresses at which the directory says that its authority's node is.
    pub fn addresses(&self) -> Vec<String> {
        let directory = self.directory.current();
        let Ok(node) = directory.node_of(self.id.authority()) else {
            return Vec::new();
        };
        let quic = node.quic.iter().map(ToString::to_string);
        let websocket = node.websocket.iter().map(|url| url.as_str().to_owned());
        quic.chain(websocket).collect()
    }

    /// What the directory in force lets it send; `None` where it is not listed.
    pub fn allowed(&self) -> Option<Allowed> {
        let directory = self.directory.current();
        directory.service(&self.id).ok().cloned().map(Allowed::new)
    }

    /// Its secret key, for a caller that signs envelopes of its own.
    pub fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// Asks for news of the directory, then whether it lists this service with this key now. What
    /// would be refused by every node is better refused here, with a hint.
    pub async fn check_listed(&self) -> Result<(), ServiceError> {
        let now = clock::now();
        self.directory.refresh(now).await;
        let key = self.key.public();
        match self
            .directory
            .current()
            .sender_key(&self.id, &key.id(), now)
        {
            Ok(_) => Ok(()),
            Err(refusal) => Err(ServiceError::NotListed {
                refusal: Box::new(refusal),
                service: self.id.clone(),
                key: key.to_string(),
                listing: Listing::of(&self.directory.current(), &self.id, Some(&key.id())),
            }),
        }
    }

    /// Seals and signs for this service.
    pub fn sealer(&self, randomness: Randomness) -> Sealer {
        Sealer {
            service: self.id.clone(),
            key: Arc::clone(&self.key),
            randomness,
            keep: self.letters.clone(),
        }
    }

    /// Keeps each letter that is sealed from now on in `folder`, which is made if it is not there: without the letter
    /// evidence of it stays incomplete (EVD-6.2).
    pub fn keep_letters(mut self, folder: &Path) -> Result<Self, ServiceError> {
        folder::create_folder(folder).map_err(PrepareError::from)?;
        self.letters = Some(folder.into());
        Ok(self)
    }

    /// Where its envelopes go.
    pub fn origin(&self, patience: Duration) -> Origin {
        Origin {
            dialler: self.dialler.clone(),
            directory: Arc::clone(&self.directory),
            authority: self.id.authority().clone(),
            patience,
            on_trouble: self.on_trouble.clone(),
        }
    }

    /// Seals, signs and submits what comes in; see [`submit::submit`] for who feeds and who takes.
    pub async fn send<T: Send + 'static>(
        &self,
        drafts: mpsc::Receiver<(T, Draft)>,
        settled: mpsc::Sender<Settled<T>>,
        randomness: Randomness,
        patience: Duration,
    ) -> Result<(), ServiceError> {
        let (prepared, outgoing) = mpsc::channel(PREPARED_MAX);
        let sealing = self.sealer(randomness).run(drafts, prepared);
        let origin = self.origin(patience);
        let submitting = submit::submit(&origin, outgoing, settled);
        let (sealed, submitted) = tokio::join!(sealing, submitting);
        submitted?;
        Ok(sealed?)
    }

    /// Sends one letter and waits for the node's receipt.
    pub async fn send_one(
        &self,
        draft: Draft,
        patience: Duration,
    ) -> Result<Settled<()>, ServiceError> {
        let letters = self
            .sealer(Randomness::Fresh)
            .batch(vec![((), draft)])
            .await?;
        let (outgoing, to_submit) = mpsc::channel::<Prepared<()>>(1);
        let (settled, mut answer) = mpsc::channel(1);
        for letter in letters {
            outgoing
                .send(letter)
                .await
                .expect("its other end is held here");
        }
        drop(outgoing);
        submit::submit(&self.origin(patience), to_submit, settled).await?;
        Ok(answer
            .recv()
            .await
            .expect("submit ends well only when everything is settled"))
    }

    /// What became of letters. Other sessions of this service may be open meanwhile.
    pub async fn track(&self, ids: &[EnvelopeId]) -> Result<Vec<Tracked>, ServiceError> {
        let now = clock::now();
        self.directory.refresh(now).await;
        let directory = self.directory.current();
        let origin = self.id.authority();
        let connection = reach::connect(&self.dialler, &directory, origin, now).await?;
        let tracked = track::track(&connection, &directory, origin, ids).await;
        connection.close(None, "");
        Ok(tracked?)
    }

    /// The proofs of what happened to a letter, and the directory of this moment. `known`: events that receipts tell of.
    pub async fn evidence(
        &self,
        id: EnvelopeId,
        known: &[Event],
    ) -> Result<wire::EvidenceReply, ServiceError> {
        let now = clock::now();
        let directory = self.directory.current();
        let origin = self.id.authority();
        let connection = reach::connect(&self.dialler, &directory, origin, now).await?;
        let reply = ask::ask(&connection, id, known).await;
        connection.close(None, "");
        Ok(reply?)
    }

    /// Waits a moment so that the node can hear that the connections are closed; before a process ends.
    pub async fn hang_up(&self) {
        self.dialler.wait_idle().await;
    }
}

/// Sealed letters that wait for the network.
const PREPARED_MAX: usize = 2_048;
