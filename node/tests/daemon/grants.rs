//! Grants that meet each other, and grants that meet letters (MBX-4.3, MBX-4.4).

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use pli_node::admit::Mailboxes;
use pli_node::clock::SystemClock;
use pli_node::relay::KnownMailboxes;
use pli_node::store::{Between, MailboxRecord, Store, StoreError, Through};
use pli_protocol::account::{AccountSecrets, SignedGrant};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::Class;
use pli_protocol::id::{AccountId, AuthorityId, MailboxAddress, MailboxId};
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::Via;

use crate::inside::{Inside, answer, asked, enrol, opened, until};
use crate::site::{AUTHORITY, SOON, Site, now};

const MAILBOX: MailboxId = MailboxId::new([7; 16]);
/// Who must not get in between is given so long to do it.
const CHANCE: Duration = Duration::from_secs(1);

/// The grant of one citizen for one mailbox, issued so long after `now`.
fn grant(class: Class, after_ms: u64) -> SignedGrant {
    let authority = AuthorityId::new(AUTHORITY).unwrap();
    let mailbox = MailboxAddress {
        mailbox: MAILBOX,
        home: authority.clone(),
    };
    let secrets = AccountSecrets::new([1; 32], [2; 32]);
    let issued = now().plus_ms(after_ms);
    SignedGrant::make(&secrets, authority, mailbox, [class].into(), issued)
}

/// Holds up one operation, the first of its name, before it begins or after it is done.
#[derive(Clone, Debug)]
struct Gate(Arc<(Mutex<Passing>, Condvar)>);

#[derive(Debug)]
struct Passing {
    operation: &'static str,
    after: bool,
    begun: usize,
    done: usize,
    released: bool,
}

impl Gate {
    fn new(operation: &'static str, after: bool) -> Self {
        let passing = Passing {
            operation,
            after,
            begun: 0,
            done: 0,
            released: false,
        };
        Self(Arc::new((Mutex::new(passing), Condvar::new())))
    }

    fn change(&self, change: impl FnOnce(&mut Passing)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Waits until it is so; whether it became so in time.
    fn wait(&self, at_most: Duration, so: impl Fn(&Passing) -> bool) -> bool {
        let passing = self.0.0.lock().unwrap();
        let waited = self
            .0
            .1
            .wait_timeout_while(passing, at_most, |passing| !so(passing));
        !waited.unwrap().1.timed_out()
    }

    fn hold(&self, at_most: Duration) {
        self.wait(at_most, |passing| passing.released);
    }

    fn is_of(&self, operation: &'static str) -> bool {
        self.0.0.lock().unwrap().operation == operation
    }
}

impl Between for Gate {
    fn before(&self, operation: &'static str, _asked: &dyn Debug) -> Result<(), StoreError> {
        if self.is_of(operation) {
            let mut held = false;
            self.change(|passing| {
                passing.begun += 1;
                held = passing.begun == 1 && !passing.after;
            });
            if held {
                self.hold(CHANCE);
            }
        }
        Ok(())
    }

    fn after(&self, operation: &'static str, _outcome: Result<(), &StoreError>) {
        if self.is_of(operation) {
            let mut held = false;
            self.change(|passing| {
                passing.done += 1;
                // Whoever came second has overtaken the first.
                passing.released |= !passing.after;
                held = passing.done == 1 && passing.after;
            });
            if held {
                self.hold(SOON);
            }
        }
    }
}

/// MBX-4.3: two grants at once. The older one is being written when the newer one comes; it must not be the last.
#[tokio::test(flavor = "multi_thread")]
async fn mbx_4_3_of_two_grants_at_once_the_newer_one_stays() {
    let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
    let device = SigningKey::from_seed(&[0x73; 32]);
    let gate = Gate::new("put_mailbox", false);
    let mut kept = None;
    let node = Inside::start(&site.at("node.toml"), |store| {
        enrol(&*store, device.public(), 1);
        kept = Some(Arc::clone(&store));
        Through::over(store, gate.clone())
    })
    .await;
    let connection = node.device(&site, device, Via::Quic).await;
    let (older, newer) = (grant(Class::Message, 0), grant(Class::Alert, 1));
    let publish = async |grant: &SignedGrant| {
        let grant = grant.encoded().clone();
        let kind = call::Kind::PublishGrant(wire::PublishGrant { grant });
        asked(&connection, kind).await
    };
    let mut first = publish(&older).await;
    until("the older one is written", async || {
        gate.wait(Duration::ZERO, |passing| passing.begun == 1)
            .then_some(())
    })
    .await;
    let mut second = publish(&newer).await;
    for stream in [&mut first, &mut second] {
        let reply = answer(stream).await.unwrap();
        assert_eq!(reply, call_reply::Kind::Done(wire::Done {}));
    }
    let pinned = kept.unwrap().mailbox(&MAILBOX).unwrap().unwrap();
    assert_eq!(pinned.grant, *newer.encoded());
    node.stop().await;
}

/// MBX-4.4: a letter is on its way through the node while its grant is replaced. It may be judged by the grant that it
/// met; what comes after it is judged by the new one, whatever was remembered.
#[tokio::test(flavor = "multi_thread")]
async fn mbx_4_4_a_grant_that_was_replaced_while_a_letter_met_it_is_not_remembered() {
    let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
    let gate = Gate::new("mailbox", true);
    let mut kept = None;
    drop(opened(&site.at("node.toml")).await.over(|store| {
        kept = Some(Arc::clone(&store));
        store
    }));
    let store = kept.unwrap();
    let record = |grant: SignedGrant| MailboxRecord {
        mailbox: MAILBOX,
        account: AccountId::new([1; 32]),
        authority: AuthorityId::new(AUTHORITY).unwrap(),
        grant: grant.encoded().clone(),
        published_at: now(),
    };
    store
        .put_mailbox(&record(grant(Class::Message, 0)))
        .unwrap();
    let gated = Through::over(store, gate.clone());
    let known = Arc::new(KnownMailboxes::new(gated, Arc::new(SystemClock)));
    let accepted = |known: &KnownMailboxes| {
        let mailbox = known.mailbox(&MAILBOX).unwrap().unwrap();
        mailbox.accepts.into_iter().collect::<BTreeSet<i32>>()
    };
    let of = |class: Class| BTreeSet::from([class.number()]);
    let publish = |class, after_ms| {
        let put = |store: &dyn Store| store.put_mailbox(&record(grant(class, after_ms)));
        known.publish(&MAILBOX, put).unwrap();
    };

    let of_letter = Arc::clone(&known);
    let letter = std::thread::spawn(move || accepted(&of_letter));
    assert!(gate.wait(SOON, |passing| passing.done == 1), "it was read");
    publish(Class::Alert, 1);
    gate.change(|passing| passing.released = true);
    assert_eq!(letter.join().unwrap(), of(Class::Message));
    assert_eq!(accepted(&known), of(Class::Alert));
    // Nor is one that was remembered rightly until then.
    publish(Class::Message, 2);
    assert_eq!(accepted(&known), of(Class::Message));
}
