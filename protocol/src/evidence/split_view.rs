//! A log that says two things: two checkpoints of one origin and size, signed by its key, with different roots (case 20).
//!
//! ```text
//! <the checkpoint whose root sorts first, with one signature>
//! (an empty line)
//! <the other one, with one signature>
//! ```
//!
//! Nobody can make these two but the holder of the log's key, so whoever holds both needs nothing else to convict.

use super::checkpoint::{CheckpointError, Noted, Origin};
use crate::crypto::sign::PublicKey;
use crate::limits::{NOTE_MAX, SPLIT_VIEW_MAX};

/// Two checkpoints that contradict each other; what they are signed with is asked by [`SplitView::verify`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SplitView {
    /// Invariant: one origin and size, two roots in ascending order.
    pair: [Noted; 2],
}

impl SplitView {
    /// The two as evidence; `None` if they do not contradict each other. EVD-10.1.
    pub fn between(one: Noted, other: Noted) -> Option<Self> {
        let (a, b) = (one.checkpoint(), other.checkpoint());
        let contradict = a.origin == b.origin && a.size == b.size && a.root != b.root;
        let ordered = a.root < b.root;
        let pair = if ordered { [one, other] } else { [other, one] };
        contradict.then_some(Self { pair })
    }

    /// Which log.
    pub fn origin(&self) -> &Origin {
        &self.pair[0].checkpoint().origin
    }

    /// Entries of both.
    pub fn size(&self) -> u64 {
        self.pair[0].checkpoint().size
    }

    /// The two.
    pub fn checkpoints(&self) -> &[Noted; 2] {
        &self.pair
    }

    /// The same, each with the one signature by a key among these that verifies; `None` if one has none. EVD-10.1.
    pub fn verify(&self, keys: &[PublicKey]) -> Option<Self> {
        let [one, other] = &self.pair;
        let signed = |noted: &Noted| keys.iter().find_map(|key| noted.signed_by(key));
        let pair = [signed(one)?, signed(other)?];
        Some(Self { pair })
    }

    /// The exact bytes.
    pub fn encode(&self) -> String {
        let [one, other] = &self.pair;
        format!("{}\n{}", one.encode(), other.encode())
    }

    /// Reads what [`SplitView::encode`] writes: at most `SPLIT_VIEW_MAX` bytes, in the one order.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed("pair of checkpoints");
        if text.len() > SPLIT_VIEW_MAX {
            return Err(malformed);
        }
        // A checkpoint holds one empty line, so the second is the one between the two.
        let mut empty = text.match_indices("\n\n").map(|(at, _)| at);
        let (Some(_), Some(between)) = (empty.next(), empty.next()) else {
            return Err(malformed);
        };
        let one = Noted::parse(&text[..=between])?;
        let other = Noted::parse(&text[between + 2..])?;
        let ordered = one.checkpoint().root < other.checkpoint().root;
        let view = Self::between(one, other).filter(|_| ordered);
        view.ok_or(malformed)
    }
}

const _: () = assert!(SPLIT_VIEW_MAX <= NOTE_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::SigningKey;
    use crate::evidence::Checkpoint;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn noted(origin: &str, size: u64, root: u8, seed: u8) -> Noted {
        let checkpoint = Checkpoint {
            origin: origin.parse().unwrap(),
            size,
            root: [root; 32],
        };
        Noted::parse(&checkpoint.sign(&key(seed))).unwrap()
    }

    const LOG: &str = "interieur.gouv.fr/log/1790000000000";

    #[test]
    fn case_20_two_roots_of_one_size_convict_and_nothing_else_does() {
        let one = noted(LOG, 7, 1, 1);
        let view = SplitView::between(noted(LOG, 7, 2, 1), one.clone()).unwrap();
        assert_eq!(view.checkpoints()[0], one);
        for innocent in [
            noted(LOG, 7, 1, 1),
            noted(LOG, 8, 2, 1),
            noted("interieur.gouv.fr/log/1", 7, 2, 1),
            noted("social.gouv.fr/log/1790000000000", 7, 2, 1),
        ] {
            assert_eq!(SplitView::between(one.clone(), innocent), None);
        }
    }

    #[test]
    fn case_20_both_must_be_signed_by_keys_of_the_log() {
        let keys = [*key(1).public(), *key(2).public()];
        let view = |seed| SplitView::between(noted(LOG, 7, 1, 1), noted(LOG, 7, 2, seed)).unwrap();
        assert!(view(1).verify(&keys).is_some());
        assert!(
            view(2).verify(&keys).is_some(),
            "a key that was replaced convicts too"
        );
        assert_eq!(view(3).verify(&keys), None);
        assert_eq!(view(1).verify(&[]), None);
    }

    #[test]
    fn evd_10_1_only_the_signatures_that_convict_are_passed_on() {
        let mut one = noted(LOG, 7, 1, 1);
        let witness = "social.gouv.fr".parse().unwrap();
        let at = crate::id::Timestamp::from_ms(1_800_000_000_000);
        assert!(one.add(one.cosign(&witness, at, &key(9))));
        let view = SplitView::between(one, noted(LOG, 7, 2, 1)).unwrap();
        let bare = SplitView::between(noted(LOG, 7, 1, 1), noted(LOG, 7, 2, 1));
        assert_eq!(view.verify(&[*key(1).public()]), bare);
    }

    #[test]
    fn evd_10_1_a_conviction_has_one_spelling() {
        let view = SplitView::between(noted(LOG, 7, 1, 1), noted(LOG, 7, 2, 1)).unwrap();
        let text = view.encode();
        assert_eq!(SplitView::parse(&text), Ok(view.clone()));
        let [one, other] = view.checkpoints();
        for bad in [
            String::new(),
            one.encode(),
            format!("{}\n{}", other.encode(), one.encode()),
            format!("{}\n{}", one.encode(), one.encode()),
            format!("{}\n\n{}", one.encode(), other.encode()),
            format!("{}{}", one.encode(), other.encode()),
            format!("{text}\n"),
            format!("{text}\n{}", one.encode()),
            format!("{text}{}", "x".repeat(SPLIT_VIEW_MAX)),
        ] {
            assert!(SplitView::parse(&bad).is_err(), "{bad}");
        }
    }
}
