//! Requests of nobody.

use partfs::dialect::{Connection, CredentialSource, ObjectProperties, connect};
use partfs::store::{Conditions, ErrorKind, ListRequest, PutOptions};

use super::{EVERY, Ground, WHOLE, payload};
use crate::world::key;

#[tokio::test]
async fn anonymous_requests_are_not_signed_and_a_private_bucket_refuses_them() {
    for dialect in EVERY {
        let ground = Ground::new(dialect).await;
        let store = connect(Connection {
            credentials: CredentialSource::Anonymous,
            ..ground.connection(ObjectProperties::default())
        })
        .unwrap();
        let put = store.put(&key("f"), payload(&*store, WHOLE), &PutOptions::default()).await;
        let errors = [
            put.map(drop).unwrap_err(),
            store.get(&key("f"), None, &Conditions::NONE).await.map(drop).unwrap_err(),
            store.head(&key("f")).await.map(drop).unwrap_err(),
            store.list(&ListRequest::default()).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, ErrorKind::AccessDenied, "{dialect:?} {error}");
            assert_eq!(error.attempts, 1, "{dialect:?} {error}");
        }
        let sent = ground.wire.take();
        assert_eq!(sent.len(), 4, "{dialect:?}");
        for sent in sent {
            assert_eq!(sent.header("authorization"), None, "{dialect:?} {}", sent.line);
            let line = sent.line.to_ascii_lowercase();
            assert!(!line.contains("sign") && !line.contains("credential"), "{dialect:?} {line}");
        }
    }
}
