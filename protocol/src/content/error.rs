//! Why a content was refused, and where in it.
//! Spec: envelope.md, section 7.

use std::fmt;

use super::extensions::ExtensionError;
use crate::code::Code;
use crate::codec::CodecError;

/// One fault of a content: the field it was found in and what is wrong with it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ContentError {
    /// Where, from the outside inwards: `procedure.notice.title.fr`.
    pub field: FieldPath,
    /// What.
    pub problem: Problem,
}

impl ContentError {
    /// The same fault, seen from the message that holds the field.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field.0.insert(0, outer.to_owned());
        self
    }
}

impl ContentError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        self.problem.code()
    }
}

impl From<Problem> for ContentError {
    fn from(problem: Problem) -> Self {
        Self {
            field: FieldPath(Vec::new()),
            problem,
        }
    }
}

/// Names of nested fields, outermost first. Empty for the content as a whole.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldPath(Vec<String>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("content");
        }
        f.write_str(&self.0.join("."))
    }
}

/// What is wrong with one field. All of it is malformed input.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The bytes are not canonical protobuf.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// ENV-7.1
    #[error("content version {got} is not supported; expected {expected}")]
    UnsupportedVersion { got: u32, expected: u32 },
    /// ENV-7.12: an empty or unknown `oneof` says nothing to anyone.
    #[error("no kind of content that this version knows")]
    UnknownKind,
    /// ENV-7.2
    #[error("missing")]
    Missing,
    /// ENV-7.3
    #[error("{got} bytes long; at most {max}")]
    TooLong { got: usize, max: usize },
    /// ENV-7.3
    #[error("{got} entries; at most {max}")]
    TooMany { got: usize, max: usize },
    /// ENV-7.4
    #[error("control character U+{code_point:04X} at byte {at}; only plain text is allowed")]
    ControlCharacter { code_point: u32, at: usize },
    /// ENV-7.4: they would let a text be shown in another order than it is read.
    #[error("bidirectional control U+{code_point:04X} at byte {at}; only plain text is allowed")]
    BidiControl { code_point: u32, at: usize },
    /// ENV-7.5
    #[error("line break at byte {at}; this field is one line")]
    LineBreak { at: usize },
    /// ENV-7.6
    #[error("language {got:?} is not a lower-case BCP 47 tag")]
    LanguageMalformed { got: String },
    /// ENV-7.6
    #[error("language {got:?} after {previous:?}; languages ascend, each once")]
    LanguageOrder { previous: String, got: String },
    /// ENV-7.7
    #[error("neither French nor English is present")]
    NoKnownLanguage,
    /// ENV-7.8
    #[error("a link is an https URL with a host: {reason}")]
    UrlRefused { reason: UrlProblem },
    /// ENV-7.9
    #[error("value {got} is not one that this version knows")]
    UnknownValue { got: i32 },
    /// ENV-7.10
    #[error("{got} ms is after the last representable time, {max} ms")]
    TimeOutOfRange { got: u64, max: u64 },
    /// ENV-7.10
    #[error("ends at {end_ms} ms, before its start at {start_ms} ms")]
    EndsBeforeStart { start_ms: u64, end_ms: u64 },
    /// ENV-7.11
    #[error("{got} bytes; exactly {expected} expected")]
    WrongSize { got: usize, expected: usize },
    /// ENV-7.11
    #[error("{got:?} has a character that is not allowed here")]
    NotAToken { got: String },
    /// ENV-7.11: the chunks are what can be fetched; the size is what is announced.
    #[error("{chunks} chunks cannot hold {size_bytes} bytes")]
    ChunksDisagree { chunks: usize, size_bytes: u64 },
    /// ENV-7.11
    #[error("a question needs choices or a free answer")]
    NoAnswerPossible,
    /// An extension that may not be ignored, or a list in the wrong form.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
}

impl Problem {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Codec(error) => error.code(),
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::Missing | Self::UnknownKind | Self::NoKnownLanguage | Self::NoAnswerPossible => {
                Code::FieldMissing
            }
            Self::TooLong { .. } => Code::TooLong,
            Self::TooMany { .. } => Code::TooMany,
            Self::Extension(error) => error.code(),
            Self::LanguageOrder { .. } => Code::NotCanonical,
            Self::ControlCharacter { .. }
            | Self::BidiControl { .. }
            | Self::LineBreak { .. }
            | Self::LanguageMalformed { .. }
            | Self::UrlRefused { .. }
            | Self::UnknownValue { .. }
            | Self::TimeOutOfRange { .. }
            | Self::EndsBeforeStart { .. }
            | Self::WrongSize { .. }
            | Self::NotAToken { .. }
            | Self::ChunksDisagree { .. } => Code::FieldInvalid,
        }
    }
}

/// Why a URL is not one that Pli carries.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlProblem {
    /// Nothing a citizen is sent to may be altered on the way.
    #[error("it does not start with https://")]
    NotHttps,
    /// `https:///path`
    #[error("it names no host")]
    NoHost,
    /// Upper case, a bracket, an empty label: parsers disagree on them.
    #[error("its host is not a lower-case ASCII name")]
    HostMalformed,
    /// `:0443`, `:70000`
    #[error("its port is not a number from 1 to 65535")]
    PortMalformed,
    /// `https://impots.gouv.fr@evil.example/` is read by people as the first name.
    #[error("it carries a user name")]
    UserInfo,
    /// A space, a quote, a letter outside of ASCII, a second `#`.
    #[error("it has a character that must be percent-encoded")]
    Unencoded,
}
