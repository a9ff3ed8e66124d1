//! A fault inside a node that serves: the whole node, but for one call of its store that panics when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pli_node::config::Config;
use pli_node::run;
use pli_node::shutdown::Shutdown;
use pli_node::store::*;
use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};
use pli_protocol::limits::FRAME_MAX;
use pli_protocol::session::{Principal, ServerIdentity};
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{
    CallStream, Credential, DialledConnection, Dialler, Endpoints, RecvError, Via,
};

use crate::site::{AUTHORITY, SOON, Site, get};

/// The store, and how many questions for a device's account panic before the next is answered.
#[derive(Debug)]
struct Faulty {
    store: Arc<dyn Store>,
    panics: Arc<AtomicUsize>,
}

macro_rules! pass_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $type),*) -> $answer {
            self.store.$name($($argument),*)
        })+
    };
}

impl Store for Faulty {
    fn account_of_device(&self, device: &KeyId) -> Result<Option<AccountId>, StoreError> {
        let one_less = |left: usize| left.checked_sub(1);
        let fault = self
            .panics
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        assert!(fault.is_err(), "the fault of this test");
        self.store.account_of_device(device)
    }

    pass_on! {
        fn append(group: &[Entry]) -> Result<Vec<Appended>, StoreError>;
        fn known(ids: &[EnvelopeId]) -> Result<Vec<Option<Timestamp>>, StoreError>;
        fn read(account: &AccountId, after_seq: u64, bound: PageBound) -> Result<Page, StoreError>;
        fn latest_seq(account: &AccountId) -> Result<u64, StoreError>;
        fn usage(account: &AccountId, mailbox: &MailboxId) -> Result<Usage, StoreError>;
        fn pending(destination: &AuthorityId, lane: Lane, after: u64, bound: PageBound) -> Result<PendingPage, StoreError>;
        fn destinations() -> Result<Vec<DestinationState>, StoreError>;
        fn set_aside(destination: &AuthorityId, after: u64, bound: PageBound) -> Result<PendingPage, StoreError>;
        fn settle(settlements: &[Settlement], reports: &[Report]) -> Result<Settled, StoreError>;
        fn pending_reports(destination: &AuthorityId, after: u64, bound: PageBound) -> Result<Vec<ReportEntry>, StoreError>;
        fn settle_reports(destination: &AuthorityId, positions: &[u64]) -> Result<(), StoreError>;
        fn custody(id: &EnvelopeId) -> Result<Option<Custody>, StoreError>;
        fn expire(now: Timestamp, limit: usize) -> Result<Expiry, StoreError>;
        fn compact() -> Result<u64, StoreError>;
        fn enrol(invitation: &InvitationId, account: &AccountRecord) -> Result<Enrolment, StoreError>;
        fn account(account: &AccountId) -> Result<Option<AccountRecord>, StoreError>;
        fn put_account(account: &AccountRecord) -> Result<(), StoreError>;
        fn put_mailbox(mailbox: &MailboxRecord) -> Result<(), StoreError>;
        fn mailbox(mailbox: &MailboxId) -> Result<Option<MailboxRecord>, StoreError>;
        fn mailboxes(account: &AccountId) -> Result<Vec<MailboxRecord>, StoreError>;
        fn confirm_time(now: Timestamp) -> Result<(), StoreError>;
        fn status() -> Status;
    }
}

async fn within<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(SOON, what).await.expect("in time")
}

async fn asked(connection: &DialledConnection) -> CallStream {
    let mut stream = within(connection.open_call()).await.unwrap();
    let kind = Some(call::Kind::Sync(wire::Sync::default()));
    stream
        .send
        .send_message(&wire::Call { kind })
        .await
        .unwrap();
    stream
}

/// Nobody has this device, and the node says so: the call was served to its end.
async fn is_served(connection: &DialledConnection) {
    let mut stream = asked(connection).await;
    let frame = within(stream.recv.next()).await.unwrap().unwrap();
    let reply: wire::CallReply = codec::decode_canonical(&frame, FRAME_MAX).unwrap();
    let Some(call_reply::Kind::Refusal(refusal)) = reply.kind else {
        panic!("{reply:?}")
    };
    assert_eq!(refusal.code, Code::UnknownDevice.number());
}

/// SES-7.4
#[tokio::test(flavor = "multi_thread")]
async fn case_56_a_panic_in_a_handler_ends_its_own_stream_and_is_counted() {
    let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
    let config = Config::load(&site.at("node.toml")).unwrap();
    let panics = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&panics);
    let opened = run::open(config).await.unwrap();
    let opened = opened.over(|store| {
        Arc::new(Faulty {
            store,
            panics: told,
        })
    });
    let address = |wanted: &str| {
        let mut all = opened.addresses().into_iter();
        all.find(|(name, _)| *name == wanted).unwrap().1
    };
    let (quic, websocket, ops) = (address("quic"), address("websocket"), address("ops"));
    let (trigger, shutdown) = Shutdown::new();
    let trigger = Arc::new(trigger);
    let running = tokio::spawn(opened.run(Arc::clone(&trigger), shutdown));

    let server = ServerIdentity {
        authority: AuthorityId::new(AUTHORITY).unwrap(),
        key: *site.key.public(),
    };
    let dial = async |seed: u8, via: Via| {
        let endpoints = match via {
            Via::Quic => Endpoints {
                quic: vec![quic],
                ..Endpoints::default()
            },
            Via::WebSocket => Endpoints {
                websocket: vec![websocket],
                ..Endpoints::default()
            },
        };
        let dialler = Dialler::new(Credential {
            principal: Principal::Device,
            key: Arc::new(SigningKey::from_seed(&[seed; 32])),
        });
        within(dialler.connect(&server, &endpoints)).await.unwrap()
    };
    let other = dial(0x71, Via::Quic).await;
    for (via, so_far) in [(Via::Quic, 1), (Via::WebSocket, 2)] {
        let connection = dial(0x72, via).await;
        // What the session itself asks of the store has been answered then.
        is_served(&connection).await;
        panics.store(1, Ordering::SeqCst);
        let mut unlucky = asked(&connection).await;
        let ended = within(unlucky.recv.next()).await.unwrap_err();
        assert!(!matches!(ended, RecvError::Lost(_)), "{via}: {ended}");
        is_served(&connection).await;
        is_served(&other).await;
        let metrics = tokio::task::spawn_blocking(move || get(ops, "/metrics"));
        let (_, metrics) = metrics.await.unwrap().unwrap();
        let counted = format!("pli_session_panics_total {so_far}");
        assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    }
    trigger.stop();
    within(running).await.unwrap().unwrap();
}
