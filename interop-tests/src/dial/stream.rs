//! One stream of either transport: raw bytes or frames out, frames in.
//! Spec: SES-2 (frames), SES-6 (the end of a stream over WebSocket).

use std::time::Duration;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};

use super::websocket::Losing;
use crate::codec::frame::{self, FRAME_MAX, PREFIX_LEN, Reading};

/// Why nothing more comes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Ended {
    #[error("the stream ended")]
    Finished,
    /// The stream alone was cut. yamux has no codes: 0.
    #[error("the stream was reset with {}", crate::code::name(*code))]
    Reset { code: u64 },
    /// The whole connection was closed by the server.
    #[error("the connection was closed with {} ({reason:?})", crate::code::name(*code))]
    Closed { code: u64, reason: String },
    /// The connection broke without a word.
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("nothing within {} ms", within.as_millis())]
    TimedOut { within: Duration },
    /// Bytes that are no frame.
    #[error("no frame: {0}")]
    NoFrame(String),
}

impl Ended {
    /// The code that the server gave, however it gave it.
    pub fn code(&self) -> Option<u64> {
        match self {
            Self::Reset { code } | Self::Closed { code, .. } => {
                Some(*code).filter(|code| *code != 0)
            }
            _ => None,
        }
    }

    /// The server did end something, in whatever words.
    pub fn is_an_end(&self) -> bool {
        !matches!(self, Self::TimedOut { .. } | Self::NoFrame(_))
    }
}

pub(super) fn ended(lost: quinn::ConnectionError) -> Ended {
    match lost {
        quinn::ConnectionError::ApplicationClosed(close) => Ended::Closed {
            code: close.error_code.into_inner(),
            reason: String::from_utf8_lossy(&close.reason).into_owned(),
        },
        other => Ended::Broken(other.to_string()),
    }
}

#[derive(Debug)]
enum Wire {
    Quic {
        send: quinn::SendStream,
        recv: quinn::RecvStream,
    },
    WebSocket {
        stream: yamux::Stream,
        losing: Losing,
    },
}

/// One bidirectional stream.
#[derive(Debug)]
pub struct Stream {
    wire: Wire,
    received: Vec<u8>,
}

impl Stream {
    pub(super) fn quic(send: quinn::SendStream, recv: quinn::RecvStream) -> Self {
        Self {
            wire: Wire::Quic { send, recv },
            received: Vec::new(),
        }
    }

    pub(super) fn websocket(stream: yamux::Stream, losing: Losing) -> Self {
        Self {
            wire: Wire::WebSocket { stream, losing },
            received: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        match &mut self.wire {
            Wire::Quic { send, .. } => send.write_all(bytes).await.map_err(|error| match error {
                quinn::WriteError::Stopped(code) => Ended::Reset {
                    code: code.into_inner(),
                },
                quinn::WriteError::ConnectionLost(lost) => ended(lost),
                other => Ended::Broken(other.to_string()),
            }),
            Wire::WebSocket { stream, losing } => {
                let written = async {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                };
                match written.await {
                    Ok(()) => Ok(()),
                    Err(_) => Err(losing.soon().await.unwrap_or(Ended::Reset { code: 0 })),
                }
            }
        }
    }

    pub async fn send_frame(&mut self, body: &[u8]) -> Result<(), Ended> {
        self.send(&frame::write(body)).await
    }

    /// Ends this direction in order: over WebSocket with the empty frame that marks it.
    pub async fn finish(&mut self) -> Result<(), Ended> {
        if let Wire::WebSocket { .. } = self.wire {
            self.send(&[0; PREFIX_LEN]).await?;
        }
        self.cut().await;
        Ok(())
    }

    /// Ends this direction with nothing said.
    pub async fn cut(&mut self) {
        match &mut self.wire {
            Wire::Quic { send, .. } => {
                let _ = send.finish();
            }
            Wire::WebSocket { stream, .. } => {
                let _ = stream.close().await;
            }
        }
    }

    /// The next frame's body.
    pub async fn frame(&mut self, within: Duration) -> Result<Vec<u8>, Ended> {
        tokio::time::timeout(within, self.next())
            .await
            .unwrap_or(Err(Ended::TimedOut { within }))
    }

    async fn next(&mut self) -> Result<Vec<u8>, Ended> {
        loop {
            match frame::read(&self.received) {
                Reading::Whole { body, rest } => {
                    let (body, rest) = (body.to_vec(), rest.to_vec());
                    self.received = rest;
                    return Ok(body);
                }
                Reading::TooLarge { length } => {
                    return Err(Ended::NoFrame(format!("length {length}, over {FRAME_MAX}")));
                }
                Reading::Empty if matches!(self.wire, Wire::WebSocket { .. }) => {
                    return Err(Ended::Finished);
                }
                Reading::Empty => return Err(Ended::NoFrame("length 0".to_owned())),
                Reading::Short => self.more().await?,
            }
        }
    }

    async fn more(&mut self) -> Result<(), Ended> {
        let mut buffer = vec![0; FRAME_MAX];
        let read = match &mut self.wire {
            Wire::Quic { recv, .. } => match recv.read(&mut buffer).await {
                Ok(read) => read.unwrap_or(0),
                Err(quinn::ReadError::Reset(code)) => {
                    return Err(Ended::Reset {
                        code: code.into_inner(),
                    });
                }
                Err(quinn::ReadError::ConnectionLost(lost)) => return Err(ended(lost)),
                Err(other) => return Err(Ended::Broken(other.to_string())),
            },
            Wire::WebSocket { stream, losing } => match stream.read(&mut buffer).await {
                Ok(read) if read > 0 => read,
                // yamux shows a closed connection as the end of each stream.
                Ok(_) | Err(_) => match losing.soon().await {
                    Some(ended) => return Err(ended),
                    None => return Err(Ended::Reset { code: 0 }),
                },
            },
        };
        if read == 0 {
            return Err(if self.received.is_empty() {
                Ended::Finished
            } else {
                Ended::NoFrame(format!(
                    "the stream ended after {} bytes of a frame",
                    self.received.len()
                ))
            });
        }
        self.received.extend_from_slice(&buffer[..read]);
        Ok(())
    }
}
