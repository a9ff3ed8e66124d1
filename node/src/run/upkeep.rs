//! What is done at the start and then from time to time, whoever asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_protocol::id::AuthorityId;

use crate::api::Live;
use crate::fatal::Fatal;
use crate::live::LiveView;
use crate::metrics::UPKEEP_EVERY;
use crate::relay::Relay;
use crate::shutdown::Shutdown;

/// How often the clock and the disk are looked at.
const CLOCK_EVERY: Duration = Duration::from_secs(10);

/// What a former run left in the queues has a destination again.
pub(super) fn wake_destinations(relay: &Relay) -> Result<(), Fatal> {
    let destinations = relay
        .store
        .destinations()
        .map_err(|error| Fatal::StoreFailed(error.to_string()))?;
    let waiting = destinations
        .iter()
        .filter(|state| state.priority + state.bulk + state.reports > 0)
        .map(|state| &state.destination);
    let waiting: Vec<&AuthorityId> = waiting.collect();
    for destination in waiting {
        relay.router.wake_destination(destination);
    }
    Ok(())
}

/// Histograms are folded; the clock (case 76) and the disk (cases 40, 41) are watched, also when
/// nobody asks for metrics.
pub(super) async fn upkeep(relay: Arc<Relay>, live: Arc<LiveView>, mut shutdown: Shutdown) {
    let mut clock_due = Instant::now();
    loop {
        relay.metrics.upkeep();
        let at = Instant::now();
        if at >= clock_due {
            clock_due = at + CLOCK_EVERY;
            relay.watch_clock(at);
            relay.watch_log_key();
            let live = Arc::clone(&live);
            // It looks at the disk; what it answers here nobody reads, its alarms count.
            drop(tokio::task::spawn_blocking(move || live.live()));
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
        }
    }
}
