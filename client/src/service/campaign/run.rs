//! Runs a campaign: reads, sends and records at the same time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::Sha256;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use zeroize::Zeroizing;

use super::faults::Faults;
use super::line::{self, LineError, Options};
use super::record::Record;
use super::results::{Outcome, ResultsFile};
use super::state::{Counts, State, StateError, StateFile};
use super::window::{Slot, WINDOW_MAX, Window};
use crate::clock;
use crate::folder::FileError;
use crate::service::allowed::Allowed;
use crate::service::batch::BATCH_MAX;
use crate::service::contacts::Contacts;
use crate::service::draft::{Draft, Randomness};
use crate::service::open::{Service, ServiceError};

/// What to send and where to remember it.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The letters, one a line; `None` for standard input, which cannot be resumed.
    pub file: Option<PathBuf>,
    /// Where it stands; beside the file unless said otherwise.
    pub state: Option<PathBuf>,
    /// What became of each line.
    pub results: Option<PathBuf>,
    /// How long each letter is kept for its citizen.
    pub lifetime_ms: u64,
    /// How long to go on without progress.
    pub patience: Duration,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Lines settled, those of earlier runs included.
    pub lines: u64,
    /// Bytes of the file settled.
    pub bytes: u64,
    /// Bytes of the file; `None` for standard input.
    pub of_bytes: Option<u64>,
    /// What became of the lines.
    pub counts: Counts,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What became of all lines, those of earlier runs included.
    pub counts: Counts,
    /// Why lines failed, those of earlier runs included.
    pub faults: Faults,
    /// The file that holds the lines that failed, ready to be corrected and sent, if this run wrote
    /// or an earlier run left one.
    pub failed: Option<PathBuf>,
    /// Links of this run that no citizen can click, by host.
    pub unlisted_links: UnlistedLinks,
    /// Lines settled by earlier runs.
    pub resumed_after: u64,
    /// Lines settled in all.
    pub lines: u64,
    /// Of this run.
    pub elapsed: Duration,
}

/// Links to hosts that the authority did not list for the service, by host; at most `UNLISTED_MAX`.
pub type UnlistedLinks = BTreeMap<String, Unlisted>;

/// Lines with a link to one such host.
#[derive(Clone, Copy, Debug)]
pub struct Unlisted {
    /// The first line.
    pub first: u64,
    /// How many lines.
    pub count: u64,
}

/// Why a campaign stopped before its end. Start it again: it goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The letters or the results.
    #[error(transparent)]
    File(#[from] FileError),
    /// The service or its node.
    #[error(transparent)]
    Service(Box<ServiceError>),
    /// The system.
    #[error("no random bytes: {0}")]
    Random(String),
}

impl From<ServiceError> for CampaignError {
    fn from(error: ServiceError) -> Self {
        Self::Service(Box::new(error))
    }
}

impl Campaign {
    /// A file with its state and results beside it.
    pub fn of_file(file: PathBuf, lifetime_ms: u64, patience: Duration) -> Self {
        let state = Some(file.with_added_extension("pli-state"));
        let results = Some(file.with_added_extension("pli-results"));
        Self {
            file: Some(file),
            state,
            results,
            lifetime_ms,
            patience,
        }
    }

    /// Sends what is not settled yet. `on_progress` is called after each record.
    pub async fn run(
        &self,
        service: &Service,
        mut on_progress: impl FnMut(&Progress),
    ) -> Result<Summary, CampaignError> {
        let started = Instant::now();
        // Before anything is made beside it.
        self.check_input()?;
        let (mut record, state) = self.open(service)?;
        let resumed_after = state.lines;
        let (input, of_bytes) = self.input(&state)?;
        let randomness = Randomness::Campaign(Arc::new(state.secret.clone()));
        let options = Options {
            created: state.created,
            lifetime_ms: state.lifetime_ms,
        };

        let window = Arc::new(Window::default());
        let (drafts, to_send) = mpsc::channel(BATCH_MAX);
        let (settled, mut answers) = mpsc::channel(SETTLED_MAX);
        let places = Arc::new(Semaphore::new(WINDOW_MAX));
        let reader = Reader {
            input,
            contacts: Arc::clone(service.contacts()),
            allowed: service.allowed(),
            unlisted_links: UnlistedLinks::default(),
            options,
            window: Arc::clone(&window),
            places: Arc::clone(&places),
            drafts,
            runtime: Handle::current(),
            line: state.lines,
            end: state.bytes,
            sent: record
                .state_file
                .as_ref()
                .map_or_else(Sha256::default, StateFile::sent),
        };
        record.state = state;
        let reading = tokio::task::spawn_blocking(move || reader.run());
        let sending = service.send(to_send, settled, randomness, self.patience);

        let recording = async {
            let mut batch = Vec::new();
            let mut open = true;
            while open {
                tokio::select! {
                    count = answers.recv_many(&mut batch, SETTLED_MAX) => open = count > 0,
                    () = window.changed() => {}
                }
                for answer in batch.drain(..) {
                    let line = answer.tag;
                    window.settle(line, answer.into());
                }
                let popped = window.pop_settled();
                if !popped.is_empty() {
                    record.write(popped)?;
                    on_progress(&record.progress(of_bytes));
                }
            }
            // Lines at the end of the file that were never sent, such as faulty ones.
            let popped = window.pop_settled();
            if !popped.is_empty() {
                record.write(popped)?;
                on_progress(&record.progress(of_bytes));
            }
            Ok::<_, CampaignError>(())
        };
        // When the node or the network fails, what was acknowledged is still recorded; when the
        // record fails, nothing more is sent.
        let ended = tokio::try_join!(async { Ok(sending.await) }, recording);
        places.close();
        let read = reading.await.expect("reading lines does not panic");
        let (sent, ()) = ended?;
        sent?;
        let file = self.file.clone().unwrap_or_else(|| "standard input".into());
        let unlisted_links = read.map_err(FileError::at(file))?;
        let failed = record.write_failed(self)?;
        Ok(Summary {
            counts: record.state.counts,
            faults: record.state.faults,
            failed,
            unlisted_links,
            resumed_after,
            lines: record.state.lines,
            elapsed: started.elapsed(),
        })
    }

