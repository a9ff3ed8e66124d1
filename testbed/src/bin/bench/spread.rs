//! How soon a revocation is in force at seven nodes, of which one alone reads where it is published.

use std::fs;
use std::time::{Duration, Instant};

use pli_testbed::federation::{AuthorityPlan, Builder};
use pli_testbed::{Federation, ops};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Anyhow;
use crate::figures::{Figures, quantile};

const NODES: usize = 7;
const REVOCATIONS: usize = 10;
/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(10);
const STUCK: Duration = Duration::from_secs(60);

/// Revokes a service's key again and again; each time names the next.
pub(crate) async fn revocations(figures: &mut Figures) -> Result<(), Anyhow> {
    let mut federation = plan().start().await?;
    // Six have no source but each other; the seventh looks each second.
    for n in 0..NODES {
        federation.node_mut(&name(n)).kill().await?;
        let path = federation.node(&name(n)).config_path().to_owned();
        let text = fs::read_to_string(&path)?;
        let changed = text.lines().map(|line| match line {
            "[trust]" if n == 0 => "[trust]\nrefresh = \"1s\"".to_owned(),
            line if n > 0 && line.starts_with("sources = ") => "sources = [\"gone\"]".to_owned(),
            line => line.to_owned(),
        });
        fs::write(&path, changed.collect::<Vec<_>>().join("\n"))?;
        federation.node_mut(&name(n)).restart().await?;
    }
    for n in 0..NODES {
        all_connected(&federation, &name(n)).await?;
    }
    let authority = name(0).parse()?;
    let home = federation.service_home(&authority, "rdv");
    let mut times = Vec::new();
    for turn in 0..REVOCATIONS {
        let key = home.join("service.key");
        let whose = ["--service", "rdv"];
        federation.revoke(&authority, &whose, &key).await?;
        let published = Instant::now();
        for ending in ["key", "key.pub"] {
            let new = home.join(format!("new.{ending}"));
            fs::rename(new, key.with_extension(ending))?;
        }
        let file = federation.repository().join("metadata/timestamp.json");
        let timestamp: Value = serde_json::from_slice(&fs::read(file)?)?;
        let version = timestamp["signed"]["version"].as_u64();
        let version = version.ok_or("a timestamp has a version")?;
        let mut looking = JoinSet::new();
        for n in 0..NODES {
            let ops = federation.node(&name(n)).addresses().ops;
            looking.spawn(in_force(ops, version, published));
        }
        while let Some(seen) = looking.join_next().await {
            times.push(seen??.as_secs_f64() * 1e3);
        }
        // Not always at the same moment of the seventh's second.
        sleep(Duration::from_millis(137 * turn as u64 % 1_000)).await;
    }
    let (median, worst) = (quantile(&mut times, 0.5), quantile(&mut times, 1.0));
    figures.add("revocation_at_7_nodes_p50", median, "ms");
    figures.add("revocation_at_7_nodes_worst", worst, "ms");
    figures.at_most("revocation_at_7_nodes_p50", median, 2_000.0, "ms");
    figures.at_most("revocation_at_7_nodes_worst", worst, 5_000.0, "ms");
    Ok(())
}

fn name(n: usize) -> String {
    format!("ministry{n}.example")
}

fn plan() -> Builder {
    let first = AuthorityPlan::new(&name(0), "Ministère 0", "Ministry 0").hosts();
    let first = first.service("rdv", "Rendez-vous", "Appointments", &[]);
    let mut plan = Federation::builder().authority(first);
    for n in 1..NODES {
        let (fr, en) = (format!("Ministère {n}"), format!("Ministry {n}"));
        plan = plan.authority(AuthorityPlan::new(&name(n), &fr, &en).hosts());
    }
    plan.set("log", "filter", "\"warn\"")
}

async fn status(ops: std::net::SocketAddr) -> Result<Value, Anyhow> {
    Ok(serde_json::from_str(&ops::get(ops, "/status").await?.body)?)
}

async fn all_connected(federation: &Federation, of: &str) -> Result<(), Anyhow> {
    let ops = federation.node(of).addresses().ops;
    let began = Instant::now();
    loop {
        let status = status(ops).await?;
        let peers = status["gossip"]["peers"]
            .as_array()
            .ok_or("peers are listed")?;
        let connected = peers.iter().filter(|peer| peer["connected"] == true);
        if connected.count() == NODES - 1 {
            return Ok(());
        }
        if began.elapsed() > STUCK {
            return Err(format!("{of} does not find the others: {}", status["gossip"]).into());
        }
        sleep(LOOK).await;
    }
}

/// How long after `published` the node goes by this directory.
async fn in_force(
    ops: std::net::SocketAddr,
    version: u64,
    published: Instant,
) -> Result<Duration, Anyhow> {
    loop {
        let status = status(ops).await?;
        if status["directory"]["versions"]["timestamp"].as_u64() >= Some(version) {
            return Ok(published.elapsed());
        }
        if published.elapsed() > STUCK {
            return Err(format!("a node does not learn of directory {version}").into());
        }
        sleep(LOOK).await;
    }
}
