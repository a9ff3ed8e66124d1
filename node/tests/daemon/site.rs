//! A federation of one authority with a node, on disk; and the node's process.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::{DisplayName, Environment};
use pli_trust::keyfile;
use pli_trust::write::{
    Authority, Federation, GrantChange, KeyRing, Lifetimes, NewAuthority, NewFederation,
    NodeChange, RoleKeys, Suspension,
};
use tempfile::TempDir;

pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const AUTHORITY: &str = "interieur.gouv.fr";

pub(crate) struct Site {
    folder: TempDir,
    /// The node's own.
    pub(crate) key: SigningKey,
    own: KeyRing,
    online: KeyRing,
    targets: KeyRing,
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap())
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

fn one(key: &SigningKey) -> RoleKeys {
    RoleKeys::new(vec![*key.public()], 1).unwrap()
}

/// The configuration of a node; `up` leads to the folder of the [`Site`].
fn toml(authority: &str, up: &str, quic: SocketAddr, more: &str) -> String {
    let ports: Vec<TcpListener> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let [websocket, http, ops] = [0, 1, 2].map(|i: usize| ports[i].local_addr().unwrap());
    format!(
        "authority = \"{authority}\"\nkey = \"node.key\"\ndrain = \"5s\"\n{more}\n\
         [store]\nurl = \"fjall:store\"\nmin_free = \"1MiB\"\n\
         [evidence]\nfolder = \"evidence\"\nkey = \"log.key\"\n\
         [listen]\nquic = \"{quic}\"\nwebsocket = \"{websocket}\"\nhttp = \"{http}\"\nops = \"{ops}\"\ngossip = \"127.0.0.1:0\"\n\
         [trust]\nroot = \"{up}root.json\"\nsources = [\"{up}federation/repository\"]\ndatastore = \"trust\"\nrefresh = \"1s\"\n\
         [dial]\nprivate_networks = [\"127.0.0.0/8\"]\n",
    )
}

