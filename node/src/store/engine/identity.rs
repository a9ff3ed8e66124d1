//! Whose store this is, which format, which epoch: a small text file, replaced as a whole.
//!
//! A restored backup (case 43) is recognised by the file itself: it names the inode and the birth time it
//! was written with, and a copy has others. What this cannot see is a volume rolled back as a whole, below
//! the file system; for that the operator says so ([`OpenOptions::restored`](crate::store::OpenOptions)).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use pli_protocol::id::{AuthorityId, KeyId, Timestamp, from_hex, to_hex};

use super::disk::Disk;
use super::format::{FORMAT, Seed};
use super::open_error;
use crate::store::{self, Epoch, StoreError};

const LOCK_NAME: &str = "LOCK";
const LOCK_TRIES: u32 = 6;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
const NAME: &str = "IDENTITY";
const NEW_NAME: &str = "IDENTITY.new";
const TITLE: &str = "pli-store";
const FORMER: &str = "former-node";
/// Former keys that are remembered.
const FORMER_MAX: usize = 16;
/// Sources before the first release wrote none, and a store that belongs to nobody is opened for nobody.
const UNRELEASED: &str = "its identity file names no authority, so a source from before the first release made it. \
    Let that program run until its queues are empty and its citizens have fetched, then name an empty folder in store.url";
const DAMAGED: &str = "its identity file is damaged. \
    Restore the store's folder from a backup, or move it away: this program then begins an empty one";
/// No identity file is longer.
const LENGTH_MAX: u64 = 4_096;

/// The content of the identity file.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) authority: AuthorityId,
    /// The key that the node had when it last opened the store.
    pub(super) node_key: KeyId,
    /// Those it had before, oldest first.
    pub(super) former_keys: Vec<KeyId>,
    pub(super) seed: Seed,
    pub(super) epoch: Epoch,
    /// Every id whose retention ended up to this time is forgotten, and what settled it may have left the log.
    pub(super) expired_upto: Timestamp,
    /// The file is where and when it was written.
    pub(super) original: bool,
}

impl Identity {
    /// Of a store that is being made.
    pub(super) fn new(options: &store::OpenOptions) -> io::Result<Self> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        Ok(Self {
            authority: options.authority.clone(),
            node_key: options.node_key,
            former_keys: Vec::new(),
            seed: Seed(u64::from_le_bytes(seed)),
            epoch: Epoch {
                number: 1,
                id: random_id()?,
            },
            expired_upto: Timestamp::default(),
            original: true,
        })
    }

    /// The next epoch of the same store.
    pub(super) fn next_epoch(&self) -> io::Result<Self> {
        let epoch = Epoch {
            number: self.epoch.number + 1,
            id: random_id()?,
        };
        Ok(Self {
            epoch,
            original: true,
            ..self.clone()
        })
    }

    /// Reads the file; `None` when there is none.
    pub(super) fn load(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(NAME);
        let failed = |source| StoreError::Open {
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let text = io::read_to_string(io::Read::take(&file, LENGTH_MAX)).map_err(failed)?;
        let mut identity = parse(&text, directory)?;
        identity.original = field(&text, "born") == Some(&birth(&file).map_err(failed)?);
        Ok(Some(identity))
    }

    /// Case 74
    pub(super) fn check_owner(&self, options: &store::OpenOptions) -> Result<(), StoreError> {
        if self.authority == options.authority {
            return Ok(());
        }
        Err(StoreError::WrongAuthority {
            expected: self.authority.clone(),
            got: options.authority.clone(),
        })
    }

    /// Replaces the file, durably.
    pub(super) fn save(&self, directory: &Path) -> io::Result<()> {
        let new: PathBuf = directory.join(NEW_NAME);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        let born = birth(&file)?;
        let Self {
            authority,
            node_key,
            former_keys,
            seed,
            epoch,
            expired_upto,
            ..
        } = self;
        write!(
            file,
            "{TITLE} {FORMAT}\nauthority {authority}\nnode {node_key}\nseed {}\nepoch {} {}\nexpired-upto {}\nborn {born}\n",
            to_hex(&seed.0.to_be_bytes()),
            epoch.number,
            to_hex(&epoch.id),
            expired_upto.as_ms(),
        )?;
        for former in former_keys {
            writeln!(file, "{FORMER} {former}")?;
        }
        file.sync_all()?;
        fs::rename(&new, directory.join(NAME))?;
        File::open(directory)?.sync_all()
    }
}

