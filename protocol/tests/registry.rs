//! The registry of `spec/` and the constants of the code are the same, both ways.

use std::collections::{BTreeMap, BTreeSet};

use pli_protocol::code::Code;
use pli_protocol::crypto::contexts::{self, Context};
use pli_protocol::limits;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Codes {
    code: Vec<CodeRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeRow {
    number: u32,
    name: String,
    blame: String,
    retryable: bool,
    meaning: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limit: Vec<LimitRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitRow {
    name: String,
    value: u64,
    r#type: String,
    #[serde(default)]
    unit: String,
    beyond: Option<String>,
    meaning: String,
}

fn registry<T: serde::de::DeserializeOwned>(file: &str) -> T {
    let path = format!("{}/../spec/registry/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the registry is in the repository");
    toml::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// SES-8.1
#[test]
fn every_code_of_the_registry_is_in_the_code_and_the_other_way() {
    let rows = registry::<Codes>("codes.toml").code;
    let numbers: BTreeSet<u32> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers.len(), rows.len(), "a number is used twice");
    assert!(!numbers.contains(&0), "0 means no code");
    for row in &rows {
        let code = Code::from_number(row.number)
            .unwrap_or_else(|| panic!("{} is not in code.rs", row.name));
        assert_eq!(code.name(), row.name);
        assert_eq!(code.number(), row.number);
        assert_eq!(code.blame().name(), row.blame, "{}", row.name);
        assert_eq!(code.retryable(), row.retryable, "{}", row.name);
        assert_eq!(Code::from_name(&row.name), Some(code));
        assert!(!row.meaning.is_empty());
    }
    for code in Code::ALL {
        assert!(
            numbers.contains(&code.number()),
            "{code} is not in codes.toml"
        );
    }
    assert_eq!(Code::from_number(0), None);
    assert_eq!(Code::from_number(u32::MAX), None);
}

/// SES-8.2
#[test]
fn every_limit_of_the_registry_is_in_the_code_and_the_other_way() {
    let rows: BTreeMap<String, LimitRow> = registry::<Limits>("limits.toml")
        .limit
        .into_iter()
        .map(|row| (row.name.clone(), row))
        .collect();
    for limit in limits::ALL {
        let row = rows
            .get(limit.name)
            .unwrap_or_else(|| panic!("{} is not in limits.toml", limit.name));
        assert_eq!(limit.value, row.value, "{}", limit.name);
        assert_eq!(
            limit.beyond.map(Code::name),
            row.beyond.as_deref(),
            "{}",
            limit.name
        );
        assert!(
            ["usize", "u32", "u64"].contains(&row.r#type.as_str()),
            "{}",
            limit.name
        );
        assert!(!row.meaning.is_empty());
        if limit.name.ends_with("_MS") {
            assert_eq!(row.unit, "ms", "{}", limit.name);
        }
    }
    let known: BTreeSet<&str> = limits::ALL.iter().map(|limit| limit.name).collect();
    for name in rows.keys() {
        assert!(known.contains(name.as_str()), "{name} is not in limits.rs");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contexts {
    context: Vec<ContextRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextRow {
    name: String,
    string: String,
    kind: String,
    payload: Option<String>,
    signer: Option<String>,
    spec: String,
}

/// SIG-2.1
#[test]
fn every_context_of_the_registry_is_in_the_code_and_the_other_way() {
    let rows = registry::<Contexts>("contexts.toml").context;
    let derived: [(&str, &[u8]); 3] = [
        ("SEAL", contexts::SEAL_INFO),
        ("PAIRWISE_IDENTITY", contexts::PAIRWISE_IDENTITY),
        ("PAIRWISE_SEALING", contexts::PAIRWISE_SEALING),
    ];
    let strings: BTreeSet<&str> = rows.iter().map(|row| row.string.as_str()).collect();
    assert_eq!(strings.len(), rows.len(), "a context is listed twice");
    for row in &rows {
        assert!(row.string.starts_with("pli/1/") && !row.string.contains('\0'));
        assert!(row.spec.ends_with(".md"));
        if row.kind == "signature" {
            assert!(
                row.payload.is_some() && row.signer.is_some(),
                "{}",
                row.name
            );
            assert!(
                Context::from_name(&row.string).is_some(),
                "{} is not in the code",
                row.string
            );
        } else {
            assert!(
                row.kind == "seal" || row.kind == "derivation",
                "{}",
                row.kind
            );
            let (_, bytes) = derived
                .iter()
                .find(|(name, _)| *name == row.name)
                .unwrap_or_else(|| panic!("{} is not in the code", row.name));
            assert_eq!(*bytes, row.string.as_bytes());
        }
    }
    for context in contexts::ALL {
        assert!(
            strings.contains(context.as_str()),
            "{} is not listed",
            context.as_str()
        );
    }
    assert_eq!(contexts::ALL.len() + derived.len(), rows.len());
}
