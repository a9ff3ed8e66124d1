//! `pli-interop`: arguments → configuration → run → reports. Exit status 0 only without `fail` and `harness-error`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use pli_interop::clock::now_ms;
use pli_interop::config::Config;
use pli_interop::differential::{self, Found};
use pli_interop::harness::Process;
use pli_interop::levels::{self, Run, vectors};
use pli_interop::report::{self, Answer, Level, Recorder, Report};

/// Runs the conformance suite against an implementation, from outside.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// What the run knows of the implementation; interop-tests/interop.example.toml explains every key.
    #[arg(long, default_value = "interop.toml")]
    config: PathBuf,
    /// Only these levels: L0 codec, L1 crypto, L2 session, L3 relay.
    #[arg(long = "level", value_name = "LEVEL")]
    levels: Vec<Level>,
    /// Only cases whose name holds this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The folder of the vectors.
    #[arg(long, default_value = "spec/vectors")]
    vectors: PathBuf,
    /// The suite decides every vector by itself; no implementation is asked and no configuration is read.
    #[arg(long)]
    self_check: bool,
    /// Compares the suite's validator with the harness's on this many generated envelopes, and nothing else.
    #[arg(long, value_name = "N")]
    differential: Option<u64>,
    /// With --differential: the seed of the generated envelopes; drawn and printed when absent.
    #[arg(long, requires = "differential")]
    seed: Option<u64>,
    /// With --differential: the number of the first generated envelope, to see one again.
    #[arg(long, requires = "differential", default_value_t = 0)]
    from: u64,
    /// With --differential: harness processes that judge side by side; as many as there are cores when absent.
    #[arg(long, requires = "differential")]
    workers: Option<u64>,
    /// Prints the report as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Writes the report as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes the report as a page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A JSON report of another run, for another column of the page.
    #[arg(long = "with", value_name = "FILE", requires = "html")]
    with: Vec<PathBuf>,
    /// Shows only what did not pass.
    #[arg(long, short)]
    quiet: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("pli-interop: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether the run was good, or why there was none.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let started_ms = now_ms();
    let mut recorder = Recorder::new(arguments.quiet);
    let only = arguments.only.as_deref();
    let (implementation, version) = if arguments.self_check {
        let all = vectors::load(&arguments.vectors).map_err(|why| why.to_string())?;
        vectors::self_check(&mut recorder, &all, only);
        (
            "the suite itself".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        )
    } else {
        let config = Config::load(&arguments.config).map_err(|why| why.to_string())?;
        match arguments.differential {
            Some(count) => differential(&mut recorder, &config, arguments, count)?,
            None => suite(&mut recorder, &config, arguments)?,
        }
        (config.name, config.version)
    };
    let report = Report {
        implementation,
        version,
        started_ms,
        outcomes: recorder.into_outcomes(),
    };
    write(arguments, &report)?;
    Ok(report.is_good())
}

fn suite(recorder: &mut Recorder, config: &Config, arguments: &Arguments) -> Result<(), String> {
    let levels: &[Level] = if arguments.levels.is_empty() {
        &Level::ALL
    } else {
        &arguments.levels
    };
    let only = arguments.only.as_deref();
    let of_vectors = [Level::Codec, Level::Crypto, Level::Session];
    if levels.iter().any(|level| of_vectors.contains(level)) {
        let all = vectors::load(&arguments.vectors).map_err(|why| why.to_string())?;
        // Once, rather than once for each case.
        if !config.harness.command.is_empty() {
            Process::probe(&config.harness).map_err(|why| {
                let file = arguments.config.display();
                format!("the harness of {file}: {why}; it runs in the folder of that file, and paths begin there")
            })?;
        }
        vectors::run(recorder, &all, levels, &config.harness, only);
    }
    let network = levels.contains(&Level::Session) || levels.contains(&Level::Relay);
    if network {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|why| format!("no runtime: {why}"))?;
        runtime.block_on(async {
            let mut run = Run { recorder, only };
            if levels.contains(&Level::Session) {
                levels::session::run(&mut run, config).await;
            }
            if levels.contains(&Level::Relay) {
                levels::relay::run(&mut run, config).await;
            }
        });
        // A socket that still says goodbye must not hold up the report.
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
    Ok(())
}

fn differential(
    recorder: &mut Recorder,
    config: &Config,
    arguments: &Arguments,
    count: u64,
) -> Result<(), String> {
    let mut drawn = [0; 8];
    getrandom::fill(&mut drawn).map_err(|why| why.to_string())?;
    // Six bytes, so that any JSON reader holds the number.
    let seed = arguments.seed.unwrap_or(u64::from_le_bytes(drawn) >> 16);
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let workers = arguments.workers.unwrap_or(cores);
    eprintln!(
        "differential: {count} envelopes from {}, seed {seed}, {workers} workers",
        arguments.from
    );
    let case = format!("differential/{count}");
    let begun = recorder.begin(Level::Crypto, &case);
    let progress = AtomicU64::new(0);
    let found = std::thread::scope(|scope| {
        let judging = scope.spawn(|| {
            differential::run(
                &config.harness,
                seed,
                arguments.from,
                count,
                workers,
                &progress,
            )
        });
        let mut shown = 0;
        while !judging.is_finished() {
            std::thread::sleep(Duration::from_millis(200));
            // Twenty lines for a run of any length.
            let done = progress.load(Ordering::Relaxed);
            if done * 20 / count.max(1) > shown {
                shown = done * 20 / count.max(1);
                let rate = done as f64 / begun.elapsed().as_secs_f64();
                eprintln!("differential: {done} of {count}, {rate:.0}/s");
            }
        }
        judging
            .join()
            .map_err(|_| "the differential run panicked".to_owned())
    })?;
    let answer = match found {
        Ok(found) => judged(&found, seed),
        Err(error) => Answer::harness_error(error.to_string()),
    };
    recorder.end(
        Level::Crypto,
        &case,
        "two validators agree on generated envelopes",
        &["ENV-4", "ENV-5", "SIG-5"],
        begun,
        answer,
    );
    Ok(())
}

fn judged(found: &Found, seed: u64) -> Answer {
    for (verdict, count) in &found.verdicts {
        eprintln!("differential: {count:>10}  {verdict}");
    }
    for difference in &found.shown {
        eprintln!(
            "differential: case {} ({}): suite {}, implementation {}\n  {}",
            difference.number,
            difference.mutation,
            difference.suite,
            difference.implementation,
            difference.request
        );
    }
    let said = format!(
        "{} envelopes, seed {seed}, {:.0}/s: {} verdicts and {} codes differ",
        found.cases,
        found.per_second(),
        found.verdict_differences,
        found.code_differences
    );
    if found.verdict_differences + found.code_differences == 0 {
        Answer {
            detail: said,
            ..Answer::pass()
        }
    } else {
        Answer::fail(said)
    }
}

fn write(arguments: &Arguments, report: &Report) -> Result<(), String> {
    let save = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|why| format!("cannot write {}: {why}", path.display()))
    };
    eprint!("\n{}", report::summary(report));
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(report).map_err(|why| why.to_string())?
        );
    }
    if let Some(path) = &arguments.junit {
        save(path, report::junit(report))?;
    }
    if let Some(path) = &arguments.html {
        let mut all = vec![report.clone()];
        for other in &arguments.with {
            let text = std::fs::read_to_string(other)
                .map_err(|why| format!("{}: {why}", other.display()))?;
            all.push(
                serde_json::from_str(&text).map_err(|why| format!("{}: {why}", other.display()))?,
            );
        }
        save(path, report::html(&all))?;
    }
    Ok(())
}