fn parse(text: &str, directory: &Path) -> Result<Identity, StoreError> {
    let wrong = |reason: &str| StoreError::NotAStore {
        path: directory.into(),
        reason: reason.into(),
    };
    let format = field(text, TITLE).and_then(|digits| digits.parse().ok());
    let found: u32 = format.ok_or_else(|| wrong("its identity file names no format"))?;
    // Case 77. Formats only grow, so nothing after this line may be trusted to mean the same.
    if found > FORMAT {
        return Err(StoreError::NewerFormat {
            found,
            supported: FORMAT,
        });
    }
    let fields = || {
        let (number, id) = field(text, "epoch")?.split_once(' ')?;
        Some(Identity {
            authority: field(text, "authority")?.parse().ok()?,
            node_key: field(text, "node")?.parse().ok()?,
            former_keys: fields_named(text, FORMER)
                .map(|key| key.parse().ok())
                .collect::<Option<_>>()?,
            seed: Seed(u64::from_be_bytes(from_hex(field(text, "seed")?).ok()?)),
            epoch: Epoch {
                number: number.parse().ok()?,
                id: from_hex(id).ok()?,
            },
            expired_upto: Timestamp::from_ms(field(text, "expired-upto")?.parse().ok()?),
            original: true,
        })
    };
    fields().ok_or_else(|| match (field(text, "authority"), field(text, "born")) {
        // `born` is the last line of such a file: it is whole.
        (None, Some(_)) => wrong(UNRELEASED),
        _ => wrong(DAMAGED),
    })
}

fn field<'t>(text: &'t str, name: &'t str) -> Option<&'t str> {
    fields_named(text, name).next()
}

fn fields_named<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines()
        .filter_map(move |line| line.strip_prefix(name)?.strip_prefix(' '))
}

// The inode alone is not enough: a file system may give a restored file the number of the lost one.
pub(crate) fn birth(file: &File) -> io::Result<String> {
    let metadata = file.metadata()?;
    let created = metadata
        .created()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(format!(
        "{}:{}",
        metadata.ino(),
        created.map_or(0, |since| since.as_nanos())
    ))
}

fn random_id() -> io::Result<[u8; 16]> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    Ok(id)
}

// Case 42. A program that this process starts holds our descriptors for the moment between fork and exec,
// so a lock that was just given back may seem taken.
pub(super) fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK_NAME);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.map_err(|source| open_error(&path, source))?;
    for _ in 1..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(open_error(&path, source)),
        }
    }
    Err(StoreError::InUse {
        path: directory.into(),
    })
}

pub(super) fn no_identity(directory: &Path) -> StoreError {
    StoreError::NotAStore {
        path: directory.into(),
        reason: "it has a log but no identity file".into(),
    }
}

// Cases 43, 74, 77
pub(super) fn identify(
    directory: &Path,
    options: &store::OpenOptions,
    disk: &dyn Disk,
) -> Result<(Identity, bool), StoreError> {
    let failed = |source| open_error(directory, source);
    let Some(identity) = Identity::load(directory)? else {
        // Without the file nothing says whose envelopes these are.
        if !disk.names().map_err(failed)?.is_empty() {
            return Err(no_identity(directory));
        }
        let identity = Identity::new(options).map_err(failed)?;
        identity.save(directory).map_err(failed)?;
        return Ok((identity, false));
    };
    identity.check_owner(options)?;
    let leap = !identity.original || options.restored;
    let mut identity = identity;
    if identity.node_key != options.node_key {
        let (from, to) = (identity.node_key, options.node_key);
        tracing::warn!(%from, %to, "the store is opened with another key of its node");
        identity.former_keys.retain(|former| *former != to);
        identity.former_keys.push(from);
        let over = identity.former_keys.len().saturating_sub(FORMER_MAX);
        identity.former_keys.drain(..over);
        identity.node_key = to;
        // A copy is saved with its new epoch, and not before: the file says that it is one.
        if !leap {
            identity.save(directory).map_err(failed)?;
        }
    }
    Ok((identity, leap))
}
