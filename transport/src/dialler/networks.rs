//! Which addresses may be dialled. In: the addresses that a server's names lead to, which the server's own authority
//! has published. Out: those that may be dialled, and why the others may not. Spec: SES-1.8.
//!
//! Judged here, after every name is resolved and right before the dial, so that no name and no second answer of a
//! name service leads past it. What is special is so by the registries of IANA (RFC 6890).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use pli_protocol::limits;

use super::Endpoints;
use crate::connection::Via;
use crate::error::{Attempt, NotDialled};

/// The private networks in which a dialler may dial. Elsewhere it dials public addresses alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PrivateNetworks {
    /// For programs that dial one server, which their user chose.
    All,
    /// For those who dial whomever the directory names: what their operator lists.
    Listed(Arc<[PrivateNetwork]>),
}

/// A part of the loopback or of the private ranges, or the whole of one: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrivateNetwork(IpNet);

/// Why a text names no private network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrivateNetworkError {
    /// Not an address and the length of its prefix.
    #[error("got \"{got}\", expected a network such as \"10.0.0.0/8\"")]
    Syntax { got: String },
    /// Bits are set behind the prefix: one of the two is a mistake.
    #[error("got \"{got}\", which has bits behind its prefix; expected \"{expected}\"")]
    HostBits { got: String, expected: IpNet },
    /// Public addresses need no mention, the others stay closed.
    #[error("got \"{got}\", expected a part of {}", ranges())]
    NotPrivate { got: String },
}

/// Dialled only where it is listed.
const PRIVATE: [(IpNet, &str); 8] = [
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([100, 64, 0, 0], 10), "shared by a provider"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private"),
    (NAT64_LOCAL, "private"),
];

/// Never dialled, listed or not. The clouds' own services give secrets to whoever asks from inside.
const NEVER: [(IpNet, &str); 21] = [
    (v4([100, 100, 100, 200], 32), METADATA),
    (v4([168, 63, 129, 16], 32), METADATA),
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), METADATA),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), METADATA),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([192, 0, 0, 0], 24), RESERVED),
    (v4([192, 0, 2, 0], 24), DOCUMENTATION),
    (v4([198, 51, 100, 0], 24), DOCUMENTATION),
    (v4([203, 0, 113, 0], 24), DOCUMENTATION),
    (v4([192, 88, 99, 0], 24), TRANSITION),
    (v4([198, 18, 0, 0], 15), "for benchmarks"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
    (v4([240, 0, 0, 0], 4), RESERVED),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), DOCUMENTATION),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), DOCUMENTATION),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), TRANSITION),
    // Benchmarks, ORCHID, Teredo and more.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), RESERVED),
];

const METADATA: &str = "a cloud's metadata service";
const DOCUMENTATION: &str = "for documentation";
const TRANSITION: &str = "6to4, which leads to any IPv4 address";
const RESERVED: &str = "reserved";

/// All that IPv6 routes globally (RFC 4291).
const GLOBAL_V6: IpNet = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// An IPv4 address stands in the last four bytes (RFC 6052).
const NAT64: IpNet = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
/// An IPv4 address stands where the network itself has decided (RFC 8215).
const NAT64_LOCAL: IpNet = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(a, b, c, d, e, f, g, h),
        prefix,
    ))
}

impl PrivateNetworks {
    /// What may be dialled of these, each once and no more than `ENDPOINTS_MAX` of a kind, and why others may not.
    pub(super) fn sort_out(&self, endpoints: &Endpoints) -> (Endpoints, Vec<Attempt>) {
        let mut refused = Vec::new();
        let mut allowed_of = |via, addresses: &[SocketAddr]| {
            let mut allowed = Vec::with_capacity(limits::ENDPOINTS_MAX);
            for address in addresses {
                if allowed.len() == limits::ENDPOINTS_MAX {
                    break;
                }
                let mut address = *address;
                address.set_ip(address.ip().to_canonical());
                match self.judge(address.ip()) {
                    Ok(()) if !allowed.contains(&address) => allowed.push(address),
                    Err(why) if refused.len() < 2 * limits::ENDPOINTS_MAX => {
                        let error = why.into();
                        refused.push(Attempt {
                            via,
                            address,
                            error,
                        });
                    }
                    _ => {}
                }
            }
            allowed
        };
        let allowed = Endpoints {
            quic: allowed_of(Via::Quic, &endpoints.quic),
            websocket: allowed_of(Via::WebSocket, &endpoints.websocket),
        };
        (allowed, refused)
    }

