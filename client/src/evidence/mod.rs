//! Evidence bundles: made of what the nodes say, verified with nothing but the federation's root (EVD-5, EVD-6).
//!
//! ```text
//! ask ──▶ bundle (file) ──▶ verify ──▶ what is proven, step by step ──▶ text, JSON, page
//! ```

pub mod ask;
pub mod facts;
pub mod make;
pub mod page;
mod picture;
pub mod show;
pub mod verify;
mod way;
mod words;
