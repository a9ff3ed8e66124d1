//! Asks a node's operations address: `/readyz`, `/healthz`, `/metrics`.
//!
//! A dozen lines of HTTP/1.0 rather than an HTTP client: the address is loopback, the answers are small.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer larger than this is not a node's.
const ANSWER_MAX_BYTES: u64 = 4 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// One GET.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream
            .take(ANSWER_MAX_BYTES)
            .read_to_string(&mut answer)
            .await?;
        Ok::<String, io::Error>(answer)
    };
    let text = timeout(ANSWER_WITHIN, ask)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

/// The samples of a Prometheus text, each under its name with its labels as written.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// The sum of the samples of a metric whose labels contain `label` (`""` for all).
pub fn sum(samples: &BTreeMap<String, f64>, metric: &str, label: &str) -> f64 {
    samples
        .iter()
        .filter(|(name, _)| {
            let (base, labels) = name.split_once('{').unwrap_or((name, ""));
            base == metric && labels.contains(label)
        })
        .map(|(_, value)| value)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_into_status_and_body() {
        let answer = parse("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno")
            .expect("valid");
        assert_eq!(
            answer,
            Answer {
                status: 503,
                body: "no".to_owned()
            }
        );
        assert_eq!(parse("garbage"), None);
    }

    #[test]
    fn samples_are_summed_over_their_labels() {
        let samples = samples("# HELP x y\nx{code=\"A\"} 2\nx{code=\"B\"} 3\nxy 7\n");
        assert_eq!(sum(&samples, "x", ""), 5.0);
        assert_eq!(sum(&samples, "x", "code=\"B\""), 3.0);
        assert_eq!(sum(&samples, "absent", ""), 0.0);
    }
}
