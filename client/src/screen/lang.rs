//! The language of the screen: French first, English second.

/// A language that the words of this program exist in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Lang {
    /// Français
    #[default]
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
        // "C" and "POSIX" say nothing about a language; the program speaks French then.
        if locale.to_ascii_lowercase().starts_with("en") {
            Self::En
        } else {
            Self::Fr
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
    fn the_locale_chooses_and_french_is_the_default() {
        for (locale, lang) in [
            ("fr_FR.UTF-8", Lang::Fr),
            ("en_GB.UTF-8", Lang::En),
            ("en", Lang::En),
            ("C.UTF-8", Lang::Fr),
            ("", Lang::Fr),
            ("de_DE", Lang::Fr),
        ] {
            assert_eq!(Lang::of_locale(locale), lang, "{locale}");
        }
    }
}