impl Site {
    /// A federation of one authority, its node's key and its configuration.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let key = keyfile::create(&at("node.key")).unwrap();
        let [root, targets, snapshot, timestamp, own] =
            [(); 5].map(|()| keyfile::generate().unwrap());
        let new = NewFederation {
            root: one(&root),
            targets: one(&targets),
            snapshot: one(&snapshot),
            timestamp: one(&timestamp),
            lifetimes: Lifetimes::default(),
        };
        let offline = KeyRing::new([root, targets.clone()]);
        Federation::init(&at("federation"), new, &offline, now()).unwrap();
        let site = Self {
            key: key.clone(),
            own: KeyRing::new([own.clone()]),
            online: KeyRing::new([snapshot, timestamp]),
            targets: KeyRing::new([targets]),
            folder,
        };
        let quic = "127.0.0.1:7400".parse().unwrap();
        let log = keyfile::create(&site.at("log.key")).unwrap();
        site.take_in(&site.at("authority"), AUTHORITY, &own, (&key, &log), quic);
        let root = site.at("federation/repository/metadata/1.root.json");
        fs::copy(root, site.at("root.json")).unwrap();
        site.configure("");
        site
    }

    /// A second authority of the federation. Returns the configuration of its node, which can be found where the
    /// directory says.
    pub(crate) fn neighbour(&self, authority: &str) -> PathBuf {
        let folder = self.at(authority);
        fs::create_dir(&folder).unwrap();
        let key = keyfile::create(&folder.join("node.key")).unwrap();
        let own = keyfile::generate().unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let quic = free.local_addr().unwrap();
        let log = keyfile::create(&folder.join("log.key")).unwrap();
        self.take_in(
            &folder.join("authority"),
            authority,
            &own,
            (&key, &log),
            quic,
        );
        let config = folder.join("node.toml");
        fs::write(&config, toml(authority, "../", quic, "")).unwrap();
        config
    }

    fn take_in(
        &self,
        dir: &Path,
        authority: &str,
        own: &SigningKey,
        (node, log): (&SigningKey, &SigningKey),
        quic: SocketAddr,
    ) {
        let new = NewAuthority {
            authority: AuthorityId::new(authority).unwrap(),
            name: DisplayName::new(authority, authority).unwrap(),
            keys: one(own),
            role_days: 365,
            node_key: *node.public(),
            quic: vec![quic.to_string().parse().unwrap()],
            websocket: Vec::new(),
            http: Vec::new(),
            gossip: Vec::new(),
            log_key: Some(*log.public()),
        };
        let mut drafted = Authority::init(dir, new, now()).unwrap();
        drafted
            .publish(&KeyRing::new([own.clone()]), now())
            .unwrap();
        let handover = drafted.handover_dir();
        let grant = GrantChange {
            may_host: Some(true),
            ..GrantChange::default()
        };
        let federation = Federation::open(&self.at("federation")).unwrap();
        federation
            .add_authority(&handover, grant, &self.targets, now())
            .unwrap();
        self.publish(&[handover]);
    }

    /// Lists another key of the node beside the present one, and publishes it.
    pub(crate) fn list_key(&self, key: &SigningKey) {
        let mut authority = Authority::open(&self.at("authority")).unwrap();
        let change = NodeChange {
            add_keys: vec![*key.public()],
            ..NodeChange::default()
        };
        authority.set_node(change, now()).unwrap();
        authority.publish(&self.own, now()).unwrap();
        self.publish(&[authority.handover_dir()]);
    }

    /// The federation suspends the authority, or takes that back.
    pub(crate) fn suspend(&self, suspension: Suspension) {
        let federation = Federation::open(&self.at("federation")).unwrap();
        let authority = AuthorityId::new(AUTHORITY).unwrap();
        federation
            .suspend(&authority, suspension, &self.targets, now())
            .unwrap();
        self.publish(&[]);
    }

    /// Signs and publishes the federation's next state.
    pub(crate) fn publish(&self, handovers: &[PathBuf]) {
        let mut federation = Federation::open(&self.at("federation")).unwrap();
        let publish = federation.publish(handovers, &self.online, Environment::Production, now());
        block_on(publish).unwrap();
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn configure(&self, more: &str) {
        let quic = "127.0.0.1:0".parse().unwrap();
        fs::write(self.at("node.toml"), toml(AUTHORITY, "", quic, more)).unwrap();
    }

    pub(crate) fn address(&self, key: &str) -> SocketAddr {
        let text = fs::read_to_string(self.at("node.toml")).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{key} = ")))
            .unwrap();
        line.split('"').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn node(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pli-node"));
        command.arg("--config").arg(self.at("node.toml"));
        command.env_remove("SSLKEYLOGFILE").env_remove("PLI_LOG");
        command
    }

    /// Runs until the process ends by itself, which a refusal does.
    pub(crate) fn refused(&self, with: impl FnOnce(&mut Command)) -> (i32, String) {
        let mut command = self.node();
        with(&mut command);
        let output = ended(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let text = format!("{}{}", text(&output.stdout), text(&output.stderr));
        (output.status.code().unwrap(), text)
    }

    pub(crate) fn start(&self) -> Running {
        let child = self
            .node()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Running {
            child,
            ops: self.address("ops"),
            http: self.address("http"),
        };
        let begin = Instant::now();
        while get(running.ops, "/readyz").is_none_or(|(status, _)| status != 200) {
            if let Some(status) = running.child.try_wait().unwrap() {
                let mut said = String::new();
                running
                    .child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                panic!("ended with {status}: {said}");
            }
            assert!(
                begin.elapsed() < SOON,
                "not ready: {:?}",
                get(running.ops, "/readyz")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) ops: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Running {
    /// The exit code of a process that ends by itself; one that does not is an error, not a test that hangs.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begin.elapsed() < SOON, "still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(name)
            .arg(self.child.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }
}

/// A test that fails must not leave a node behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn ended(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > SOON {
            child.kill().unwrap();
            panic!("still runs: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn get(at: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {at}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
