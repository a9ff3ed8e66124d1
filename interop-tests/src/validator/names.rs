//! Names: authority ids, service ids, mailbox addresses. Spec: ENV-2.

use super::{Refused, refuse};
use crate::codec::Message;

const DOMAIN_MAX: usize = 253;
const DOMAIN_LABEL_MAX: usize = 63;
const DOMAIN_LABELS_MIN: usize = 2;
const SERVICE_NAME_MAX: usize = 63;
pub const MAILBOX_LEN: usize = 16;

fn is_ld(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// ENV-2.1
pub fn authority(text: &str) -> Result<&str, Refused> {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=DOMAIN_LABEL_MAX).contains(&bytes.len())
            && bytes.iter().all(|byte| is_ld(*byte) || *byte == b'-')
            && bytes[0] != b'-'
            && bytes[bytes.len() - 1] != b'-'
    };
    let labels = text.split('.');
    if text.len() <= DOMAIN_MAX
        && labels.clone().count() >= DOMAIN_LABELS_MIN
        && labels.clone().all(label)
    {
        Ok(text)
    } else {
        refuse("FIELD_INVALID", "authority id")
    }
}

/// ENV-2.2. Gives (name, authority).
pub fn service(text: &str) -> Result<(&str, &str), Refused> {
    let bad = || refuse("FIELD_INVALID", "service id");
    let Some((name, home)) = text.split_once('@') else {
        return bad();
    };
    let bytes = name.as_bytes();
    let right = (1..=SERVICE_NAME_MAX).contains(&bytes.len())
        && is_ld(bytes[0])
        && bytes
            .iter()
            .all(|byte| is_ld(*byte) || b"._-".contains(byte));
    if !right {
        return bad();
    }
    authority(home)?;
    Ok((name, home))
}

/// ENV-2.3 as text: 32 lower-case hexadecimal digits, `@`, the home.
pub fn mailbox_text(text: &str) -> Result<([u8; MAILBOX_LEN], &str), Refused> {
    let bad = || refuse("FIELD_INVALID", "mailbox address");
    let Some((digits, home)) = text.split_once('@') else {
        return bad();
    };
    if !digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    {
        return bad();
    }
    let Some(mailbox) = hex::decode(digits)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
    else {
        return bad();
    };
    Ok((mailbox, authority(home)?))
}

/// ENV-2.3 as a message; gives the text form.
pub fn mailbox(address: &Message) -> Result<String, Refused> {
    let mailbox = address.bytes("mailbox");
    if mailbox.len() != MAILBOX_LEN {
        return refuse("FIELD_INVALID", "mailbox");
    }
    Ok(format!(
        "{}@{}",
        hex::encode(mailbox),
        authority(address.text("home"))?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), DOMAIN_MAX);
        for good in [
            "interieur.gouv.fr",
            "a.b",
            "0.0",
            "a-b.c--d.fr",
            &longest,
            &format!("{label}.fr"),
        ] {
            assert_eq!(authority(good), Ok(good));
        }
        for bad in [
            "",
            "fr",
            ".fr",
            "a.",
            "a..b",
            "A.fr",
            "a_b.fr",
            "-a.fr",
            "a-.fr",
            "é.fr",
            "a.fr\0",
            "a .fr",
            "а.fr",
            "a.fr\u{202e}",
            &format!("{label}a.fr"),
            &format!("{longest}a"),
        ] {
            assert!(authority(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn services() {
        assert_eq!(
            service("rdv@interieur.gouv.fr"),
            Ok(("rdv", "interieur.gouv.fr"))
        );
        assert!(service(&format!("{}@a.fr", "s".repeat(63))).is_ok());
        assert!(service("a._-@a.fr").is_ok());
        for bad in [
            "", "rdv", "@a.fr", "rdv@", "rdv@fr", "-a@a.fr", ".a@a.fr", "R@a.fr", "a@b@a.fr",
            "a b@a.fr",
        ] {
            assert!(service(bad).is_err(), "{bad:?}");
        }
        assert!(service(&format!("{}@a.fr", "s".repeat(64))).is_err());
    }

    #[test]
    fn mailboxes() {
        let text = format!("{}@a.fr", "0f".repeat(16));
        assert_eq!(mailbox_text(&text), Ok(([0x0f; 16], "a.fr")));
        for bad in [
            text.replace('f', "F"),
            text.replace('@', ""),
            text[2..].to_owned(),
            format!("00{text}"),
        ] {
            assert!(mailbox_text(&bad).is_err(), "{bad:?}");
        }
    }
}
