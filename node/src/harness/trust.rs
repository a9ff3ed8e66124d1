//! The directory's files, and what is asked of a directory made of them. TUF's own signatures are
//! not judged here: TUF clients are tested against TUF repositories.

use pli_protocol::code::Code;
use pli_protocol::id::{AuthorityId, KeyId, ServiceId, Timestamp};
use pli_protocol::trust::{
    Directory, DirectoryBuilder, Environment, RecordRefusal, TrustRole, Versions,
};
use pli_trust::format::{AuthorityFile, NodeFile, PolicyFile, ServiceFile, TargetPath};
use serde_json::Value;

use super::envelope::{class_named, importance_named};
use super::fault::Fault;
use super::input::Input;
use super::{Output, output};

/// One file at its path.
pub(super) fn file(input: &Input) -> Result<Output, Fault> {
    let path = input.text("path")?;
    let text = input.text("text")?.as_bytes();
    let parsed: TargetPath = path
        .parse()
        .map_err(|_| Fault::Refused(Code::DirectoryInvalid))?;
    match &parsed {
        TargetPath::Authority(authority) => {
            AuthorityFile::read(authority, path, text)?;
        }
        TargetPath::Policy => {
            PolicyFile::read(path, text)?;
        }
        TargetPath::Node(authority) => {
            NodeFile::read(authority, path, text)?;
        }
        TargetPath::Service(service) => {
            ServiceFile::read(service, path, text)?;
        }
    }
    Ok(output([("path", Value::from(parsed.to_string()))]))
}

/// Whether a new envelope may be accepted: TRU-4, in its order.
pub(super) fn sender(input: &Input) -> Result<Output, Fault> {
    let directory = directory(input)?;
    let service: ServiceId = input.name("service")?;
    let class = class_named(input.text("class")?)?;
    let importance = importance_named(input.text("importance")?)?;
    let home: AuthorityId = input.name("home")?;
    let now = input.time("now_ms")?;
    directory.sender_key(&service, &KeyId::new(input.exact("key_id")?), now)?;
    directory.may_send(&service, class, importance)?;
    directory.home(&home, now)?;
    Ok(Output::new())
}

/// The directory of the files that are given, as if each role had signed its own. `expires_ms` is
/// the end of every role.
fn directory(input: &Input) -> Result<Directory, Fault> {
    let environment = match input.text("environment")? {
        "production" => Environment::Production,
        "development" => Environment::Development,
        other => return Err(Fault::Request(format!("environment: {other} is not one"))),
    };
    let expires: Timestamp = input.time("expires_ms")?;
    let versions = Versions {
        root: 1,
        timestamp: 1,
        snapshot: 1,
        targets: 1,
    };
    let mut builder = DirectoryBuilder::new(
        environment,
        versions,
        TrustRole::TOP.map(|role| (role, expires)),
    );
    for file in input.objects("files")? {
        take(&mut builder, &file, expires)?;
    }
    Ok(builder.build())
}

fn take(builder: &mut DirectoryBuilder, file: &Input, expires: Timestamp) -> Result<(), Fault> {
    let (path, text) = (file.text("path")?, file.text("text")?.as_bytes());
    let parsed: TargetPath = path
        .parse()
        .map_err(|_| Fault::Refused(Code::DirectoryInvalid))?;
    // Who signed the file; for an authority's own file the federation, whatever is said.
    let signer = || -> Result<AuthorityId, Fault> { file.name("signer") };
    let added: Result<(), RecordRefusal> = match &parsed {
        TargetPath::Authority(authority) => {
            let added = builder.authority(AuthorityFile::read(authority, path, text)?);
            builder.role(authority, expires);
            added
        }
        TargetPath::Policy => builder.policy(PolicyFile::read(path, text)?),
        TargetPath::Node(authority) => {
            builder.node(&signer()?, NodeFile::read(authority, path, text)?)
        }
        TargetPath::Service(service) => {
            builder.service(&signer()?, ServiceFile::read(service, path, text)?)
        }
    };
    Ok(added?)
}
