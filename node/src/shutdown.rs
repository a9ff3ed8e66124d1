//! A stop, announced once and seen by every task. In: signals, or a test. Out: a future.

use tokio::sync::watch;

/// Announces the stop.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Waits for the stop. Clones see the same one.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A stop that has not come yet.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Returns once the stop is announced, at once if it was before.
    pub async fn begun(&mut self) {
        // A trigger that is gone can announce nothing more: whoever held it has ended.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }

    /// Whether the stop was announced.
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownTrigger {
    /// Announces the stop. Doing so twice is the same as once.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_sees_the_stop_also_later() {
        let (trigger, shutdown) = Shutdown::new();
        let mut early = shutdown.clone();
        assert!(!early.is_stopping());
        let waiting = tokio::spawn(async move { early.begun().await });
        trigger.stop();
        waiting.await.expect("the task ends");
        let mut late = shutdown.clone();
        assert!(late.is_stopping());
        late.begun().await;
    }

    #[tokio::test]
    async fn a_lost_trigger_counts_as_a_stop() {
        let (trigger, mut shutdown) = Shutdown::new();
        drop(trigger);
        assert!(shutdown.is_stopping());
        shutdown.begun().await;
    }
}