    /// SES-1.8: whether an address may be dialled.
    pub fn judge(&self, ip: IpAddr) -> Result<(), NotDialled> {
        let ip = meant(ip);
        let mut leads_to = [Some(ip)].into_iter().chain(translated(ip)).flatten();
        if let Some(kind) = leads_to.find_map(|ip| kind_in(&NEVER, ip)) {
            return Err(NotDialled::Never { kind });
        }
        if let Some(kind) = kind_in(&PRIVATE, ip) {
            let listed = match self {
                Self::All => true,
                Self::Listed(networks) => networks.iter().any(|network| network.0.contains(&ip)),
            };
            return match listed {
                true => Ok(()),
                false => Err(NotDialled::NotListed { kind }),
            };
        }
        if ip.is_ipv6() && !GLOBAL_V6.contains(&ip) {
            return Err(NotDialled::Never { kind: RESERVED });
        }
        Ok(())
    }
}

/// The address that a packet ends at: IPv6 has two forms of an IPv4 address that networks undo.
fn meant(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if NAT64.contains(&IpAddr::V6(v6)) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        ip => ip,
    }
}

/// The IPv4 addresses that local NAT64 may make of this one: that in the place of a /48 prefix, which goes around the
/// ninth byte, and that in the place of a /96 prefix (RFC 6052, section 2.2). The network has chosen one, so what the
/// other holds means nothing; most often zeros, and what begins with a zero is no destination at all.
fn translated(ip: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(v6) = ip else {
        return [None; 2];
    };
    if !NAT64_LOCAL.contains(&ip) {
        return [None; 2];
    }
    let [.., a48, b48, _, c48, d48, _, a96, b96, c96, d96] = v6.octets();
    [[a48, b48, c48, d48], [a96, b96, c96, d96]].map(|v4| (v4[0] != 0).then(|| v4.into()))
}

