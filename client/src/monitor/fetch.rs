//! Resources of a log over HTTP: bounded in time and length.

use std::time::Duration;

/// A whole tile of the largest entries that there are would be longer; these are of 61 bytes.
const RESOURCE_MAX: usize = 65_536;
const WITHIN: Duration = Duration::from_secs(15);

/// Why a resource was not read.
#[derive(Clone, Debug)]
pub(super) enum Unread {
    /// There is none.
    Missing(String),
    /// Nobody answers, or not with a resource.
    Failed(String),
}

impl Unread {
    pub(super) fn detail(self) -> String {
        match self {
            Self::Missing(url) => format!("{url}: HTTP 404"),
            Self::Failed(problem) => problem,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Fetch(reqwest::Client);

impl Fetch {
    pub(super) fn new() -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(WITHIN)
            .no_proxy()
            // An answer must not send this machine to another address.
            .redirect(reqwest::redirect::Policy::none())
            // What comes back is checked by its signature; nodes make their own certificates.
            .tls_danger_accept_invalid_certs(true)
            .build()?;
        Ok(Self(client))
    }

    pub(super) async fn get(&self, url: &str) -> Result<Vec<u8>, Unread> {
        let failed = |error: reqwest::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            Unread::Failed(format!("{error}{}", cause.unwrap_or_default()))
        };
        let mut answer = self.0.get(url).send().await.map_err(failed)?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Err(Unread::Missing(url.to_owned()));
        }
        if !answer.status().is_success() {
            return Err(Unread::Failed(format!(
                "{url}: HTTP {}",
                answer.status().as_u16()
            )));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + piece.len() > RESOURCE_MAX {
                return Err(Unread::Failed(format!(
                    "{url}: longer than {RESOURCE_MAX} bytes"
                )));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// `x001/x234/067`, and `.p/<width>` for a tile that is not full (C2SP tlog-tiles).
pub(super) fn tile_path(level: &str, index: u64, width: u64) -> String {
    let mut digits = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        digits = format!("x{:03}/{digits}", rest % 1_000);
        rest /= 1_000;
    }
    let partial = if width == super::look::TILE {
        String::new()
    } else {
        format!(".p/{width}")
    };
    format!("tile/{level}/{digits}{partial}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_are_those_of_the_text_of_c2sp() {
        assert_eq!(tile_path("0", 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile_path("entries", 273, 112), "tile/entries/273.p/112");
        assert_eq!(tile_path("2", 1_000, 1), "tile/2/x001/000.p/1");
    }
}
