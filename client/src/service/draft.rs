//! A letter before it is sealed, and where the randomness of its sealing comes from.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hkdf::Hkdf;
use pli_protocol::account::Grant;
use pli_protocol::content::{Content, ContentError};
use pli_protocol::crypto::seal::{RANDOMNESS_LEN, SealError, SealRandomness};
use pli_protocol::envelope::{self, Class, Header, Importance, Sender, Urgency};
use pli_protocol::id::{ServiceId, Timestamp};
use pli_protocol::limits;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A text that shows nothing, where a citizen must be able to read something.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the {field} ({language}) is empty: nobody could tell what the letter says; expected a text that can be read"
)]
pub struct Blank {
    field: &'static str,
    language: String,
}

/// Whether a letter says something: the protocol takes a title of one space, a citizen is owed more.
pub fn check_readable(content: &Content) -> Result<(), Blank> {
    let notice = content.notice();
    for (field, text) in [("title", &notice.title), ("body", &notice.body)] {
        let mut translations = text.translations();
        if let Some((language, _)) = translations.find(|(_, text)| is_blank(text)) {
            let language = language.as_str().to_owned();
            return Err(Blank { field, language });
        }
    }
    Ok(())
}

/// Whether nothing of a text can be seen.
pub fn is_blank(text: &str) -> bool {
    // Of width zero, and not white space to Unicode.
    let is_unseen = |c: char| {
        matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
        )
    };
    text.chars().all(|c| c.is_whitespace() || is_unseen(c))
}

/// How long a letter is kept for its citizen unless the sender says otherwise: 30 days.
pub const LIFETIME_MS: u64 = 30 * 86_400_000;

/// What the header of a letter says besides sender and recipient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handling {
    /// How soon to wake a device.
    pub urgency: Urgency,
    /// What the citizen is expected to do.
    pub importance: Importance,
    /// When it was made.
    pub created: Timestamp,
    /// After this it is not delivered any more.
    pub expires: Timestamp,
    /// A later letter with the same key replaces this one.
    pub supersedes: Option<[u8; limits::SUPERSEDES_LEN]>,
}

impl Handling {
    /// A letter of today, of normal urgency, that only informs.
    pub fn new(now: Timestamp) -> Self {
        Self {
            urgency: Urgency::Normal,
            importance: Importance::Information,
            created: now,
            expires: now.plus_ms(LIFETIME_MS),
            supersedes: None,
        }
    }
}

/// A letter to one contact, checked but not sealed.
#[derive(Clone, Debug)]
pub struct Draft {
    to: Arc<Grant>,
    content: Bytes,
    handling: Handling,
}

impl Draft {
    /// Checks the content by the rules by which the device will read it.
    pub fn new(
        to: Arc<Grant>,
        content: &Content,
        handling: Handling,
    ) -> Result<Self, ContentError> {
        Ok(Self {
            to,
            content: content.encode()?,
            handling,
        })
    }

    /// Seals it: the payload of a signed envelope.
    pub fn seal(&self, sender: &ServiceId, randomness: &Randomness) -> Result<Bytes, SealError> {
        let header = Header {
            sender: Sender::Service(sender.clone()),
            recipient: self.to.mailbox.clone(),
            created: self.handling.created,
            expires: self.handling.expires,
            class: Class::Message,
            urgency: self.handling.urgency,
            importance: self.handling.importance,
            supersedes: self.handling.supersedes,
            extensions: Vec::new(),
        };
        let to = &self.to.sealing;
        let drawn = randomness.draw(&[&header.encode(), &self.content, &to.key.to_bytes()]);
        envelope::seal(
            &header,
            &to.key,
            to.epoch,
            &self.content,
            SealRandomness::new(*drawn),
        )
    }

    /// About how many bytes the envelope will have, to bound what is held.
    pub fn size(&self) -> usize {
        self.content.len()
    }
}

/// Where the randomness of sealings comes from.
#[derive(Clone)]
pub enum Randomness {
    /// The system, each time.
    Fresh,
    /// A campaign's secret and the whole letter. The same letter is then sealed to the same bytes
    /// again, so that a campaign that was killed goes on with the same envelope ids and a node sees
    /// duplicates, not second letters (case 60). Any difference in header, content or recipient key
    /// gives other randomness, so no randomness ever serves two different letters (ENV-6).
    Campaign(Arc<Zeroizing<[u8; 32]>>),
}

