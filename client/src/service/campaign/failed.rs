//! The lines that failed, as they stand in the file, in a file of their own: to be corrected there and
//! sent as a campaign of its own. The rest of the campaign is not sent again by that.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::line::LINE_MAX;
use super::state::State;
use crate::folder::{self, FileError};

/// Where the lines after `after` that failed go: the name says which, so that a run that is killed
/// here and goes on writes the same file, and never one that somebody corrects already.
pub(super) fn path(file: &Path, after: u64) -> PathBuf {
    match after {
        0 => file.with_added_extension("failed.ndjson"),
        _ => file.with_added_extension(format!("failed-after-{after}.ndjson")),
    }
}

/// Of a line of the results, what matters here.
#[derive(Debug, Deserialize)]
struct Row {
    line: u64,
    outcome: String,
}

/// Copies the failed lines after `state.failed_through` out of `file`, durable when it returns.
/// `None` where there are none. Of a line longer than [`LINE_MAX`] the whole is copied, in parts.
pub(super) fn write(
    file: &Path,
    results: &Path,
    state: &State,
) -> Result<Option<PathBuf>, FileError> {
    let rows = BufReader::new(File::open(results).map_err(FileError::at(results))?);
    let mut letters = BufReader::new(File::open(file).map_err(FileError::at(file))?);
    let mut written = None;
    let mut at = 0;
    for row in rows.take(state.results_bytes).lines() {
        let row = row.map_err(FileError::at(results))?;
        let row: Row = serde_json::from_str(&row)
            .map_err(|error| FileError::at(results)(io::Error::other(error)))?;
        let failed = matches!(row.outcome.as_str(), "refused" | "invalid");
        if !failed || row.line <= state.failed_through {
            continue;
        }
        while at + 1 < row.line {
            copy_line(&mut letters, &mut io::sink()).map_err(FileError::at(file))?;
            at += 1;
        }
        let path = path(file, state.failed_through);
        if written.is_none() {
            written = Some(new_file(&path)?);
        }
        let out = written.as_mut().expect("made above");
        copy_line(&mut letters, out).map_err(FileError::at(&path))?;
        at += 1;
    }
    let Some(out) = written else { return Ok(None) };
    let path = path(file, state.failed_through);
    let out = out
        .into_inner()
        .map_err(|error| FileError::at(&path)(error.into_error()))?;
    out.as_file().sync_all().map_err(FileError::at(&path))?;
    out.persist(&path)
        .map_err(|error| FileError::at(&path)(error.error))?;
    folder::sync_folder(parent(&path))?;
    Ok(Some(path))
}

/// Letters are nobody else's to read: a temporary file is of mode 0600 from its first byte.
fn new_file(path: &Path) -> Result<BufWriter<tempfile::NamedTempFile>, FileError> {
    let made = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(parent(path));
    Ok(BufWriter::new(made.map_err(FileError::at(path))?))
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Copies to the end of the line, and ends it.
fn copy_line(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let mut part = Vec::new();
    loop {
        part.clear();
        let mut bounded = from.by_ref().take(LINE_MAX as u64);
        let read = bounded.read_until(b'\n', &mut part)?;
        to.write_all(&part)?;
        if part.last() == Some(&b'\n') {
            return Ok(());
        }
        if read < LINE_MAX {
            return to.write_all(b"\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_copied_whole_and_ended_whatever_its_length() {
        let long = vec![b'x'; LINE_MAX * 2 + 3];
        for (line, rest) in [
            (&b"short"[..], &b"next"[..]),
            (&long, b"next\n"),
            (b"last", b""),
        ] {
            let file = [line, if rest.is_empty() { b"" } else { b"\n" }, rest].concat();
            let (mut from, mut to) = (&file[..], Vec::new());
            copy_line(&mut from, &mut to).expect("memory");
            assert_eq!(to, [line, b"\n"].concat());
            assert_eq!(from, rest);
        }
    }
}
