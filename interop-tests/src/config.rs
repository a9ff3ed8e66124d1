//! What a run knows of an implementation: one small TOML. Unknown keys are refused, paths are relative to the
//! file. `interop.example.toml` says what each key means and is read by a test here.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::crypto::keys::{KeyFault, PublicKey, SecretKey};
use crate::dial::Server;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {why}")]
    Read { path: PathBuf, why: std::io::Error },
    #[error("{path}: {why}")]
    Toml { path: PathBuf, why: toml::de::Error },
    #[error("{field}: {why}")]
    Key { field: &'static str, why: KeyFault },
    #[error("{0}")]
    Missing(&'static str),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    harness: Vec<String>,
    origin: Option<Node>,
    home: Option<Node>,
    service: Option<ServiceFile>,
    device: Option<DeviceFile>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    authority: String,
    key: String,
    quic: Option<String>,
    websocket: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    id: String,
    key_file: PathBuf,
    revoked_key_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceFile {
    invitation: Option<String>,
    state_file: Option<PathBuf>,
}

/// A whole configuration.
#[derive(Debug)]
pub struct Config {
    pub name: String,
    pub version: String,
    /// Empty: levels 0 and 1 are unsupported.
    pub harness: Harness,
    /// The node of the service's authority.
    pub origin: Option<Server>,
    /// The node that keeps the device's mailbox; the origin when the file names no other.
    pub home: Option<Server>,
    pub service: Option<Service>,
    pub device: Option<Device>,
}

/// The command of a harness, which runs in the folder of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Harness {
    /// Program and arguments. A program with a slash is a path from the folder; others are searched.
    pub command: Vec<String>,
    /// Where it runs, so that its arguments may be paths from there too.
    pub folder: PathBuf,
}

impl Harness {
    pub fn new(mut command: Vec<String>, folder: &Path) -> Self {
        // The parent of a bare name is "", which is no folder to run in.
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        if let Some(program) = command.first_mut()
            && program.contains('/')
        {
            *program = folder.join(&*program).display().to_string();
        }
        Self { command, folder }
    }
}

/// A service whose key the suite holds.
#[derive(Clone, Debug)]
pub struct Service {
    pub id: String,
    pub key: SecretKey,
    /// A key of the same service whose time has passed in the directory.
    pub revoked: Option<SecretKey>,
}

/// How a device gets its account.
#[derive(Clone, Debug)]
pub struct Device {
    /// `pli:invite?…`, used once.
    pub invitation: Option<String>,
    /// Where the device's secrets are kept, so that a later run needs no new invitation.
    pub state_file: Option<PathBuf>,
}

impl Config {
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Read {
            path: path.into(),
            why,
        })?;
        let file: File = toml::from_str(&text).map_err(|why| ConfigError::Toml {
            path: path.into(),
            why,
        })?;
        Self::from_file(file, path.parent().unwrap_or(Path::new(".")))
    }

    fn from_file(file: File, folder: &Path) -> Result<Self, ConfigError> {
        if file.service.is_some() && file.origin.is_none() {
            return Err(ConfigError::Missing("[service] needs [origin]"));
        }
        let origin = file.origin.map(server).transpose()?;
        let home = file
            .home
            .map(server)
            .transpose()?
            .or_else(|| origin.clone());
        if file.device.is_some() && home.is_none() {
            return Err(ConfigError::Missing("[device] needs [home] or [origin]"));
        }
        let key = |field, path: &Path| {
            SecretKey::load(&folder.join(path)).map_err(|why| ConfigError::Key { field, why })
        };
        let service = match file.service {
            Some(service) => Some(Service {
                key: key("service.key_file", &service.key_file)?,
                revoked: match &service.revoked_key_file {
                    Some(path) => Some(key("service.revoked_key_file", path)?),
                    None => None,
                },
                id: service.id,
            }),
            None => None,
        };
        let device = file.device.map(|device| Device {
            invitation: device.invitation,
            state_file: device.state_file.map(|path| folder.join(path)),
        });
        Ok(Self {
            name: file.name,
            version: file.version,
            harness: Harness::new(file.harness, folder),
            origin,
            home,
            service,
            device,
        })
    }
}

fn server(node: Node) -> Result<Server, ConfigError> {
    let key: PublicKey = node
        .key
        .parse()
        .map_err(|why| ConfigError::Key { field: "key", why })?;
    Ok(Server {
        authority: node.authority,
        key,
        quic: node.quic,
        websocket: node.websocket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let file: File = toml::from_str(text).map_err(|why| why.to_string())?;
        Config::from_file(file, Path::new("/nonexistent")).map_err(|why| why.to_string())
    }

    #[test]
    fn the_example_is_a_configuration() {
        let text = include_str!("../interop.example.toml");
        let file: File = toml::from_str(text).expect("the example is TOML of this shape");
        assert!(
            file.origin.is_some()
                && file.home.is_some()
                && file.service.is_some()
                && file.device.is_some()
        );
        // Every key that the example shows as a comment is a key too.
        let all = text
            .replace("# version =", "version =")
            .replace("# revoked", "revoked");
        toml::from_str::<File>(&all).expect("so are its optional keys");
    }

    #[test]
    fn a_harness_alone_is_enough() {
        let config = parse("name = 'x'\nharness = ['x', 'harness']").expect("enough");
        assert_eq!(config.harness.command, ["x", "harness"], "searched in PATH");
        assert_eq!(config.harness.folder, Path::new("/nonexistent"));
        let config = parse("name = 'x'\nharness = ['./h.sh', 'arg']").expect("enough");
        assert_eq!(config.harness.command, ["/nonexistent/./h.sh", "arg"]);
        assert!(config.origin.is_none() && config.home.is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(parse("name = 'x'\nharnes = []").is_err());
        assert!(parse("name = 'x'\n[origin]\nauthority='a.fr'\nkey='nonsense'").is_err());
        assert!(parse("name = 'x'\n[service]\nid='a@a.fr'\nkey_file='k'").is_err());
        assert!(parse("name = 'x'\n[device]\ninvitation='x'").is_err());
    }
}
