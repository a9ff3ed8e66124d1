//! Compiles `spec/proto` into the types of [`pli_protocol::wire`], without `protoc`.

use std::io::Result;

const PROTO_ROOT: &str = "../spec/proto";
const FILES: [&str; 7] = [
    "pli/v1/signed.proto",
    "pli/v1/envelope.proto",
    "pli/v1/content.proto",
    "pli/v1/account.proto",
    "pli/v1/session.proto",
    "pli/v1/evidence.proto",
    "pli/v1/custody.proto",
];

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    let descriptors = protox::compile(FILES, [PROTO_ROOT]).map_err(std::io::Error::other)?;
    // Bytes: an envelope taken from a frame stays a slice of that frame.
    prost_build::Config::new()
        .bytes(["."])
        .enable_type_names()
        .compile_fds(descriptors)
}
