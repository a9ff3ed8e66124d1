//! For the world: the node's own verified copy of the trust repository, under `/trust`, so that a
//! device reads the directory from its home. Plain HTTP: whoever alters it on the way is found out
//! by the TUF signatures, and nothing in it is secret.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeDir;

/// A file whose name carries its version or its hash never changes.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// `timestamp.json` and whatever else keeps its name.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Hexadecimal digits of the SHA-256 that prefixes the name of a target.
const HASH_DIGITS: usize = 64;

/// The routes, over a directory that holds `metadata/` and `targets/` and nothing unverified.
/// [`ServeDir`] refuses every path that leaves it and answers `If-Modified-Since` and `Range`.
pub fn router(mirror: &Path) -> Router {
    let folder = |name| ServeDir::new(mirror.join(name)).append_index_html_on_directories(false);
    Router::new()
        .nest_service("/trust/metadata", folder("metadata"))
        .nest_service("/trust/targets", folder("targets"))
        .layer(middleware::from_fn(cache))
}

async fn cache(request: Request, next: Next) -> Response {
    // Files that are being written begin with a dot until they are whole; no name needs escaping.
    let path = request.uri().path();
    if path.contains("/.") || path.contains('%') {
        return StatusCode::NOT_FOUND.into_response();
    }
    let keeps = is_versioned(request.uri().path());
    let mut response = next.run(request).await;
    // An answer that says "not there" must not be kept: it may be there tomorrow.
    let found = response.status().is_success() || response.status().as_u16() == 304;
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        if keeps && found { FOREVER } else { ASK_AGAIN },
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// `17.root.json`, `<sha256>.node.json`: a TUF repository with consistent snapshots.
fn is_versioned(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((prefix, _)) = name.split_once('.') else {
        return false;
    };
    let version = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let hash = prefix.len() == HASH_DIGITS && prefix.bytes().all(|b| b.is_ascii_hexdigit());
    version || hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_version_or_a_hash_are_kept() {
        let hash = "0".repeat(HASH_DIGITS);
        assert!(is_versioned("/trust/metadata/17.root.json"));
        assert!(is_versioned(&format!(
            "/trust/targets/interieur.gouv.fr/{hash}.node.json"
        )));
        for path in [
            "/trust/metadata/timestamp.json",
            "/trust/metadata/",
            "/",
            "",
            "/a/.json",
        ] {
            assert!(!is_versioned(path), "{path}");
        }
    }
}
