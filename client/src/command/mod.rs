//! The `pli` command: arguments → what the library does → words, tables or JSON, and an exit code.
//!
//! | Exit code | Means |
//! |---|---|
//! | 0 | done |
//! | 1 | not done: refused, or something given or of this machine is wrong |
//! | 2 | the command was not understood |
//! | 3 | done in part: some letters or lines were refused, or some letters cannot be shown |
//! | 4 | not done now: nobody answered, the node is busy, or it was stopped; the same command goes on later |
//! | 5 | not done: somebody breaks the protocol (a home that withholds, a forged acknowledgement) |

mod device;
mod evidence;
mod exit;
mod inspect;
mod monitor;
mod node;
mod places;
mod progress;
mod send;
mod service;
mod words;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::authority::AuthorityCommand;
use crate::clock;
use crate::federation::{FederationCommand, Form};
use crate::screen::{Colour, Lang, Output, plain};

use device::DeviceCommand;
use evidence::EvidenceCommand;
use exit::{Exit, Failed};
use inspect::InspectArgs;
use monitor::MonitorArgs;
use node::NodeCommand;
use service::ServiceCommand;

/// Letters from administrations to citizens: authentic, sealed, never lost.
#[derive(Debug, Parser)]
#[command(name = "pli", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON: one value, or one value a line
    #[arg(long, global = true)]
    json: bool,
    /// Language of what citizens read; by default French where LC_ALL, LC_MESSAGES or LANG is fr or fr_…, else English
    #[arg(long, global = true, value_enum)]
    lang: Option<Lang>,
    /// Say more on standard error: -v what happens, -vv every detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 not done · 2 not understood · 3 done in part · \
4 nobody answered, try again later · 5 somebody breaks the protocol";

#[derive(Debug, Subcommand)]
enum Command {
    /// Send letters as a service of an authority
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Read letters as a citizen's device
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Prove what happened to a letter, and check such a proof offline
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Look at a node, invite a citizen to it
    #[command(subcommand)]
    Node(NodeCommand),
    /// Show any object of Pli, and what verifies
    Inspect(InspectArgs),
    /// Follow nodes' logs as an outside auditor: alarms on standard error, and by the exit code
    #[command(after_help = monitor::CODES)]
    Monitor(MonitorArgs),
    /// Run a federation: authorities, root keys, publishing
    #[command(subcommand)]
    Federation(FederationCommand),
    /// Run an authority: its node, its services
    #[command(subcommand)]
    Authority(AuthorityCommand),
}

/// Runs the command line of this process.
pub async fn run() -> ExitCode {
    let citizen = Citizen::of_arguments();
    let mut command = Cli::command();
    if citizen.lang == Lang::Fr {
        command = device::in_french(command);
    }
    let parsed = command
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error, citizen),
    };
    log(cli.verbose);
    let lang = cli.lang.unwrap_or_else(Lang::of_environment);
    let out = Output::new(cli.json, lang);
    let done = match cli.command {
        Command::Service(command) => service::run(command, out).await,
        Command::Device(command) => device::run(command, out).await,
        Command::Evidence(command) => evidence::run(command, out).await,
        Command::Node(command) => node::run(command, out).await,
        Command::Inspect(args) => inspect::run(args, out).await,
        Command::Monitor(args) => monitor::run(args, out).await,
        Command::Federation(command) => {
            report(crate::federation::run(command, clock::now()).await, out)
        }
        Command::Authority(command) => report(crate::authority::run(command, clock::now()), out),
    };
    let exit = match done {
        Ok(exit) => exit,
        Err(failed) => {
            tell(&failed, out);
            failed.exit
        }
    };
    ExitCode::from(exit.number())
}

/// What must be known of a command line before it is understood.
#[derive(Clone, Copy, Debug)]
struct Citizen {
    lang: Lang,
    is_one: bool,
}

impl Citizen {
    fn of_arguments() -> Self {
        let arguments = std::env::args_os().skip(1);
        Self::of(arguments.filter_map(|argument| argument.into_string().ok()))
    }

    fn of(mut arguments: impl Iterator<Item = String>) -> Self {
        let (mut lang, mut command) = (None, None);
        while let Some(argument) = arguments.next() {
            let value = match argument.strip_prefix("--lang") {
                Some("") => arguments.next(),
                Some(value) => value.strip_prefix('=').map(str::to_owned),
                None => None,
            };
            lang = value
                .and_then(|value| Lang::from_str(&value, false).ok())
                .or(lang);
            if !argument.starts_with('-') && command.is_none() {
                command = Some(argument);
            }
        }
        Self {
            lang: lang.unwrap_or_else(Lang::of_environment),
            is_one: command.is_some_and(|command| command == "device"),
        }
    }
}

/// Help goes out as it is; a command that is not understood as JSON to whoever asked for JSON.
fn not_understood(error: &clap::Error, citizen: Citizen) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && json {
        eprintln!("{}", not_understood_in_json(error, citizen));
    } else if error.use_stderr() && citizen.is_one && !is_help(error) {
        eprintln!("{}", device::explain(error, citizen.lang));
    } else {
        drop(error.print());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What is wrong, and what the same words say to people of how it is right.
fn not_understood_in_json(error: &clap::Error, citizen: Citizen) -> serde_json::Value {
    let text = error.to_string();
    let (first, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let advice = match citizen.is_one && !is_help(error) {
        true => device::explain(error, citizen.lang),
        false => rest.trim().to_owned(),
    };
    serde_json::json!({
        "error": first.strip_prefix("error: ").unwrap_or(first),
        "code": null,
        "exit": error.exit_code(),
        "advice": (!advice.is_empty()).then_some(advice),
    })
}

/// A command without its subcommand is answered by the help.
fn is_help(error: &clap::Error) -> bool {
    error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

fn report(
    result: Result<crate::federation::Report, crate::federation::Failure>,
    out: Output,
) -> Result<Exit, Failed> {
    let form = match (out.json, io::stdout().is_terminal()) {
        (true, _) => Form::Json,
        (false, true) => Form::Terminal,
        (false, false) => Form::Plain,
    };
    let report = result.map_err(|failure| Failed::new(failure.to_string()))?;
    match report.print(form, &mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failed::new(format!("standard output: {error}")))
        }
        _ => Ok(Exit::Done),
    }
}

/// What went wrong, on standard error; remote texts in it are neutralised (case 61).
fn tell(failed: &Failed, out: Output) {
    if out.json {
        eprintln!("{}", failed.to_json(out.lang));
        return;
    }
    let code = failed
        .code
        .map(|code| format!(" ({code})"))
        .unwrap_or_default();
    let detailed = tracing::enabled!(tracing::Level::INFO);
    if let Some(said) = &failed.said {
        // The messages of the library are English: a citizen who reads French need not.
        eprintln!("pli: {}{code}", plain(said.text(out.lang)));
        if !detailed {
            return;
        }
    }
    eprintln!("pli: {}{code}", plain(&failed.message));
}

/// Ctrl-C, or SIGTERM: both end a command in order.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        drop(tokio::signal::ctrl_c().await);
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn log(verbose: u8) {
    let default = match verbose {
        0 => "error",
        1 => "pli_client=info,pli_trust=info,warn",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("PLI_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// A name and what follows it, aligned for people.
fn fact(out: Output, name: &str, value: &str) {
    out.line(format!(
        "{} {}",
        out.paint(Colour::Faint, &format!("{name:<14}")),
        plain(value)
    ));
}

/// `--home DIR`, or a folder below the user's data.
#[derive(Clone, Debug, clap::Args)]
struct Home {
    /// Its folder; by default below $XDG_DATA_HOME/pli
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
}
