//! From pieces to frames. Pure. Spec: SES-2.

use bytes::{Buf, Bytes, BytesMut};
use pli_protocol::codec::{self, FRAME_PREFIX};
use pli_protocol::limits;

use crate::error::RecvError;

/// Pieces taken from a stream at once: each take costs a lock on the connection.
pub(super) const SLOTS: usize = 32;

/// Cuts a stream of pieces into frames.
///
/// Contract: put pieces into [`slots`](Self::slots), say how many with
/// [`filled`](Self::filled), then call [`step`](Self::step) until it needs more. After an error
/// it is spent.
#[derive(Debug)]
pub(super) struct Assembler {
    /// The largest body taken.
    limit: usize,
    /// Whether an empty frame ends the stream (SES-6.4) or is refused (SES-2.3).
    has_end_mark: bool,
    slots: [Bytes; SLOTS],
    /// Invariant: `next <= filled <= SLOTS`.
    next: usize,
    filled: usize,
    partial: Partial,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    Frame(Bytes),
    EndMark,
    NeedMore,
}

#[derive(Debug)]
enum Partial {
    Prefix {
        bytes: [u8; FRAME_PREFIX],
        have: usize,
    },
    /// Invariant: the capacity is the announced length, which is at most the limit.
    Body { body: BytesMut, length: usize },
}

impl Partial {
    const NONE: Self = Self::Prefix {
        bytes: [0; FRAME_PREFIX],
        have: 0,
    };
}

impl Assembler {
    pub(super) fn new(has_end_mark: bool) -> Self {
        Self {
            limit: limits::FRAME_MAX,
            has_end_mark,
            slots: [const { Bytes::new() }; SLOTS],
            next: 0,
            filled: 0,
            partial: Partial::NONE,
        }
    }

    /// Takes no body larger than this, which is at most `FRAME_MAX`.
    pub(super) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes.min(limits::FRAME_MAX);
    }

    /// Bytes of a frame that has begun, its prefix included; 0 between frames.
    pub(super) fn begun(&self) -> usize {
        match &self.partial {
            Partial::Prefix { have, .. } => *have,
            Partial::Body { body, .. } => FRAME_PREFIX + body.len(),
        }
    }

    /// Where the next pieces go, once [`step`](Self::step) needs more.
    pub(super) fn slots(&mut self) -> &mut [Bytes] {
        debug_assert_eq!(
            self.next, self.filled,
            "nothing that has arrived is overwritten"
        );
        &mut self.slots
    }

    /// So many slots have been filled.
    pub(super) fn filled(&mut self, slots: usize) {
        (self.next, self.filled) = (0, slots);
    }

    /// Frees what is kept.
    pub(super) fn clear(&mut self) {
        *self = Self {
            limit: self.limit,
            ..Self::new(self.has_end_mark)
        };
    }

    /// Moves what has arrived into the next frame.
    pub(super) fn step(&mut self) -> Result<Step, RecvError> {
        while self.next < self.filled {
            let piece = &mut self.slots[self.next];
            match &mut self.partial {
                _ if piece.is_empty() => {
                    // Frees the packet that the piece was cut from.
                    *piece = Bytes::new();
                    self.next += 1;
                }
                Partial::Prefix { bytes, have } => {
                    let taken = piece.len().min(FRAME_PREFIX - *have);
                    bytes[*have..*have + taken].copy_from_slice(&piece[..taken]);
                    piece.advance(taken);
                    *have += taken;
                    if *have == FRAME_PREFIX {
                        let prefix = *bytes;
                        if self.has_end_mark && prefix == [0; FRAME_PREFIX] {
                            return Ok(Step::EndMark);
                        }
                        let length = length(prefix, self.limit)?;
                        let body = BytesMut::with_capacity(length);
                        self.partial = Partial::Body { body, length };
                    }
                }
                Partial::Body { body, length } => {
                    let taken = piece.len().min(*length - body.len());
                    body.extend_from_slice(&piece[..taken]);
                    piece.advance(taken);
                    if body.len() == *length {
                        let body = std::mem::take(body).freeze();
                        self.partial = Partial::NONE;
                        return Ok(Step::Frame(body));
                    }
                }
            }
        }
        Ok(Step::NeedMore)
    }
}

