//! Reading a message by the tables of [`super::schema`].
//! It goes on after the first uncanonical byte, because bytes that are also malformed are called malformed: two
//! readers must give the same name to the same bytes.

use super::message::{Message, Value};
use super::schema::{Field, Kind, Schema, Shape};
use super::{Fault, varint};

/// Nested messages and groups that a reader follows; one more is malformed.
const NESTING_MAX: u32 = 100;

pub(super) const WIRE_VARINT: u8 = 0;
const WIRE_FIXED64: u8 = 1;
pub(super) const WIRE_LENGTH: u8 = 2;
const WIRE_GROUP: u8 = 3;
const WIRE_GROUP_END: u8 = 4;
const WIRE_FIXED32: u8 = 5;

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
