//! The dialler's side of a session, done right or wrong as a case asks. In: a [`Connection`] and who dials.
//! Out: an open [`Session`] on which calls are made, or how it [`Failed`]. Spec: SES-3, SES-7.

use std::time::Duration;

use crate::code;
use crate::codec::Message;
use crate::codec::schema::{CALL_REPLY, DIALLER_HELLO, SERVER_HELLO, SESSION_PROOF, SESSION_REPLY};
use crate::crypto::contexts::SESSION;
use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::signed::sign_one;
use crate::dial::{Connection, DialError, Ended, SOON, Server, Stream, Via};

pub const ROLE_NODE: u32 = 1;
pub const ROLE_SERVICE: u32 = 2;
pub const ROLE_DEVICE: u32 = 4;

/// Who dials.
#[derive(Clone, Debug)]
pub struct Who {
    pub role: u32,
    pub name: String,
    pub key: SecretKey,
}

impl Who {
    pub fn device(key: SecretKey) -> Self {
        Self {
            role: ROLE_DEVICE,
            name: String::new(),
            key,
        }
    }
}

/// Why something did not go through.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Dial(#[from] DialError),
    /// A `Refusal` in its own frame.
    #[error("refused with {} ({detail:?})", code::name(*code))]
    Refused { code: u64, detail: String },
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The server said something that the specification does not allow here.
    #[error("the server broke the protocol: {0}")]
    Broke(String),
}

impl Failed {
    /// The code that the server gave, in whatever way.
    pub fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Ended(ended) => ended.code(),
            Self::Dial(_) | Self::Broke(_) => None,
        }
    }
}

/// What the server said first.
#[derive(Clone, Debug)]
pub struct Hello {
    pub version: u64,
    pub nonce: Vec<u8>,
    pub server_key: Vec<u8>,
    pub authority: String,
}

pub fn broke<T>(why: impl Into<String>) -> Result<T, Failed> {
    Err(Failed::Broke(why.into()))
}

/// The `Refusal` of a reply, checked for its own rules.
pub fn refusal(message: &Message) -> Failed {
    /// Refusal.detail.
    const DETAIL_MAX: usize = 512;
    let (number, detail) = (message.number("code"), message.text("detail").to_owned());
    if number == 0 {
        return Failed::Broke("a refusal without a code".to_owned());
    }
    if detail.len() > DETAIL_MAX {
        return Failed::Broke(format!(
            "a detail of {} bytes, over DETAIL_MAX",
            detail.len()
        ));
    }
    Failed::Refused {
        code: number,
        detail,
    }
}

pub fn hello_offering(versions: &[u32]) -> Vec<u8> {
    Message::new(&DIALLER_HELLO)
        .with_all("versions", versions.iter().copied())
        .encode()
}

/// Sends the first frame and reads what the server says to it.
pub async fn begin(connection: &Connection, hello: &[u8]) -> Result<(Stream, Hello), Failed> {
    let mut stream = connection.open(SOON).await?;
    stream.send_frame(hello).await?;
    let hello = server_hello(&mut stream, SOON).await?;
    Ok((stream, hello))
}

pub async fn server_hello(stream: &mut Stream, within: Duration) -> Result<Hello, Failed> {
    let frame = stream.frame(within).await?;
    // SES-3.6: a refusal may stand in place of the ServerHello. The two have no first field in common:
    // ServerHello begins with a number, SessionReply with a message.
    if let Ok(reply) = Message::decode(&SESSION_REPLY, &frame)
        && let Some(refused) = reply.message("refusal")
    {
        return Err(refusal(refused));
    }
    let hello = match Message::decode(&SERVER_HELLO, &frame) {
        Ok(hello) => hello,
        Err(fault) => return broke(format!("ServerHello: {fault}")),
    };
    Ok(Hello {
        version: hello.number("version"),
        nonce: hello.bytes("nonce").to_vec(),
        server_key: hello.bytes("server_key").to_vec(),
        authority: hello.text("authority").to_owned(),
    })
}

