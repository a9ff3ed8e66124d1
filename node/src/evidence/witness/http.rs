//! Requests to other nodes' public HTTP, whose addresses their own authorities publish: only where this node may dial
//! (SES-1.8), in bounded time, with answers of bounded length.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pli_protocol::limits::{WITNESS_ANSWER_MAX, WITNESS_TIMEOUT_MS};
use pli_transport::PrivateNetworks;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, RequestBuilder, Url};

/// A client that dials no address that it may not.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    networks: PrivateNetworks,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Names of which only the addresses that may be dialled are told.
#[derive(Clone, Debug)]
struct Judged(PrivateNetworks);

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.0.clone();
        Box::pin(async move {
            // The port is put in by who asks.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refused = None;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in found {
                match networks.judge(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                Some(why) if allowed.is_empty() => Err(why.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

impl Http {
    pub(super) fn new(networks: PrivateNetworks) -> reqwest::Result<Self> {
        let client = Client::builder()
            // R5: an answer must not send this machine to another address.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(WITNESS_TIMEOUT_MS))
            .pool_max_idle_per_host(1)
            // What is sent is public and what comes back is signed, so that a certificate adds nothing; nodes make
            // their own, which no authority of the Web has signed.
            .tls_danger_accept_invalid_certs(true)
            .dns_resolver(Judged(networks.clone()))
            .build()?;
        Ok(Self { client, networks })
    }

    pub(super) async fn post(&self, url: &str, body: String) -> Result<Answer, String> {
        let url = self.judged(url)?;
        Self::answer(self.client.post(url).body(body)).await
    }

    pub(super) async fn get(&self, url: &str) -> Result<Answer, String> {
        let url = self.judged(url)?;
        Self::answer(self.client.get(url)).await
    }

    /// An address in the place of a name is not resolved, so it is judged here.
    fn judged(&self, url: &str) -> Result<Url, String> {
        let url: Url = url
            .parse()
            .map_err(|_| "the address is not a URL".to_owned())?;
        let host = url.host_str().unwrap_or_default();
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            self.networks.judge(ip).map_err(|why| why.to_string())?;
        }
        Ok(url)
    }

    async fn answer(request: RequestBuilder) -> Result<Answer, String> {
        let mut response = request.send().await.map_err(|error| chain(&error))?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
            if body.len() + piece.len() > WITNESS_ANSWER_MAX {
                return Err("the answer is too long".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            body: String::from_utf8(body).map_err(|_| "the answer is not text".to_owned())?,
        })
    }
}

/// The reasons behind an error: the first alone says only that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
