//! Cursor: whether a page of the home holds exactly the numbers that are due.
//!
//! A home numbers an account's letters without gaps, so that a letter it withholds or moves shows
//! (cases 57, 58). Pure. Spec: MBX-5.2, MBX-5.4.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::envelope::Letter;
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::limits;
use pli_protocol::wire;

/// How far a device has come in the numbers of its account.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursor {
    /// The last number that the device has.
    pub after: u64,
    /// The last number that the home says it gave out.
    pub latest: u64,
}

/// Why a page is refused as a whole. The home breaks its promise, whatever the reason.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PageFault {
    /// Case 57
    #[error(
        "the home skips number {expected} and goes on with {got}: it withholds what came between"
    )]
    Gap { expected: u64, got: u64 },
    /// Case 58
    #[error("the home gives number {got} where {expected} is due: it repeats or reorders")]
    Order { expected: u64, got: u64 },
    /// Case 58
    #[error("number {seq} holds the letter {got}, but the home calls it {claimed}")]
    OtherEnvelope {
        seq: u64,
        got: EnvelopeId,
        claimed: EnvelopeId,
    },
    /// Neither a letter nor why there is none, or both.
    #[error("number {seq} is neither one letter nor the reason for its absence")]
    Neither { seq: u64 },
    /// An id or a time that is none.
    #[error("number {seq}: {what} is malformed")]
    Malformed { seq: u64, what: &'static str },
    /// Case 57: the home lost what it had, or says so.
    #[error(
        "the home says that it gave out {latest} numbers, but this device has {known}: it lost or hides letters"
    )]
    WentBack { latest: u64, known: u64 },
    /// Case 57
    #[error(
        "the home ended with number {after} although it gave out {latest}: it withholds the rest"
    )]
    Withheld { after: u64, latest: u64 },
    /// R15
    #[error("{got} items in a page; at most {}", limits::SYNC_ITEMS_MAX)]
    TooMany { got: usize },
}

impl PageFault {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Gap { .. }
            | Self::Order { .. }
            | Self::WentBack { .. }
            | Self::Withheld { .. } => Code::Sequence,
            Self::OtherEnvelope { .. } => Code::AckMismatch,
            Self::Neither { .. } | Self::Malformed { .. } => Code::FieldInvalid,
            Self::TooMany { .. } => Code::TooMany,
        }
    }
}

/// One number of an account, or the last of those that were skipped together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Numbered {
    /// The number.
    pub seq: u64,
    /// Its id; of an absent letter what the home claims, if it says.
    pub id: Option<EnvelopeId>,
    /// What is there.
    pub body: Body,
}

/// What stands behind a number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// What should be a signed envelope. Maybe it is not even that: one bad item must not keep the
    /// citizen from the next one (R7), so it is looked at when it is shown.
    Envelope {
        /// The exact bytes.
        encoded: Bytes,
        /// When the home says that it stored them.
        stored: Timestamp,
    },
    /// It expired before this device came.
    Expired,
    /// The home found its record damaged and put it aside.
    Damaged,
    /// The home says that it never used these numbers, from this one up to the item's own.
    Skipped { first: u64 },
}

impl Numbered {
    /// Whether this is the item of a number.
    pub fn holds(&self, seq: u64) -> bool {
        let first = match self.body {
            Body::Skipped { first } => first,
            _ => self.seq,
        };
        (first..=self.seq).contains(&seq)
    }
}

impl Cursor {
    /// Checks a page and moves on to its end. On a fault the cursor stays where it was.
    pub fn take(&mut self, page: &wire::SyncPage) -> Result<Vec<Numbered>, PageFault> {
        let got = page.items.len();
        if got > limits::SYNC_ITEMS_MAX {
            return Err(PageFault::TooMany { got });
        }
        let mut after = self.after;
        let mut numbered = Vec::with_capacity(got);
        for item in &page.items {
            let (expected, got) = (after + 1, item.seq);
            // MBX-5.2: it covers all up to its number, where nothing is to be seen.
            let skips = item.envelope.is_empty() && item.absence == wire::Absence::Skipped as i32;
            if skips && (expected..=limits::INTEGER_MAX).contains(&got) {
                numbered.push(Numbered {
                    seq: got,
                    id: None,
                    body: Body::Skipped { first: expected },
                });
                after = got;
                continue;
            }
            if got > expected {
                return Err(PageFault::Gap { expected, got });
            }
            if got < expected {
                return Err(PageFault::Order { expected, got });
            }
            numbered.push(read(item)?);
            after = got;
        }
        let known = after.max(self.latest);
        if page.latest_seq < known {
            return Err(PageFault::WentBack {
                latest: page.latest_seq,
                known,
            });
        }
        *self = Self {
            after,
            latest: page.latest_seq,
        };
        Ok(numbered)
    }

