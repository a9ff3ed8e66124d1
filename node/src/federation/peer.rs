//! Files of the directory from another node, by calls (TRU-5.6). In: whose node, and the directory that says where it
//! is and by which keys it is known. Out: a source that nobody has to trust.
//!
//! An expired directory still says where others are: nothing that they answer is believed because of it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::TRUST_PIECE_MAX;
use pli_protocol::trust::{Directory, NodeRecord};
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{DialledConnection, Dialler, FrameReader};
use pli_trust::{FetchError, Fetching, Files, Peer, Source};
use tokio::sync::OnceCell;

use super::standing;
use crate::deliver::dial::{NotReached, connect};
use crate::deliver::forward::reply_in_time;

/// Who may be asked, and how.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Whose node this is: it does not ask itself.
    pub own: AuthorityId,
    /// Dials where the operator lets it.
    pub dialler: Dialler,
}

impl Peers {
    /// The nodes that can be asked at `now`, by name. An authority that the directory suspends is not.
    pub(super) fn all(&self, directory: &Directory, now: Timestamp) -> Vec<AuthorityId> {
        let listed = directory.authorities().map(|record| &record.authority);
        let mut all: Vec<_> = listed
            .filter(|authority| keys(directory, authority, now).is_some())
            .filter(|authority| **authority != self.own)
            .cloned()
            .collect();
        all.sort();
        all
    }

    /// The node of `authority`, if it can be asked. It is dialled with the first question, and left when the source
    /// is dropped.
    pub(super) fn source(
        &self,
        directory: &Directory,
        authority: &AuthorityId,
        now: Timestamp,
    ) -> Option<Source> {
        let (node, keys) = keys(directory, authority, now).filter(|_| *authority != self.own)?;
        let asked = Asked {
            dialler: self.dialler.clone(),
            node,
            keys,
            connection: OnceCell::new(),
        };
        Some(Source::Peer(Peer {
            name: authority.to_string(),
            files: Arc::new(asked),
        }))
    }
}

fn keys(
    directory: &Directory,
    authority: &AuthorityId,
    now: Timestamp,
) -> Option<(NodeRecord, Vec<PublicKey>)> {
    standing(directory, authority, now).ok()?;
    let node = directory.node_of(authority).ok()?;
    let valid = node.keys.iter().filter(|key| key.validity.contains(now));
    let keys: Vec<_> = valid.map(|key| key.key).collect();
    (!keys.is_empty()).then(|| (node.clone(), keys))
}

#[derive(Debug)]
struct Asked {
    dialler: Dialler,
    node: NodeRecord,
    keys: Vec<PublicKey>,
    connection: OnceCell<DialledConnection>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.get() {
            connection.close(None, "done for now");
        }
    }
}

impl Files for Asked {
    fn fetch<'a>(&'a self, file: &'a str, max: u64) -> Fetching<'a> {
        Box::pin(self.file(file, max))
    }
}

impl Asked {
    async fn file(&self, file: &str, max: u64) -> Result<Bytes, FetchError> {
        let failed = |problem: String| FetchError::Unreachable {
            from: format!("the node of {}", self.node.authority),
            file: file.into(),
            problem,
        };
        let dial = || connect(&self.dialler, &self.node, &self.keys);
        let connection = self.connection.get_or_try_init(dial).await;
        let connection = connection.map_err(|NotReached { reason, .. }| failed(reason))?;
        let stream = connection.open_call().await;
        let mut stream = stream.map_err(|error| failed(error.to_string()))?;
        let path = file.to_owned();
        let call = wire::Call {
            kind: Some(call::Kind::Trust(wire::Trust { path })),
        };
        let sent = async {
            stream.send.send_message(&call).await?;
            stream.send.finish().await
        };
        sent.await.map_err(|error| failed(error.to_string()))?;
        match whole(&mut stream.recv, max).await {
            Ok(bytes) => Ok(bytes),
            Err(Ended::Absent) => Err(FetchError::Missing {
                from: format!("the node of {}", self.node.authority),
                file: file.into(),
            }),
            Err(Ended::TooLarge) => Err(FetchError::TooLarge {
                file: file.into(),
                max,
            }),
            Err(Ended::Failed(problem)) => Err(failed(problem)),
        }
    }
}

