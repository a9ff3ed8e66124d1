//! The registry of `spec/` and the constants of the code are the same, both ways.

use std::collections::{BTreeMap, BTreeSet};

use pli_protocol::code::Code;
use pli_protocol::crypto::contexts::{self, Context};
use pli_protocol::crypto::seal;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suites {
    suite: Vec<SuiteRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteRow {
    id: u32,
    name: String,
    kem: String,
    kem_id: u16,
    kdf: String,
    kdf_id: u16,
    aead: String,
    aead_id: u16,
    public_key_len: usize,
    encapsulated_key_len: usize,
    tag_len: usize,
    context: String,
}

/// ENV-6.1, ENV-6.4
#[test]
fn the_sealing_suite_of_the_registry_is_the_one_in_the_code() {
    use hpke::{Kem, Serializable, aead::Aead, kdf::Kdf};
    let rows = registry::<Suites>("suites.toml").suite;
    let [suite] = &rows[..] else {
        panic!("one suite is known to this version")
    };
    assert_eq!(suite.id, seal::SUITE_XWING);
    assert_eq!(
        suite.name,
        format!("{}, {}, {}", suite.kem, suite.kdf, suite.aead)
    );
    assert_eq!(suite.kem_id, hpke::kem::XWing::KEM_ID);
    assert_eq!(suite.kdf_id, hpke::kdf::HkdfSha256::KDF_ID);
    assert_eq!(suite.aead_id, hpke::aead::ChaCha20Poly1305::AEAD_ID);
    assert_eq!(suite.public_key_len, seal::PUBLIC_LEN);
    assert_eq!(
        suite.public_key_len,
        <hpke::kem::XWing as Kem>::PublicKey::size()
    );
    assert_eq!(suite.encapsulated_key_len, seal::ENCAPSULATED_LEN);
    assert_eq!(suite.tag_len, seal::TAG_LEN);
    assert_eq!(suite.context.as_bytes(), contexts::SEAL_INFO);
}
