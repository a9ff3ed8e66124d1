//! The last word of each kind, for whoever connects (GOS-5). In: what was said or accepted here. Out: an answer to
//! `/pli/1/last`, so that a node with one reachable peer catches up with everything at once.
//!
//! ```text
//! question: nothing; the stream's end
//! answer:   ( topic: u8 = 1, 2, 3 ‖ length: u32 ‖ payload )*, the stream's end
//! ```

use std::collections::{BTreeMap, HashSet};
use std::io;

use bytes::Bytes;
use libp2p::StreamProtocol;
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response::Codec;
use pli_protocol::id::AuthorityId;
use pli_protocol::limits::GOSSIP_LAST_MAX;

use super::Topic;
use crate::metrics::Label;

/// What an answer may have before each payload.
const HEAD: usize = 1 + 4;

/// The protocol's name.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/pli/1/last");

/// One thing that was said.
pub(super) type Said = (Topic, Bytes);

/// The last word of each topic about each authority. Bounded by the topics and the authorities of the directory.
#[derive(Debug, Default)]
pub(super) struct Last(BTreeMap<(usize, Option<AuthorityId>), Bytes>);

impl Last {
    /// This is the newest now.
    pub(super) fn keep(&mut self, topic: Topic, about: Option<AuthorityId>, payload: Bytes) {
        self.0.insert((topic.index(), about), payload);
    }

    /// Forgets what was said about others than these.
    pub(super) fn retain(&mut self, listed: impl Fn(&AuthorityId) -> bool) {
        self.0
            .retain(|(_, about), _| about.as_ref().is_none_or(&listed));
    }

    /// What of an answer is not what is held here already.
    pub(super) fn news(&self, answer: Vec<Said>) -> impl Iterator<Item = Said> + use<> {
        let held = self
            .0
            .iter()
            .map(|((topic, _), payload)| (*topic, payload.clone()));
        let held: HashSet<(usize, Bytes)> = held.collect();
        let known = move |(topic, payload): &Said| held.contains(&(topic.index(), payload.clone()));
        answer.into_iter().filter(move |said| !known(said))
    }

    /// What an answer holds: alerts first, so that no number of others keeps them out.
    pub(super) fn all(&self) -> Vec<Said> {
        let newest = self.0.iter().rev().take(GOSSIP_LAST_MAX);
        newest
            .map(|((topic, _), payload)| (Topic::ALL[*topic], payload.clone()))
            .collect()
    }
}

/// Reads and writes the two messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastCodec;

impl Codec for LastCodec {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = Vec<Said>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        match io.read(&mut [0]).await? {
            0 => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<Said>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut said = Vec::new();
        let mut topic = [0];
        while io.read(&mut topic).await? == 1 {
            let topic = usize::from(topic[0]).checked_sub(1);
            let topic = topic.and_then(|topic| Topic::ALL.get(topic).copied());
            let topic = topic.ok_or(io::ErrorKind::InvalidData)?;
            let mut length = [0; HEAD - 1];
            io.read_exact(&mut length).await?;
            let length = u32::from_be_bytes(length) as usize;
            // GOS-2.2: before anything is allocated.
            if length > topic.max() || said.len() == GOSSIP_LAST_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut payload = vec![0; length];
            io.read_exact(&mut payload).await?;
            said.push((topic, payload.into()));
        }
        Ok(said)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.close().await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        said: Vec<Said>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        for (topic, payload) in said {
            let mut head = [0; HEAD];
            head[0] = topic.index() as u8 + 1;
            let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
            head[1..].copy_from_slice(&length.to_be_bytes());
            io.write_all(&head).await?;
            io.write_all(&payload).await?;
        }
        io.close().await
    }
}

#[cfg(test)]
mod tests {
    use libp2p::futures::io::Cursor;

    use super::*;

    fn authority(n: usize) -> AuthorityId {
        AuthorityId::new(&format!("ministry{n}.example")).expect("valid")
    }

    async fn read(bytes: Vec<u8>) -> io::Result<Vec<Said>> {
        let mut codec = LastCodec;
        codec
            .read_response(&PROTOCOL, &mut Cursor::new(bytes))
            .await
    }

    async fn written(said: Vec<Said>) -> Vec<u8> {
        let mut io = Cursor::new(Vec::new());
        let wrote = LastCodec.write_response(&PROTOCOL, &mut io, said).await;
        wrote.expect("memory takes all");
        io.into_inner()
    }

    #[tokio::test]
    async fn gos_5_1_only_the_newest_word_about_each_is_kept_and_an_answer_reads_back() {
        let mut last = Last::default();
        last.keep(Topic::Trust, None, Bytes::from_static(b"old"));
        last.keep(Topic::Trust, None, Bytes::from_static(b"new"));
        last.keep(
            Topic::Checkpoints,
            Some(authority(1)),
            Bytes::from_static(b"one"),
        );
        last.keep(
            Topic::Checkpoints,
            Some(authority(2)),
            Bytes::from_static(b"two"),
        );
        last.keep(Topic::Alerts, Some(authority(1)), Bytes::from_static(b"!"));
        let all = last.all();
        assert_eq!(all.len(), 4);
        assert_eq!(all[0], (Topic::Alerts, Bytes::from_static(b"!")));
        assert!(all.contains(&(Topic::Trust, Bytes::from_static(b"new"))));
        assert_eq!(read(written(all.clone()).await).await.expect("reads"), all);

        let newer = (Topic::Alerts, Bytes::from_static(b"newer"));
        let answer = [all, vec![newer.clone()]].concat();
        assert_eq!(last.news(answer).collect::<Vec<_>>(), [newer]);

        last.retain(|listed| *listed == authority(2));
        assert_eq!(last.all().len(), 2, "of the other and of the federation");
    }

    #[tokio::test]
    async fn r15_an_answer_over_a_bound_is_not_read() {
        let said = |bytes: usize| vec![(Topic::Alerts, Bytes::from(vec![0; bytes]))];
        assert!(read(written(said(Topic::Alerts.max())).await).await.is_ok());
        assert!(
            read(written(said(Topic::Alerts.max() + 1)).await)
                .await
                .is_err()
        );
        let many = |n: usize| vec![(Topic::Trust, Bytes::from_static(b"1")); n];
        assert!(read(written(many(GOSSIP_LAST_MAX)).await).await.is_ok());
        assert!(
            read(written(many(GOSSIP_LAST_MAX + 1)).await)
                .await
                .is_err()
        );
        // 4 GiB are announced, nothing is allocated; an unknown topic; a payload that ends early.
        for bad in [
            &[1, 0xff, 0xff, 0xff, 0xff][..],
            &[4, 0, 0, 0, 0],
            &[1, 0, 0, 0, 9, 1],
        ] {
            assert!(read(bad.to_vec()).await.is_err(), "{bad:?}");
        }
    }
}
