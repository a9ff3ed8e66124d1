//! Split views: what each log has said so far, and the two checkpoints that convict one (EVD-10, case 20).
//!
//! In: checkpoints from wherever they come: requests to cosign, gossip, the node's own. Out: a [`SplitView`], kept on
//! disk for ever and alarmed, for whoever passes it on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use pli_protocol::evidence::{Noted, Origin, SplitView};
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::{
    AUTHORITIES_MAX, HEADS_REMEMBERED_MAX, NOTE_MAX, SPLIT_VIEW_MAX, SPLIT_VIEWS_MAX,
};
use pli_protocol::trust::Directory;
use tokio::sync::broadcast;

use super::disk::{Disk, UNFINISHED, replace};
use crate::alarm::Alarms;
use crate::metrics::AlarmKind;

/// Convictions that wait for whoever passes them on.
const ANNOUNCED_MAX: usize = 16;

/// What is to be done with something that was heard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// True and new, about this authority's log: pass it on.
    Accept(AuthorityId),
    /// True or possible, and of no use: known already, or of a log that the directory does not have (yet).
    Ignore,
    /// False: whoever sent it did not check it.
    Reject,
}

/// What the logs of one authority have said, by start and size.
type Said = BTreeMap<(Timestamp, u64), Noted>;

/// All that was seen.
#[derive(Debug)]
pub struct Views {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    alarms: Alarms,
    said: Mutex<HashMap<AuthorityId, Said>>,
    /// The files there are: `<authority>/<start>-<size>`.
    convictions: Mutex<BTreeSet<String>>,
    announce: broadcast::Sender<SplitView>,
}

