//! The header of an envelope. Spec: ENV-4.

use super::{
    INTEGER_MAX, Refused, canonical, enumeration, extensions, names, refuse, time, version_1,
};
use crate::codec::schema::HEADER;

pub const HEADER_MAX: usize = 3_072;
/// 400 days.
pub const ENVELOPE_LIFETIME_MAX_MS: u64 = 34_560_000_000;
const SUPERSEDES_LEN: usize = 16;

pub const CLASSES: &[&str] = &["message", "reply", "alert", "control"];
pub const URGENCIES: &[&str] = &["very_low", "low", "normal", "high"];
pub const IMPORTANCES: &[&str] = &["information", "action", "legal"];

/// What a header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// A service id, or a reply mailbox as text.
    pub sender: String,
    pub recipient: String,
    pub created_ms: u64,
    pub expires_ms: u64,
    pub class: &'static str,
    pub urgency: &'static str,
    pub importance: &'static str,
    pub supersedes: Option<Vec<u8>>,
}

impl Header {
    pub fn check(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > HEADER_MAX {
            return refuse("TOO_LONG", "header over HEADER_MAX");
        }
        let header = canonical(&HEADER, bytes)?;
        version_1(&header)?;
        let sender = match header.message("reply_mailbox") {
            Some(address) => names::mailbox(address)?,
            None if header.has("service") => {
                names::service(header.text("service"))?;
                header.text("service").to_owned()
            }
            None => return refuse("FIELD_MISSING", "sender"),
        };
        let Some(recipient) = header.message("recipient") else {
            return refuse("FIELD_MISSING", "recipient");
        };
        let recipient = names::mailbox(recipient)?;
        let created_ms = time(&header, "created_ms")?;
        let expires_ms = time(&header, "expires_ms")?;
        let class = enumeration(&header, "class", CLASSES)?;
        let urgency = enumeration(&header, "urgency", URGENCIES)?;
        let importance = enumeration(&header, "importance", IMPORTANCES)?;
        let supersedes = match header.bytes("supersedes") {
            [] => None,
            bytes if bytes.len() == SUPERSEDES_LEN => Some(bytes.to_vec()),
            _ => return refuse("FIELD_INVALID", "supersedes"),
        };
        extensions::check(&header)?;
        // ENV-4.5 relates two fields, so it comes after each field by itself.
        if expires_ms <= created_ms {
            return refuse("FIELD_INVALID", "expires_ms not after created_ms");
        }
        if expires_ms - created_ms > ENVELOPE_LIFETIME_MAX_MS {
            return refuse("LIFETIME_TOO_LONG", "over 400 days");
        }
        Ok(Self {
            sender,
            recipient,
            created_ms,
            expires_ms,
            class,
            urgency,
            importance,
            supersedes,
        })
    }

