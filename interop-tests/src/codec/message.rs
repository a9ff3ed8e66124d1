//! One message as a list of fields, read and written by the tables of [`super::schema`].
//! Reading goes on after the first uncanonical byte, because bytes that are also malformed are
//! called malformed: two readers must give the same name to the same bytes.

use super::schema::{Field, Kind, Schema, Shape};
use super::{Fault, varint};

/// Nested messages and groups that a reader follows; one more is malformed.
const NESTING_MAX: u32 = 100;

const WIRE_VARINT: u8 = 0;
const WIRE_FIXED64: u8 = 1;
const WIRE_LENGTH: u8 = 2;
const WIRE_GROUP: u8 = 3;
const WIRE_GROUP_END: u8 = 4;
const WIRE_FIXED32: u8 = 5;

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
    schema: &'static Schema,
    fields: Vec<(&'static Field, Value)>,
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

/// Reading.
impl Message {
    /// Reads canonical bytes, or says what is wrong with them.
    pub fn decode(schema: &'static Schema, bytes: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader {
            bytes,
            uncanonical: None,
        };
        let message = reader.message(schema, 0, bytes.len(), NESTING_MAX)?;
        match reader.uncanonical {
            Some(fault) => Err(fault),
            None => Ok(message),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// The first place that a writer would write otherwise.
    uncanonical: Option<Fault>,
}

impl Reader<'_> {
    fn odd(&mut self, at: usize, why: &'static str) {
        self.uncanonical
            .get_or_insert(Fault::NotCanonical { at, why });
    }

    fn varint(&mut self, at: &mut usize, end: usize) -> Result<u64, Fault> {
        let read = varint::read(&self.bytes[..end], *at)?;
        if !read.minimal {
            self.odd(*at, "overlong varint");
        }
        *at += read.len;
        Ok(read.value)
    }

    /// A key: field number and wire type.
    fn key(&mut self, at: &mut usize, end: usize) -> Result<(u32, u8), Fault> {
        let start = *at;
        let key = u32::try_from(self.varint(at, end)?).map_err(|_| Fault::Malformed {
            at: start,
            why: "key over 32 bits",
        })?;
        let (number, wire) = (key >> 3, (key & 7) as u8);
        if wire > WIRE_FIXED32 {
            return Err(Fault::Malformed {
                at: start,
                why: "no such wire type",
            });
        }
        if number == 0 {
            return Err(Fault::Malformed {
                at: start,
                why: "field number 0",
            });
        }
        Ok((number, wire))
    }

    /// The end of a length-delimited value that starts at `at` after its length.
    fn length(&mut self, at: &mut usize, end: usize) -> Result<usize, Fault> {
        let start = *at;
        let length = self.varint(at, end)?;
        if length > (end - *at) as u64 {
            return Err(Fault::Malformed {
                at: start,
                why: "longer than what remains",
            });
        }
        Ok(*at + length as usize)
    }

    fn message(
        &mut self,
        schema: &'static Schema,
        start: usize,
        end: usize,
        depth: u32,
    ) -> Result<Message, Fault> {
        let mut message = Message::new(schema);
        let (mut at, mut last, mut oneof_taken) = (start, 0, false);
        while at < end {
            let key_at = at;
            let (number, wire) = self.key(&mut at, end)?;
            let Some(field) = schema.by_number(number) else {
                self.odd(key_at, "unknown field");
                self.skip(number, wire, &mut at, end, depth)?;
                continue;
            };
            let packed = field.shape == Shape::Many
                && !matches!(field.kind, Kind::Bytes | Kind::Text | Kind::Message(_));
            let may_repeat = field.shape == Shape::Many && !packed;
            if number < last || number == last && !may_repeat {
                self.odd(key_at, "field twice or out of order");
            }
            last = last.max(number);
            if field.shape == Shape::OneOf && std::mem::replace(&mut oneof_taken, true) {
                self.odd(key_at, "two fields of one oneof");
            }
            if packed && wire == WIRE_LENGTH {
                let stop = self.length(&mut at, end)?;
                if at == stop {
                    self.odd(key_at, "empty packed field");
                }
                while at < stop {
                    let value = self.scalar(field, &mut at, stop)?;
                    message.fields.push((field, value));
                }
                continue;
            }
            if packed {
                self.odd(key_at, "numbers not packed");
            }
            let value = self.value(field, wire, &mut at, end, depth)?;
            if field.shape == Shape::Single && is_default(&value) {
                self.odd(key_at, "default value written");
            }
            message.fields.push((field, value));
        }
        Ok(message)
    }

    fn value(
        &mut self,
        field: &Field,
        wire: u8,
        at: &mut usize,
        end: usize,
        depth: u32,
    ) -> Result<Value, Fault> {
        let start = *at;
        let expected = match field.kind {
            Kind::U32 | Kind::U64 | Kind::Bool | Kind::Enum => WIRE_VARINT,
            Kind::Bytes | Kind::Text | Kind::Message(_) => WIRE_LENGTH,
        };
        if wire != expected {
            return Err(Fault::Malformed {
                at: start,
                why: "wire type of another kind",
            });
        }
        if expected == WIRE_VARINT {
            return self.scalar(field, at, end);
        }
        let stop = self.length(at, end)?;
        let body = &self.bytes[*at..stop];
        let value = match field.kind {
            Kind::Message(schema) => {
                let deeper = depth.checked_sub(1).ok_or(Fault::Malformed {
                    at: start,
                    why: "nested too deeply",
                })?;
                Value::Message(self.message(schema, *at, stop, deeper)?)
            }
            Kind::Text => Value::Text(
                std::str::from_utf8(body)
                    .map_err(|_| Fault::Malformed {
                        at: start,
                        why: "text is not UTF-8",
                    })?
                    .to_owned(),
            ),
            _ => Value::Bytes(body.to_vec()),
        };
        *at = stop;
        Ok(value)
    }

    fn scalar(&mut self, field: &Field, at: &mut usize, end: usize) -> Result<Value, Fault> {
        let start = *at;
        let raw = self.varint(at, end)?;
        let kept = match field.kind {
            Kind::Bool => u64::from(raw != 0),
            Kind::U32 => u64::from(raw as u32),
            // An enum is an int32: negative numbers take ten bytes.
            Kind::Enum => i64::from(raw as u32 as i32) as u64,
            _ => raw,
        };
        if kept != raw {
            self.odd(start, "number wider than its field");
        }
        Ok(Value::Number(kept))
    }

    /// Passes over a field that the table lacks, to tell malformed from merely unknown.
    fn skip(
        &mut self,
        number: u32,
        wire: u8,
        at: &mut usize,
        end: usize,
        depth: u32,
    ) -> Result<(), Fault> {
        let start = *at;
        if depth == 0 {
            return Err(Fault::Malformed {
                at: start,
                why: "nested too deeply",
            });
        }
        let fixed = match wire {
            WIRE_VARINT => {
                self.varint(at, end)?;
                0
            }
            WIRE_LENGTH => {
                *at = self.length(at, end)?;
                0
            }
            WIRE_FIXED64 => 8,
            WIRE_FIXED32 => 4,
            WIRE_GROUP => loop {
                let (inner, wire) = self.key(at, end)?;
                if wire == WIRE_GROUP_END {
                    if inner != number {
                        return Err(Fault::Malformed {
                            at: start,
                            why: "group closed by another number",
                        });
                    }
                    break 0;
                }
                self.skip(inner, wire, at, end, depth - 1)?;
            },
            _ => {
                return Err(Fault::Malformed {
                    at: start,
                    why: "end of a group that never began",
                });
            }
        };
        if end - *at < fixed {
            return Err(Fault::Malformed {
                at: start,
                why: "longer than what remains",
            });
        }
        *at += fixed;
        Ok(())
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::Number(number) => *number == 0,
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Text(text) => text.is_empty(),
        Value::Message(_) => false,
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
