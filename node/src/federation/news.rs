//! What makes this node look for a newer directory before its time (TRU-5.2): a folder among its sources in which
//! something was published, and SIGHUP, for sources that cannot be watched.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use std::{future, io};

use pli_trust::Source;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

/// Between two looks at the folders.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Published last of all, so that what it leads to is there.
const TIMESTAMP: &str = "metadata/timestamp.json";

/// When a file was written, and its bytes; `None` where there is none.
type Stamp = Option<(SystemTime, u64)>;

/// Waits for news.
#[derive(Debug)]
pub struct News {
    folders: Vec<(PathBuf, Stamp)>,
    hangup: Option<Signal>,
}

impl News {
    /// Of those of the sources that are folders, from now on, and of SIGHUP.
    pub async fn of(sources: &[Source]) -> io::Result<Self> {
        let mut folders = Vec::new();
        for source in sources {
            if let Source::Directory(folder) = source {
                let file = folder.join(TIMESTAMP);
                folders.push((file.clone(), stamp(&file).await));
            }
        }
        let hangup = Some(signal(SignalKind::hangup())?);
        Ok(Self { folders, hangup })
    }

    /// There never are any.
    #[cfg(test)]
    pub fn none() -> Self {
        Self {
            folders: Vec::new(),
            hangup: None,
        }
    }

    /// Returns when there are some. Nothing is lost if it is dropped before.
    pub async fn came(&mut self) {
        let Self { folders, hangup } = self;
        tokio::select! {
            () = published(folders) => tracing::debug!("a folder of the directory has changed"),
            () = hung_up(hangup) => tracing::info!("SIGHUP: looking for a newer directory"),
        }
    }
}

async fn published(folders: &mut [(PathBuf, Stamp)]) {
    if folders.is_empty() {
        return future::pending().await;
    }
    loop {
        for (file, seen) in folders.iter_mut() {
            let now = stamp(file).await;
            if now != *seen {
                *seen = now;
                return;
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    let came = match hangup {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        future::pending().await
    }
}

async fn stamp(file: &PathBuf) -> Stamp {
    let metadata = tokio::fs::metadata(file).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn each_change_of_a_folder_is_news_once_and_one_that_is_not_there_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Directory(folder.path().to_owned());
        let mut news = News::of(&[source]).await.unwrap();
        let soon = LOOK_EVERY * 3;
        assert!(timeout(soon, news.came()).await.is_err());
        let file = folder.path().join(TIMESTAMP);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        for content in ["one", "two", "three"] {
            fs::write(&file, content).unwrap();
            timeout(soon, news.came()).await.expect("news");
            assert!(timeout(soon, news.came()).await.is_err(), "once");
        }
    }
}
