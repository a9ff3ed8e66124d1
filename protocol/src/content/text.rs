//! Text as it may be shown: plain, bounded, in one or more languages.
//! In: `wire::Text`. Out: [`Text`]. Spec: envelope.md, ENV-7.3 to ENV-7.7.

use std::collections::BTreeMap;
use std::fmt;

use super::error::{ContentError, Problem};
use crate::limits;
use crate::wire;

/// One line of plain text: never empty, no control or bidirectional control character, no line break.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Line(String);

impl Line {
    /// Checks `text` against `max` bytes and the rules of plain text (ENV-7.3 to ENV-7.5).
    pub fn new(text: impl Into<String>, max: usize) -> Result<Self, Problem> {
        let text = text.into();
        check_plain(&text, max)?;
        match text.find('\n') {
            Some(at) => Err(Problem::LineBreak { at }),
            None => Ok(Self(text)),
        }
    }

    /// `None` for the empty string, which on the wire means absent.
    pub(super) fn optional(text: String, max: usize) -> Result<Option<Self>, Problem> {
        if text.is_empty() {
            Ok(None)
        } else {
            Self::new(text, max).map(Some)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// ENV-7.3, ENV-7.4: not empty, at most `max` bytes, no control character but the line break.
pub(super) fn check_plain(text: &str, max: usize) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::Missing);
    }
    if text.len() > max {
        return Err(Problem::TooLong {
            got: text.len(),
            max,
        });
    }
    for (at, character) in text.char_indices() {
        let code_point = u32::from(character);
        if is_bidi_control(character) {
            return Err(Problem::BidiControl { code_point, at });
        }
        if is_refused_control(character) {
            return Err(Problem::ControlCharacter { code_point, at });
        }
    }
    Ok(())
}

/// General category Cc without U+000A, and the two Unicode separators that some renderers
/// take for a line break, so that "one line" means the same everywhere (ENV-7.4).
pub fn is_refused_control(character: char) -> bool {
    (character.is_control() && character != '\n') || matches!(character, '\u{2028}' | '\u{2029}')
}

/// The characters with the Unicode property `Bidi_Control` (ENV-7.4).
pub fn is_bidi_control(character: char) -> bool {
    matches!(
        character,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    )
}

/// A lower-case BCP 47 language tag: `fr`, `en`, `br`, `zh-hant`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Language(String);

impl Language {
    /// French, which every citizen-facing text has unless it has English.
    pub fn french() -> Self {
        Self(FRENCH.to_owned())
    }

    /// English.
    pub fn english() -> Self {
        Self(ENGLISH.to_owned())
    }

    /// ENV-7.6: two or three letters, then subtags of two to eight letters or digits.
    pub fn new(tag: &str) -> Result<Self, Problem> {
        let malformed = || Problem::LanguageMalformed {
            got: tag.chars().take(SHOWN_CHARS).collect(),
        };
        if tag.len() > limits::LANGUAGE_TAG_MAX {
            return Err(Problem::TooLong {
                got: tag.len(),
                max: limits::LANGUAGE_TAG_MAX,
            });
        }
        let mut subtags = tag.split('-');
        let primary = subtags.next().unwrap_or_default();
        let primary_fits = (2..=3).contains(&primary.len())
            && primary.bytes().all(|byte| byte.is_ascii_lowercase());
        let rest_fits = subtags.all(|subtag| {
            (2..=8).contains(&subtag.len())
                && subtag
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
        if primary_fits && rest_fits {
            Ok(Self(tag.to_owned()))
        } else {
            Err(malformed())
        }
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text in one or more languages; French or English is always among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Text(BTreeMap<Language, String>);

impl Text {
    /// One translation, in French.
    pub fn french(text: impl Into<String>) -> Self {
        Self(BTreeMap::from([(Language::french(), text.into())]))
    }

    /// Adds or replaces a translation. Checked when the content is encoded.
    #[must_use]
    pub fn with(mut self, language: Language, text: impl Into<String>) -> Self {
        self.0.insert(language, text.into());
        self
    }

    /// The translation in the first of `preferred` that exists, else French, else English.
    pub fn in_language(&self, preferred: &str) -> &str {
        [preferred, FRENCH, ENGLISH]
            .into_iter()
            .find_map(|tag| self.0.get(&Language(tag.to_owned())))
            .map(String::as_str)
            .expect("ENV-7.7: French or English is present")
    }

    /// Every translation, by ascending language.
    pub fn translations(&self) -> impl Iterator<Item = (&Language, &str)> {
        self.0
            .iter()
            .map(|(language, text)| (language, text.as_str()))
    }

    pub(super) fn from_wire(text: wire::Text, shape: Shape) -> Result<Self, ContentError> {
        let got = text.translations.len();
        if got > limits::TRANSLATIONS_MAX {
            return Err(Problem::TooMany {
                got,
                max: limits::TRANSLATIONS_MAX,
            }
            .into());
        }
        let mut translations: BTreeMap<Language, String> = BTreeMap::new();
        for wire::Translation { language, text } in text.translations {
            let language = Language::new(&language)?;
            if let Some((previous, _)) = translations.last_key_value()
                && *previous >= language
            {
                return Err(Problem::LanguageOrder {
                    previous: previous.0.clone(),
                    got: language.0,
                }
                .into());
            }
            shape
                .check(&text)
                .map_err(|problem| ContentError::from(problem).within(&language.0))?;
            translations.insert(language, text);
        }
        // ENV-7.7: the app can always fall back on a language that its own words exist in.
        let known = [FRENCH, ENGLISH].map(|tag| Language(tag.to_owned()));
        if !known
            .iter()
            .any(|language| translations.contains_key(language))
        {
            return Err(Problem::NoKnownLanguage.into());
        }
        Ok(Self(translations))
    }

    /// A field that must be there.
    pub(super) fn required(
        text: Option<wire::Text>,
        shape: Shape,
        field: &str,
    ) -> Result<Self, ContentError> {
        Self::optional(text, shape, field)?
            .ok_or_else(|| ContentError::from(Problem::Missing).within(field))
    }

    /// A field that may be absent.
    pub(super) fn optional(
        text: Option<wire::Text>,
        shape: Shape,
        field: &str,
    ) -> Result<Option<Self>, ContentError> {
        text.map(|text| Self::from_wire(text, shape))
            .transpose()
            .map_err(|error| error.within(field))
    }

    pub(super) fn into_wire(self) -> wire::Text {
        let translations = self
            .0
            .into_iter()
            .map(|(language, text)| wire::Translation {
                language: language.0,
                text,
            })
            .collect();
        wire::Text { translations }
    }
}

/// What a text may look like in its field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// One line of at most so many bytes.
    Line(usize),
    /// Lines separated by U+000A, of at most so many bytes in all.
    Paragraphs(usize),
}

impl Shape {
    fn check(self, text: &str) -> Result<(), Problem> {
        match self {
            Self::Line(max) => Line::new(text, max).map(drop),
            Self::Paragraphs(max) => check_plain(text, max),
        }
    }
}

const FRENCH: &str = "fr";
const ENGLISH: &str = "en";
/// How much of a refused value an error repeats.
const SHOWN_CHARS: usize = 40;
