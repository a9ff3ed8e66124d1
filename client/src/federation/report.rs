//! What an operator's command says: facts, perhaps a table, and what to do next.

use std::io::{self, Write};

use pli_trust::keyfile::KeyFileError;
use pli_trust::write::WriteError;
use serde_json::{Map, Value};

use crate::screen;

/// Why an operator's command did nothing.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Signing, publishing, reading back.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// An argument that only its context shows to be wrong.
    #[error("{option}: {problem}")]
    Argument {
        /// As it is typed.
        option: &'static str,
        /// What is wrong and what is expected.
        problem: String,
    },
}

/// How to write a report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// For people, at a terminal.
    Terminal,
    /// One fact or row per line, for pipes: `name<TAB>value`.
    Plain,
    /// One JSON object.
    Json,
}

/// A value: words for people, and what programs get.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    json: Value,
    /// On a terminal, where the whole would not fit beside the others.
    brief: Option<String>,
    /// A further member of the JSON object.
    also: Option<(&'static str, Value)>,
}

impl Cell {
    /// Words.
    pub fn text(text: impl ToString) -> Self {
        let text = text.to_string();
        let json = text.as_str().into();
        Self {
            text,
            json,
            brief: None,
            also: None,
        }
    }

    /// A number.
    pub fn count(count: u64) -> Self {
        Self {
            json: count.into(),
            ..Self::text(count)
        }
    }

    /// `yes` or `no`; `true` or `false`.
    pub fn flag(is: bool) -> Self {
        Self {
            json: is.into(),
            ..Self::text(if is { "yes" } else { "no" })
        }
    }

    /// Several; a list in JSON.
    pub fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
        Self {
            text: items.join(" "),
            json: items.into(),
            brief: None,
            also: None,
        }
    }

    /// Another value for programs.
    #[must_use]
    pub fn json(self, json: impl Into<Value>) -> Self {
        Self {
            json: json.into(),
            ..self
        }
    }

    /// A shorter text for terminals.
    #[must_use]
    pub fn brief(self, brief: impl Into<String>) -> Self {
        Self {
            brief: Some(brief.into()),
            ..self
        }
    }

    /// A further member for programs, such as a time in milliseconds.
    #[must_use]
    pub fn also(self, name: &'static str, value: impl Into<Value>) -> Self {
        Self {
            also: Some((name, value.into())),
            ..self
        }
    }
}

/// What a command did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    facts: Vec<(&'static str, Cell)>,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    next: Vec<String>,
}

impl Report {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact; its name is also the member of the JSON object.
    #[must_use]
    pub fn fact(self, name: &'static str, value: impl ToString) -> Self {
        self.cell(name, Cell::text(value))
    }

    /// Adds a value that is more than words.
    #[must_use]
    pub fn cell(mut self, name: &'static str, value: Cell) -> Self {
        self.facts.push((name, value));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn count(self, name: &'static str, value: u64) -> Self {
        self.cell(name, Cell::count(value))
    }

    /// Starts a table.
    #[must_use]
    pub fn columns(mut self, columns: &[&'static str]) -> Self {
        self.columns = columns.to_vec();
        self
    }

    /// Adds a row of the table.
    #[must_use]
    pub fn row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push(cells);
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }

    /// The value of a fact, as text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.facts
            .iter()
            .find(|(fact, _)| *fact == name)
            .map(|(_, value)| value.text.clone())
    }

    /// What to do next: for the standard error stream where the form has no place for it.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.next
    }

    /// Writes it.
    pub fn print(&self, form: Form, out: &mut impl Write) -> io::Result<()> {
        match form {
            Form::Terminal => self.terminal(out),
            Form::Plain => self.plain(out),
            Form::Json => writeln!(out, "{}", self.json()),
        }
    }

    fn terminal(&self, out: &mut impl Write) -> io::Result<()> {
        let width = self
            .facts
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0);
        for (name, value) in &self.facts {
            writeln!(out, "{:width$}  {}", name.replace('_', " "), value.text)?;
        }
        if !self.columns.is_empty() {
            let header: Vec<String> = self
                .columns
                .iter()
                .map(|name| name.replace('_', " "))
                .collect();
            let rows = self.rows.iter().map(|row| {
                let cells = row
                    .iter()
                    .map(|cell| cell.brief.as_ref().unwrap_or(&cell.text).clone());
                cells.collect::<Vec<_>>()
            });
            let table = screen::table_within(screen::width(), &header, rows);
            writeln!(out)?;
            writeln!(out, "{table}")?;
        }
        for (number, step) in self.next.iter().enumerate() {
            let lead = if number == 0 { "Next:" } else { "     " };
            writeln!(out, "{lead} {step}")?;
        }
        Ok(())
    }

    fn plain(&self, out: &mut impl Write) -> io::Result<()> {
        for (name, value) in &self.facts {
            writeln!(out, "{name}\t{}", value.text)?;
        }
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(|cell| cell.text.as_str()).collect();
            writeln!(out, "{}", cells.join("\t"))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let facts = self.facts.iter().map(|(name, cell)| (*name, cell));
        let mut object = members(facts);
        if !self.columns.is_empty() {
            let row =
                |row: &Vec<Cell>| Value::Object(members(self.columns.iter().copied().zip(row)));
            object.insert("rows".into(), self.rows.iter().map(row).collect());
        }
        object.insert("next".into(), self.next.iter().cloned().collect());
        Value::Object(object)
    }
}

fn members<'a>(cells: impl Iterator<Item = (&'static str, &'a Cell)>) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, cell) in cells {
        object.insert(name.to_owned(), cell.json.clone());
        if let Some((name, value)) = &cell.also {
            object.insert((*name).to_owned(), value.clone());
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_report_in_three_forms() {
        let report = Report::new()
            .count("root_version", 2)
            .columns(&["authority", "may_host"])
            .row(vec![Cell::text("interieur.gouv.fr"), Cell::flag(true)])
            .next("pli federation publish");
        let text = |form| {
            let mut out = Vec::new();
            report.print(form, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            text(Form::Plain),
            "root_version\t2\ninterieur.gouv.fr\tyes\n"
        );
        let terminal = text(Form::Terminal);
        assert!(terminal.starts_with("root version  2\n"), "{terminal}");
        assert!(
            terminal.ends_with("Next: pli federation publish\n"),
            "{terminal}"
        );
        let json: Value = serde_json::from_str(&text(Form::Json)).unwrap();
        assert_eq!(json["rows"][0]["may_host"], true, "a value, no word");
        assert_eq!(json["root_version"], 2);
        assert_eq!(json["next"][0], "pli federation publish");
    }
}
