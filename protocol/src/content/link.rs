//! Links: an https URL and, if the sender wishes, a label.
//! In: `wire::Link`. Out: [`Link`]. Spec: envelope.md, ENV-7.8.
//!
//! The grammar is a strict subset of RFC 3986 on which every URL parser agrees: what one
//! implementation shows as the host is what another one opens. That is why it is written
//! out here instead of taken from a library of the more lenient WHATWG rules.

use std::fmt;

use super::error::{ContentError, Problem, UrlProblem};
use super::text::{Shape, Text};
use crate::limits;
use crate::wire;

/// An https URL with a host, in printable ASCII, without a user name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpsUrl {
    url: String,
    host_len: usize,
}

impl HttpsUrl {
    /// ENV-7.8
    pub fn new(url: impl Into<String>) -> Result<Self, Problem> {
        let url = url.into();
        if url.is_empty() {
            return Err(Problem::Missing);
        }
        if url.len() > limits::LINK_URL_MAX {
            return Err(Problem::TooLong {
                got: url.len(),
                max: limits::LINK_URL_MAX,
            });
        }
        let host_len = check_url(&url).map_err(|reason| Problem::UrlRefused { reason })?;
        Ok(Self { url, host_len })
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The host, without the port: what a citizen must be shown.
    pub fn host(&self) -> &str {
        &self.url[SCHEME.len()..SCHEME.len() + self.host_len]
    }

    /// The port, where the URL names one.
    pub fn port(&self) -> Option<u16> {
        let port = self.url[SCHEME.len() + self.host_len..].strip_prefix(':')?;
        let end = port.find(['/', '?', '#']).unwrap_or(port.len());
        port[..end].parse().ok()
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// The length of the host, once the whole URL fits the grammar.
fn check_url(url: &str) -> Result<usize, UrlProblem> {
    let rest = url.strip_prefix(SCHEME).ok_or(UrlProblem::NotHttps)?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    if authority.contains('@') {
        return Err(UrlProblem::UserInfo);
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err(UrlProblem::NoHost);
    }
    if !is_host(host) {
        return Err(UrlProblem::HostMalformed);
    }
    if let Some(port) = port {
        // No sign and no leading zero: one spelling per port.
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = digits && !port.starts_with('0');
        if !canonical || port.parse::<u16>().is_err() {
            return Err(UrlProblem::PortMalformed);
        }
    }
    if path.bytes().filter(|byte| *byte == b'#').count() > 1 || !is_path(path.as_bytes()) {
        return Err(UrlProblem::Unencoded);
    }
    Ok(host.len())
}

/// Lower-case ASCII labels, as in an authority id; an internationalised name is in its `xn--` form.
fn is_host(host: &str) -> bool {
    host.len() <= limits::DOMAIN_MAX
        && host.split('.').all(|label| {
            (1..=limits::DOMAIN_LABEL_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
}

/// RFC 3986: unreserved, reserved and whole percent-encodings, nothing else.
fn is_path(path: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        match byte {
            b'%' => {
                let hex = path.get(at + 1..at + 3);
                if !hex.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return false;
                }
                at += 3;
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => at += 1,
            _ if PATH_PUNCTUATION.contains(&byte) => at += 1,
            _ => return false,
        }
    }
    true
}

const SCHEME: &str = "https://";
/// RFC 3986, sections 2.2 and 2.3, without the brackets, which only an IP literal needs.
const PATH_PUNCTUATION: &[u8] = b"-._~:/?#@!$&'()*+,;=";

/// A link that a citizen may follow. It is shown with its host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Where it leads.
    pub url: HttpsUrl,
    /// What to call it; the host is shown in any case.
    pub label: Option<Text>,
}

impl Link {
    pub(super) fn from_wire(link: wire::Link) -> Result<Self, ContentError> {
        let url =
            HttpsUrl::new(link.url).map_err(|problem| ContentError::from(problem).within("url"))?;
        let label = Text::optional(link.label, Shape::Line(limits::TITLE_MAX), "label")?;
        Ok(Self { url, label })
    }

    pub(super) fn into_wire(self) -> wire::Link {
        wire::Link {
            url: self.url.url,
            label: self.label.map(Text::into_wire),
        }
    }
}
