//! The binary from outside, on a real federation made for each test, on real files and free ports.
#![allow(clippy::unwrap_used)]

mod refusals;
mod running;
mod site;
