//! The texts that carry a signed object.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pli_protocol::account::InvitationLink;

use crate::service::contacts::GRANT_SCHEME;

/// The bytes in a text: an invitation link, a grant, base64url or hexadecimal, of one line.
pub fn decode_text(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    if let Ok(link) = text.parse::<InvitationLink>() {
        return Some(link.invitation.to_vec());
    }
    if let Some(grant) = text.strip_prefix(GRANT_SCHEME) {
        return BASE64_URL_SAFE_NO_PAD.decode(grant).ok();
    }
    if text.is_empty() {
        return None;
    }
    hexadecimal(text).or_else(|| BASE64_URL_SAFE_NO_PAD.decode(text).ok())
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let value = digit(pair[0])? * 16 + digit(pair[1])?;
        u8::try_from(value).ok()
    };
    digits.chunks_exact(2).map(pair).collect()
}
