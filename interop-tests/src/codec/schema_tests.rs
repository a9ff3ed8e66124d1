//! The tables against the text of `spec/proto`: whoever edits one sees the other fail.

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

/// (number, type, repeated, in a oneof) by field name.
type Declared = BTreeMap<String, (u32, String, bool, bool)>;

/// A reader of just the subset of the proto3 language that `spec/proto` uses.
fn parse(text: &str, into: &mut BTreeMap<String, Declared>, enums: &mut Vec<String>) {
    let text: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n");
    let spaced = text
        .replace('{', " { ")
        .replace('}', " } ")
        .replace(';', " ; ")
        .replace('=', " = ");
    let mut words = spaced.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "message" => {
                let name = words.next().expect("message name").to_owned();
                assert_eq!(words.next(), Some("{"));
                let mut fields = Declared::new();
                let mut in_oneof = false;
                loop {
                    match words.next().expect("message is closed") {
                        "}" if in_oneof => in_oneof = false,
                        "}" => break,
                        "oneof" => {
                            words.next();
                            assert_eq!(words.next(), Some("{"));
                            in_oneof = true;
                        }
                        first => {
                            let repeated = first == "repeated";
                            let kind = if repeated {
                                words.next().expect("type")
                            } else {
                                first
                            };
                            let field = words.next().expect("field name").to_owned();
                            assert_eq!(words.next(), Some("="));
                            let number =
                                words.next().expect("number").parse().expect("field number");
                            assert_eq!(words.next(), Some(";"));
                            fields.insert(field, (number, kind.to_owned(), repeated, in_oneof));
                        }
                    }
                }
                into.insert(name, fields);
            }
            "enum" => enums.push(words.next().expect("enum name").to_owned()),
            _ => {}
        }
    }
}

#[test]
fn tables_say_what_spec_proto_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/proto/pli/v1");
    let (mut declared, mut enums) = (BTreeMap::new(), Vec::new());
    for entry in std::fs::read_dir(folder).expect("spec/proto is part of the project") {
        let path = entry.expect("readable").path();
        parse(
            &std::fs::read_to_string(path).expect("readable"),
            &mut declared,
            &mut enums,
        );
    }
    let ours: BTreeMap<String, Declared> = ALL
        .iter()
        .map(|schema| {
            let fields = schema
                .fields
                .iter()
                .map(|field| {
                    let kind = match field.kind {
                        Kind::U32 => "uint32",
                        Kind::U64 => "uint64",
                        Kind::Bool => "bool",
                        Kind::Bytes => "bytes",
                        Kind::Text => "string",
                        Kind::Message(schema) => schema.name,
                        // The table does not keep an enum's name.
                        Kind::Enum => "enum",
                    };
                    let shape = (field.shape == Shape::Many, field.shape == Shape::OneOf);
                    (
                        field.name.to_owned(),
                        (field.number, kind.to_owned(), shape.0, shape.1),
                    )
                })
                .collect();
            (schema.name.to_owned(), fields)
        })
        .collect();
    for fields in declared.values_mut() {
        for (_, kind, _, _) in fields.values_mut() {
            if enums.contains(kind) {
                *kind = "enum".to_owned();
            }
        }
    }
    assert_eq!(
        declared.keys().collect::<Vec<_>>(),
        ours.keys().collect::<Vec<_>>()
    );
    for (name, fields) in &declared {
        assert_eq!(fields, &ours[name], "message {name}");
    }
}

#[test]
fn fields_ascend() {
    for schema in ALL {
        assert!(
            schema
                .fields
                .windows(2)
                .all(|pair| pair[0].number < pair[1].number),
            "{}",
            schema.name
        );
    }
}