impl Randomness {
    fn draw(&self, letter: &[&[u8]; 3]) -> Zeroizing<[u8; RANDOMNESS_LEN]> {
        let mut drawn = Zeroizing::new([0; RANDOMNESS_LEN]);
        match self {
            Self::Fresh => {
                getrandom::fill(drawn.as_mut())
                    .expect("the system's generator works or nothing does");
            }
            Self::Campaign(secret) => {
                let hashes = letter.map(Sha256::digest);
                let info = [CAMPAIGN_INFO, &hashes[0], &hashes[1], &hashes[2]];
                Hkdf::<Sha256>::new(None, secret.as_slice())
                    .expand_multi_info(&info, drawn.as_mut())
                    .expect("64 bytes are less than the 8,160 that HKDF-SHA256 can give");
            }
        }
        drawn
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fresh => "Randomness::Fresh",
            Self::Campaign(_) => "Randomness::Campaign(secret)",
        })
    }
}

/// Local to this program: it separates what a campaign's secret is used for, and nobody else has to
/// derive the same.
const CAMPAIGN_INFO: &[u8] = b"pli-client/1/campaign-sealing";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pli_protocol::account::{AccountSecrets, SignedGrant};
    use pli_protocol::content::{Kind, Notice, Text};
    use pli_protocol::id::{MailboxAddress, MailboxId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_795_000_000_000);

    fn draft(body: &str, mailbox: u8) -> Draft {
        let secrets = AccountSecrets::new([1; 32], [2; 32]);
        let home = "social.gouv.fr".parse().expect("a domain");
        let mailbox = MailboxAddress {
            mailbox: MailboxId::new([mailbox; 16]),
            home,
        };
        let to = "interieur.gouv.fr".parse().expect("a domain");
        let accepts = BTreeSet::from([Class::Message]);
        let grant = SignedGrant::make(&secrets, to, mailbox, accepts, NOW);
        let notice = Notice::new(Text::french("Titre"), Text::french(body));
        let content = Content::from(Kind::Notice(notice));
        Draft::new(
            Arc::new(grant.grant().clone()),
            &content,
            Handling::new(NOW),
        )
        .expect("fits")
    }

    #[test]
    fn a_title_or_a_body_that_shows_nothing_is_known() {
        for (text, blank) in [
            ("", true),
            (" \n\t", true),
            ("\u{a0}\u{200b}\u{feff}", true),
            (".", false),
            (" a ", false),
        ] {
            assert_eq!(is_blank(text), blank, "{text:?}");
            for (title, body, field) in [(text, "b", "title"), ("a", text, "body")] {
                let notice = Notice::new(Text::french(title), Text::french(body));
                let checked = check_readable(&Kind::Notice(notice).into());
                assert_eq!(checked.is_err(), blank, "{text:?}");
                if let Err(error) = checked {
                    assert!(error.to_string().contains(field), "{error}");
                }
            }
        }
    }

    #[test]
    fn case_60_a_campaign_seals_the_same_letter_to_the_same_bytes_and_no_other() {
        let sender = "rdv@interieur.gouv.fr".parse().expect("a service");
        let campaign = Randomness::Campaign(Arc::new(Zeroizing::new([5; 32])));
        let seal = |draft: &Draft, with: &Randomness| draft.seal(&sender, with).expect("fits");
        let letter = draft("Bonjour", 7);
        assert_eq!(seal(&letter, &campaign), seal(&letter, &campaign));
        assert_ne!(
            seal(&letter, &campaign),
            seal(&draft("Bonsoir", 7), &campaign)
        );

        // Never one randomness for two letters: each part of a letter changes it.
        let drawn = |parts: [&[u8]; 3], with: &Randomness| *with.draw(&parts);
        let one = drawn([b"header", b"content", b"key"], &campaign);
        assert_eq!(one, drawn([b"header", b"content", b"key"], &campaign));
        let other = Randomness::Campaign(Arc::new(Zeroizing::new([6; 32])));
        for two in [
            drawn([b"Header", b"content", b"key"], &campaign),
            drawn([b"header", b"Content", b"key"], &campaign),
            drawn([b"header", b"content", b"Key"], &campaign),
            drawn([b"headerc", b"ontent", b"key"], &campaign),
            drawn([b"header", b"content", b"key"], &other),
            drawn([b"header", b"content", b"key"], &Randomness::Fresh),
        ] {
            assert_ne!(one, two);
        }
        assert_ne!(
            seal(&letter, &Randomness::Fresh),
            seal(&letter, &Randomness::Fresh)
        );
    }
}