fn kind_in(networks: &[(IpNet, &'static str)], ip: IpAddr) -> Option<&'static str> {
    let mut networks = networks.iter();
    let (_, kind) = networks.find(|(network, _)| network.contains(&ip))?;
    Some(kind)
}

fn ranges() -> String {
    PRIVATE.map(|(network, _)| network.to_string()).join(", ")
}

impl FromStr for PrivateNetwork {
    type Err = PrivateNetworkError;

    fn from_str(text: &str) -> Result<Self, PrivateNetworkError> {
        let got = text.to_owned();
        let Ok(network) = text.parse::<IpNet>() else {
            return Err(PrivateNetworkError::Syntax { got });
        };
        let expected = network.trunc();
        if network != expected {
            return Err(PrivateNetworkError::HostBits { got, expected });
        }
        let within = |(range, _): &(IpNet, _)| range.contains(&network);
        if !PRIVATE.iter().any(within) {
            return Err(PrivateNetworkError::NotPrivate { got });
        }
        Ok(Self(network))
    }
}

impl fmt::Display for PrivateNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(networks: &[&str]) -> PrivateNetworks {
        let parsed = networks.iter().map(|network| network.parse().unwrap());
        PrivateNetworks::Listed(parsed.collect())
    }

    fn judge(networks: &PrivateNetworks, ip: &str) -> Result<(), NotDialled> {
        networks.judge(ip.parse().unwrap())
    }

    const PUBLIC: [&str; 12] = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "172.32.0.0",
        "198.20.0.0",
        "223.255.255.255",
        "2a00::1",
        "2001:200::1",
        "64:ff9b::1.1.1.1",
    ];
    const LISTABLE: [&str; 17] = [
        "127.0.0.1",
        "127.255.255.255",
        "10.0.0.1",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.0",
        "100.127.255.255",
        "::1",
        "fc00::1",
        "fdff:ffff::1",
        "::ffff:10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::1",
        "64:ff9b:1::10.0.0.1",
        "64:ff9b:1:a00:0:100::",
        "64:ff9b:1::1.1.1.1",
    ];
    const CLOSED: [&str; 42] = [
        "0.0.0.0",
        "0.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "192.88.99.1",
        "198.18.0.0",
        "198.19.255.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::2",
        "::7f00:1",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1::168.63.129.16",
        "64:ff9b:1:a83f:81:1000::",
        "64:ff9b:1:101:1:100:a9fe:a9fe",
        "64:ff9b:2::1",
        "100::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "2001:db8::1",
        "2001::1",
        "2001:2::1",
        "2002:a00:1::1",
        "3fff::1",
    ];

    /// SES-1.8
    #[test]
    fn r5_a_public_address_is_dialled_and_needs_no_mention() {
        for ip in PUBLIC {
            assert_eq!(judge(&listed(&[]), ip), Ok(()), "{ip}");
        }
    }

    /// SES-1.8
    #[test]
    fn r5_a_private_address_is_dialled_only_where_its_network_is_listed() {
        for ip in LISTABLE {
            let refused = judge(&listed(&[]), ip);
            let not_listed = matches!(refused, Err(NotDialled::NotListed { .. }));
            assert!(not_listed, "{ip}: {refused:?}");
            assert_eq!(judge(&PrivateNetworks::All, ip), Ok(()), "{ip}");
        }
        let ministry = listed(&["10.20.0.0/16", "fd12::/32"]);
        for ip in ["10.20.255.255", "::ffff:10.20.0.1", "fd12::1"] {
            assert_eq!(judge(&ministry, ip), Ok(()), "{ip}");
        }
        for ip in ["10.19.255.255", "10.21.0.0", "fd12:1::1", "127.0.0.1"] {
            assert!(judge(&ministry, ip).is_err(), "{ip}");
        }
    }

    /// SES-1.8
    #[test]
    fn r5_a_special_address_is_never_dialled_whatever_is_listed() {
        let everything = PRIVATE.map(|(network, _)| PrivateNetwork(network));
        let everything = PrivateNetworks::Listed(everything.into());
        for networks in [&everything, &PrivateNetworks::All] {
            for ip in CLOSED {
                let refused = judge(networks, ip);
                let never = matches!(refused, Err(NotDialled::Never { .. }));
                assert!(never, "{ip}: {refused:?}");
            }
        }
    }

    #[test]
    fn r5_only_a_private_network_can_be_listed() {
        for network in ["127.0.0.0/8", "10.1.2.3/32", "::1/128", "fd00::/8"] {
            let parsed: PrivateNetwork = network.parse().unwrap();
            assert_eq!(parsed.to_string(), network);
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "localhost/8"] {
            let refused = text.parse::<PrivateNetwork>();
            let got = text.to_owned();
            assert_eq!(refused, Err(PrivateNetworkError::Syntax { got }));
        }
        let refused = "10.1.2.3/8".parse::<PrivateNetwork>().unwrap_err();
        assert!(refused.to_string().contains("10.0.0.0/8"), "{refused}");
        for text in ["0.0.0.0/0", "10.0.0.0/7", "::/0", "169.254.0.0/16"] {
            let refused = text.parse::<PrivateNetwork>();
            let got = text.to_owned();
            assert_eq!(refused, Err(PrivateNetworkError::NotPrivate { got }));
        }
    }

    /// R15: neither a name that leads to many addresses nor one that is listed twice multiplies the dials.
    #[test]
    fn r15_an_address_is_dialled_once_and_the_refusals_kept_are_bounded() {
        let one: SocketAddr = "1.1.1.1:7400".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:1.1.1.1]:7400".parse().unwrap();
        let many = (0..=255).map(|n| SocketAddr::from(([169, 254, 0, n], 7400)));
        let endpoints = Endpoints {
            quic: [one, mapped, one].into_iter().chain(many).collect(),
            websocket: vec![one],
        };
        let (allowed, refused) = listed(&[]).sort_out(&endpoints);
        assert_eq!((allowed.quic, allowed.websocket), (vec![one], vec![one]));
        assert_eq!(refused.len(), 2 * limits::ENDPOINTS_MAX);
        let plenty =
            (0..=limits::ENDPOINTS_MAX as u8).map(|n| SocketAddr::from(([1, 1, 1, n], 7400)));
        let quic: Vec<_> = plenty.collect();
        let endpoints = Endpoints {
            quic: quic.clone(),
            websocket: quic.clone(),
        };
        let (allowed, refused) = listed(&[]).sort_out(&endpoints);
        let first = &quic[..limits::ENDPOINTS_MAX];
        assert_eq!((&allowed.quic[..], &allowed.websocket[..]), (first, first));
        assert_eq!(refused, []);
    }
}
