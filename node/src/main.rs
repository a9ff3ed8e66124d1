//! `pli-node`: arguments → configuration → run.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use pli_node::check::Report;
use pli_node::clock::{Clock, SystemClock};
use pli_node::config::{self, Config, Period};
use pli_node::fatal::{EXIT_CODES, Fatal};
use pli_node::shutdown::{Shutdown, ShutdownTrigger};
use pli_node::{foundation, harness, invite, run, telemetry};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the index writes is freed by other threads than those that wrote it, a thousand rows at once, and threads that
/// wait for the disk come and go: the system's allocator spends a sixth of a node's time on that, and one with a heap for
/// each thread keeps a gigabyte.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The relay of a ministry: takes letters from its services, gives them to the homes of citizens,
/// keeps the mailboxes of those who chose it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "print_example_config"
    )]
    config: Option<PathBuf>,
    /// Look at everything that a start needs, say what was found, and end
    #[arg(long)]
    check: bool,
    /// With --check: print JSON
    #[arg(long, requires = "check")]
    json: bool,
    /// Print an example configuration with every key explained, and end
    #[arg(long, exclusive = true)]
    print_example_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make one-time invitations with which devices enrol at this node; needs no running node
    Invite {
        /// The node's configuration file; its authority, key and trust.root are read
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// How many
        #[arg(long, default_value_t = 1)]
        count: u32,
        /// How long each works, such as 12h or 7d
        #[arg(long, default_value = "7d", value_name = "PERIOD")]
        valid_for: Period,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Say that this machine's clock is right, after it was far from the last time that the node was sure of; the
    /// node must not run
    ConfirmClock {
        /// The node's configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Answer the conformance suite: JSON lines from standard input to standard output
    Harness,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => code,
        Err(fatal) => {
            eprintln!("pli-node: {fatal}");
            ExitCode::from(fatal.exit_code())
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode, Fatal> {
    match (arguments.command, arguments.config) {
        (Some(Command::Harness), _) => {
            harness::run(io::stdin().lock(), BufWriter::new(io::stdout().lock()))?;
            Ok(ExitCode::SUCCESS)
        }
        (
            Some(Command::Invite {
                config,
                count,
                valid_for,
                json,
            }),
            _,
        ) => {
            let (config, now) = (Config::load(&config)?, SystemClock.now());
            let found = Runtime::new()?.block_on(foundation::look_at_trust(&config, now));
            if let Err(error) = &found {
                eprintln!(
                    "pli-node: warning: nobody could say whether this node may host: {error}"
                );
            }
            let directory = found.ok().map(|found| found.directory);
            let invited = invite::invite(&config, directory.as_deref(), count, valid_for, now)?;
            let mut out = BufWriter::new(io::stdout().lock());
            for one in invited {
                if json {
                    serde_json::to_writer(&mut out, &one).map_err(io::Error::from)?;
                    writeln!(out)?;
                } else {
                    writeln!(out, "{}", one.link)?;
                }
            }
            out.flush()?;
            Ok(ExitCode::SUCCESS)
        }
        (Some(Command::ConfirmClock { config }), _) => {
            let config = Config::load(&config)?;
            let confirmed = foundation::confirm_clock(&config, SystemClock.now())?;
            println!(
                "the time is {}: what has expired by it will be removed at the next start",
                pli_trust::legible(confirmed)
            );
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(path)) if arguments.check => check(&path, arguments.json),
        (None, Some(path)) => start(&path),
        (None, None) => {
            write!(io::stdout(), "{}", config::example())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(path: &Path, json: bool) -> Result<ExitCode, Fatal> {
    let config = Config::load(path)?;
    let runtime = Runtime::new()?;
    let report = runtime.block_on(Report::of(&config));
    // A name service that does not answer is not waited for.
    runtime.shutdown_background();
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).map_err(io::Error::from)?
        );
    } else {
        print!("{report}");
    }
    Ok(ExitCode::from(report.exit_code()))
}

fn start(path: &Path) -> Result<ExitCode, Fatal> {
    /// What the drain period does not cover: threads that wait for the disk.
    const AFTER_DRAIN: Duration = Duration::from_secs(10);

    let config = Config::load(path)?;
    telemetry::start(&config.log).map_err(|error| Fatal::Log(error.to_string()))?;
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(async {
        let (trigger, shutdown) = Shutdown::new();
        let trigger = Arc::new(trigger);
        tokio::spawn(signals(Arc::clone(&trigger))?);
        let opened = run::open(config).await?;
        for (name, address) in opened.addresses() {
            tracing::info!(name, %address, "listening");
        }
        opened.run(trigger, shutdown).await
    });
    runtime.shutdown_timeout(AFTER_DRAIN);
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The first signal announces the stop, the second one ends the process at once: everything that
/// was acknowledged is on disk, so nothing is lost by that either.
fn signals(trigger: Arc<ShutdownTrigger>) -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Once somebody listens it does not end the process any more; the refresher hears it (TRU-5.2).
    drop(signal(SignalKind::hangup())?);
    Ok(async move {
        let name = next(&mut terminate, &mut interrupt).await.0;
        tracing::info!(signal = name, "stopping; a second signal stops at once");
        trigger.stop();
        let (_, code) = next(&mut terminate, &mut interrupt).await;
        std::process::exit(code);
    })
}

/// The name of the signal that came, and the exit code that shells give it.
async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 143),
        _ = interrupt.recv() => ("SIGINT", 130),
    }
}
