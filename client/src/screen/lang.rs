//! The language of the screen: French where the locale is French, English elsewhere.

/// A language that the words of this program exist in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Lang {
    /// Français
    Fr,
    /// English
    En,
}

impl Lang {
    /// What the environment asks for, by the order of POSIX: `LC_ALL`, `LC_MESSAGES`, `LANG`.
    pub fn of_environment() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL")
            .or_else(|| set("LC_MESSAGES"))
            .or_else(|| set("LANG"));
        Self::of_locale(locale.as_deref().unwrap_or_default())
    }

    fn of_locale(locale: &str) -> Self {
        // `fr`, `fr_CA.UTF-8`, `fr@euro`; but not `fro` or `frp`, which are other languages. "C" and
        // "POSIX" are what a machine without a chosen language has, and its other words are English.
        let language = locale.split(['_', '-', '.', '@']).next();
        match language {
            Some(language) if language.eq_ignore_ascii_case("fr") => Self::Fr,
            _ => Self::En,
        }
    }

    /// The tag in contents.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Fr => "fr",
            Self::En => "en",
        }
    }

    /// One of two texts.
    pub fn pick<'a>(self, fr: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Fr => fr,
            Self::En => en,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_french_locale_chooses_french_and_any_other_english() {
        for (locale, lang) in [
            ("fr_FR.UTF-8", Lang::Fr),
            ("fr", Lang::Fr),
            ("fr_CA", Lang::Fr),
            ("fr@euro", Lang::Fr),
            ("FR-be", Lang::Fr),
            ("frp", Lang::En),
            ("fry_NL", Lang::En),
            ("en_GB.UTF-8", Lang::En),
            ("C.UTF-8", Lang::En),
            ("C", Lang::En),
            ("POSIX", Lang::En),
            ("", Lang::En),
            ("de_DE", Lang::En),
        ] {
            assert_eq!(Lang::of_locale(locale), lang, "{locale}");
        }
    }
}
