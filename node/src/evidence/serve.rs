//! The logs over HTTP, as C2SP tlog-tiles has them (EVD-3.2): checkpoints, tiles, entries. Nothing is secret, and
//! whoever alters it on the way is found out by the checkpoint's signature.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pli_protocol::id::Timestamp;

use super::folder::Keeper;
use super::log::{EventLog, TILE};

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The routes below `/pli/log`.
pub fn router(keeper: Arc<Keeper>) -> Router {
    Router::new()
        .route("/pli/log/starts", get(starts))
        .route("/pli/log/{start}/checkpoint", get(checkpoint))
        .route("/pli/log/{start}/tile/{level}/{*index}", get(tile))
        .with_state(keeper)
}

async fn starts(State(keeper): State<Arc<Keeper>>) -> Response {
    let logs = keeper.logs();
    let lines = logs
        .iter()
        .map(|log| format!("{}\n", log.origin().start.as_ms()));
    answer(TEXT, ASK_AGAIN, lines.collect::<String>().into())
}

async fn checkpoint(State(keeper): State<Arc<Keeper>>, Path(start): Path<u64>) -> Response {
    let log = keeper.log_of(Timestamp::from_ms(start));
    match log.and_then(|log| log.published()) {
        Some(head) => answer(TEXT, ASK_AGAIN, head.note.into()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn tile(
    State(keeper): State<Arc<Keeper>>,
    Path((start, level, index)): Path<(u64, String, String)>,
) -> Response {
    let log = keeper.log_of(Timestamp::from_ms(start));
    let (Some(log), Some(tile)) = (log, Tile::parse(&level, &index)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match tokio::task::spawn_blocking(move || tile.read(&log)).await {
        Ok(Some(bytes)) => answer(BYTES, FOREVER, bytes),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "a tile was not read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn answer(kind: &'static str, cache: HeaderValue, body: Bytes) -> Response {
    let kind = HeaderValue::from_static(kind);
    let nosniff = HeaderValue::from_static("nosniff");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, cache),
        (header::X_CONTENT_TYPE_OPTIONS, nosniff),
    ];
    (headers, body).into_response()
}

/// Which tile is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Tile {
    /// `None`: the entries themselves.
    level: Option<usize>,
    index: u64,
    width: u64,
}

impl Tile {
    /// `0/x001/x234/067`, `entries/000.p/17`: groups of three digits, all but the last with an x.
    fn parse(level: &str, index: &str) -> Option<Self> {
        let level = match level {
            "entries" => None,
            digits => Some(plain(digits).filter(|level| *level < 64)?),
        };
        let (index, width) = match index.split_once(".p/") {
            Some((index, width)) => (
                index,
                plain(width).filter(|width| (1..TILE).contains(width))?,
            ),
            None => (index, TILE),
        };
        let mut groups = index.split('/').rev();
        let mut number = three(groups.next()?)?;
        let mut scale: u64 = 1_000;
        let mut leading = None;
        for group in groups {
            let group = three(group.strip_prefix('x')?)?;
            leading = Some(group);
            number = group.checked_mul(scale)?.checked_add(number)?;
            scale = scale.checked_mul(1_000)?;
        }
        // One spelling for each number.
        if leading == Some(0) {
            return None;
        }
        let level = match level {
            Some(level) => Some(usize::try_from(level).ok()?),
            None => None,
        };
        (number < 1 << 40).then_some(Self {
            level,
            index: number,
            width,
        })
    }

    /// `None` where the published checkpoint does not reach.
    fn read(self, log: &EventLog) -> Option<Bytes> {
        let size = log.published()?.size;
        let shift = self.level.map_or(0, |level| 8 * level);
        let have = size.checked_shr(u32::try_from(shift).ok()?).unwrap_or(0);
        if self.index * TILE + self.width > have {
            return None;
        }
        let read = match self.level {
            Some(level) => {
                let hashes = log.tile(level, self.index, self.width);
                hashes.map(|hashes| hashes.concat())
            }
            None => log.entries(self.index, self.width).map(|entries| {
                let one = entries.iter().map(|entry| {
                    let bytes = entry.encode();
                    let length = u16::try_from(bytes.len()).expect("an entry has less than 64 KiB");
                    [&length.to_be_bytes()[..], &bytes].concat()
                });
                one.collect::<Vec<_>>().concat()
            }),
        };
        match read {
            Ok(bytes) => Some(bytes.into()),
            Err(error) => {
                tracing::error!(%error, tile = ?self, "a tile of the log cannot be read");
                None
            }
        }
    }
}

fn three(digits: &str) -> Option<u64> {
    let all = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all)
}

/// A decimal number without sign or leading zeros.
fn plain(digits: &str) -> Option<u64> {
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evd_3_2_a_tile_has_one_path() {
        let tile = |level, index, width| {
            Some(Tile {
                level,
                index,
                width,
            })
        };
        assert_eq!(Tile::parse("0", "000"), tile(Some(0), 0, 256));
        assert_eq!(
            Tile::parse("2", "x001/x234/067"),
            tile(Some(2), 1_234_067, 256)
        );
        assert_eq!(Tile::parse("entries", "017.p/255"), tile(None, 17, 255));
        for (level, index) in [
            ("00", "000"),
            ("64", "000"),
            ("-1", "000"),
            ("0", "0"),
            ("0", "0000"),
            ("0", "x000/001"),
            ("0", "001/002"),
            ("0", "000.p/0"),
            ("0", "000.p/256"),
            ("0", "000.p/01"),
            ("0", "x999/x999/x999/x999/x999/x999/x999/999"),
            ("data", "000"),
        ] {
            assert_eq!(Tile::parse(level, index), None, "{level}/{index}");
        }
    }
}
