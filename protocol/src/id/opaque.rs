//! Identifiers that are only bytes.

use std::fmt;
use std::str::FromStr;

use super::{AuthorityId, IdError, from_hex, shorten, to_hex};
use crate::wire;

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// From its exact bytes.
            pub const fn new(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// From bytes of the wire, whose length is checked. ENV-2.4.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, IdError> {
                let exact = bytes.try_into().map_err(|_| IdError::Length {
                    what: $what,
                    got: bytes.len(),
                    expected: $bytes,
                })?;
                Ok(Self(exact))
            }

            /// Its exact bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex(text).map(Self)
            }
        }
    };
}

opaque!(
    /// What an envelope is known by: the leaf hash of its payload (ENV-3.1). It does not
    /// depend on the signature, so a letter signed again has the same id.
    EnvelopeId, 32, "an envelope id"
);
opaque!(
    /// SHA-256 of a raw public key (SIG-4.2).
    KeyId, 32, "a key id"
);
opaque!(
    /// An account at its home node; never leaves it (MBX-2.1).
    AccountId,
    32, "an account id"
);
opaque!(
    /// A pairwise mailbox: 16 random bytes (MBX-3.1).
    MailboxId, 16, "a mailbox"
);

/// A mailbox and the node that keeps it: `0f…@interieur.gouv.fr` (ENV-2.3).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MailboxAddress {
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// The citizen's home.
    pub home: AuthorityId,
}

impl MailboxAddress {
    /// From the wire form.
    pub fn from_wire(address: &wire::MailboxAddress) -> Result<Self, IdError> {
        Ok(Self {
            mailbox: MailboxId::from_slice(&address.mailbox)?,
            home: AuthorityId::new(&address.home)?,
        })
    }

    /// The wire form.
    pub fn to_wire(&self) -> wire::MailboxAddress {
        wire::MailboxAddress {
            mailbox: self.mailbox.as_bytes().to_vec().into(),
            home: self.home.as_str().into(),
        }
    }
}

impl fmt::Display for MailboxAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.mailbox, self.home)
    }
}

impl FromStr for MailboxAddress {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Mailbox { got: shorten(text) };
        let (mailbox, home) = text.split_once('@').ok_or_else(wrong)?;
        Ok(Self {
            mailbox: mailbox.parse().map_err(|_| wrong())?,
            home: home.parse().map_err(|_| wrong())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_2_3_a_mailbox_address_reads_back() {
        let text = "000102030405060708090a0b0c0d0e0f@social.gouv.fr";
        let address: MailboxAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
        assert_eq!(
            MailboxAddress::from_wire(&address.to_wire()).unwrap(),
            address
        );
        for bad in [
            "00@social.gouv.fr",
            "000102030405060708090A0B0C0D0E0F@social.gouv.fr",
            text.trim_end_matches("@social.gouv.fr"),
        ] {
            assert!(bad.parse::<MailboxAddress>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn env_2_4_a_wrong_length_is_refused() {
        assert_eq!(
            KeyId::from_slice(&[0; 31]),
            Err(IdError::Length {
                what: "a key id",
                got: 31,
                expected: 32
            })
        );
    }
}
