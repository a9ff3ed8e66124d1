//! Route: what is stored wakes whoever takes it further. Spec: CUS-5.7.
//!
//! Nothing is handed over here but a wake-up: the store is the only queue, so that nothing is
//! lost with the memory of the process, and a slow reader holds back nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pli_protocol::id::{AccountId, AuthorityId};
use tokio::sync::{Notify, mpsc, watch};

use crate::commit::Whereto;

/// Knows who waits for what.
#[derive(Debug)]
pub struct Router {
    /// Bounded by the devices that are connected: the last to leave takes the entry away.
    accounts: Mutex<HashMap<AccountId, watch::Sender<()>>>,
    /// Bounded by the authorities of the directory.
    destinations: Mutex<HashMap<AuthorityId, Arc<Wake>>>,
    /// Destinations that have no task yet.
    new_destinations: mpsc::UnboundedSender<(AuthorityId, Arc<Wake>)>,
}

/// What wakes the task of a destination.
#[derive(Debug, Default)]
pub struct Wake {
    /// Something was stored for it.
    pub waiting: Notify,
    /// A report was stored for it, perhaps.
    pub reports: Notify,
    /// It called, so it can be called: a wait between two attempts ends (CUS-6.3).
    pub heard: Notify,
}

/// Wakes when an account has something new, until it is dropped.
#[derive(Debug)]
pub struct AccountWatch {
    router: Arc<Router>,
    account: AccountId,
    changes: Option<watch::Receiver<()>>,
}

impl Router {
    /// The receiver is given each destination once, the first time that something waits for it.
    pub fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<(AuthorityId, Arc<Wake>)>) {
        let (new_destinations, receiver) = mpsc::unbounded_channel();
        let router = Self {
            accounts: Mutex::default(),
            destinations: Mutex::default(),
            new_destinations,
        };
        (Arc::new(router), receiver)
    }

    /// Wakes whoever takes these further.
    pub fn route<'a>(&self, stored: impl Iterator<Item = &'a Whereto>) {
        let mut last = None;
        for whereto in stored {
            // A campaign goes to one destination after the other: one wake-up serves a run.
            if last.replace(whereto) == Some(whereto) {
                continue;
            }
            match whereto {
                Whereto::Account(account) => self.wake_account(account),
                Whereto::Peer(authority) => self.wake_destination(authority),
            }
        }
    }

    /// Something waits for this destination.
    pub fn wake_destination(&self, authority: &AuthorityId) {
        let mut destinations = self
            .destinations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = destinations.get(authority) {
            task.waiting.notify_one();
            task.reports.notify_one();
            return;
        }
        let task = Arc::new(Wake::default());
        destinations.insert(authority.clone(), Arc::clone(&task));
        task.waiting.notify_one();
        // Nobody receives only while the node stops; the store keeps what waits.
        drop(self.new_destinations.send((authority.clone(), task)));
    }

    /// A peer was heard from: if something waits for it, it is tried at once (CUS-6.3).
    pub fn heard_from(&self, authority: &AuthorityId) {
        let destinations = self
            .destinations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = destinations.get(authority) {
            task.heard.notify_one();
        }
    }

    /// Wakes at everything that is stored for an account from now on.
    pub fn watch_account(self: &Arc<Self>, account: AccountId) -> AccountWatch {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = accounts
            .entry(account)
            .or_insert_with(|| watch::channel(()).0);
        let changes = Some(sender.subscribe());
        AccountWatch {
            router: Arc::clone(self),
            account,
            changes,
        }
    }

    fn wake_account(&self, account: &AccountId) {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = accounts.get(account) {
            sender.send_replace(());
        }
    }
}

impl AccountWatch {
    /// Returns when something was stored since the last call, or since the watch began.
    pub async fn changed(&mut self) {
        let changes = self.changes.as_mut().expect("taken only when dropped");
        // The sender stands in the router for as long as this receiver lives.
        drop(changes.changed().await);
    }
}

impl Drop for AccountWatch {
    fn drop(&mut self) {
        let mut accounts = self
            .router
            .accounts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(self.changes.take());
        if accounts
            .get(&self.account)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            accounts.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CUS-5.7
    #[tokio::test]
    async fn a_watch_wakes_for_its_account_and_leaves_nothing_behind() {
        let (router, _destinations) = Router::new();
        let account = AccountId::new([1; 32]);
        let mut watch = router.watch_account(account);
        router.route([Whereto::Account(AccountId::new([2; 32]))].iter());
        router.route([Whereto::Account(account)].iter());
        watch.changed().await;
        drop(watch);
        assert!(router.accounts.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_destination_is_announced_once() {
        let (router, mut announced) = Router::new();
        let authority: AuthorityId = "social.gouv.fr".parse().unwrap();
        router.wake_destination(&authority);
        router.wake_destination(&authority);
        let (name, task) = announced.recv().await.unwrap();
        assert_eq!(name, authority);
        task.waiting.notified().await;
        assert!(announced.try_recv().is_err());
    }
}