// SES-2.2, R27: nothing is allocated for a length that is not allowed.
fn length(prefix: [u8; FRAME_PREFIX], limit: usize) -> Result<usize, RecvError> {
    match codec::frame_len(prefix) {
        Ok(length) if length <= limit => Ok(length),
        Err(codec::FrameError::Empty) => Err(RecvError::Empty),
        _ => Err(RecvError::TooLarge {
            got: u32::from_be_bytes(prefix),
            limit,
        }),
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use pli_protocol::code::Code;
    use proptest::prelude::*;

    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    /// All frames in `stream`, given in pieces that end at `cuts`, and what is left begun.
    fn frames(stream: &[u8], cuts: &[usize]) -> Result<(Vec<Bytes>, usize), RecvError> {
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        bounds.extend([0, stream.len()]);
        bounds.sort_unstable();
        let pieces: Vec<Bytes> = bounds
            .windows(2)
            .map(|b| Bytes::copy_from_slice(&stream[b[0]..b[1]]))
            .collect();
        let (mut assembler, mut frames) = (Assembler::new(false), Vec::new());
        for some in pieces.chunks(SLOTS) {
            assembler.slots()[..some.len()].clone_from_slice(some);
            assembler.filled(some.len());
            while let Step::Frame(frame) = assembler.step()? {
                frames.push(frame);
            }
        }
        Ok((frames, assembler.begun()))
    }

    fn fed(stream: &[u8], has_end_mark: bool) -> Assembler {
        let mut assembler = Assembler::new(has_end_mark);
        assembler.slots()[0] = Bytes::copy_from_slice(stream);
        assembler.filled(1);
        assembler
    }

    #[test]
    fn case_01_a_length_over_the_limit_is_cut_before_allocating() {
        for length in [limits::FRAME_MAX as u32 + 1, 1 << 20, 1 << 31, u32::MAX] {
            let mut assembler = fed(&length.to_be_bytes(), false);
            let mut step = None;
            let allocated = measure(|| step = Some(assembler.step()));
            let refused = step.unwrap().unwrap_err();
            assert_eq!(
                refused,
                RecvError::TooLarge {
                    got: length,
                    limit: limits::FRAME_MAX
                }
            );
            assert_eq!(refused.code(), Some(Code::FrameTooLarge));
            assert_eq!(allocated.bytes_total, 0, "{length}");
        }
    }

    #[test]
    fn r27_the_largest_frame_allocates_its_size_and_no_more() {
        let mut assembler = fed(&(limits::FRAME_MAX as u32).to_be_bytes(), false);
        let allocated = measure(|| assert_eq!(assembler.step(), Ok(Step::NeedMore)));
        assert_eq!(allocated.bytes_total, limits::FRAME_MAX as u64);
        let mut assembler = fed(&framed(&vec![1; limits::FRAME_MAX]), false);
        assert!(
            matches!(assembler.step(), Ok(Step::Frame(body)) if body.len() == limits::FRAME_MAX)
        );
    }

    #[test]
    fn ses_3_2_a_lower_limit_holds_too() {
        let mut assembler = fed(&framed(&[1; 101]), false);
        assembler.set_limit(100);
        assert_eq!(
            assembler.step(),
            Err(RecvError::TooLarge {
                got: 101,
                limit: 100
            })
        );
        let mut assembler = fed(&framed(&[1; 100]), false);
        assembler.set_limit(100);
        assert!(matches!(assembler.step(), Ok(Step::Frame(_))));
    }

    #[test]
    fn ses_2_3_an_empty_frame_is_refused_or_ends_the_stream() {
        assert_eq!(fed(&[0; 4], false).step(), Err(RecvError::Empty));
        assert_eq!(fed(&[0; 4], true).step(), Ok(Step::EndMark));
    }

    #[test]
    fn a_frame_that_is_kept_does_not_keep_its_packet() {
        let packet = Bytes::from([framed(b"one"), framed(b"two")].concat());
        let mut assembler = Assembler::new(false);
        assembler.slots()[0] = packet.clone();
        assembler.filled(1);
        let kept = [assembler.step().unwrap(), assembler.step().unwrap()];
        assert_eq!(assembler.step(), Ok(Step::NeedMore));
        assert!(packet.is_unique(), "{kept:?} share nothing with it");
    }

    proptest! {
        #[test]
        fn frames_do_not_depend_on_how_they_arrive(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            cuts in prop::collection::vec(any::<usize>(), 0..80),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
            let (frames, begun) = frames(&stream, &cuts).unwrap();
            prop_assert_eq!(frames, bodies);
            prop_assert_eq!(begun, 0);
        }

        /// Case 2: cut at any byte, the whole frames come out and the rest is known to be begun.
        #[test]
        fn case_02_a_cut_stream_shows(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..4),
            at in any::<prop::sample::Index>(),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
            let cut = at.index(stream.len());
            let (frames, begun) = frames(&stream[..cut], &[]).unwrap();
            let whole: usize = frames.iter().map(|frame| FRAME_PREFIX + frame.len()).sum();
            prop_assert_eq!(whole + begun, cut);
        }
    }
}
