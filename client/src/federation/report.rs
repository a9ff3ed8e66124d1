//! What an operator's command says: facts, perhaps a table, and what to do next.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use pli_trust::keyfile::KeyFileError;
use pli_trust::write::WriteError;
use serde_json::{Map, Value};

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

/// What a command did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    facts: Vec<(&'static str, Value)>,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
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
    pub fn fact(mut self, name: &'static str, value: impl ToString) -> Self {
        self.facts.push((name, value.to_string().into()));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn count(mut self, name: &'static str, value: u64) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// Starts a table.
    #[must_use]
    pub fn columns(mut self, columns: &[&'static str]) -> Self {
        self.columns = columns.to_vec();
        self
    }

    /// Adds a row of the table.
    #[must_use]
    pub fn row(mut self, cells: Vec<String>) -> Self {
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
            .map(|(_, value)| text(value))
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
            writeln!(out, "{:width$}  {}", name.replace('_', " "), text(value))?;
        }
        if !self.columns.is_empty() {
            let mut table = Table::new();
            table.load_style(presets::UTF8_HORIZONTAL_ONLY);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_header(self.columns.iter().map(|name| name.replace('_', " ")));
            for row in &self.rows {
                table.add_row(row);
            }
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
            writeln!(out, "{name}\t{}", text(value))?;
        }
        for row in &self.rows {
            writeln!(out, "{}", row.join("\t"))?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        for (name, value) in &self.facts {
            object.insert((*name).to_owned(), value.clone());
        }
        if !self.columns.is_empty() {
            let row = |row: &Vec<String>| {
                let cells = self.columns.iter().zip(row);
                Value::Object(
                    cells
                        .map(|(name, cell)| ((*name).to_owned(), cell.clone().into()))
                        .collect(),
                )
            };
            object.insert("rows".into(), self.rows.iter().map(row).collect());
        }
        object.insert("next".into(), self.next.iter().cloned().collect());
        Value::Object(object)
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_report_in_three_forms() {
        let report = Report::new()
            .count("root_version", 2)
            .columns(&["authority", "may_host"])
            .row(vec!["interieur.gouv.fr".into(), "yes".into()])
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
        assert_eq!(json["rows"][0]["may_host"], "yes");
        assert_eq!(json["root_version"], 2);
        assert_eq!(json["next"][0], "pli federation publish");
    }
}