    /// ENV-4.6, ENV-4.7
    pub fn check_time(&self, now_ms: u64) -> Result<(), Refused> {
        if now_ms >= self.expires_ms {
            return refuse("EXPIRED", "the clock has reached expires_ms");
        }
        if self.created_ms
            > now_ms
                .saturating_add(super::CLOCK_SKEW_MAX_MS)
                .min(INTEGER_MAX)
        {
            return refuse("NOT_YET_VALID", "created_ms ahead of the clock");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::code_of;
    use super::*;
    use crate::codec::Message;
    use crate::codec::schema::{EXTENSION, MAILBOX_ADDRESS};

    const NOW: u64 = 1_700_000_000_000;

    fn address() -> Message {
        Message::new(&MAILBOX_ADDRESS)
            .with("mailbox", [7; 16])
            .with("home", "social.gouv.fr")
    }

    fn header() -> Message {
        Message::new(&HEADER)
            .with("version", 1u32)
            .with("service", "rdv@interieur.gouv.fr")
            .with("recipient", address())
            .with("created_ms", NOW)
            .with("expires_ms", NOW + 1)
            .with("class", 1u32)
            .with("urgency", 3u32)
            .with("importance", 1u32)
    }

    fn check(header: Message) -> &'static str {
        code_of(Header::check(&header.encode()))
    }

    #[test]
    fn a_right_header_says_what_it_says() {
        let read = Header::check(&header().with("supersedes", [9; 16]).encode()).expect("right");
        assert_eq!(read.sender, "rdv@interieur.gouv.fr");
        assert_eq!(
            read.recipient,
            format!("{}@social.gouv.fr", "07".repeat(16))
        );
        assert_eq!(
            (read.class, read.urgency, read.importance),
            ("message", "normal", "information")
        );
        assert_eq!(read.supersedes, Some(vec![9; 16]));
        let reply = header()
            .without("service")
            .with("reply_mailbox", address())
            .with("class", 0u32);
        assert!(
            Header::check(&reply.encode())
                .expect("right")
                .sender
                .ends_with("@social.gouv.fr")
        );
    }

    #[test]
    fn each_field_has_a_refused_neighbour() {
        assert_eq!(
            check(header().replacing("version", 2u32)),
            "UNSUPPORTED_VERSION"
        );
        assert_eq!(check(header().without("version")), "UNSUPPORTED_VERSION");
        for field in [
            "service",
            "recipient",
            "created_ms",
            "expires_ms",
            "class",
            "urgency",
            "importance",
        ] {
            assert_eq!(check(header().without(field)), "FIELD_MISSING", "{field}");
        }
        for (field, beyond) in [("class", 5u32), ("urgency", 5), ("importance", 4)] {
            assert_eq!(
                check(header().replacing(field, beyond)),
                "FIELD_INVALID",
                "{field}"
            );
            assert_eq!(
                check(header().replacing(field, u64::MAX)),
                "FIELD_INVALID",
                "{field} -1"
            );
        }
        assert_eq!(check(header().replacing("service", "")), "FIELD_INVALID");
        assert_eq!(
            check(header().replacing("service", "RDV@a.fr")),
            "FIELD_INVALID"
        );
        assert_eq!(
            check(header().replacing("recipient", address().replacing("mailbox", [7; 15]))),
            "FIELD_INVALID"
        );
        assert_eq!(
            check(header().replacing("recipient", address().replacing("home", "fr"))),
            "FIELD_INVALID"
        );
        assert_eq!(check(header().with("supersedes", [9; 15])), "FIELD_INVALID");
        let critical = Message::new(&EXTENSION)
            .with("id", 1u32)
            .with("critical", true);
        assert_eq!(
            check(header().with("extensions", critical)),
            "UNKNOWN_CRITICAL_EXTENSION"
        );
    }

    #[test]
    fn times_at_their_limits() {
        let times = |created: u64, expires: u64| {
            check(
                header()
                    .replacing("created_ms", created)
                    .replacing("expires_ms", expires),
            )
        };
        assert_eq!(times(NOW, NOW + ENVELOPE_LIFETIME_MAX_MS), "accepted");
        assert_eq!(
            times(NOW, NOW + ENVELOPE_LIFETIME_MAX_MS + 1),
            "LIFETIME_TOO_LONG"
        );
        assert_eq!(times(NOW, NOW), "FIELD_INVALID");
        assert_eq!(times(NOW, NOW - 1), "FIELD_INVALID");
        assert_eq!(times(INTEGER_MAX - 1, INTEGER_MAX), "accepted");
        assert_eq!(times(INTEGER_MAX, INTEGER_MAX + 1), "FIELD_INVALID");
    }

    #[test]
    fn case_17_clocks() {
        let header = Header::check(&header().encode()).expect("right");
        assert_eq!(code_of(header.check_time(NOW)), "accepted");
        assert_eq!(code_of(header.check_time(NOW + 1)), "EXPIRED");
        assert_eq!(code_of(header.check_time(NOW - 300_000)), "accepted");
        assert_eq!(code_of(header.check_time(NOW - 300_001)), "NOT_YET_VALID");
        assert_eq!(code_of(header.check_time(0)), "NOT_YET_VALID");
    }

    #[test]
    fn r15_header_over_its_limit() {
        assert_eq!(code_of(Header::check(&[0xff; HEADER_MAX + 1])), "TOO_LONG");
        assert_eq!(code_of(Header::check(&[0xff; HEADER_MAX])), "DECODE");
    }
}
