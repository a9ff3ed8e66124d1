//! What a connection brings in is counted below everything that reads it, so that no kind of flood goes unseen:
//! messages that were heard before, control messages, streams without end (GOS-4.2, case 32).

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::PeerId;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent, SubstreamBox};
use libp2p::futures::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;
use pli_protocol::limits::{GOSSIP_BYTES_BURST, GOSSIP_BYTES_PER_SECOND};

use super::budget::Bucket;

/// A stream costs its peer as much as these bytes.
const STREAM_COST: u64 = 512;

/// The meters of those who may connect; a stranger's goes with its connection. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Meters(Arc<Mutex<HashMap<PeerId, Meter>>>);

/// What one peer has brought in, over all its connections.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<Mutex<Measured>>);

#[derive(Debug)]
struct Measured {
    bucket: Bucket,
    over: bool,
}

impl Meters {
    /// Those who may connect from now on; what was measured of them stays.
    pub(super) fn keep<'a>(&self, peers: impl Iterator<Item = &'a PeerId>) {
        let mut meters = self.0.lock();
        let mut before = std::mem::take(&mut *meters);
        for peer in peers {
            let meter = before.remove(peer).unwrap_or_else(Meter::new);
            meters.insert(*peer, meter);
        }
    }

    /// The one of this peer.
    pub(super) fn of(&self, peer: &PeerId) -> Meter {
        let meters = self.0.lock();
        meters.get(peer).cloned().unwrap_or_else(Meter::new)
    }

    /// Those who brought in too much since they were asked for last; each begins anew.
    pub(super) fn take_over(&self) -> Vec<PeerId> {
        let mut meters = self.0.lock();
        let over = meters.iter().filter(|(_, meter)| meter.0.lock().over);
        let over: Vec<PeerId> = over.map(|(peer, _)| *peer).collect();
        for peer in &over {
            meters.insert(*peer, Meter::new());
        }
        over
    }
}

impl Meter {
    fn new() -> Self {
        let bucket = Bucket::new(GOSSIP_BYTES_BURST, GOSSIP_BYTES_PER_SECOND, Instant::now());
        Self(Arc::new(Mutex::new(Measured {
            bucket,
            over: false,
        })))
    }

    fn spend(&self, bytes: u64) -> io::Result<()> {
        let mut measured = self.0.lock();
        measured.over |= !measured.bucket.take(bytes, Instant::now());
        match measured.over {
            true => Err(io::Error::other("the peer sends more than it may")),
            false => Ok(()),
        }
    }

    /// Counts what this connection brings in.
    pub(super) fn over(self, connection: StreamMuxerBox) -> Metered {
        Metered {
            connection,
            meter: self,
        }
    }
}

/// A connection that is measured.
pub(super) struct Metered {
    connection: StreamMuxerBox,
    meter: Meter,
}

/// A stream of it.
pub(super) struct MeteredStream {
    stream: SubstreamBox,
    meter: Meter,
}

impl Metered {
    fn stream(&self, stream: SubstreamBox) -> MeteredStream {
        let meter = self.meter.clone();
        MeteredStream { stream, meter }
    }
}

impl StreamMuxer for Metered {
    type Substream = MeteredStream;
    type Error = io::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<MeteredStream>> {
        let polled = Pin::new(&mut self.connection).poll_inbound(context)?;
        polled.map(|stream| {
            self.meter.spend(STREAM_COST)?;
            Ok(self.stream(stream))
        })
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<MeteredStream>> {
        let polled = Pin::new(&mut self.connection).poll_outbound(context)?;
        polled.map(|stream| Ok(self.stream(stream)))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_close(context)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.connection).poll(context)
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer)?;
        polled.map(|bytes| {
            self.meter.spend(bytes as u64)?;
            Ok(bytes)
        })
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}
