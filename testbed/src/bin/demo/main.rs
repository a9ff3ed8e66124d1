//! `make demo`: a whole federation on this machine, with real input, real processes and a power cut.
//!
//! Tells what happens as it happens, and ends with one line that a program can read:
//! `demo: sent=… delivered=… verified=… refused=… lost=…`. Any difference from what was expected is an exit code of 1.

mod acts;
mod cast;
mod mail;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pli_testbed::story::Story;

use acts::Stage;

/// A federation of three ministries and eighty citizens, on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// End by itself instead of staying to be looked at.
    #[arg(long)]
    once: bool,
    /// Where the federation lives while the demo stays; emptied first.
    #[arg(long, default_value = ".demo")]
    folder: PathBuf,
}

/// The demo stops at the first thing that does not work, with its words.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

// More threads than cores: eighty devices wait for their disk, not for a core.
#[tokio::main(worker_threads = 16)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let story = Story::on_stdout();
    match play(&arguments, story).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            story.bad(&trouble.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was as expected.
async fn play(arguments: &Arguments, story: Story) -> Result<bool, Trouble> {
    story.line(&story.strong("Pli: sealed, signed letters from administrations to citizens"));
    let folder = if arguments.once {
        None
    } else {
        Some(cast::empty(&arguments.folder)?)
    };
    let mut stage = Stage::set(story, folder).await?;
    stage.enrol().await?;
    stage.write_and_cut_the_power().await?;
    stage.attack().await?;
    stage.read().await?;
    stage.prove().await?;
    stage.prove_offline().await?;
    stage.convict().await?;
    stage.revoke().await?;
    let right = stage.close();
    if !arguments.once {
        stage.where_to_look();
        tokio::signal::ctrl_c().await?;
        story.line("");
    }
    stage.stop().await?;
    Ok(right)
}