/// Why a file did not come.
#[derive(Debug, Eq, PartialEq)]
enum Ended {
    Absent,
    /// Refused by its announced size, before its bytes are kept.
    TooLarge,
    Failed(String),
}

/// A file, piece by piece: exactly as long as its first frame says, and no piece is empty but that of an empty file.
async fn whole(recv: &mut FrameReader, max: u64) -> Result<Bytes, Ended> {
    let mut file: Option<Pieces> = None;
    loop {
        let reply = reply_in_time(recv).await;
        let reply = reply.map_err(|broken| Ended::Failed(broken.to_string()))?;
        let piece = match reply.kind {
            Some(call_reply::Kind::Trust(piece)) => piece,
            Some(call_reply::Kind::Refusal(refusal)) => {
                let code = refusal.code;
                return Err(Ended::Failed(format!("refused with code {code}")));
            }
            _ => return Err(Ended::Failed("another answer than a file".to_owned())),
        };
        let pieces = match &mut file {
            Some(pieces) => pieces,
            None => file.insert(Pieces::of(&piece, max)?),
        };
        if pieces.take(&piece)? {
            return Ok(std::mem::take(&mut pieces.bytes).freeze());
        }
    }
}

#[derive(Debug)]
struct Pieces {
    size: u64,
    bytes: BytesMut,
}

impl Pieces {
    fn of(first: &wire::TrustFile, max: u64) -> Result<Self, Ended> {
        if first.absent {
            return Err(Ended::Absent);
        }
        if first.size > max {
            return Err(Ended::TooLarge);
        }
        Ok(Self {
            size: first.size,
            bytes: BytesMut::new(),
        })
    }

    /// Whether the file is whole with this piece.
    fn take(&mut self, piece: &wire::TrustFile) -> Result<bool, Ended> {
        let grown = self.bytes.len() as u64 + piece.file.len() as u64;
        let empty = piece.file.is_empty() && self.size > 0;
        if piece.absent || piece.size != self.size || empty || grown > self.size {
            return Err(Ended::Failed("the pieces do not fit each other".to_owned()));
        }
        if piece.file.len() > TRUST_PIECE_MAX {
            return Err(Ended::Failed("a piece is too large".to_owned()));
        }
        self.bytes.extend_from_slice(&piece.file);
        Ok(grown == self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(file: &[u8], size: u64) -> wire::TrustFile {
        wire::TrustFile {
            file: Bytes::copy_from_slice(file),
            absent: false,
            size,
        }
    }

    /// TRU-5.6: a peer that sends on and on is cut off by what it announced, and that is bounded.
    #[test]
    fn r18_r15_a_file_is_as_long_as_it_was_announced_and_bounded_before_it_is_kept() {
        assert_eq!(
            Pieces::of(&piece(b"", 11), 10).unwrap_err(),
            Ended::TooLarge
        );
        let absent = wire::TrustFile {
            absent: true,
            ..Default::default()
        };
        assert_eq!(Pieces::of(&absent, 10).unwrap_err(), Ended::Absent);

        let mut file = Pieces::of(&piece(b"abc", 5), 5).unwrap();
        assert_eq!(file.take(&piece(b"abc", 5)), Ok(false));
        for bad in [piece(b"def", 5), piece(b"", 5), piece(b"de", 6), absent] {
            assert!(file.take(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(file.take(&piece(b"de", 5)), Ok(true));
        assert_eq!(file.bytes, &b"abcde"[..]);

        let mut empty = Pieces::of(&piece(b"", 0), 5).unwrap();
        assert_eq!(empty.take(&piece(b"", 0)), Ok(true));
        let mut large = Pieces::of(&piece(b"", 1 << 20), 1 << 20).unwrap();
        assert!(
            large
                .take(&piece(&[0; TRUST_PIECE_MAX + 1], 1 << 20))
                .is_err()
        );
    }
}
