//! The `pli` command: see [`pli_client::command`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    pli_client::command::run().await
}
