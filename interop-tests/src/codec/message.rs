//! One message as a list of fields: built, looked at, and written by the tables of [`super::schema`].

use super::read::{WIRE_LENGTH, WIRE_VARINT};
use super::schema::{Field, Schema, Shape};
use super::varint;

/// The value of one field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// uint32, uint64, bool, and an enum's number (sign-extended).
    Number(u64),
    Bytes(Vec<u8>),
    Text(String),
    Message(Message),
}

/// A message: its fields in the order of the wire.
#[derive(Clone)]
pub struct Message {
    pub(super) schema: &'static Schema,
    pub(super) fields: Vec<(&'static Field, Value)>,
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.schema.name == other.schema.name && self.encode() == other.encode()
    }
}

impl Eq for Message {}

impl std::fmt::Debug for Message {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = out.debug_struct(self.schema.name);
        for (field, value) in &self.fields {
            match value {
                Value::Number(number) => shown.field(field.name, number),
                Value::Bytes(bytes) => shown.field(field.name, &hex::encode(bytes)),
                Value::Text(text) => shown.field(field.name, text),
                Value::Message(message) => shown.field(field.name, message),
            };
        }
        shown.finish()
    }
}

/// Building.
impl Message {
    pub fn new(schema: &'static Schema) -> Self {
        Self {
            schema,
            fields: Vec::new(),
        }
    }

    /// Adds a field; call it again for the next item of a repeated one.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.push(name, value.into());
        self
    }

    #[must_use]
    pub fn with_all<V: Into<Value>>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        for value in values {
            self.push(name, value.into());
        }
        self
    }

    /// Replaces every value of a field.
    #[must_use]
    pub fn replacing(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.retain(|(field, _)| field.name != name);
        self.push(name, value.into());
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| field.name != name);
        self
    }

    fn push(&mut self, name: &str, value: Value) {
        let field = self.schema.by_name(name);
        let at = self
            .fields
            .partition_point(|(other, _)| other.number <= field.number);
        self.fields.insert(at, (field, value));
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        while let Some((field, value)) = self.fields.get(at) {
            let run = self.fields[at..]
                .iter()
                .take_while(|(other, _)| other.number == field.number)
                .count();
            let packed = field.shape == Shape::Many && matches!(value, Value::Number(_));
            if packed {
                let mut body = Vec::new();
                for (_, value) in &self.fields[at..at + run] {
                    let Value::Number(number) = value else {
                        continue;
                    };
                    varint::write(&mut body, *number);
                }
                write_length(&mut out, field.number, &body);
            } else {
                for (_, value) in &self.fields[at..at + run] {
                    write_field(&mut out, field, value);
                }
            }
            at += run;
        }
        out
    }
}

fn write_key(out: &mut Vec<u8>, number: u32, wire: u8) {
    varint::write(out, u64::from(number) << 3 | u64::from(wire));
}

fn write_length(out: &mut Vec<u8>, number: u32, body: &[u8]) {
    write_key(out, number, WIRE_LENGTH);
    varint::write(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn write_field(out: &mut Vec<u8>, field: &Field, value: &Value) {
    let default_is_absent = field.shape == Shape::Single;
    match value {
        Value::Number(0) if default_is_absent => {}
        Value::Number(number) => {
            write_key(out, field.number, WIRE_VARINT);
            varint::write(out, *number);
        }
        Value::Bytes(bytes) if default_is_absent && bytes.is_empty() => {}
        Value::Bytes(bytes) => write_length(out, field.number, bytes),
        Value::Text(text) if default_is_absent && text.is_empty() => {}
        Value::Text(text) => write_length(out, field.number, text.as_bytes()),
        Value::Message(message) => write_length(out, field.number, &message.encode()),
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(u64::from(number))
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Number(u64::from(truth))
    }
}
impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}
impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<Message> for Value {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

/// Looking. A name that the table lacks is a bug of the suite and panics.
impl Message {
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let number = self.schema.by_name(name).number;
        self.fields
            .iter()
            .filter(move |(field, _)| field.number == number)
            .map(|(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// A number; 0 when absent.
    pub fn number(&self, name: &str) -> u64 {
        match self.values(name).next() {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    pub fn numbers(&self, name: &str) -> Vec<u64> {
        self.values(name)
            .filter_map(|value| {
                if let Value::Number(number) = value {
                    Some(*number)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Bytes; empty when absent.
    pub fn bytes(&self, name: &str) -> &[u8] {
        match self.values(name).next() {
            Some(Value::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    pub fn all_bytes<'a>(&'a self, name: &str) -> Vec<&'a [u8]> {
        self.values(name)
            .filter_map(|value| {
                if let Value::Bytes(bytes) = value {
                    Some(&bytes[..])
                } else {
                    None
                }
            })
            .collect()
    }

    /// A text; empty when absent.
    pub fn text(&self, name: &str) -> &str {
        match self.values(name).next() {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    pub fn message(&self, name: &str) -> Option<&Message> {
        match self.values(name).next() {
            Some(Value::Message(message)) => Some(message),
            _ => None,
        }
    }

    pub fn messages<'a>(&'a self, name: &str) -> Vec<&'a Message> {
        self.values(name)
            .filter_map(|value| {
                if let Value::Message(message) = value {
                    Some(message)
                } else {
                    None
                }
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
