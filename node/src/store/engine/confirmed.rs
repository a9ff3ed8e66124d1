//! The last time that was beyond doubt (case 17): a small text file, replaced as a whole.
//!
//! A start compares its clock with it. It is a hint and no part of the log: lost or damaged, it reads as none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pli_protocol::id::Timestamp;

const NAME: &str = "CONFIRMED-TIME";
const NEW_NAME: &str = "CONFIRMED-TIME.new";
/// Milliseconds since 1970 have no more digits, and a line's end.
const LENGTH_MAX: u64 = 21;

#[derive(Debug)]
pub(super) struct Confirmed {
    directory: PathBuf,
    last: Mutex<Option<Timestamp>>,
}

impl Confirmed {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            directory: directory.into(),
            last: Mutex::new(load(directory)?),
        })
    }

    pub(super) fn get(&self) -> Option<Timestamp> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, now: Timestamp) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let new = self.directory.join(NEW_NAME);
        let mut file = File::create(&new)?;
        writeln!(file, "{}", now.as_ms())?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join(NAME))?;
        File::open(&self.directory)?.sync_all()?;
        *last = Some(now);
        Ok(())
    }
}

pub(super) fn load(directory: &Path) -> io::Result<Option<Timestamp>> {
    let file = match File::open(directory.join(NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LENGTH_MAX), &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end().parse().ok().map(Timestamp::from_ms))
}
