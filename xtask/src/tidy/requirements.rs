//! Each requirement of `spec/*.md` is cited by code and by a test; each citation exists.
//!
//! A requirement is defined where a list item begins with it: `- **ENV-4.3** …`. Code cites it in any
//! line outside of tests; tests, fuzz targets, the conformance suite and the vectors cite it as tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{Finding, Source};

const CHECK: &str = "requirement";
const PREFIXES: [&str; 8] = ["ENV", "SIG", "TRU", "SES", "CUS", "MBX", "EVD", "GOS"];

pub(super) fn check(root: &Path, sources: &[Source], findings: &mut Vec<Finding>) {
    let defined = defined(root, findings);
    let mut by_code: BTreeSet<Id> = BTreeSet::new();
    let mut by_test: BTreeSet<Id> = BTreeSet::new();
    let mut places: BTreeMap<Id, String> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.package != "xtask") {
        for (number, line) in (1..).zip(&source.lines) {
            for id in ids(&line.text) {
                let cited = if line.test {
                    &mut by_test
                } else {
                    &mut by_code
                };
                cited.insert(id.clone());
                places
                    .entry(id)
                    .or_insert_with(|| format!("{}:{number}", source.path));
            }
            if line.test {
                by_test.extend(test_name(&line.text));
            }
        }
    }
    for (id, place) in vectors(root) {
        by_test.insert(id.clone());
        places.entry(id).or_insert(place);
    }
    for id in &defined {
        match (by_code.contains(id), by_test.contains(id)) {
            (true, true) => {}
            (false, true) => findings.push(Finding::new(CHECK, id, "no code cites it")),
            (true, false) => findings.push(Finding::new(CHECK, id, "no test cites it")),
            (false, false) => findings.push(Finding::new(CHECK, id, "nothing cites it")),
        }
    }
    let sections: BTreeSet<Id> = defined.iter().map(|id| id.section()).collect();
    for (id, place) in places {
        if !defined.contains(&id) && !sections.contains(&id) {
            findings.push(Finding::new(
                CHECK,
                place,
                format!("cites {id}, which spec/ does not define"),
            ));
        }
    }
}

/// `ENV-4.3`, or a section: `ENV-4`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Id {
    prefix: &'static str,
    section: u32,
    number: Option<u32>,
}

impl Id {
    fn section(&self) -> Self {
        Self {
            number: None,
            ..*self
        }
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.prefix, self.section)?;
        self.number.map_or(Ok(()), |number| write!(f, ".{number}"))
    }
}

fn defined(root: &Path, findings: &mut Vec<Finding>) -> BTreeSet<Id> {
    let mut defined = BTreeSet::new();
    let folder = root.join("spec");
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("- **") else {
                continue;
            };
            let Some(id) = ids(rest)
                .into_iter()
                .next()
                .filter(|id| rest.starts_with(&id.to_string()))
            else {
                continue;
            };
            if !defined.insert(id.clone()) {
                findings.push(Finding::new(CHECK, &id, "is defined twice"));
            }
        }
    }
    defined
}

fn vectors(root: &Path) -> Vec<(Id, String)> {
    let folder = root.join("spec/vectors");
    let Ok(entries) = fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut cited = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "json")
            || path.ends_with("schema.json")
        {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let file: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        for case in file["cases"].as_array().into_iter().flatten() {
            let place = case["id"].as_str().unwrap_or_default();
            let requirements = case["requirements"].as_array().into_iter().flatten();
            for id in requirements.filter_map(|id| id.as_str()).flat_map(ids) {
                cited.push((id, format!("spec/vectors: {place}")));
            }
        }
    }
    cited
}

/// The ids in a line, ranges written out: `CUS-3.2 to 3.4` is not one, `ENV-7.3 to ENV-7.5` is.
fn ids(line: &str) -> Vec<Id> {
    let mut found: Vec<(usize, usize, Id)> = Vec::new();
    for prefix in PREFIXES {
        for (at, _) in line.match_indices(prefix) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
                continue;
            }
            let Some(rest) = line[at + prefix.len()..].strip_prefix('-') else {
                continue;
            };
            let Some((section, after)) = number(rest) else {
                continue;
            };
            let (number, after) = match after.strip_prefix('.').and_then(number) {
                Some((number, after)) => (Some(number), after),
                None => (None, after),
            };
            found.push((
                at,
                line.len() - after.len(),
                Id {
                    prefix,
                    section,
                    number,
                },
            ));
        }
    }
    found.sort_by_key(|(at, ..)| *at);
    let mut ids: Vec<Id> = found.iter().map(|(.., id)| id.clone()).collect();
    for pair in found.windows(2) {
        let [(_, end, first), (start, _, last)] = pair else {
            continue;
        };
        let between = &line[*end..*start];
        if matches!(between, " to " | "-" | "–") && first.section() == last.section() {
            let range = first.number.unwrap_or(0) + 1..last.number.unwrap_or(0);
            ids.extend(range.map(|number| Id {
                number: Some(number),
                ..first.clone()
            }));
        }
    }
    ids
}

fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// `fn env_4_3_what_it_shows` cites ENV-4.3, `fn cus_3_2_to_3_4_…` all three.
fn test_name(line: &str) -> Vec<Id> {
    let Some((_, name)) = line.split_once("fn ") else {
        return Vec::new();
    };
    let parts: Vec<&str> = name.split(['_', '(']).collect();
    let Some(prefix) = PREFIXES
        .into_iter()
        .find(|prefix| prefix.eq_ignore_ascii_case(parts[0]))
    else {
        return Vec::new();
    };
    let part = |at: usize| parts.get(at).and_then(|part| part.parse::<u32>().ok());
    let (Some(section), Some(first)) = (part(1), part(2)) else {
        return Vec::new();
    };
    let last = match (parts.get(3), part(4), part(5)) {
        (Some(&"to"), Some(same), Some(last)) if same == section => last,
        _ => first,
    };
    (first..=last)
        .map(|number| Id {
            prefix,
            section,
            number: Some(number),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ids: Vec<Id>) -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ids_are_found_with_their_ranges() {
        assert_eq!(
            shown(ids("/// ENV-4.3, SIG-2: see (CUS-10.12).")),
            ["ENV-4.3", "SIG-2", "CUS-10.12"]
        );
        assert_eq!(
            shown(ids("Spec: ENV-7.3 to ENV-7.5.")),
            ["ENV-7.3", "ENV-7.5", "ENV-7.4"]
        );
        assert_eq!(shown(ids("XENV-4.3 ENV_4 ENVELOPE-1 ENV-x")), [""; 0]);
    }

    #[test]
    fn test_names_cite() {
        assert_eq!(
            shown(test_name("    fn env_4_3_every_field_is_required() {")),
            ["ENV-4.3"]
        );
        assert_eq!(
            shown(test_name("fn cus_3_2_to_3_4_x() {")),
            ["CUS-3.2", "CUS-3.3", "CUS-3.4"]
        );
        assert_eq!(shown(test_name("fn case_04_x() {")), [""; 0]);
    }
}
