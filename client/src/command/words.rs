//! What a citizen reads, in French and in English: no text exists in one language only, because there
//! is no way to write one. `{name}` in a text stands for a fact, the same ones in both.

use std::fmt::Display;

use crate::screen::{Lang, Output};

/// One text in both languages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::command) struct Words {
    pub(in crate::command) fr: &'static str,
    pub(in crate::command) en: &'static str,
}

impl Words {
    /// In the language of the screen.
    pub(in crate::command) fn on(self, out: Output) -> &'static str {
        out.lang.pick(self.fr, self.en)
    }

    /// With its facts.
    pub(in crate::command) fn with(self, facts: &[(&str, &dyn Display)]) -> Said {
        Said {
            fr: fill(self.fr, facts),
            en: fill(self.en, facts),
        }
    }

    /// With facts that are words themselves: their French, then their English.
    pub(in crate::command) fn with_each(self, facts: &[(&str, &str, &str)]) -> Said {
        let fr: Vec<(&str, &dyn Display)> = facts
            .iter()
            .map(|(name, fr, _)| (*name, fr as &dyn Display))
            .collect();
        let en: Vec<(&str, &dyn Display)> = facts
            .iter()
            .map(|(name, _, en)| (*name, en as &dyn Display))
            .collect();
        Said {
            fr: fill(self.fr, &fr),
            en: fill(self.en, &en),
        }
    }

    /// With its facts, in the language of the screen.
    pub(in crate::command) fn say(self, out: Output, facts: &[(&str, &dyn Display)]) -> String {
        fill(self.on(out), facts)
    }
}

fn fill(text: &str, facts: &[(&str, &dyn Display)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    // From left to right, so that a fact that looks like a place is not filled in turn.
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("every place has its end");
        let fact = facts.iter().find(|(fact, _)| *fact == name);
        debug_assert!(fact.is_some(), "no fact {name} for: {text}");
        filled.push_str(before);
        filled.extend(fact.map(|(_, fact)| fact.to_string()));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// A text with its facts, in both languages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::command) struct Said {
    fr: String,
    en: String,
}

impl Said {
    /// In one of them.
    pub(in crate::command) fn text(&self, lang: Lang) -> &str {
        match lang {
            Lang::Fr => &self.fr,
            Lang::En => &self.en,
        }
    }
}

impl From<Words> for Said {
    fn from(words: Words) -> Self {
        words.with(&[])
    }
}

/// Names texts, and for the tests lists them.
macro_rules! words {
    ($($NAME:ident: $fr:literal, $en:literal;)+) => {
        $(pub(in crate::command) const $NAME: $crate::command::words::Words =
            $crate::command::words::Words { fr: $fr, en: $en };)+
        #[cfg(test)]
        pub(in crate::command) const ALL: &[(&str, $crate::command::words::Words)] =
            &[$((stringify!($NAME), $NAME)),+];
    };
}
pub(in crate::command) use words;

#[cfg(test)]
pub(in crate::command) mod tests {
    use super::*;

    fn places(text: &str) -> Vec<&str> {
        let mut places: Vec<&str> = text
            .split('{')
            .skip(1)
            .map(|part| part.split_once('}').expect("every place has its end").0)
            .collect();
        places.sort_unstable();
        places
    }

    /// Whether a text is in both languages, with the same facts. `same` are words that both spell alike.
    pub(in crate::command) fn check(name: &str, words: Words, same: &[&str]) {
        let Words { fr, en } = words;
        assert!(!fr.trim().is_empty() && !en.trim().is_empty(), "{name}");
        assert!(
            fr != en || same.contains(&fr),
            "{name} is not translated: {fr}"
        );
        assert_eq!(
            places(fr),
            places(en),
            "{name}: other facts in the other language"
        );
    }

    #[test]
    fn a_fact_is_filled_in_once() {
        let words = Words {
            fr: "{a} et {b}",
            en: "{b} and {a}",
        };
        let said = words.with(&[("a", &"{b}"), ("b", &2)]);
        assert_eq!(said.text(Lang::Fr), "{b} et 2");
        assert_eq!(said.text(Lang::En), "2 and {b}");
    }
}