    fn open(&self, service: &Service) -> Result<(Record, State), CampaignError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut())
            .map_err(|error| CampaignError::Random(error.to_string()))?;
        let begin = State {
            service: service.id().to_string(),
            created: clock::now(),
            lifetime_ms: self.lifetime_ms,
            secret,
            lines: 0,
            bytes: 0,
            results_bytes: 0,
            counts: Counts::default(),
            faults: Faults::default(),
            failed_through: 0,
        };
        let (state_file, state) = match (&self.file, &self.state) {
            (Some(file), Some(path)) => {
                let (state_file, state) = StateFile::open(path.clone(), file, begin)?;
                (Some(state_file), state)
            }
            _ => (None, begin),
        };
        let results = match &self.results {
            Some(path) => Some(ResultsFile::open(path, state.results_bytes)?),
            None => None,
        };
        Ok((
            Record {
                state_file,
                state: state.clone(),
                results,
            },
            state,
        ))
    }

    /// Sees that the letters can be read, and that the folders of what is written are there. Makes
    /// nothing.
    pub fn check_input(&self) -> Result<(), FileError> {
        for written in [&self.state, &self.results].into_iter().flatten() {
            let folder = written
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder {
                fs::metadata(folder).map_err(FileError::at(folder))?;
            }
        }
        let Some(path) = &self.file else {
            return Ok(());
        };
        let kind = fs::metadata(path).map_err(FileError::at(path))?.file_type();
        if kind.is_dir() {
            return Err(FileError::at(path)(io::ErrorKind::IsADirectory.into()));
        }
        // A pipe is opened once, by whoever reads it.
        if kind.is_file() {
            File::open(path).map_err(FileError::at(path))?;
        }
        Ok(())
    }

    fn input(&self, state: &State) -> Result<(Box<dyn BufRead + Send>, Option<u64>), FileError> {
        let Some(path) = &self.file else {
            return Ok((
                Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())),
                None,
            ));
        };
        let mut file = File::open(path).map_err(FileError::at(path))?;
        let length = file.metadata().map_err(FileError::at(path))?.len();
        file.seek(SeekFrom::Start(state.bytes))
            .map_err(FileError::at(path))?;
        Ok((
            Box::new(BufReader::with_capacity(READ_BYTES, file)),
            Some(length),
        ))
    }
}

struct Reader {
    input: Box<dyn BufRead + Send>,
    contacts: Arc<Contacts>,
    /// `None` where the directory does not list the service: the node says so then.
    allowed: Option<Allowed>,
    unlisted_links: UnlistedLinks,
    options: Options,
    window: Arc<Window>,
    places: Arc<Semaphore>,
    drafts: mpsc::Sender<(u64, Draft)>,
    runtime: Handle,
    line: u64,
    end: u64,
    sent: Sha256,
}

impl Reader {
    /// Reads to the end of the input, or until nobody takes any more. Blocks.
    fn run(mut self) -> io::Result<UnlistedLinks> {
        let mut raw = Vec::new();
        while let Some(read) = line::next_raw(&mut self.input, &mut raw, &mut self.sent)? {
            self.line += 1;
            self.end += read.length;
            let place = self
                .runtime
                .block_on(Arc::clone(&self.places).acquire_owned());
            let Ok(place) = place else {
                return Ok(self.unlisted_links);
            };
            if self.drafts.is_closed() {
                return Ok(self.unlisted_links);
            }
            let mut slot = Slot {
                line: self.line,
                to: None,
                end: self.end,
                sent: self.sent.clone(),
                outcome: None,
                _place: place,
            };
            let raw = match self.line {
                1 => raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&raw),
                _ => &raw,
            };
            let letter = if read.too_long {
                Err(LineError::TooLong)
            } else if line::is_blank(raw) {
                slot.outcome = Some(Outcome::Blank);
                self.window.push(slot);
                continue;
            } else {
                line::read(raw, &self.contacts, self.options, self.allowed.as_ref())
            };
            match letter {
                Ok(letter) => {
                    slot.to = Some(letter.to);
                    if let Some(host) = letter.unlisted_link {
                        let known = self.unlisted_links.len();
                        match self.unlisted_links.get_mut(&host) {
                            Some(lines) => lines.count += 1,
                            None if known < UNLISTED_MAX => {
                                let first = self.line;
                                self.unlisted_links
                                    .insert(host, Unlisted { first, count: 1 });
                            }
                            None => {}
                        }
                    }
                    // First the slot: an acknowledgement must find it.
                    self.window.push(slot);
                    if self
                        .drafts
                        .blocking_send((self.line, letter.draft))
                        .is_err()
                    {
                        return Ok(self.unlisted_links);
                    }
                }
                Err(error) => {
                    slot.outcome = Some(Outcome::Invalid {
                        kind: error.kind(),
                        reason: error.to_string(),
                    });
                    self.window.push(slot);
                }
            }
        }
        self.window.wake();
        Ok(self.unlisted_links)
    }
}

/// Hosts that are named.
const UNLISTED_MAX: usize = 16;
/// What some editors put before the first line.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Answers recorded in one go.
const SETTLED_MAX: usize = 4_096;
const READ_BYTES: usize = 256 * 1024;
