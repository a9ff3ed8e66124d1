//! Answers `Trust`: a file of this node's own verified copy, in pieces that fit a frame (TRU-5.6). Whoever has a
//! session may ask; nothing in the directory is secret, and whoever reads it believes signatures alone.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::limits::TRUST_PIECE_MAX;
use pli_protocol::wire::{self, call_reply};
use pli_transport::FrameWriter;
use pli_trust::file_bound;

use crate::ingress::calls::CallEnd;

/// Sends the file, or that there is none.
pub async fn answer(
    mirror: &Path,
    asked: wire::Trust,
    send: &mut FrameWriter,
) -> Result<(), CallEnd> {
    let max = file_bound(&asked.path).ok_or(CallEnd::Refuse(Code::FieldInvalid))?;
    let path = mirror.join(&asked.path);
    let read = tokio::task::spawn_blocking(move || read(&path, max)).await;
    let read = read.map_err(|_| CallEnd::Refuse(Code::Internal))?;
    let Some(file) = read.map_err(|error| {
        tracing::error!(path = asked.path, %error, "the copy of the directory cannot be read");
        CallEnd::Refuse(Code::Internal)
    })?
    else {
        let absent = wire::TrustFile {
            absent: true,
            ..Default::default()
        };
        return send_piece(send, absent).await;
    };
    let size = file.len() as u64;
    let mut rest = file;
    loop {
        let piece = rest.split_to(rest.len().min(TRUST_PIECE_MAX));
        let last = rest.is_empty();
        let piece = wire::TrustFile {
            file: piece,
            absent: false,
            size,
        };
        send_piece(send, piece).await?;
        if last {
            return Ok(());
        }
    }
}

async fn send_piece(send: &mut FrameWriter, piece: wire::TrustFile) -> Result<(), CallEnd> {
    let reply = wire::CallReply {
        kind: Some(call_reply::Kind::Trust(piece)),
    };
    Ok(send.send_message(&reply).await?)
}

fn read(path: &Path, max: u64) -> io::Result<Option<Bytes>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(Some(bytes.into()))
}
