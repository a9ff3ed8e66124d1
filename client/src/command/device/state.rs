//! Where a number of the inbox stands, in a word or two.

use super::texts;
use crate::command::words::Words;
use crate::device::Shown;
use crate::device::cursor::Body;
use crate::screen::{Colour, Output};

/// Its number; of those that were skipped together the first and the last.
pub(super) fn number(letter: &Shown) -> String {
    let numbered = &letter.entry.numbered;
    match numbered.body {
        Body::Skipped { first } if first < numbered.seq => format!("{first}–{}", numbered.seq),
        _ => numbered.seq.to_string(),
    }
}

/// Where a letter stands.
pub(super) struct State {
    /// A word or two; may hold no remote text.
    pub(super) text: String,
    pub(super) colour: Colour,
    /// Not shown as a message, through somebody's fault.
    pub(super) refused: bool,
}

/// Where a letter stands.
pub(super) fn state(letter: &Shown, out: Output) -> State {
    let is = |text: String, colour, refused| State {
        text,
        colour,
        refused,
    };
    let of = |words: Words, colour, refused| is(words.on(out).to_owned(), colour, refused);
    let verified = match (&letter.entry.numbered.body, &letter.letter) {
        (Body::Expired, _) => return of(texts::IS_EXPIRED, Colour::Faint, false),
        (Body::Damaged, _) => return of(texts::IS_DAMAGED, Colour::Bad, true),
        (Body::Skipped { .. }, _) => return of(texts::IS_SKIPPED, Colour::Faint, false),
        (Body::Envelope { .. }, None) => return of(texts::IS_ABSENT, Colour::Faint, false),
        (Body::Envelope { .. }, Some(Err(refusal))) => {
            let text = texts::IS_REFUSED.say(out, &[("code", &refusal.code())]);
            return is(text, Colour::Bad, true);
        }
        (Body::Envelope { .. }, Some(Ok(verified))) => verified,
    };
    if let Some(first) = letter.repeats {
        let text = texts::IS_A_REPEAT.say(out, &[("number", &first)]);
        return is(text, Colour::Faint, false);
    }
    if let Some(later) = letter.superseded_by {
        let text = texts::IS_REPLACED.say(out, &[("number", &later)]);
        return is(text, Colour::Faint, false);
    }
    match verified.content() {
        Ok(_) if letter.key_ended.is_some() => of(texts::IS_BY_AN_ENDED_KEY, Colour::Doubt, false),
        Ok(_) => of(texts::IS_VERIFIED, Colour::Good, false),
        Err(_) => of(texts::IS_UNREADABLE, Colour::Doubt, true),
    }
}
