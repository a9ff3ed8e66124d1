//! Letters of the suite: right ones, to be changed in one place by a case.

use super::Ground;
use crate::clock::now_ms;
use crate::codec::Message;
use crate::codec::schema::{CONTENT, HEADER, MAILBOX_ADDRESS, NOTICE, TEXT, TRANSLATION};
use crate::crypto::contexts::ENVELOPE;
use crate::crypto::keys::SecretKey;
use crate::crypto::signed::{Signed, sign_batch};
use crate::crypto::{Hash, merkle};
use crate::validator::envelope::{open, seal};

const CLASS_MESSAGE: u32 = 1;
const URGENCY_NORMAL: u32 = 3;
const IMPORTANCE_INFORMATION: u32 = 1;
const DAY_MS: u64 = 86_400_000;

/// A content that says `words`.
pub(super) fn content(words: &str) -> Vec<u8> {
    let text = |text: &str| {
        Message::new(&TEXT).with(
            "translations",
            Message::new(&TRANSLATION)
                .with("language", "fr")
                .with("text", text),
        )
    };
    let notice = Message::new(&NOTICE)
        .with("title", text("Conformité"))
        .with("body", text(words));
    Message::new(&CONTENT)
        .with("version", 1u32)
        .with("notice", notice)
        .encode()
}

/// The right header for the mailbox of this run.
pub(super) fn header(ground: &Ground) -> Message {
    header_to(ground, ground.account.mailbox)
}

pub(super) fn header_to(ground: &Ground, mailbox: [u8; 16]) -> Message {
    let recipient = Message::new(&MAILBOX_ADDRESS)
        .with("mailbox", mailbox)
        .with("home", ground.home.authority.as_str());
    Message::new(&HEADER)
        .with("version", 1u32)
        .with("service", ground.service.id.as_str())
        .with("recipient", recipient)
        .with("created_ms", now_ms())
        .with("expires_ms", now_ms() + DAY_MS)
        .with("class", CLASS_MESSAGE)
        .with("urgency", URGENCY_NORMAL)
        .with("importance", IMPORTANCE_INFORMATION)
}

/// The payload of a letter under this header, sealed for the device.
pub(super) fn payload(ground: &Ground, header: &Message, words: &str) -> Vec<u8> {
    let (public, epoch) = ground.account.sealing_key();
    seal(&public, epoch, &header.encode(), &content(words))
        .expect("the suite's own key and a short content")
}

/// One signed letter.
pub(super) fn letter(ground: &Ground, words: &str) -> Vec<u8> {
    letters(ground, &[words]).remove(0)
}

/// Letters signed together: one signature over one tree.
pub(super) fn letters(ground: &Ground, words: &[&str]) -> Vec<Vec<u8>> {
    let payloads: Vec<Vec<u8>> = words
        .iter()
        .map(|words| payload(ground, &header(ground), words))
        .collect();
    sign_batch(ENVELOPE, &payloads, &ground.service.key)
}

/// A letter under another header, signed by another key if a case wants so.
pub(super) fn letter_under(ground: &Ground, header: &Message, key: &SecretKey) -> Vec<u8> {
    sign_batch(ENVELOPE, &[payload(ground, header, "x")], key).remove(0)
}

/// ENV-3.1, CUS-3.7: the id by which bytes are acknowledged, whatever they are.
pub(super) fn id(bytes: &[u8]) -> Hash {
    Signed::decode(ENVELOPE, bytes)
        .map_or_else(|_| merkle::leaf(ENVELOPE, bytes), |signed| signed.leaf)
}

/// What the device reads: checks the letter as a device does, opens it and compares.
pub(super) fn reads(ground: &Ground, bytes: &[u8], words: &str) -> Result<(), String> {
    let key = ground.service.key.public();
    let envelope = crate::validator::envelope::Envelope::check(bytes, &key, now_ms())
        .map_err(|refused| format!("the device refuses the letter: {refused}"))?;
    let seed = ground.account.sealing_seed();
    let opened = open(&seed, &envelope.header_bytes, &envelope.sealed)
        .map_err(|refused| format!("the device cannot open the letter: {refused}"))?;
    crate::validator::content::check(&opened)
        .map_err(|refused| format!("the content: {refused}"))?;
    if opened == content(words) {
        Ok(())
    } else {
        Err("the content is another".to_owned())
    }
}
