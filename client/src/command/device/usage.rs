//! A citizen's command line that is not understood, said in the citizen's language.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::faults;
use crate::command::words::Words;
use crate::screen::{Lang, plain};

/// What is wrong with the command line, in a line or two.
pub(in crate::command) fn explain(error: &clap::Error, lang: Lang) -> String {
    let on = |words: Words| lang.pick(words.fr, words.en);
    let argument = context(error, ContextKind::InvalidArg);
    let what = argument.as_deref().unwrap_or_default();
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    let (said, more) = match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            (faults::USAGE_MISSING.with(&[("what", &what)]), None)
        }
        ErrorKind::UnknownArgument => (faults::USAGE_UNKNOWN.with(&[("what", &what)]), None),
        ErrorKind::InvalidSubcommand => {
            let command = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            (faults::USAGE_UNKNOWN.with(&[("what", &command)]), None)
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            (faults::USAGE_NO_VALUE.with(&[("what", &what)]), None)
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let facts: [(&str, &dyn std::fmt::Display); 2] = [("value", &value), ("what", &what)];
            let valid = context(error, ContextKind::ValidValue);
            let expected = valid
                .map(|values| faults::USAGE_VALUE_OF.with(&[("values", &values)]))
                .or_else(|| expected(what).map(Into::into));
            (faults::USAGE_VALUE.with(&facts), expected)
        }
        ErrorKind::ArgumentConflict => (faults::USAGE_CONFLICT.with(&[("what", &what)]), None),
        _ => (faults::USAGE_OTHER.into(), None),
    };
    let mut lines = format!("pli: {}", plain(said.text(lang)));
    for line in more
        .iter()
        .map(|more| more.text(lang))
        .chain([on(faults::USAGE_HELP)])
    {
        lines.push('\n');
        lines.push_str(&plain(line));
    }
    lines
}

/// What an argument takes, where a list of values does not say it.
fn expected(argument: &str) -> Option<Words> {
    let known = [
        ("<INVITATION>", faults::USAGE_INVITATION),
        ("<AUTHORITY>", faults::USAGE_AUTHORITY),
        ("<ADMINISTRATION>", faults::USAGE_AUTHORITY),
        ("NUMBER", faults::USAGE_NUMBER),
        ("NUM\u{c9}RO", faults::USAGE_NUMBER),
        ("--count", faults::USAGE_NUMBER),
    ];
    let known = known.iter().find(|(name, _)| argument.contains(name));
    known.map(|(_, words)| *words)
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::command::Cli;
    use crate::command::device::in_french;

    #[test]
    fn a_mistyped_command_line_is_explained_in_french() {
        for (line, said) in [
            ("enrol", "il manque : "),
            (
                "enrol --directory x pli:invite?home=a",
                "attendu : l'invitation entière",
            ),
            ("grant intérieur", "tel que interieur.gouv.fr"),
            ("show un", "attendu : un nombre"),
            ("show 1 --sgned x", "inconnu : --sgned"),
            ("boite", "inconnu : boite"),
            (
                "grant a.fr --accept lettre",
                "possible : message, alert, control",
            ),
            ("show 1 --signed", "--signed <FICHIER> demande une valeur"),
            ("inbox --offline --offline", "ne va pas avec le reste"),
        ] {
            let words = ["pli", "device"].into_iter().chain(line.split(' '));
            let french = in_french(Cli::command());
            let error = french
                .try_get_matches_from(words)
                .expect_err("not understood");
            let shown = explain(&error, Lang::Fr);
            assert!(shown.contains(said), "{line}: {shown}");
            assert!(shown.ends_with("pli device --help"), "{shown}");
            assert_ne!(shown, explain(&error, Lang::En));
        }
    }
}
