//! The witness: cosigns the checkpoints of the directory's logs (C2SP tlog-witness, EVD-7).
//!
//! In: `POST /pli/witness/add-checkpoint`. Out: a cosignature, or the status that C2SP has for each reason. No caller
//! is known here: what counts is the log's signature on the checkpoint.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::submission::AddCheckpoint;
use pli_protocol::evidence::{Noted, Origin};
use pli_protocol::id::AuthorityId;
use pli_protocol::limits::WITNESS_REQUEST_MAX;
use tokio::time::timeout;

use super::heads::{Heads, NotCosigned};
use super::views::Views;
use crate::clock::Clock;
use crate::federation::DirectoryWatch;

/// Where cosignatures are asked for.
pub const ADD_CHECKPOINT: &str = "/pli/witness/add-checkpoint";
/// Where the newest checkpoint that was cosigned is read, by authority and start.
pub const HEAD: &str = "/pli/witness/head";

/// A body that comes more slowly is given up (case 69).
const BODY_WITHIN: Duration = Duration::from_secs(5);
const SIZE: HeaderValue = HeaderValue::from_static("text/x.tlog.size");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What a node cosigns with, and what it knows.
#[derive(Debug)]
pub struct Witness {
    /// Whose node.
    pub authority: AuthorityId,
    /// One of its `log_keys`.
    pub key: SigningKey,
    /// What it cosigned.
    pub heads: Heads,
    /// What it saw, to tell whether a log says two things.
    pub views: Arc<Views>,
    /// Whose logs there are.
    pub directory: DirectoryWatch,
    /// The time of a cosignature.
    pub clock: Arc<dyn Clock>,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("not a request to cosign: {0}")]
    Malformed(&'static str),
    #[error("the checkpoint is not signed by a key of the log")]
    NotSigned,
    #[error(transparent)]
    Not(#[from] NotCosigned),
}

impl Witness {
    /// The routes.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route(ADD_CHECKPOINT, post(add_checkpoint))
            .route(&format!("{HEAD}/{{authority}}/{{start}}"), get(head))
            .with_state(self)
    }

    /// The line of cosignature, once the checkpoint is on disk. The order of the checks is that of C2SP. EVD-7.2.
    async fn cosign(&self, body: &[u8]) -> Result<String, Refusal> {
        let malformed = Refusal::Malformed;
        let body = std::str::from_utf8(body).map_err(|_| malformed("not UTF-8"))?;
        let mut request = AddCheckpoint::parse(body).map_err(malformed)?;
        let origin = &request.noted.checkpoint().origin;
        let now = self.clock.now();
        let directory = self.directory.current();
        let keys = directory.log_keys(&origin.authority, now);
        // Its own log is no other's: a node is no witness of itself.
        if keys.is_empty() || origin.authority == self.authority {
            return Err(NotCosigned::UnknownOrigin.into());
        }
        let signed = keys.iter().find_map(|key| request.noted.signed_by(key));
        request.noted = signed.ok_or(Refusal::NotSigned)?;
        if request.old > request.noted.checkpoint().size {
            return Err(malformed(
                "the old size is greater than that of the checkpoint",
            ));
        }
        // EVD-10.1: also what is not cosigned may be what convicts.
        self.views.saw(&request.noted, &directory, now);
        let noted = self.heads.advance(request, now).await?;
        let at = self.clock.now();
        Ok(noted.cosign(&self.authority, at, &self.key).line())
    }
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Body) -> Response {
    let read = timeout(BODY_WITHIN, to_bytes(body, WITNESS_REQUEST_MAX)).await;
    let Ok(Ok(body)) = read else {
        return (
            StatusCode::BAD_REQUEST,
            "the body is too long or came too slowly\n",
        )
            .into_response();
    };
    match witness.cosign(&body).await {
        Ok(line) => ([(header::CONTENT_TYPE, TEXT)], line).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::NotSigned => StatusCode::FORBIDDEN,
            Self::Not(NotCosigned::UnknownOrigin) => StatusCode::NOT_FOUND,
            Self::Not(NotCosigned::Conflict { size }) => {
                let body = format!("{size}\n");
                return (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE)], body)
                    .into_response();
            }
            Self::Not(NotCosigned::Inconsistent) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Not(NotCosigned::Damaged(_) | NotCosigned::Disk(_)) => {
                tracing::error!(error = %self, "nothing is cosigned");
                return (StatusCode::INTERNAL_SERVER_ERROR, "nothing is cosigned\n")
                    .into_response();
            }
        };
        (status, format!("{self}\n")).into_response()
    }
}

async fn head(
    State(witness): State<Arc<Witness>>,
    Path((authority, start)): Path<(String, String)>,
) -> Response {
    let origin: Option<Origin> = format!("{authority}/log/{start}").parse().ok();
    let newest = match &origin {
        Some(origin) => witness.heads.newest(origin).await,
        None => None,
    };
    match newest.as_ref().map(Noted::encode) {
        Some(note) => {
            let fresh = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            ([(header::CONTENT_TYPE, TEXT), fresh], note).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
