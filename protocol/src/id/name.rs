//! Authorities and their services.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{IdError, shorten};
use crate::limits::{DOMAIN_LABEL_MAX, DOMAIN_MAX, SERVICE_NAME_MAX};

/// A ministry or agency, named by its domain: `interieur.gouv.fr`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AuthorityId(Arc<str>);

impl AuthorityId {
    /// Parses a name. ENV-2.1.
    pub fn new(text: &str) -> Result<Self, IdError> {
        text.parse()
    }

    /// The domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AuthorityId {
    type Err = IdError;

    // ENV-2.1: lower-case ASCII labels, at least two. Anything else could be a look-alike.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let valid = text.len() <= DOMAIN_MAX && text.contains('.') && text.split('.').all(is_label);
        if !valid {
            return Err(IdError::Authority { got: shorten(text) });
        }
        Ok(Self(text.into()))
    }
}

fn is_label(label: &str) -> bool {
    (1..=DOMAIN_LABEL_MAX).contains(&label.len())
        && label
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sender of an authority: `rdv@interieur.gouv.fr`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServiceId {
    name: Arc<str>,
    authority: AuthorityId,
}

impl ServiceId {
    /// Joins a name and its authority. ENV-2.2.
    pub fn new(name: &str, authority: AuthorityId) -> Result<Self, IdError> {
        if !is_service_name(name) {
            return Err(IdError::Service { got: shorten(name) });
        }
        Ok(Self {
            name: name.into(),
            authority,
        })
    }

    /// The part before `@`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose service it is.
    pub fn authority(&self) -> &AuthorityId {
        &self.authority
    }
}

impl FromStr for ServiceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Service { got: shorten(text) };
        let (name, authority) = text.split_once('@').ok_or_else(wrong)?;
        Self::new(name, AuthorityId::new(authority).map_err(|_| wrong())?).map_err(|_| wrong())
    }
}

// ENV-2.2
fn is_service_name(name: &str) -> bool {
    (1..=SERVICE_NAME_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_2_1_an_authority_is_a_lower_case_domain() {
        for good in ["interieur.gouv.fr", "a.b", "x-1.gouv.fr"] {
            assert_eq!(AuthorityId::new(good).unwrap().to_string(), good);
        }
        let long_label = format!("{}.fr", "a".repeat(DOMAIN_LABEL_MAX + 1));
        let long_name = format!("{}fr", "abc.".repeat(63));
        for bad in [
            "",
            "fr",
            "Interieur.gouv.fr",
            ".fr",
            "a..b",
            "-a.fr",
            "a-.fr",
            "a.fr.",
            "a b.fr",
            &long_label,
            &long_name,
        ] {
            assert!(AuthorityId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn case_07_confusables_bidi_and_nul_in_ids_are_refused() {
        for bad in [
            "іnterieur.gouv.fr",
            "interieur\u{202e}.gouv.fr",
            "interieur\0.gouv.fr",
            "intérieur.gouv.fr",
        ] {
            assert!(AuthorityId::new(bad).is_err(), "{bad:?}");
            assert!(
                ServiceId::from_str(&format!("rdv@{bad}")).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn env_2_2_a_service_is_a_name_at_an_authority() {
        let service: ServiceId = "rdv@interieur.gouv.fr".parse().unwrap();
        assert_eq!(
            (service.name(), service.authority().as_str()),
            ("rdv", "interieur.gouv.fr")
        );
        assert_eq!(service.to_string(), "rdv@interieur.gouv.fr");
        let long = format!("{}@a.fr", "a".repeat(SERVICE_NAME_MAX + 1));
        for bad in [
            "rdv",
            "@a.fr",
            "rdv@",
            "-rdv@a.fr",
            "Rdv@a.fr",
            "r@v@a.fr",
            "r v@a.fr",
            &long,
        ] {
            assert!(ServiceId::from_str(bad).is_err(), "{bad:?}");
        }
    }
}
