//! What this machine can do at most: signature checks, fsync, QUIC messages. Everything else is a share of these.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pli_protocol::crypto::sign::SigningKey;
use sha2::{Digest, Sha256};

use crate::Anyhow;
use crate::figures::Figures;
use crate::usage;

const MEASURE_FOR: Duration = Duration::from_secs(2);
/// The message of a signed root: context, zero, size, root.
const SIGNED_BYTES: usize = 14 + 1 + 8 + 32;

/// `verify_strict` by one thread, then by one per core.
pub(crate) fn verify(figures: &mut Figures) -> Result<(), Anyhow> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    figures.add("machine_cores", cores as f64, "cores");
    figures.add("raw_verify_strict_one_core", verify_rate(1), "1/s");
    let before = usage::own_cpu_seconds()?;
    let rate = verify_rate(cores);
    let used = usage::own_cpu_seconds()? - before;
    figures.add("raw_verify_strict_all_cores", rate, "1/s");
    // What others on the machine take away does not change this one.
    let per_cpu_second = rate * MEASURE_FOR.as_secs_f64() / used;
    figures.add("raw_verify_strict_per_cpu_second", per_cpu_second, "1/s");
    Ok(())
}

fn verify_rate(threads: usize) -> f64 {
    let workers: Vec<_> = (0..threads)
        .map(|seed| thread::spawn(move || verify_for(seed as u8)))
        .collect();
    workers
        .into_iter()
        .map(|worker| worker.join().expect("a worker does not panic"))
        .sum()
}

fn verify_for(seed: u8) -> f64 {
    let key = SigningKey::from_seed(&[seed; 32]);
    let message = [seed; SIGNED_BYTES];
    let signature = key.sign(&message);
    let started = Instant::now();
    let mut checks = 0_u64;
    while started.elapsed() < MEASURE_FOR {
        for _ in 0..64 {
            assert!(black_box(key.public()).verify(black_box(&message), black_box(&signature)));
        }
        checks += 64;
    }
    checks as f64 / started.elapsed().as_secs_f64()
}

/// SHA-256 by one core: of a sealed letter, as its id is made, and of a pair of hashes, as a step of its path is.
pub(crate) fn sha256(figures: &mut Figures) {
    figures.add("raw_sha256_2560_bytes", hash_rate::<2_560>(), "1/s");
    figures.add("raw_sha256_65_bytes", hash_rate::<65>(), "1/s");
}

fn hash_rate<const BYTES: usize>() -> f64 {
    let block = [0x5a; BYTES];
    let started = Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < MEASURE_FOR / 4 {
        for _ in 0..256 {
            black_box(Sha256::digest(black_box(block)));
        }
        count += 256;
    }
    count as f64 / started.elapsed().as_secs_f64()
}

/// One small append and fsync after the other, then with fdatasync as the node's store does it, then groups as the
/// node's commits are.
pub(crate) fn fsync(figures: &mut Figures, folder: &Path) -> std::io::Result<()> {
    const SMALL: usize = 4_096;
    const GROUP: usize = 512 * 2_600;
    let (count, seconds) = append(folder, SMALL, File::sync_all)?;
    figures.add("raw_fsync", count / seconds, "1/s");
    figures.add("raw_fsync_ms", seconds / count * 1_000.0, "ms");
    let (count, seconds) = append(folder, SMALL, File::sync_data)?;
    figures.add("raw_fdatasync_ms", seconds / count * 1_000.0, "ms");
    let (count, seconds) = append(folder, GROUP, File::sync_data)?;
    figures.add(
        "raw_append_512_envelopes_fdatasync",
        count * 512.0 / seconds,
        "1/s",
    );
    Ok(())
}

fn append(
    folder: &Path,
    bytes: usize,
    sync: fn(&File) -> std::io::Result<()>,
) -> std::io::Result<(f64, f64)> {
    let path = folder.join("raw-fsync");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = vec![0x5a; bytes];
    let started = Instant::now();
    let mut count = 0_u64;
    while started.elapsed() < MEASURE_FOR {
        file.write_all(&block)?;
        sync(&file)?;
        count += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok((count as f64, seconds))
}

/// 1 KiB messages on one QUIC stream over loopback, both ends on this machine's cores, no protocol of ours.
pub(crate) async fn quic(figures: &mut Figures) -> Result<(), Anyhow> {
    const MESSAGE: usize = 1_024;
    let (server, client) = endpoints()?;
    let address = server.local_addr()?;
    let receive = tokio::spawn(async move {
        let connection = server.accept().await.ok_or("no connection")?.await?;
        let mut stream = connection.accept_uni().await?;
        let (mut message, mut count) = ([0; MESSAGE], 0_u64);
        while stream.read_exact(&mut message).await.is_ok() {
            count += 1;
        }
        // Says that it has everything, then waits for the other end to go.
        connection.open_uni().await?.finish()?;
        connection.closed().await;
        Ok::<u64, Anyhow>(count)
    });
    let connection = client.connect(address, "localhost")?.await?;
    let mut stream = connection.open_uni().await?;
    let started = Instant::now();
    while started.elapsed() < MEASURE_FOR {
        for _ in 0..64 {
            stream.write_all(&[0x5a; MESSAGE]).await?;
        }
    }
    stream.finish()?;
    let _end = connection.accept_uni().await?;
    let seconds = started.elapsed().as_secs_f64();
    connection.close(0_u8.into(), b"");
    let count = receive.await??;
    figures.add("raw_quinn_1_kib_messages", count as f64 / seconds, "1/s");
    Ok(())
}

fn endpoints() -> Result<(quinn::Endpoint, quinn::Endpoint), Anyhow> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())?;
    let chain = vec![certified.cert.der().clone()];
    let tls = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key)?;
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls)?;
    let any = "127.0.0.1:0".parse()?;
    let server = quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), any)?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain[0].clone())?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
    let mut client = quinn::Endpoint::client(any)?;
    client.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    Ok((server, client))
}
