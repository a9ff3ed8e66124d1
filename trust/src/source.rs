//! Where a repository is read (TRU-2.6): nobody there has to be trusted.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use url::{Host, Url};

use crate::fetch::FetchError;

/// A place that holds `metadata/` and `targets/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A directory of this machine.
    Directory(PathBuf),
    /// An HTTPS address, or plain HTTP on this machine. Ends with a slash.
    Mirror(Url),
    /// Another node, asked by calls. No text names one.
    Peer(Peer),
    /// Files at hand, by their names; see [`crate::read_held`]. No text names one.
    Held(Arc<BTreeMap<String, Bytes>>),
}

/// A node that gives its own verified copy, file by file (TRU-5.6).
#[derive(Clone, Debug)]
pub struct Peer {
    /// For messages, and what tells two peers apart.
    pub name: String,
    /// How it is asked.
    pub files: Arc<dyn Files>,
}

/// Another way to a repository's files than a disk or HTTP.
pub trait Files: fmt::Debug + Send + Sync {
    /// A file such as `metadata/3.snapshot.json`, of at most `max` bytes.
    fn fetch<'a>(&'a self, file: &'a str, max: u64) -> Fetching<'a>;
}

/// A file on its way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + 'a>>;

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Peer {}

/// Why a text names no source.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// Neither form.
    #[error("{got:?} is neither a directory nor an https:// address")]
    Form { got: String },
    /// TUF would still authenticate the files, but everyone on the way would see who asks.
    #[error("{got} is plain HTTP to another machine; use https://, or a directory")]
    PlainHttp { got: Url },
}

impl Source {
    /// A mirror; the rule of plain HTTP is checked.
    pub fn mirror(mut url: Url) -> Result<Self, SourceError> {
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(SourceError::PlainHttp { got: url }),
            _ => return Err(SourceError::Form { got: url.into() }),
        }
        url.set_query(None);
        url.set_fragment(None);
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self::Mirror(url))
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Self::Directory(path.into()));
        }
        if text.contains("://") {
            let url = Url::parse(text).map_err(|_| SourceError::Form { got: text.into() })?;
            return Self::mirror(url);
        }
        if text.is_empty() {
            return Err(SourceError::Form { got: text.into() });
        }
        Ok(Self::Directory(text.into()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Mirror(url) => url.fmt(f),
            Self::Peer(peer) => write!(f, "the node of {}", peer.name),
            Self::Held(files) => write!(f, "the {} files at hand", files.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://pli.example/trust",
            "http://127.0.0.1:8000/",
            "http://[::1]:1",
            "http://localhost/x",
        ] {
            let source: Source = good.parse().unwrap();
            assert!(source.to_string().ends_with('/'), "{source}");
        }
        for bad in [
            "http://pli.example/",
            "http://10.0.0.1/",
            "ftp://pli.example/",
            "",
            "https://",
        ] {
            assert!(bad.parse::<Source>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "/srv/trust".parse(),
            Ok(Source::Directory("/srv/trust".into()))
        );
        assert_eq!(
            "file:///srv/trust".parse(),
            Ok(Source::Directory("/srv/trust".into()))
        );
    }
}