    /// Whether the home may end the call here.
    pub fn check_end(&self) -> Result<(), PageFault> {
        if self.after < self.latest {
            return Err(PageFault::Withheld {
                after: self.after,
                latest: self.latest,
            });
        }
        Ok(())
    }
}

/// Reads one item; whether its number is due is the cursor's to say.
pub fn read(item: &wire::SyncItem) -> Result<Numbered, PageFault> {
    let seq = item.seq;
    let malformed = |what| PageFault::Malformed { seq, what };
    if !(1..=limits::INTEGER_MAX).contains(&seq) {
        return Err(malformed("the number"));
    }
    let claimed = match item.envelope_id.is_empty() {
        true => None,
        false => Some(
            EnvelopeId::from_slice(&item.envelope_id).map_err(|_| malformed("the envelope id"))?,
        ),
    };
    let absence = wire::Absence::try_from(item.absence)
        .map_err(|_| malformed("the reason for the absence"))?;
    let (id, body) = match (item.envelope.is_empty(), absence) {
        (false, wire::Absence::Unspecified) => {
            if !(1..=limits::INTEGER_MAX).contains(&item.stored_ms) {
                return Err(malformed("the time of storing"));
            }
            let got = Letter::decode(item.envelope.clone())
                .ok()
                .map(|letter| letter.id());
            if let (Some(got), Some(claimed)) = (got, claimed)
                && got != claimed
            {
                return Err(PageFault::OtherEnvelope { seq, got, claimed });
            }
            let stored = Timestamp::from_ms(item.stored_ms);
            (
                got.or(claimed),
                Body::Envelope {
                    encoded: item.envelope.clone(),
                    stored,
                },
            )
        }
        (true, wire::Absence::Expired) => (claimed, Body::Expired),
        (true, wire::Absence::Damaged) => (claimed, Body::Damaged),
        _ => return Err(PageFault::Neither { seq }),
    };
    Ok(Numbered { seq, id, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::verify::tests::letter;

    fn item(seq: u64) -> wire::SyncItem {
        let encoded = letter(&format!("Lettre {seq}"));
        let id = Letter::decode(encoded.clone()).expect("made here").id();
        wire::SyncItem {
            seq,
            stored_ms: 1_795_000_000_000,
            envelope: encoded,
            absence: 0,
            envelope_id: id.as_bytes().to_vec().into(),
        }
    }

    fn page(items: Vec<wire::SyncItem>, latest_seq: u64) -> wire::SyncPage {
        wire::SyncPage { items, latest_seq }
    }

    /// MBX-5.2, MBX-5.4
    #[test]
    fn case_57_a_number_that_the_home_withholds_shows() {
        let mut cursor = Cursor {
            after: 3,
            latest: 3,
        };
        let gap = cursor.take(&page(vec![item(4), item(6), item(7)], 7));
        assert_eq!(
            gap,
            Err(PageFault::Gap {
                expected: 5,
                got: 6
            })
        );
        assert_eq!(
            cursor,
            Cursor {
                after: 3,
                latest: 3
            },
            "nothing of the page was taken"
        );
        // At the start, and when it simply stops.
        assert_eq!(
            cursor.take(&page(vec![item(5)], 7)),
            Err(PageFault::Gap {
                expected: 4,
                got: 5
            })
        );
        cursor.take(&page(vec![item(4)], 7)).expect("due");
        assert_eq!(
            cursor.check_end(),
            Err(PageFault::Withheld {
                after: 4,
                latest: 7
            })
        );
        // Having said seven, it cannot say five later.
        let back = cursor.take(&page(vec![item(5)], 5));
        assert_eq!(
            back,
            Err(PageFault::WentBack {
                latest: 5,
                known: 7
            })
        );
        cursor
            .take(&page((5..=7).map(item).collect(), 7))
            .expect("due");
        cursor.check_end().expect("complete");
    }

    #[test]
    fn case_58_what_the_home_reorders_repeats_or_injects_is_refused() {
        let start = Cursor {
            after: 3,
            latest: 9,
        };
        let refused = |items| {
            let mut cursor = start;
            let fault = cursor.take(&page(items, 9)).expect_err("refused");
            assert_eq!(cursor, start, "nothing of the page was taken");
            fault
        };
        assert_eq!(
            refused(vec![item(4), item(4)]),
            PageFault::Order {
                expected: 5,
                got: 4
            }
        );
        assert_eq!(
            refused(vec![item(4), item(3)]),
            PageFault::Order {
                expected: 5,
                got: 3
            }
        );
        assert_eq!(
            refused(vec![item(5), item(4)]),
            PageFault::Gap {
                expected: 4,
                got: 5
            }
        );
        assert_eq!(
            refused(vec![item(3)]),
            PageFault::Order {
                expected: 4,
                got: 3
            }
        );
        // Another letter under the id of the one that is due.
        let mut other = item(4);
        other.envelope = letter("une autre");
        assert!(matches!(
            refused(vec![other]),
            PageFault::OtherEnvelope { seq: 4, .. }
        ));
        let mut absent = item(4);
        absent.absence = wire::Absence::Expired.into();
        assert_eq!(refused(vec![absent.clone()]), PageFault::Neither { seq: 4 });
        absent.absence = 0;
        absent.envelope = Bytes::new();
        assert_eq!(refused(vec![absent.clone()]), PageFault::Neither { seq: 4 });
        absent.absence = 9;
        assert!(matches!(
            refused(vec![absent]),
            PageFault::Malformed { seq: 4, .. }
        ));
        let mut late = item(4);
        late.stored_ms = limits::INTEGER_MAX + 1;
        assert!(matches!(
            refused(vec![late]),
            PageFault::Malformed { seq: 4, .. }
        ));
        let mut short = item(4);
        short.envelope_id = Bytes::from_static(&[1; 31]);
        assert!(matches!(
            refused(vec![short]),
            PageFault::Malformed { seq: 4, .. }
        ));
        assert!(matches!(
            refused(vec![item(u64::MAX)]),
            PageFault::Gap { .. }
        ));
    }

    /// MBX-5.2, MBX-5.4
    #[test]
    fn case_43_numbers_that_the_home_skipped_are_neither_letters_nor_a_gap() {
        let skipped = |seq| wire::SyncItem {
            seq,
            absence: wire::Absence::Skipped.into(),
            ..wire::SyncItem::default()
        };
        let mut cursor = Cursor::default();
        let last = 65_538;
        let taken = cursor
            .take(&page(
                vec![item(1), skipped(last), item(last + 1)],
                last + 1,
            ))
            .expect("all due");
        let numbers: Vec<_> = taken.iter().map(|numbered| numbered.seq).collect();
        assert_eq!(numbers, [1, last, last + 1]);
        assert_eq!(taken[1].body, Body::Skipped { first: 2 });
        for (seq, holds) in [(1, false), (2, true), (last, true), (last + 1, false)] {
            assert_eq!(taken[1].holds(seq), holds, "{seq}");
        }
        assert_eq!(cursor.after, last + 1);
        for seq in [last, 0] {
            let back = { cursor }.take(&page(vec![skipped(seq)], last + 1));
            assert!(matches!(back, Err(PageFault::Order { .. })), "{seq}");
        }
        let beyond = skipped(limits::INTEGER_MAX + 1);
        assert!(cursor.take(&page(vec![beyond], last + 1)).is_err());
    }

    #[test]
    fn r07_an_item_that_is_no_envelope_does_not_stop_the_next_one() {
        let mut garbage = item(1);
        garbage.envelope = Bytes::from_static(b"garbage");
        let mut expired = item(3);
        expired.envelope = Bytes::new();
        expired.absence = wire::Absence::Expired.into();
        expired.stored_ms = 0;
        expired.envelope_id = Bytes::new();
        let mut cursor = Cursor::default();
        let taken = cursor
            .take(&page(vec![garbage, item(2), expired], 3))
            .expect("all due");
        assert!(
            matches!(&taken[0].body, Body::Envelope { encoded, .. } if &encoded[..] == b"garbage")
        );
        assert!(matches!(&taken[1].body, Body::Envelope { .. }));
        assert_eq!((taken[2].id, &taken[2].body), (None, &Body::Expired));
        assert_eq!(cursor.after, 3);
    }

    #[test]
    fn r15_a_page_of_the_most_items_and_one_more() {
        let max = limits::SYNC_ITEMS_MAX as u64;
        let absent = |seq| wire::SyncItem {
            seq,
            absence: 1,
            ..wire::SyncItem::default()
        };
        let many = page((1..=max + 1).map(absent).collect(), max + 1);
        assert_eq!(
            Cursor::default().take(&many),
            Err(PageFault::TooMany { got: 257 })
        );
        let most = page((1..=max).map(absent).collect(), max + 1);
        assert_eq!(Cursor::default().take(&most).expect("the most").len(), 256);
    }
}
