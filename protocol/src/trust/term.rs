//! The words of a record, each parsed once: names, hosts, endpoints, tokens.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::code::Code;
use crate::content::HttpsUrl;
use crate::id::AuthorityId;
use crate::limits;

/// A name for people, in both languages of the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DisplayName {
    /// French.
    pub fr: String,
    /// English.
    pub en: String,
}

/// Why a term of a record is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TermError {
    /// Control and direction characters could make one name look like another (case 7).
    #[error(
        "a display name must be 1 to {} bytes without control or direction characters",
        limits::DISPLAY_NAME_MAX
    )]
    DisplayName,
    /// An endpoint.
    #[error("{got:?} is not host:port, such as pli.interieur.gouv.fr:7400 or [2001:db8::1]:7400")]
    HostPort { got: String },
    /// The other endpoint.
    #[error("{got:?} is not a WebSocket URL such as wss://pli.interieur.gouv.fr/pli/1")]
    WebSocketUrl { got: String },
    /// Public HTTP.
    #[error(
        "{got:?} is not an address such as https://pli.interieur.gouv.fr or http://pli.interieur.gouv.fr:7405, without a slash at the end"
    )]
    HttpBase { got: String },
    /// A link host.
    #[error("{got:?} is not a lower-case host name such as www.interieur.gouv.fr")]
    LinkHost { got: String },
    /// An alert code or a legal basis.
    #[error(
        "{got:?} is not a token: expected 1 to {TOKEN_MAX} characters a-z, 0-9, '.', '_', ':' or '-'"
    )]
    Token { got: String },
}

impl TermError {
    /// The wire code of this refusal.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::DirectoryInvalid
    }
}

impl DisplayName {
    /// Checks both texts.
    pub fn new(fr: impl Into<String>, en: impl Into<String>) -> Result<Self, TermError> {
        let check = |text: String| match crate::content::Line::new(text, limits::DISPLAY_NAME_MAX) {
            Ok(line) if !line.as_str().trim().is_empty() => Ok(line.as_str().to_owned()),
            _ => Err(TermError::DisplayName),
        };
        Ok(Self {
            fr: check(fr.into())?,
            en: check(en.into())?,
        })
    }
}

/// Longest alert code or legal basis.
const TOKEN_MAX: usize = 64;

/// An alert code (`child-abduction`) or a legal basis (`crpa:l112-8`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(Arc<str>);

impl Token {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        let fits = (1..=TOKEN_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'-'));
        if !fits {
            return Err(TermError::Token { got: quoted(text) });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host that a service's links may lead to.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkHost(Arc<str>);

impl LinkHost {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LinkHost {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        // The same grammar as an authority id, so that what is compared has one spelling.
        AuthorityId::new(text).map_err(|_| TermError::LinkHost { got: quoted(text) })?;
        Ok(Self(text.into()))
    }
}

impl fmt::Display for LinkHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a node listens for QUIC.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        let wrong = || TermError::HostPort { got: quoted(text) };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        // One spelling per port: no sign, no leading zero.
        let port: u16 = match port.parse() {
            Ok(number) if number != 0 && format!("{number}") == port => number,
            _ => return Err(wrong()),
        };
        let host = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) => {
                inner.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                inner
            }
            None if host == "localhost" || AuthorityId::new(host).is_ok() => host,
            None => return Err(wrong()),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where a node's public HTTP is: `https://host[:port][/path]` or `http://host[:port][/path]`, without a slash at the end.
///
/// Everything that is read there is signed or verified against something signed, so that TLS adds nothing to trust.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpBase {
    host: String,
    port: u16,
    url: String,
}

impl HttpBase {
    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The host, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 443 or 80 unless the URL names another.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HttpBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl FromStr for HttpBase {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        // The same grammar as a link in a letter: one on which every parser agrees.
        let plain = text
            .strip_prefix("http://")
            .map(|rest| format!("https://{rest}"));
        let port = if plain.is_some() { 80 } else { 443 };
        let url = HttpsUrl::new(plain.unwrap_or_else(|| text.to_owned()));
        match url {
            Ok(url) if !text.ends_with('/') && !text.contains(['?', '#']) => Ok(Self {
                host: url.host().to_owned(),
                port: url.port().unwrap_or(port),
                url: text.to_owned(),
            }),
            _ => Err(TermError::HttpBase { got: quoted(text) }),
        }
    }
}

/// Where a node listens for WebSocket over TLS: `wss://host[:port][/path]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebSocketUrl {
    host: String,
    port: u16,
    url: String,
}

impl WebSocketUrl {
    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The host, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 443 unless the URL names another.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for WebSocketUrl {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        // The same grammar as a link in a letter: one on which every parser agrees.
        let https = text
            .strip_prefix("wss://")
            .map(|rest| HttpsUrl::new(format!("https://{rest}")));
        match https {
            Some(Ok(url)) => Ok(Self {
                host: url.host().to_owned(),
                port: url.port().unwrap_or(443),
                url: text.to_owned(),
            }),
            _ => Err(TermError::WebSocketUrl { got: quoted(text) }),
        }
    }
}

impl fmt::Display for WebSocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// What an error quotes of a hostile text: bounded.
fn quoted(text: &str) -> String {
    const QUOTED_MAX: usize = 80;
    text.chars().take(QUOTED_MAX).collect()
}
