//! `pli node`: look at a node, invite a citizen to it.

mod invite;
mod status;

use clap::Subcommand;

use super::exit::{Exit, Failed};
use crate::screen::Output;

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// What a node says of itself to its operator
    Status(status::StatusArgs),
    /// Make one-time invitations for citizens, with the node's key; no running node is needed
    Invite(invite::InviteArgs),
}

pub(super) async fn run(command: NodeCommand, out: Output) -> Result<Exit, Failed> {
    match command {
        NodeCommand::Status(args) => status::run(&args, out).await,
        NodeCommand::Invite(args) => invite::run(&args, out).await,
    }
}