impl Views {
    /// Opens or makes the folder of convictions; those of before are alarmed again.
    pub fn open(
        folder: &Path,
        disk: Arc<dyn Disk>,
        alarms: Alarms,
        now: Timestamp,
    ) -> io::Result<Self> {
        disk.make_folder(folder)?;
        let mut convictions = BTreeSet::new();
        for authority in fs::read_dir(folder)? {
            let authority = authority?;
            for entry in fs::read_dir(authority.path())? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if !name.starts_with(UNFINISHED) {
                    convictions.insert(format!(
                        "{}/{name}",
                        authority.file_name().to_string_lossy()
                    ));
                }
            }
        }
        let views = Self {
            folder: folder.to_owned(),
            disk,
            alarms,
            said: Mutex::default(),
            convictions: Mutex::new(convictions),
            announce: broadcast::channel(ANNOUNCED_MAX).0,
        };
        views.raise(now);
        Ok(views)
    }

    /// Hears of each new conviction, to pass it on.
    pub fn convictions(&self) -> broadcast::Receiver<SplitView> {
        self.announce.subscribe()
    }

    /// The convictions on disk.
    pub fn kept(&self) -> Vec<SplitView> {
        let names: Vec<String> = self.convictions.lock().iter().cloned().collect();
        let read = |name: String| {
            let text = fs::read_to_string(self.folder.join(&name));
            let view = text.ok().and_then(|text| SplitView::parse(&text).ok());
            if view.is_none() {
                tracing::error!(name, "the two views of a log cannot be read any more");
            }
            view
        };
        names.into_iter().filter_map(read).collect()
    }

    /// Compares a checkpoint that a key of its log signed with what the log said before. Whether it was new, or convicts.
    pub fn saw(&self, noted: &Noted, directory: &Directory, now: Timestamp) -> bool {
        let Some(known) = self.remember(noted) else {
            return true;
        };
        let keys = directory.log_keys_ever(&noted.checkpoint().origin.authority);
        let view = SplitView::between(noted.clone(), known);
        let view = view.and_then(|view| view.verify(&keys));
        view.is_some_and(|view| self.convict(&view, now))
    }

    /// What is known of the same log and size; `None` if nothing was, and this is now.
    fn remember(&self, noted: &Noted) -> Option<Noted> {
        let checkpoint = noted.checkpoint();
        let Origin { authority, start } = &checkpoint.origin;
        let mut said = self.said.lock();
        if !said.contains_key(authority) && said.len() >= AUTHORITIES_MAX {
            return Some(noted.clone());
        }
        let said = said.entry(authority.clone()).or_default();
        let place = (*start, checkpoint.size);
        if let Some(known) = said.get(&place) {
            return Some(known.clone());
        }
        said.insert(place, noted.clone());
        if said.len() > HEADS_REMEMBERED_MAX {
            said.pop_first();
        }
        None
    }

    /// Keeps a conviction whose signatures were checked. Whether it was new.
    fn convict(&self, view: &SplitView, now: Timestamp) -> bool {
        let Origin { authority, start } = view.origin();
        let name = format!("{}-{}", start.as_ms(), view.size());
        {
            let mut known = self.convictions.lock();
            if known.len() >= SPLIT_VIEWS_MAX || !known.insert(format!("{authority}/{name}")) {
                return false;
            }
        }
        let folder = self.folder.join(authority.as_str());
        let kept = self.disk.make_folder(&folder);
        let kept = kept
            .and_then(|()| replace(self.disk.as_ref(), &folder, &name, view.encode().as_bytes()));
        if let Err(error) = kept {
            tracing::error!(%error, %authority, name, "a log's two views could not be kept");
        }
        self.raise(now);
        // Nobody may listen; it is on disk.
        let _ = self.announce.send(view.clone());
        true
    }

    fn raise(&self, now: Timestamp) {
        let known = self.convictions.lock();
        let Some(first) = known.first() else {
            return;
        };
        let detail = format!(
            "a log has said two things, {first} ({} in all): the proof is in {}; what its node says happened cannot be \
             relied on",
            known.len(),
            self.folder.display()
        );
        drop(known);
        self.alarms.raise(AlarmKind::SplitView, now, detail);
    }

    /// A checkpoint that was heard (EVD-10.2): one note.
    pub fn judge_checkpoint(
        &self,
        payload: &[u8],
        directory: &Directory,
        now: Timestamp,
    ) -> Verdict {
        let noted = text(payload, NOTE_MAX).and_then(|text| Noted::parse(text).ok());
        let Some(noted) = noted else {
            return Verdict::Reject;
        };
        let about = &noted.checkpoint().origin.authority;
        let keys = directory.log_keys_ever(about);
        if keys.is_empty() {
            return Verdict::Ignore;
        }
        let Some(signed) = keys.iter().find_map(|key| noted.signed_by(key)) else {
            return Verdict::Reject;
        };
        // What convicts is passed on too: then each node convicts by itself.
        Verdict::if_new(self.saw(&signed, directory, now), about)
    }

    /// A conviction that was heard (EVD-10.2): two notes.
    pub fn judge_conviction(
        &self,
        payload: &[u8],
        directory: &Directory,
        now: Timestamp,
    ) -> Verdict {
        let view = text(payload, SPLIT_VIEW_MAX).and_then(|text| SplitView::parse(text).ok());
        let Some(view) = view else {
            return Verdict::Reject;
        };
        let about = &view.origin().authority;
        let keys = directory.log_keys_ever(about);
        if keys.is_empty() {
            return Verdict::Ignore;
        }
        // As it would be written here: signatures of others in it would make the same alert many.
        if view.verify(&keys).as_ref() != Some(&view) {
            return Verdict::Reject;
        }
        Verdict::if_new(self.convict(&view, now), about)
    }
}

impl Verdict {
    fn if_new(new: bool, about: &AuthorityId) -> Self {
        match new {
            true => Self::Accept(about.clone()),
            false => Self::Ignore,
        }
    }
}

/// What is no text, or longer than any that is meant, is none.
fn text(payload: &[u8], max: usize) -> Option<&str> {
    let text = std::str::from_utf8(payload).ok()?;
    (text.len() <= max).then_some(text)
}
