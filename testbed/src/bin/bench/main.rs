//! Measures this machine's limits and the program in one run, and prints ratios.

mod figures;
mod limits;

use figures::Figures;

/// The bench stops at the first thing that does not work, with its words.
type Anyhow = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Anyhow> {
    let folder = tempfile::tempdir()?;
    let mut figures = Figures::default();
    eprintln!("this machine's limits");
    limits::verify(&mut figures);
    limits::fsync(&mut figures, folder.path())?;
    limits::quic(&mut figures).await?;
    figures.summary();
    Ok(())
}
