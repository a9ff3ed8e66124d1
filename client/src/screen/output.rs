//! Standard output: JSON for programs, tables and words for people.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::lang::Lang;
use super::plain::plain;

/// Where and how a command says what it did.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Machine-readable.
    pub json: bool,
    /// For people.
    pub lang: Lang,
    colours: bool,
}

/// A colour that means something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// Verified, done.
    Good,
    /// Look at this.
    Doubt,
    /// Refused, failed.
    Bad,
    /// Less important.
    Faint,
    /// A title.
    Strong,
}

impl Output {
    /// Colours only on a terminal, and not where `NO_COLOR` is set.
    pub fn new(json: bool, lang: Lang) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            json,
            lang,
            colours: wanted && !json && io::stdout().is_terminal(),
        }
    }

    /// Whether a progress bar makes sense: standard error is a terminal.
    pub fn is_watched(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// One of two texts.
    pub fn pick(self, fr: &'static str, en: &'static str) -> &'static str {
        self.lang.pick(fr, en)
    }

    /// Paints a text that is already plain.
    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Good => "32",
            Colour::Doubt => "33",
            Colour::Bad => "31",
            Colour::Faint => "2",
            Colour::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// One line of words. A reader that went away (`| head`) ends the program quietly.
    pub fn line(self, text: impl AsRef<str>) {
        write_line(text.as_ref());
    }

    /// One JSON value, on one line.
    pub fn json(self, value: &impl Serialize) {
        write_line(&serde_json::to_string(value).expect("values of this program are JSON"));
    }
}

fn write_line(text: &str) {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        std::process::exit(0);
    }
}

/// A table of plain cells under a header.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows = rows.into_iter().map(|row| row.to_vec());
    table_within(width(), &header.map(str::to_owned), rows)
}

/// The width of the terminal that standard output is; `None` where it is a file or a pipe, which
/// hold whole lines.
pub fn width() -> Option<usize> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(usize::from(columns))
}

/// A table no wider than `width`: a cell that is too long goes on in its column below, so that a
/// terminal shows the same as a file.
pub fn table_within(
    width: Option<usize>,
    header: &[String],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let plain_row = |row: Vec<String>| -> Vec<String> {
        row.iter().map(|cell| plain(cell).into_owned()).collect()
    };
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        let width = width.max(header.len() * COLUMN_MIN);
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.set_header(header);
    table.add_rows(rows.into_iter().map(plain_row));
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Between two columns.
const GAP: u16 = 2;
/// On a terminal narrower than this for each column, its lines are broken by itself.
const COLUMN_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_61_a_cell_cannot_add_rows_or_colours() {
        let rows = [
            ["1".to_owned(), "a\nb\u{1b}[31m".to_owned()],
            ["22".to_owned(), "é".to_owned()],
        ];
        let shown = table(["N°", "Titre"], rows);
        assert_eq!(shown, "N°  Titre\n1   a\\u{000a}b\\u{001b}[31m\n22  é");
    }

    #[test]
    fn a_table_on_a_terminal_is_no_wider_and_says_the_same_as_in_a_pipe() {
        let header = ["N°", "De", "Objet"].map(str::to_owned);
        let row = vec![
            "1".to_owned(),
            "Rendez-vous passeport (rdv@interieur.gouv.fr)".to_owned(),
            "é".repeat(100),
        ];
        let piped = table_within(None, &header, [row.clone()]);
        assert!(piped.contains(&"é".repeat(100)));
        assert_eq!(piped.lines().count(), 2);
        for width in [200, 80, 40, 1] {
            let shown = table_within(Some(width), &header, [row.clone()]);
            let longest = shown.lines().map(|line| line.chars().count()).max();
            let most = width.max(header.len() * COLUMN_MIN);
            assert!(longest.is_some_and(|longest| longest <= most), "{shown}");
            let letters = |text: &str| {
                let mut letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
                letters.sort_unstable();
                letters
            };
            assert_eq!(letters(&shown), letters(&piped), "{width}: {shown}");
        }
    }
}
