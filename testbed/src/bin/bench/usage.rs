//! Processor time and memory of a process, as the kernel counts them (`proc(5)`).

use pli_testbed::federation::Node;

use crate::Anyhow;

/// Clock ticks of `/proc` in a second: fixed in the kernel's interface on every architecture that matters here.
const TICKS_PER_SECOND: f64 = 100.0;
/// Fields after the command's name in `/proc/<pid>/stat`: user and system time.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// Seconds of all cores that a process has used, in user and kernel mode.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64, Anyhow> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after_name) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64, Anyhow> {
        Ok(fields.get(index).ok_or("a short stat")?.parse::<f64>()?)
    };
    Ok((ticks(USER_TIME)? + ticks(SYSTEM_TIME)?) / TICKS_PER_SECOND)
}

/// The same of this process, the load generator.
pub(crate) fn own_cpu_seconds() -> Result<f64, Anyhow> {
    cpu_seconds(std::process::id())
}

/// The same of a node.
pub(crate) fn node_cpu_seconds(node: &Node) -> Result<f64, Anyhow> {
    cpu_seconds(node.pid().ok_or("the node does not run")?)
}

/// Resident memory of a node, in MiB.
pub(crate) fn node_mib(node: &Node) -> Result<f64, Anyhow> {
    Ok(node.resident_bytes()? as f64 / f64::from(1 << 20))
}

/// How busy the machine is with everything, over a minute.
pub(crate) fn load_average() -> Result<f64, Anyhow> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().ok_or("an empty loadavg")?.parse()?)
}
