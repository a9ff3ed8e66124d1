//! Wire codes, read from `spec/registry/codes.toml` at build time: a name for a number and back.

use std::sync::OnceLock;

const REGISTRY: &str = include_str!("../../spec/registry/codes.toml");

#[derive(serde::Deserialize)]
struct Registry {
    code: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Row {
    number: u32,
    name: String,
}

fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        toml::from_str::<Registry>(REGISTRY)
            .expect("the registry is TOML")
            .code
    })
}

/// The number of a code that the suite itself names.
pub fn number(name: &str) -> u32 {
    rows()
        .iter()
        .find(|row| row.name == name)
        .unwrap_or_else(|| panic!("the suite names a code that the registry lacks: {name}"))
        .number
}

/// `EXPIRED`; `None` when the registry lacks it.
pub fn find(number: u64) -> Option<&'static str> {
    let row = rows().iter().find(|row| u64::from(row.number) == number);
    row.map(|row| row.name.as_str())
}

/// `EXPIRED`, or `code 4711` when the registry lacks it.
pub fn name(number: u64) -> String {
    find(number).map_or_else(|| format!("code {number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_each_once() {
        let mut numbers: Vec<u32> = rows().iter().map(|row| row.number).collect();
        let mut names: Vec<&str> = rows().iter().map(|row| row.name.as_str()).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!((numbers.len(), names.len()), (count, count));
    }

    #[test]
    fn both_ways() {
        assert_eq!(name(number("EXPIRED").into()), "EXPIRED");
        assert_eq!(name(4711), "code 4711");
    }
}
