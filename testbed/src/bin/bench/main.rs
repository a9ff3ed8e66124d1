//! Measures this machine's limits and the program in one run, and prints ratios.
//!
//! The load generator runs on the same cores as the nodes, which are real `pli-node` processes. Everything it sends
//! is sealed and signed before a measurement begins.
//!
//! | Module | Holds |
//! |---|---|
//! | [`limits`] | what the machine can do at most |
//! | [`stage`] | the federation, its accounts and their devices |
//! | [`letters`] | sealed letters, signed one by one or in batches, in frames |
//! | [`load`] | frames to a node, acknowledgements back |
//! | [`throughput`] | accepted by one node, forwarded to another, taken by devices |
//! | [`latency`] | from submitting to a connected device, alone and beside a dead destination |
//! | [`evidence`] | what evidence costs, and bundles |
//! | [`spread`] | how soon a revocation is everywhere |
//! | [`soak`] | memory over time at half load |
//! | [`usage`] | processor time and memory of a process |
//! | [`figures`] | JSON lines and the table |

mod evidence;
mod figures;
mod latency;
mod letters;
mod limits;
mod load;
mod soak;
mod spread;
mod stage;
mod throughput;
mod usage;

use clap::Parser;

use figures::Figures;
use stage::{INTERIOR, Keeps, SOCIAL, Stage};

/// The bench stops at the first thing that does not work, with its words.
type Anyhow = Box<dyn std::error::Error + Send + Sync>;

/// How long a soak has to be before its target applies.
const SOAK_FULL_SECONDS: u64 = 3_600;

#[derive(Debug, Parser)]
#[command(about = "Measures this machine's limits and the program in one run")]
struct Arguments {
    /// Seconds of the soak at half load; 3600 is what the target speaks of.
    #[arg(long, default_value_t = 20)]
    soak: u64,
    /// Measures bundles, how soon a revocation is everywhere and what evidence costs, and nothing else.
    #[arg(long, group = "hold")]
    evidence: bool,
    /// Keeps sending to one node, one signature for each letter, for so many seconds, and measures nothing else:
    /// for a profiler.
    #[arg(long, group = "hold")]
    hold_individual: Option<u64>,
    /// The same with one signature for 1,024 letters.
    #[arg(long, group = "hold")]
    hold_batched: Option<u64>,
    /// The same, to another home.
    #[arg(long, group = "hold")]
    hold_forwarded: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<(), Anyhow> {
    let arguments = Arguments::parse();
    for (seconds, home, batch) in [
        (arguments.hold_individual, INTERIOR, 1),
        (arguments.hold_batched, INTERIOR, letters::BATCH),
        (arguments.hold_forwarded, SOCIAL, letters::BATCH),
    ] {
        if let Some(seconds) = seconds {
            return throughput::hold(&Stage::raise(Keeps::Evidence).await?, home, batch, seconds)
                .await;
        }
    }

    let mut figures = Figures::default();
    if arguments.evidence {
        evidence::bundle(&mut figures, &Stage::raise(Keeps::Evidence).await?).await?;
        spread::revocations(&mut figures).await?;
        evidence::cost(&mut figures).await?;
        figures.summary();
        return Ok(());
    }
    eprintln!("this machine's limits");
    figures.add("load_average_before", usage::load_average()?, "");
    let folder = tempfile::tempdir()?;
    limits::verify(&mut figures)?;
    limits::sha256(&mut figures);
    limits::fsync(&mut figures, folder.path())?;
    limits::quic(&mut figures).await?;

    eprintln!("idle");
    let mut stage = Stage::raise(Keeps::Evidence).await?;
    throughput::idle(&mut figures, &stage).await?;
    eprintln!("from submitting to a connected device");
    latency::unloaded(&mut figures, &stage).await?;
    latency::beside_a_dead_destination(&mut figures, &mut stage).await?;
    eprintln!("a bundle");
    evidence::bundle(&mut figures, &stage).await?;
    eprintln!("sealing");
    let interior = letters::seal(&mut figures, &stage, INTERIOR).await?;
    let social = letters::seal(&mut figures, &stage, SOCIAL).await?;
    eprintln!("accepted by one node");
    throughput::accepted(&mut figures, &stage, &interior).await?;
    throughput::disk(&mut figures, &stage).await?;
    drop(interior);
    eprintln!("from node to node");
    throughput::forwarded(&mut figures, &stage, &social).await?;
    let devices = throughput::synced(&mut figures, &stage).await?;
    eprintln!("soak of {} s at half load", arguments.soak);
    if arguments.soak < SOAK_FULL_SECONDS {
        eprintln!("  short: what the target says of an hour is not shown by this run (SOAK=3600)");
    }
    soak::run(&mut figures, &stage, &devices, &social, arguments.soak).await?;
    drop((devices, stage));
    eprintln!("a revocation");
    spread::revocations(&mut figures).await?;
    eprintln!("with and without evidence");
    evidence::cost(&mut figures).await?;
    figures.add("load_average_after", usage::load_average()?, "");
    figures.summary();
    Ok(())
}
