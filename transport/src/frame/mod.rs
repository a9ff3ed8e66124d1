//! Frames: `u32` length, big-endian, and a body of 1 to `FRAME_MAX` bytes.
//!
//! In: what a stream delivers, in any pieces. Out: whole bodies, each in a buffer of its own
//! and of exactly its size, so that a small frame that is kept does not keep a packet alive.
//! Spec: SES-2. The length is checked before anything is allocated.

mod assemble;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::FrameReader;
pub use writer::FrameWriter;
