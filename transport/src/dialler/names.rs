//! From a name that a server publishes to its addresses. In: a host and a port. Out: what the name service says, cut.
//! Spec: SES-1.8.

use std::io;
use std::net::SocketAddr;

use tokio::net::{ToSocketAddrs, lookup_host};

/// Addresses that are looked at of one name: whoever has the name chooses how many there are. More than
/// `ENDPOINTS_MAX`, since some may not be dialled.
const ADDRESSES_PER_NAME_MAX: usize = 64;

/// The addresses of a host, in the order of the name service.
pub async fn resolve(host: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addresses = lookup_host(host).await?;
    Ok(addresses.take(ADDRESSES_PER_NAME_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ses_1_8_a_name_gives_no_more_addresses_than_are_looked_at() {
        let addresses: Vec<SocketAddr> = (0..=ADDRESSES_PER_NAME_MAX)
            .map(|n| SocketAddr::from(([1, 1, 1, n as u8], 7400)))
            .collect();
        let all = &addresses[..ADDRESSES_PER_NAME_MAX];
        assert_eq!(resolve(all).await.unwrap(), all);
        assert_eq!(resolve(&addresses[..]).await.unwrap(), all);
        let here = resolve("127.0.0.1:7400").await.unwrap();
        assert_eq!(here, ["127.0.0.1:7400".parse().unwrap()]);
    }
}
