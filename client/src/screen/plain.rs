//! Neutralises what a terminal would obey instead of show (case 61).

use std::borrow::Cow;
use std::fmt::Write;

use pli_protocol::content::{is_bidi_control, is_refused_control};

/// `1 line`, `2 lines`
pub fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// One line: a line break is shown too, so that a remote text cannot write lines of its own.
pub fn plain(text: &str) -> Cow<'_, str> {
    neutralise(text, |character| character == '\n')
}

/// Several lines: U+000A stays.
pub fn plain_block(text: &str) -> Cow<'_, str> {
    neutralise(text, |_| false)
}

fn neutralise(text: &str, also: impl Fn(char) -> bool) -> Cow<'_, str> {
    let obeyed = |c: char| is_refused_control(c) || is_bidi_control(c) || also(c);
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if obeyed(character) {
            write!(shown, "\\u{{{:04x}}}", u32::from(character))
                .expect("a String takes everything");
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let said = [0, 1, 2].map(|count| counted(count, "line"));
        assert_eq!(said, ["0 lines", "1 line", "2 lines"]);
    }

    #[test]
    fn case_61_a_terminal_obeys_nothing_that_came_from_elsewhere() {
        for (remote, shown) in [
            ("Bonjour à tous", "Bonjour à tous"),
            (
                "\u{1b}[2J\u{1b}]0;titre\u{7}",
                "\\u{001b}[2J\\u{001b}]0;titre\\u{0007}",
            ),
            ("\u{9b}31m", "\\u{009b}31m"),
            ("a\rb", "a\\u{000d}b"),
            ("a\tb", "a\\u{0009}b"),
            ("gouv\u{202e}rf.", "gouv\\u{202e}rf."),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("a\u{2028}b", "a\\u{2028}b"),
        ] {
            assert_eq!(plain(remote), shown);
            assert_eq!(plain_block(remote), shown);
        }
        assert_eq!(plain("a\nVérifié : oui"), "a\\u{000a}Vérifié : oui");
        assert_eq!(plain_block("a\nb"), "a\nb");
    }
}
