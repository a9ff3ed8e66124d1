//! The harness: an implementation's answers to the operations of `spec/vectors/README.md`.
//! In: an operation and its input. Out: an [`Answer`]. `process` asks a command, `own` answers for the suite.

pub mod own;
mod process;

use serde_json::{Map, Value};

pub use process::{HarnessError, Process};

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Ok(Map<String, Value>),
    /// A code's name.
    Refused(String),
    Unsupported,
    /// The request itself was not understood.
    Error(String),
}

impl Answer {
    /// Reads the answer from a response line that is already JSON.
    pub fn read(response: &Value) -> Result<Self, String> {
        if let Some(ok) = response.get("ok") {
            let map = ok.as_object().ok_or("\"ok\" is not an object")?;
            return Ok(Self::Ok(map.clone()));
        }
        if let Some(code) = response.get("refused") {
            return Ok(Self::Refused(
                code.as_str().ok_or("\"refused\" is not a text")?.to_owned(),
            ));
        }
        if response.get("unsupported") == Some(&Value::Bool(true)) {
            return Ok(Self::Unsupported);
        }
        match response.get("error").and_then(Value::as_str) {
            Some(error) => Ok(Self::Error(error.to_owned())),
            None => Err("neither ok, refused, unsupported nor error".to_owned()),
        }
    }

    /// Every field that `expected` lists is present and equal; more may be there.
    pub fn satisfies(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Ok(got), Self::Ok(wanted)) => wanted
                .iter()
                .all(|(name, value)| got.get(name) == Some(value)),
            (Self::Refused(got), Self::Refused(wanted)) => got == wanted,
            _ => false,
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// Enough of a long answer to recognise it.
        const SHOWN: usize = 300;
        match self {
            Self::Ok(map) => {
                let text = Value::Object(map.clone()).to_string();
                match text.char_indices().nth(SHOWN) {
                    Some((at, _)) => write!(out, "ok {}…", &text[..at]),
                    None => write!(out, "ok {text}"),
                }
            }
            Self::Refused(code) => write!(out, "refused {code}"),
            Self::Unsupported => write!(out, "unsupported"),
            Self::Error(error) => write!(out, "error: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn four_answers_and_nothing_else() {
        let read = |value: Value| Answer::read(&value);
        assert_eq!(read(json!({"id":"a","ok":{}})), Ok(Answer::Ok(Map::new())));
        assert_eq!(
            read(json!({"refused":"EXPIRED"})),
            Ok(Answer::Refused("EXPIRED".into()))
        );
        assert_eq!(read(json!({"unsupported":true})), Ok(Answer::Unsupported));
        assert_eq!(read(json!({"error":"x"})), Ok(Answer::Error("x".into())));
        assert!(read(json!({"unsupported":false})).is_err());
        assert!(read(json!({"ok":1})).is_err());
        assert!(read(json!(7)).is_err());
    }

    #[test]
    fn more_fields_are_allowed_and_fewer_are_not() {
        let ok = |value: Value| Answer::read(&json!({ "ok": value })).expect("ok");
        assert!(ok(json!({"a":1,"b":2})).satisfies(&ok(json!({"a":1}))));
        assert!(!ok(json!({"a":1})).satisfies(&ok(json!({"a":1,"b":2}))));
        assert!(!ok(json!({"a":2})).satisfies(&ok(json!({"a":1}))));
        assert!(!Answer::Refused("A".into()).satisfies(&Answer::Refused("B".into())));
        assert!(!Answer::Unsupported.satisfies(&ok(json!({}))));
    }
}