/// The right proof for a hello; a case changes what it wants to be wrong.
pub fn proof(who: &Who, offered: &[u32], hello: &Hello) -> Message {
    Message::new(&SESSION_PROOF)
        .with("version", hello.version)
        .with_all("offered_versions", offered.iter().copied())
        .with("nonce", &hello.nonce[..])
        .with("server_key", &hello.server_key[..])
        .with("role", who.role)
        .with("own_key", who.key.public().0)
        .with("name", who.name.as_str())
}

/// Sends the signed proof and reads the `Welcome`.
pub async fn prove(stream: &mut Stream, signed: &[u8]) -> Result<Message, Failed> {
    stream.send_frame(signed).await?;
    let frame = stream.frame(SOON).await?;
    let reply = match Message::decode(&SESSION_REPLY, &frame) {
        Ok(reply) => reply,
        Err(fault) => return broke(format!("SessionReply: {fault}")),
    };
    match (reply.message("welcome"), reply.message("refusal")) {
        (Some(welcome), None) => Ok(welcome.clone()),
        (None, Some(refused)) => Err(refusal(refused)),
        _ => broke("a SessionReply with neither welcome nor refusal"),
    }
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    pub connection: Connection,
    pub hello: Hello,
    pub welcome: Message,
}

impl Session {
    /// Dials and shakes hands as the specification says, checking what a dialler checks.
    pub async fn open(server: &Server, via: Via, who: &Who) -> Result<Self, Failed> {
        let connection = server.dial(via).await?;
        let (mut stream, hello) = begin(&connection, &hello_offering(&[1])).await?;
        check_hello(server, connection.certified, &hello)?;
        let signed = sign_one(SESSION, &proof(who, &[1], &hello).encode(), &who.key);
        let welcome = prove(&mut stream, &signed).await?;
        stream.finish().await?;
        // Read to its end, so that it no longer counts as a stream at once (SES-5.2).
        match stream.frame(SOON).await {
            Err(Ended::Finished) => {}
            other => return broke(format!("after the Welcome the first stream said {other:?}")),
        }
        Ok(Self {
            connection,
            hello,
            welcome,
        })
    }

    /// Opens a stream and sends the first frame of a call.
    pub async fn call(&self, call: &Message) -> Result<Stream, Failed> {
        let mut stream = self.connection.open(SOON).await?;
        stream.send_frame(&call.encode()).await?;
        Ok(stream)
    }

    /// A call of one answer.
    pub async fn ask(&self, call: &Message, kind: &str) -> Result<Message, Failed> {
        let mut stream = self.call(call).await?;
        stream.finish().await?;
        reply(&mut stream, kind, SOON).await
    }
}

/// The next `CallReply` of this kind.
pub async fn reply(stream: &mut Stream, kind: &str, within: Duration) -> Result<Message, Failed> {
    let frame = stream.frame(within).await?;
    let reply = match Message::decode(&CALL_REPLY, &frame) {
        Ok(reply) => reply,
        Err(fault) => return broke(format!("CallReply: {fault}")),
    };
    if let Some(refused) = reply.message("refusal") {
        return Err(refusal(refused));
    }
    match reply.message(kind) {
        Some(message) => Ok(message.clone()),
        None => broke(format!("not a {kind}: {reply:?}")),
    }
}

/// SES-3.3: what a dialler checks before it signs.
pub fn check_hello(
    server: &Server,
    certified: Option<PublicKey>,
    hello: &Hello,
) -> Result<(), Failed> {
    if hello.version != 1 {
        return broke(format!("the server chose version {}", hello.version));
    }
    if hello.nonce.len() != 32 {
        return broke(format!("a nonce of {} bytes", hello.nonce.len()));
    }
    match certified {
        None => return broke("the certificate's key is not Ed25519"),
        Some(key) if key.0[..] != hello.server_key[..] => {
            return broke("server_key is not the key of the certificate");
        }
        Some(key) if key != server.key => {
            return broke(format!(
                "the certificate's key is {key}, the configured one {}",
                server.key
            ));
        }
        Some(_) => {}
    }
    if hello.authority == server.authority {
        Ok(())
    } else {
        broke(format!(
            "authority {:?}, wanted {:?}",
            hello.authority, server.authority
        ))
    }
}
