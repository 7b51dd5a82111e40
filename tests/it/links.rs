//! Links to objects: whoever has one reads the object with any HTTP client, for so long and no longer.

use std::sync::Arc;
use std::time::Duration;

use partfs::clock::{Clock, ManualClock, SystemClock};
use partfs::dialect::{
    Connection, CredentialSource, CustomerKey, Encryption, LinkError, ObjectProperties,
    SignatureVersion, link,
};
use partfs::mock::{Addressing, MockConfig, MockDialect, MockServer};
use partfs::store::PutOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::key;
use crate::world::served::{TIMING, client, connection, serve};

const EVERY: [MockDialect; 4] =
    [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor, MockDialect::S3];

const HOUR: Duration = Duration::from_secs(3600);

/// Status and body of a GET, by a client that knows nothing of object stores.
async fn get(address: &str) -> (u16, Vec<u8>) {
    let rest = address.strip_prefix("http://").unwrap();
    let (host, target) = rest.split_at(rest.find('/').unwrap());
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_off(end + 4))
}

/// A server, and a clock of its own that runs a minute ahead: so whatever the tests sign is of the past.
async fn ground(config: &MockConfig) -> (MockServer, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(SystemClock.now() + Duration::from_secs(60)));
    let server = MockServer::start(config.clone(), clock.clone()).await.unwrap();
    (server, clock)
}

fn config(dialect: MockDialect) -> MockConfig {
    let addressing = match dialect {
        MockDialect::Cos => Addressing::Auto,
        _ => Addressing::Path,
    };
    // QingStor has no temporary keys.
    let token = (dialect != MockDialect::Qingstor).then(|| "TOKEN/+=&%".to_owned());
    MockConfig { dialect, addressing, session_token: token, ..MockConfig::default() }
}

/// The same address with one letter of the signature changed.
fn tampered(address: &str) -> String {
    let mark = ["q-signature=", "Signature=", "x-oss-signature=", "signature="];
    let at = mark.iter().find_map(|mark| address.find(mark).map(|at| at + mark.len())).unwrap();
    let other = if address[at..].starts_with('a') { "b" } else { "a" };
    format!("{}{other}{}", &address[..at], &address[at + 1..])
}

#[tokio::test]
async fn a_link_reads_the_object_until_it_ends() {
    for dialect in EVERY {
        let config = config(dialect);
        let (server, clock) = ground(&config).await;
        let mut connection = connection(&server, &config, None, TIMING);
        let store = client(&server, &config, None, TIMING);
        let versions = match dialect {
            MockDialect::Oss => vec![None, Some(SignatureVersion::V1)],
            _ => vec![None],
        };
        let names = ["plain", "a b/+~*%2F?#&=;", "中文/文件", "a/../b", "folder/"];
        let mut links = Vec::new();
        for name in names {
            let bytes = format!("the bytes of {name}").into_bytes();
            store.put(&key(name), bytes.clone().into(), &PutOptions::default()).await.unwrap();
            for version in &versions {
                connection.signature_version = *version;
                let before = server.request_counts();
                let made = link(connection.clone(), &key(name), HOUR).await.unwrap();
                assert_eq!(server.request_counts(), before, "{dialect:?}: nothing is asked");
                assert_eq!(made.ends_early, None);
                assert!(made.address.is_ascii() && !made.address.contains([' ', ';']));
                assert!(!format!("{made:?}").contains("http"), "{made:?}");
                assert_eq!(get(&made.address).await, (200, bytes.clone()), "{dialect:?} {name}");
                links.push(made.address);
            }
        }
        // QingStor has a status of its own for it.
        let refused = if dialect == MockDialect::Qingstor { 401 } else { 403 };
        for address in &links {
            assert_eq!(get(&tampered(address)).await.0, refused, "{dialect:?} {address}");
            let (path, query) = address.split_once('?').unwrap();
            assert_eq!(get(&format!("{path}x?{query}")).await.0, refused, "{dialect:?} {address}");
            assert!(get(path).await.0 >= 400, "{dialect:?}: not without the signature");
        }
        // A minute of the hour is over already.
        clock.advance(HOUR - Duration::from_secs(120));
        for address in &links {
            assert_eq!(get(address).await.0, 200, "{dialect:?} {address}");
        }
        clock.advance(Duration::from_secs(180));
        for address in &links {
            assert_eq!(get(address).await.0, 403, "{dialect:?} {address}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_linked_is_refused_by_its_name() {
    let config = config(MockDialect::S3);
    let server = serve(config.clone()).await;
    let good = connection(&server, &config, None, TIMING);
    let refused = async |connection: &Connection, name: &str, valid: Duration| {
        link(connection.clone(), &key(name), valid).await.unwrap_err()
    };
    for valid in [Duration::ZERO, Duration::from_millis(999), Duration::from_secs(604_801)] {
        assert_eq!(refused(&good, "a", valid).await, LinkError::Validity, "{valid:?}");
    }
    for valid in [Duration::from_secs(1), Duration::from_secs(604_800)] {
        link(good.clone(), &key("a"), valid).await.unwrap();
    }
    let anonymous = Connection { credentials: CredentialSource::Anonymous, ..good.clone() };
    assert_eq!(refused(&anonymous, "a", HOUR).await, LinkError::Anonymous);
    let with = |properties| Connection { properties, ..good.clone() };
    let encryption = Encryption::CustomerKey(CustomerKey::new(&[7; 32]).unwrap());
    let encrypted = with(ObjectProperties { encryption, ..ObjectProperties::default() });
    assert_eq!(refused(&encrypted, "a", HOUR).await, LinkError::CustomerKey);
    let paid = with(ObjectProperties { requester_pays: true, ..ObjectProperties::default() });
    assert_eq!(refused(&paid, "a", HOUR).await, LinkError::RequesterPays);
    // Two keys that no URL can say.
    for name in [".", ".."] {
        assert!(matches!(refused(&good, name, HOUR).await, LinkError::Key(_)), "{name}");
    }
}

#[tokio::test]
async fn a_link_is_known_to_end_with_its_keys() {
    let config = config(MockDialect::S3);
    let server = serve(config.clone()).await;
    let usual = connection(&server, &config, None, TIMING);
    let CredentialSource::Fixed(fixed) = usual.credentials.clone() else { panic!("fixed keys") };
    let ends = |hours: u32| SystemClock.now() + HOUR * hours;
    for (end, early) in [(ends(1), true), (ends(3), false)] {
        let mut keys = fixed.clone();
        keys.expires = Some(end);
        let connection = Connection { credentials: keys.into(), ..usual.clone() };
        let made = link(connection, &key("a"), HOUR * 2).await.unwrap();
        assert_eq!(made.ends_early, early.then_some(end));
    }
}
