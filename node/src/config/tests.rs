//! The configuration: the example is true, and what is wrong is said.

use pli_protocol::limits;

use super::*;

const LEAST: &str = r#"
    authority = "interieur.gouv.fr"
    key = "node.key"
    [trust]
    root = "root.json"
    sources = ["repo", "https://federation.example/trust"]
"#;

fn refusal(text: &str) -> String {
    Config::parse(text, Path::new("/etc/pli"))
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn the_example_in_the_tree_is_up_to_date() {
    let kept = include_str!("../../node.example.toml");
    assert_eq!(
        kept,
        example(),
        "run: pli-node --print-example-config > node/node.example.toml"
    );
}

#[test]
fn the_example_parses_and_holds_every_default() {
    let shown = Config::parse(&example(), Path::new("/etc/pli")).expect("the example is valid");
    let least = Config::parse(
        "authority = \"interieur.gouv.fr\"\nkey = \"/etc/pli/node.key\"\n\
         [trust]\nroot = \"/etc/pli/root.json\"\nsources = [\"https://federation.example/trust\"]",
        Path::new("/elsewhere"),
    )
    .expect("the least is valid");
    assert_eq!(format!("{shown:?}"), format!("{least:?}"));
}

#[test]
fn relative_paths_are_taken_from_the_folder_of_the_file() {
    let config = Config::parse(LEAST, Path::new("/etc/pli")).expect("valid");
    assert_eq!(config.key, Path::new("/etc/pli/node.key"));
    assert_eq!(config.trust.root, Path::new("/etc/pli/root.json"));
    let [directory, mirror] = &config.trust.sources[..] else {
        panic!("{config:?}")
    };
    assert_eq!(*directory, Source::Directory("/etc/pli/repo".into()));
    assert_eq!(mirror.to_string(), "https://federation.example/trust/");
    assert_eq!(config.trust.datastore, Path::new("/var/lib/pli/trust"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_was_expected() {
    let message = refusal(&format!("quick = 1\n{LEAST}"));
    assert!(message.contains("unknown field `quick`"), "{message}");
    assert!(
        message.contains("expected one of `authority`, `key`"),
        "{message}"
    );
    assert!(message.contains("line 1"), "{message}");
    for table in ["store", "listen", "dial", "quotas", "caps", "log"] {
        let message = refusal(&format!("{LEAST}\n[{table}]\nsurprise = 1"));
        assert!(
            message.contains("unknown field `surprise`"),
            "{table}: {message}"
        );
        assert!(message.contains(", expected "), "{table}: {message}");
    }
    assert!(refusal(&format!("{LEAST}\nsurprise = 1")).contains("unknown field `surprise`"));
}

#[test]
fn a_missing_key_is_named() {
    for (line, key) in [
        ("authority = \"interieur.gouv.fr\"", "authority"),
        ("key = \"node.key\"", "key"),
        ("root = \"root.json\"", "trust.root"),
        (
            "sources = [\"repo\", \"https://federation.example/trust\"]",
            "trust.sources",
        ),
    ] {
        let message = refusal(&LEAST.replace(line, ""));
        assert!(
            message.contains(&format!("`{key}` is missing")),
            "{message}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_kind_says_what_was_expected() {
    for (tail, expected) in [
        (
            "[store]\nurl = \"postgres://db/pli\"",
            "the postgres engine is not built in",
        ),
        (
            "[store]\nurl = \"sled:/var\"",
            "the sled engine is not built in",
        ),
        (
            "[store]\nmin_free = \"1 gigabyte\"",
            "expected a size such as",
        ),
        (
            "[listen]\nquic = \"localhost:7400\"",
            "such as \"127.0.0.1:7400\"",
        ),
        (
            "[listen]\nops = \"0.0.0.0:7404\"",
            "expected a loopback address",
        ),
        (
            "[dial]\nprivate_networks = [\"10.0.0.0\"]",
            "expected a network such as",
        ),
        (
            "[dial]\nprivate_networks = [\"0.0.0.0/0\"]",
            "expected a part of 127.0.0.0/8, 10.0.0.0/8,",
        ),
        ("[log]\nformat = \"xml\"", "expected `text` or `json`"),
        (
            "[quotas]\nsender_per_day = 0",
            "`quotas.sender_per_day` is too small, expected at least 1",
        ),
        ("[caps]\nhandshakes = 0", "`caps.handshakes` is too small"),
        ("[caps]\nhandshakes = -1", "invalid value: integer `-1`"),
    ] {
        let message = refusal(&format!("{LEAST}\n{tail}"));
        assert!(message.contains(expected), "{tail}: {message}");
    }
    let message = refusal(&format!("drain = \"soon\"\n{LEAST}"));
    assert!(message.contains("expected a period such as"), "{message}");
    let message = refusal(&format!("{LEAST}\nrefresh = \"10ms\""));
    assert!(
        message.contains("`trust.refresh` is too small"),
        "{message}"
    );
    let sources = "sources = [\"repo\", \"https://federation.example/trust\"]";
    let message = refusal(&LEAST.replace(sources, "sources = []"));
    assert!(
        message.contains("`trust.sources` is too small"),
        "{message}"
    );
    let message = refusal(&LEAST.replace(sources, "sources = [\"http://federation.example/\"]"));
    assert!(
        message.contains("plain HTTP to another machine"),
        "{message}"
    );
    assert!(refusal(&LEAST.replace("interieur.gouv.fr", "Interieur")).contains("not an authority"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Path::new("/nonexistent/node.toml")).expect_err("no such file");
    assert!(
        error.to_string().contains("/nonexistent/node.toml"),
        "{error}"
    );
}

#[test]
fn r15_the_defaults_are_the_limits_of_the_registry() {
    let (quotas, caps, store) = (Quotas::default(), Caps::default(), Store::default());
    assert_eq!(
        quotas.sender_per_day,
        limits::QUOTA_SENDER_ENVELOPES_PER_DAY
    );
    assert_eq!(
        quotas.sender_mailbox_per_day,
        limits::QUOTA_SENDER_MAILBOX_PER_DAY
    );
    assert_eq!(quotas.mailbox_envelopes, limits::QUOTA_MAILBOX_ENVELOPES);
    assert_eq!(quotas.mailbox_bytes.0, limits::QUOTA_MAILBOX_BYTES);
    assert_eq!(quotas.queue_envelopes, limits::QUEUE_ENVELOPES_MAX);
    assert_eq!(quotas.queue_bytes.0, limits::QUEUE_BYTES_MAX);
    assert_eq!(
        quotas.sync_bytes_per_hour.0,
        limits::QUOTA_SYNC_BYTES_PER_HOUR
    );
    assert_eq!(caps.connections, limits::CONNECTIONS_MAX);
    assert_eq!(
        caps.connections_per_address,
        limits::CONNECTIONS_PER_ADDRESS_MAX
    );
    assert_eq!(caps.connections_per_key, limits::CONNECTIONS_PER_KEY_MAX);
    assert_eq!(caps.handshakes, limits::HANDSHAKES_MAX);
    assert_eq!(store.min_free.0, limits::DISK_FREE_MIN);
}
