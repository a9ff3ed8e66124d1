//! Questions to other nodes that are no delivery: each one call, over a connection that is kept for the next.
//!
//! In: whose node, and the call. Out: its answer, or the code that says why there is none.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pli_protocol::code::Code;
use pli_protocol::id::AuthorityId;
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::DialledConnection;
use tokio::time::timeout;

use super::dial::dial;
use super::forward::reply_in_time;
use crate::relay::Relay;

/// From the question to the answer, a dial included.
const ASKED_FOR: Duration = Duration::from_secs(10);

/// The connections that questions use. Bounded by the authorities of the directory.
#[derive(Debug, Default)]
pub struct Neighbours {
    links: Mutex<HashMap<AuthorityId, Arc<tokio::sync::Mutex<Option<DialledConnection>>>>>,
}

impl Neighbours {
    /// Asks the node of `authority`.
    pub async fn ask(
        &self,
        relay: &Relay,
        authority: &AuthorityId,
        call: call::Kind,
    ) -> Result<call_reply::Kind, Code> {
        relay
            .directory()
            .node_of(authority)
            .map_err(|refusal| refusal.code())?;
        let link = Arc::clone(self.links.lock().entry(authority.clone()).or_default());
        let asked = timeout(ASKED_FOR, self.try_twice(relay, authority, &link, call));
        asked.await.unwrap_or(Err(Code::Unreachable))
    }

    // A connection that was kept may be gone without a word: the second try is by a new one.
    async fn try_twice(
        &self,
        relay: &Relay,
        authority: &AuthorityId,
        link: &tokio::sync::Mutex<Option<DialledConnection>>,
        call: call::Kind,
    ) -> Result<call_reply::Kind, Code> {
        let kept = link.lock().await.clone();
        if let Some(connection) = kept
            && let Ok(answer) = once(&connection, call.clone()).await
        {
            return answer;
        }
        let connection = {
            let mut link = link.lock().await;
            let dialled = dial(relay, authority).await.map_err(|broken| {
                tracing::info!(%authority, %broken, "not asked");
                Code::Unreachable
            })?;
            link.insert(dialled).clone()
        };
        let answer = once(&connection, call).await;
        answer.unwrap_or(Err(Code::Unreachable))
    }

    /// Closes what is kept.
    pub async fn close(&self) {
        let links: Vec<_> = self.links.lock().drain().collect();
        for (_, link) in links {
            if let Some(connection) = link.lock().await.take() {
                connection.close(None, "the node stops");
            }
        }
    }
}

/// `Err(())`: the connection is of no use any more.
async fn once(
    connection: &DialledConnection,
    call: call::Kind,
) -> Result<Result<call_reply::Kind, Code>, ()> {
    let mut stream = connection.open_call().await.map_err(drop)?;
    let call = wire::Call { kind: Some(call) };
    stream.send.send_message(&call).await.map_err(drop)?;
    stream.send.finish().await.map_err(drop)?;
    let reply = reply_in_time(&mut stream.recv).await.map_err(drop)?;
    Ok(match reply.kind {
        Some(call_reply::Kind::Refusal(refusal)) => {
            Err(Code::from_number(refusal.code).unwrap_or(Code::Internal))
        }
        Some(answer) => Ok(answer),
        None => Err(Code::Decode),
    })
}
