//! What the demo says: chapters, and one line for each thing that happened. Coloured on a terminal that wants
//! it, plain when piped.

use std::io::{self, IsTerminal, Write};

/// Writes the story to standard output.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    colour: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31;1";
const BLUE: &str = "34;1";

impl Story {
    /// Colours when standard output is a terminal and `NO_COLOR` is not set (<https://no-color.org>).
    pub fn on_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: io::stdout().is_terminal() && !unwanted,
        }
    }

    /// A new chapter.
    pub fn chapter(&self, number: usize, title: &str) {
        self.line(&format!(
            "\n{}  {}",
            self.paint(BLUE, &number.to_string()),
            self.paint(BOLD, title)
        ));
    }

    /// Something went as it should.
    pub fn good(&self, text: &str) {
        self.line(&format!("   {} {text}", self.paint(GREEN, "✓")));
    }

    /// Something did not.
    pub fn bad(&self, text: &str) {
        self.line(&format!(
            "   {} {}",
            self.paint(RED, "✗"),
            self.paint(RED, text)
        ));
    }

    /// Something worth knowing.
    pub fn note(&self, text: &str) {
        self.line(&format!("     {}", self.paint(DIM, text)));
    }

    /// A row of a table: the name, then what there is to say.
    pub fn row(&self, name: &str, text: &str) {
        self.line(&format!("     {name:<24} {text}"));
    }

    /// As it is.
    pub fn line(&self, text: &str) {
        // A closed pipe is the reader's choice; the demo goes on and its exit code still tells.
        let _closed = writeln!(io::stdout().lock(), "{text}");
    }

    /// Bold, where colours are wanted.
    pub fn strong(&self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_no_escape_codes() {
        assert_eq!(Story { colour: false }.strong("x"), "x");
        assert_eq!(Story { colour: true }.strong("x"), "\x1b[1mx\x1b[0m");
    }
}
