//! The way of a letter in five stages, as far as verified receipts show it (CUS-2).
//!
//! In: what a track brought. Out: for each [`Stage`], in the order in which a letter passes them, whether it was
//! [`Reached`], by which receipt, or why not. A receipt that does not verify moves nothing.

use pli_protocol::custody::{Receipt, Step};
use pli_protocol::id::AuthorityId;

use super::track::Tracked;

/// A stage of a letter's way; the words are those of ETSI EN 319 522-1 (spec/evidence.md, section 1).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// The origin has it on disk and answers for it.
    Accepted,
    /// The home has taken it from the origin.
    Relayed,
    /// It is in the citizen's mailbox.
    Stored,
    /// A device was told of it.
    Notified,
    /// A device signed that it has it.
    HandedOver,
}

impl Stage {
    /// In the order of the way.
    pub const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Relayed,
        Self::Stored,
        Self::Notified,
        Self::HandedOver,
    ];

    /// As JSON calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Relayed => "relayed",
            Self::Stored => "stored",
            Self::Notified => "notified",
            Self::HandedOver => "handed_over",
        }
    }
}

/// Whether a stage was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reached<'a> {
    /// This receipt says so.
    Yes(&'a Receipt),
    /// No receipt says so itself; this one, of a later stage, could not be without it.
    Implied(&'a Receipt),
    /// The origin is the home: there is nothing to relay.
    Needless,
    /// No receipt tells of it.
    Untold,
    /// It never will be: this receipt ended the way before.
    Never(&'a Receipt),
    /// Nothing says so yet.
    NotYet,
}

/// Each stage of a letter that `origin` accepted, or did not.
pub fn stages<'a>(letter: &'a Tracked, origin: &AuthorityId) -> [(Stage, Reached<'a>); 5] {
    let proven: Vec<&Receipt> = letter
        .receipts
        .iter()
        .filter(|checked| checked.verdict.is_ok())
        .filter_map(|checked| checked.receipt.as_ref())
        .collect();
    let at = |step: Step| proven.iter().copied().find(|receipt| receipt.step == step);
    let (accepted, stored, retrieved) = (at(Step::Accepted), at(Step::Stored), at(Step::Retrieved));
    // Of a letter that was stored after its origin had given up, the later word counts (CUS-8).
    let failed = proven.iter().copied().find(|receipt| {
        matches!(receipt.step, Step::Undeliverable(_) | Step::Refused(_))
            && !(receipt.node == *origin && stored.is_some_and(|stored| stored.node != *origin))
    });
    let in_mailbox = stored.or(retrieved);
    let relayed = match in_mailbox {
        Some(receipt) if receipt.node == *origin => Reached::Needless,
        _ => reached(stored, retrieved, failed),
    };
    [
        (Stage::Accepted, reached(accepted, in_mailbox, failed)),
        (Stage::Relayed, relayed),
        (Stage::Stored, reached(stored, retrieved, failed)),
        (Stage::Notified, Reached::Untold),
        (Stage::HandedOver, reached(retrieved, None, failed)),
    ]
}

fn reached<'a>(
    by: Option<&'a Receipt>,
    later: Option<&'a Receipt>,
    failed: Option<&'a Receipt>,
) -> Reached<'a> {
    let implied = later.map(Reached::Implied);
    let never = failed.map(Reached::Never);
    by.map(Reached::Yes)
        .or(implied)
        .or(never)
        .unwrap_or(Reached::NotYet)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pli_protocol::code::Code;
    use pli_protocol::id::{EnvelopeId, Timestamp};

    use super::super::track::{Checked, ReceiptFault};
    use super::*;

    const ORIGIN: &str = "interieur.gouv.fr";
    const HOME: &str = "social.gouv.fr";

    fn checked(node: &str, step: Step) -> Checked {
        let receipt = Receipt {
            step,
            node: node.parse().unwrap(),
            envelope: EnvelopeId::new([7; 32]),
            at: Timestamp::from_ms(5),
        };
        Checked {
            encoded: Bytes::new(),
            receipt: Some(receipt),
            verdict: Ok(()),
        }
    }

    fn words(receipts: Vec<Checked>) -> Vec<&'static str> {
        let letter = Tracked {
            id: EnvelopeId::new([7; 32]),
            claimed: Some(1),
            receipts,
        };
        let stages = stages(&letter, &ORIGIN.parse().unwrap());
        assert!(stages.iter().map(|(stage, _)| *stage).eq(Stage::ALL));
        let word = |(_, reached): &(Stage, Reached<'_>)| match reached {
            Reached::Yes(_) => "yes",
            Reached::Implied(_) => "implied",
            Reached::Needless => "needless",
            Reached::Untold => "untold",
            Reached::Never(_) => "never",
            Reached::NotYet => "not yet",
        };
        stages.iter().map(word).collect()
    }

    #[test]
    fn cus_2_a_letter_is_as_far_as_its_verified_receipts_say() {
        let all = [
            checked(ORIGIN, Step::Accepted),
            checked(HOME, Step::Stored),
            checked(HOME, Step::Retrieved),
        ];
        let so_far = |count: usize| words(all[..count].to_vec());
        assert_eq!(
            so_far(0),
            ["not yet", "not yet", "not yet", "untold", "not yet"]
        );
        assert_eq!(
            so_far(1),
            ["yes", "not yet", "not yet", "untold", "not yet"]
        );
        assert_eq!(so_far(2), ["yes", "yes", "yes", "untold", "not yet"]);
        assert_eq!(so_far(3), ["yes", "yes", "yes", "untold", "yes"]);
        let mut forged = all.to_vec();
        forged[2].verdict = Err(ReceiptFault::OtherEnvelope {
            got: EnvelopeId::new([8; 32]),
            expected: EnvelopeId::new([7; 32]),
        });
        assert_eq!(words(forged), so_far(2));
        assert_eq!(
            words(vec![all[2].clone()]),
            ["implied", "implied", "implied", "untold", "yes"]
        );
    }

    #[test]
    fn what_stays_at_home_is_not_relayed() {
        let local = vec![
            checked(ORIGIN, Step::Accepted),
            checked(ORIGIN, Step::Stored),
        ];
        assert_eq!(
            words(local),
            ["yes", "needless", "yes", "untold", "not yet"]
        );
    }

    #[test]
    fn a_letter_that_failed_says_from_where_on_it_never_comes() {
        let accepted = || checked(ORIGIN, Step::Accepted);
        let gave_up = || checked(ORIGIN, Step::Undeliverable(Code::Expired));
        let refused = checked(HOME, Step::Refused(Code::Expired));
        let never = ["yes", "never", "never", "untold", "never"];
        assert_eq!(words(vec![accepted(), gave_up()]), never);
        assert_eq!(words(vec![accepted(), refused]), never);
        let expired = checked(HOME, Step::Undeliverable(Code::Expired));
        assert_eq!(
            words(vec![accepted(), checked(HOME, Step::Stored), expired]),
            ["yes", "yes", "yes", "untold", "never"]
        );
        // UNDELIVERABLE → STORED: the home had it in time.
        assert_eq!(
            words(vec![accepted(), gave_up(), checked(HOME, Step::Stored)]),
            ["yes", "yes", "yes", "untold", "not yet"]
        );
    }
}
