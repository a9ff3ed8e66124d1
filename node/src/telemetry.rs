//! The log. In: `[log]` and the environment variable `PLI_LOG`. Out: lines on standard error, for
//! people or as JSON.
//!
//! Rules for whoever logs: a span per envelope carries its id and nothing else of it; one event per
//! stage crossing, at `debug`; what a person must look at is `warn` with a field `alarm`. Never a
//! key, a token, content, or a citizen's address.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{Log, LogFormat};

/// Wins over `log.filter`.
pub const FILTER_VARIABLE: &str = "PLI_LOG";

/// Why the log cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.filter` or `PLI_LOG` is not a filter.
    #[error(
        "{from}: {got:?} is not a filter such as \"info\" or \"warn,pli_node=debug\": {source}"
    )]
    Filter {
        /// The key or the variable.
        from: &'static str,
        /// Its value.
        got: String,
        /// What is wrong.
        source: ParseError,
    },
    /// Something logs already.
    #[error("the log was set up before")]
    Twice,
}

/// The filter that is in force.
pub fn filter(log: &Log) -> Result<EnvFilter, TelemetryError> {
    let (from, got) = match env::var(FILTER_VARIABLE) {
        Ok(value) if !value.is_empty() => (FILTER_VARIABLE, value),
        _ => ("log.filter", log.filter.clone()),
    };
    match EnvFilter::try_new(&got) {
        Ok(filter) => Ok(quiet(filter, &got)),
        Err(source) => Err(TelemetryError::Filter { from, got, source }),
    }
}

/// What the embedded engine says of itself at `info`, and the gossip library of a message that two nodes say at once at
/// `warn`, is for their authors. Whoever names them, or asks for every detail, hears it.
const QUIET: [(&str, &str); 3] = [
    ("fjall", "warn"),
    ("lsm_tree", "warn"),
    ("libp2p_gossipsub", "error"),
];

fn quiet(filter: EnvFilter, got: &str) -> EnvFilter {
    let everything = |directive: &str| matches!(directive.trim(), "debug" | "trace");
    if got.split(',').any(everything) {
        return filter;
    }
    let unnamed = QUIET
        .into_iter()
        .filter(|(library, _)| !got.contains(library));
    unnamed.fold(filter, |filter, (library, level)| {
        let directive = format!("{library}={level}");
        filter.add_directive(directive.parse().expect("a constant directive"))
    })
}

/// Begins to log, for the whole process.
pub fn start(log: &Log) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::NONE);
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| TelemetryError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_quiet_unless_it_is_asked() {
        let shown = |got: &str| {
            let filter = EnvFilter::try_new(got).expect("a filter");
            quiet(filter, got).to_string()
        };
        let info = shown("info");
        assert!(
            info.contains("fjall=warn") && info.contains("lsm_tree=warn"),
            "{info}"
        );
        assert!(info.contains("info"), "{info}");
        let named = shown("info,lsm_tree=info");
        assert!(
            named.contains("lsm_tree=info") && !named.contains("lsm_tree=warn"),
            "{named}"
        );
        assert_eq!(shown("debug"), "debug");
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let log = Log {
            format: LogFormat::Text,
            filter: "pli_node=loud".to_owned(),
        };
        // The variable would win; the test is about the key.
        if env::var_os(FILTER_VARIABLE).is_none() {
            let error = filter(&log).expect_err("not a level").to_string();
            assert!(
                error.contains("log.filter") && error.contains("pli_node=loud"),
                "{error}"
            );
        }
        assert!(filter(&Log::default()).is_ok());
    }
}
