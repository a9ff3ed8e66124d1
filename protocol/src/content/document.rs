//! Document: an attachment, named by the hashes of its encrypted chunks. Relays never parse
//! it (R10); only the device has the key.
//! Spec: envelope.md, section 7.

use super::error::{ContentError, Problem};
use super::field;
use super::notice::Notice;
use super::text::Line;
use crate::limits;
use crate::wire;

/// What a device needs to fetch and open an attachment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// What to show.
    pub notice: Notice,
    /// What to call the file; never a path.
    pub file_name: Line,
    /// `application/pdf`
    pub media_type: Line,
    /// Of the file in clear.
    pub size_bytes: u64,
    /// SHA-256 of each encrypted chunk.
    pub chunks: Vec<[u8; HASH_BYTES]>,
    /// Fresh for each attachment.
    pub content_key: [u8; KEY_BYTES],
}

impl Document {
    pub(super) fn from_wire(document: wire::Document) -> Result<Self, ContentError> {
        let got = document.chunks.len();
        let max = limits::CHUNKS_MAX;
        if got > max {
            return Err(ContentError::from(Problem::TooMany { got, max }).within("chunks"));
        }
        if document.size_bytes.div_ceil(limits::CHUNK_LEN as u64) != got as u64 || got == 0 {
            let problem = Problem::ChunksDisagree {
                chunks: got,
                size_bytes: document.size_bytes,
            };
            return Err(ContentError::from(problem).within("chunks"));
        }
        let chunks = document
            .chunks
            .iter()
            .map(|chunk| field::exact(chunk, "chunks"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            notice: Notice::required(document.notice)?,
            file_name: file_name(document.file_name)?,
            media_type: media_type(document.media_type)?,
            size_bytes: document.size_bytes,
            chunks,
            content_key: field::exact(&document.content_key, "content_key")?,
        })
    }

    pub(super) fn into_wire(self) -> wire::Document {
        wire::Document {
            notice: Some(self.notice.into_wire()),
            file_name: self.file_name.to_string(),
            media_type: self.media_type.to_string(),
            size_bytes: self.size_bytes,
            chunks: self
                .chunks
                .iter()
                .map(|chunk| chunk.to_vec().into())
                .collect(),
            content_key: self.content_key.to_vec().into(),
        }
    }
}

/// ENV-7.11: a name that cannot leave the folder that a citizen saves it in.
fn file_name(name: String) -> Result<Line, ContentError> {
    let name = field::line(name, limits::FILE_NAME_MAX, "file_name")?;
    let text = name.as_str();
    if text.starts_with('.') || text.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']) {
        let problem = Problem::NotAToken {
            got: text.to_owned(),
        };
        return Err(ContentError::from(problem).within("file_name"));
    }
    Ok(name)
}

/// RFC 6838, section 4.2: `type/subtype`, lower case, without parameters.
fn media_type(name: String) -> Result<Line, ContentError> {
    let is_name_byte = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'&' | b'-' | b'^' | b'_' | b'.' | b'+'
            )
    };
    let accepted = |byte: u8| is_name_byte(byte) || byte == b'/';
    let name = field::token(name, limits::MEDIA_TYPE_MAX, accepted, "media_type")?;
    match name.as_str().split('/').collect::<Vec<_>>()[..] {
        [kind, subtype] if !kind.is_empty() && !subtype.is_empty() => Ok(name),
        _ => {
            let problem = Problem::NotAToken {
                got: name.to_string(),
            };
            Err(ContentError::from(problem).within("media_type"))
        }
    }
}

const HASH_BYTES: usize = limits::HASH_LEN;
const KEY_BYTES: usize = limits::CONTENT_KEY_LEN;
