//! Where a number of the inbox stands, in a word or two.

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
    let of = |fr, en, colour, refused| is(out.pick(fr, en).to_owned(), colour, refused);
    let verified = match (&letter.entry.numbered.body, &letter.letter) {
        (Body::Expired, _) => {
            return of(
                "expirée avant sa remise",
                "expired before delivery",
                Colour::Faint,
                false,
            );
        }
        (Body::Damaged, _) => {
            return of(
                "abîmée chez l'hébergeur",
                "damaged at the home",
                Colour::Bad,
                true,
            );
        }
        (Body::Skipped { .. }, _) => {
            return of(
                "numéros jamais utilisés, dit l'hébergeur",
                "never used, says the home",
                Colour::Faint,
                false,
            );
        }
        (Body::Envelope { .. }, None) => return of("absente", "absent", Colour::Faint, false),
        (Body::Envelope { .. }, Some(Err(refusal))) => {
            let word = out.pick("REFUSÉE :", "REFUSED:");
            return is(format!("{word} {}", refusal.code()), Colour::Bad, true);
        }
        (Body::Envelope { .. }, Some(Ok(verified))) => verified,
    };
    if let Some(first) = letter.repeats {
        let word = out.pick("répète la lettre", "repeats letter");
        return is(format!("{word} {first}"), Colour::Faint, false);
    }
    if let Some(later) = letter.superseded_by {
        let word = out.pick("remplacée par", "replaced by");
        return is(format!("{word} {later}"), Colour::Faint, false);
    }
    match verified.content() {
        Ok(_) if letter.key_ended.is_some() => of(
            "vérifiée, d'une clé retirée avant",
            "verified, by a key ended before",
            Colour::Doubt,
            false,
        ),
        Ok(_) => of("vérifiée", "verified", Colour::Good, false),
        Err(_) => of(
            "authentique, illisible",
            "authentic, unreadable",
            Colour::Doubt,
            true,
        ),
    }
}
