//! The vectors of `spec/vectors`, asked of the harness, and what the files promise of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use pli_node::harness;
use pli_protocol::code::Code;
use serde_json::{Value, json};

/// The least number of cases; the project promises it.
const CASES_MIN: usize = 150;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors")
}

fn read(path: &PathBuf) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn files() -> BTreeMap<String, Value> {
    let entries = fs::read_dir(folder()).expect("the vectors are in the repository");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let name = |path: &PathBuf| {
        path.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter(|path| name(path) != "schema")
        .map(|path| (name(&path), read(&path)))
        .collect()
}

fn cases() -> Vec<Value> {
    files()
        .into_values()
        .flat_map(|file| file["cases"].as_array().expect("cases").clone())
        .collect()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} of {value} is a text"))
}

/// Every case has the one right answer; more members than the vector lists are no fault.
#[test]
fn every_vector_has_the_right_answer() {
    let mut wrong = Vec::new();
    for case in cases() {
        let request = json!({ "id": case["id"], "op": case["op"], "input": case["input"] });
        let answer = harness::answer(&request.to_string());
        assert_eq!(answer["id"], case["id"]);
        let right = match case["expect"]["refused"].as_str() {
            Some(code) => answer["refused"] == code,
            None => {
                let expected = case["expect"]["ok"].as_object().expect("ok or refused");
                answer["ok"].is_object()
                    && expected
                        .iter()
                        .all(|(member, value)| answer["ok"].get(member) == Some(value))
            }
        };
        if !right {
            wrong.push(format!(
                "{}: {}: expected {}, got {answer}",
                case["id"], case["title"], case["expect"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_accepted_vector_has_a_refused_neighbour() {
    let cases = cases();
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let refused = |case: &Value| case["expect"]["refused"].is_string();
    let accepted: BTreeSet<&str> = cases
        .iter()
        .filter(|case| !refused(case))
        .map(|case| text(case, "id"))
        .collect();
    let mut neighbours = BTreeSet::new();
    for case in cases.iter().filter(|case| refused(case)) {
        let neighbour = text(case, "neighbour_of");
        assert!(
            accepted.contains(neighbour),
            "{}: {neighbour} is not accepted",
            case["id"]
        );
        neighbours.insert(neighbour);
        let code = text(&case["expect"], "refused");
        assert!(
            Code::from_name(code).is_some(),
            "{}: {code} is no code",
            case["id"]
        );
    }
    let alone: Vec<&&str> = accepted.difference(&neighbours).collect();
    assert!(
        alone.is_empty(),
        "accepted without a refused neighbour: {alone:?}"
    );
    let ids: BTreeSet<&str> = cases.iter().map(|case| text(case, "id")).collect();
    assert_eq!(ids.len(), cases.len(), "an id is used twice");
}

/// Required members, no others, and the patterns' meaning, as `schema.json` says.
#[test]
fn every_file_has_the_form_of_the_schema() {
    let schema = read(&folder().join("schema.json"));
    let case_schema = &schema["$defs"]["case"];
    for (name, file) in files() {
        has_form(&name, &file, &schema);
        for case in file["cases"].as_array().expect("cases") {
            let id = text(case, "id");
            has_form(id, case, case_schema);
            assert!(id.starts_with(&format!("{name}/")), "{id} in {name}.json");
            let requirements = case["requirements"].as_array().expect("a list");
            assert!(!requirements.is_empty(), "{id} shows nothing");
            let annotated = case["annotation"].as_object().into_iter().flatten();
            for (member, parts) in annotated {
                let bytes = text(&case["input"], member).len() / 2;
                for part in parts.as_array().expect("a list") {
                    let end =
                        part["at"].as_u64().expect("at") + part["length"].as_u64().expect("length");
                    assert!(end <= bytes as u64, "{id}: {part} is beyond {member}");
                }
            }
        }
    }
}

fn has_form(what: &str, value: &Value, schema: &Value) {
    let members: BTreeSet<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    for required in schema["required"]
        .as_array()
        .expect("the schema requires members")
    {
        let required = required.as_str().expect("a name");
        assert!(members.contains(required), "{what} has no {required}");
    }
    let known = schema["properties"]
        .as_object()
        .expect("the schema names members");
    for member in members {
        assert!(
            known.contains_key(member),
            "{what}: {member} is not in the schema"
        );
    }
}
