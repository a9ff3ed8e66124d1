//! The checkpoint that others are shown, on disk: after a restart the same one is shown again, with its cosignatures.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pli_protocol::evidence::Noted;
use pli_protocol::limits::NOTE_MAX;

use super::Head;

const NAME: &str = "published";

#[derive(Debug)]
pub(super) struct Published {
    folder: PathBuf,
    head: Option<Head>,
}

impl Published {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let head = match fs::read_to_string(folder.join(NAME)) {
            // Written as a whole or not at all; what does not read is made again.
            Ok(note) if note.len() <= NOTE_MAX => Noted::parse(&note).ok().map(|noted| Head {
                size: noted.checkpoint().size,
                note,
            }),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            folder: folder.to_owned(),
            head,
        })
    }

    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// An older one than is shown already changes nothing. Of one size the one with more cosignatures is shown, whichever
    /// came first; it is not written down, because those on disk are enough and a sync is not free.
    pub(super) fn replace(&mut self, head: Head) -> io::Result<()> {
        match &self.head {
            Some(shown) if shown.size > head.size => return Ok(()),
            Some(shown) if shown.size == head.size => {
                if cosignatures(&head) >= cosignatures(shown) {
                    self.head = Some(head);
                }
                return Ok(());
            }
            _ => {}
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(head.note.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(NAME))
            .map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()?;
        self.head = Some(head);
        Ok(())
    }
}

/// How many a head has, of whomever.
fn cosignatures(head: &Head) -> usize {
    Noted::parse(&head.note).map_or(0, |noted| noted.claimed_witnesses().count())
}
