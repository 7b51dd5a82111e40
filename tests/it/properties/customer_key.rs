//! Objects that are encrypted with a key of the customer: with it everything works, without it or with
//! another nothing does.

use partfs::dialect::{CustomerKey, Encryption, ObjectProperties};
use partfs::mock::MockDialect;
use partfs::store::{Conditions, CopyOptions, ErrorKind, ObjectStore, PartNumber, PutOptions};

use super::{Ground, WHOLE, make_all, payload};
use crate::world::key;

const WITH_KEYS: [MockDialect; 3] = [MockDialect::Cos, MockDialect::Qingstor, MockDialect::S3];

fn keyed(byte: u8) -> ObjectProperties {
    let encryption = Encryption::CustomerKey(CustomerKey::new(&[byte; 32]).unwrap());
    ObjectProperties { encryption, ..ObjectProperties::default() }
}

/// What the bucket keeps of a key, which is its MD5.
fn kept(ground: &Ground, name: &str) -> Option<String> {
    let object = ground.object(name);
    let mut headers = object.properties.headers.iter();
    headers.find(|(name, _)| name.ends_with("customer-key-md5")).map(|(_, md5)| md5.clone())
}

async fn kind_of_get(store: &dyn ObjectStore, name: &str) -> ErrorKind {
    store.get(&key(name), None, &Conditions::NONE).await.unwrap_err().kind
}

#[tokio::test]
async fn every_object_is_encrypted_and_read_with_the_key_alone() {
    for dialect in WITH_KEYS {
        let ground = Ground::new(dialect).await;
        let store = ground.client(keyed(7));
        let options = PutOptions::default();
        store.put(&key("source"), payload(&*store, WHOLE), &options).await.unwrap();
        let made = make_all(&*store, "source", &options).await;
        let (other, plain) = (ground.client(keyed(8)), ground.plain());
        // S3 takes a wrong key for somebody who may not read; the others for a mistake.
        let wrong = match dialect {
            MockDialect::S3 => ErrorKind::AccessDenied,
            _ => ErrorKind::InvalidRequest,
        };
        for name in made.anew.iter().chain([&made.copy]) {
            let what = format!("{dialect:?} {name}");
            assert!(kept(&ground, name).is_some(), "{what}");
            let content = store.get(&key(name), None, &Conditions::NONE).await.unwrap();
            assert_eq!(content.chunks.concat(), WHOLE, "{what}");
            assert_eq!(store.head(&key(name)).await.unwrap().version.size, WHOLE.len() as u64);
            assert_eq!(kind_of_get(&*plain, name).await, ErrorKind::InvalidRequest, "{what}");
            assert_eq!(kind_of_get(&*other, name).await, wrong, "{what}");
            // QingStor tells what it keeps beside the bytes to whoever may read.
            let told = dialect == MockDialect::Qingstor;
            assert_eq!(plain.head(&key(name)).await.is_ok(), told, "{what}");
            assert!(other.head(&key(name)).await.is_err(), "{what}");
        }
        // And the other way round: who brings a key to an object without one.
        plain.put(&key("plain"), payload(&*plain, WHOLE), &options).await.unwrap();
        assert_eq!(kind_of_get(&*store, "plain").await, ErrorKind::InvalidRequest, "{dialect:?}");
    }
}

#[tokio::test]
async fn parts_of_an_upload_need_its_key() {
    for dialect in WITH_KEYS {
        let ground = Ground::new(dialect).await;
        let store = ground.client(keyed(7));
        let upload = store.start_upload(&key("f"), &PutOptions::default()).await.unwrap().upload;
        for stranger in [ground.client(keyed(8)), ground.plain()] {
            let sent = stranger.put_part(&upload, PartNumber::FIRST, payload(&*store, WHOLE)).await;
            let kind = sent.unwrap_err().kind;
            let refused = [ErrorKind::InvalidRequest, ErrorKind::AccessDenied];
            assert!(refused.contains(&kind), "{dialect:?} {kind:?}");
        }
        store.put_part(&upload, PartNumber::FIRST, payload(&*store, WHOLE)).await.unwrap();
    }
}

#[tokio::test]
async fn copies_need_the_key_of_their_source() {
    for dialect in WITH_KEYS {
        let ground = Ground::new(dialect).await;
        let store = ground.client(keyed(7));
        let options = PutOptions::default();
        store.put(&key("source"), payload(&*store, WHOLE), &options).await.unwrap();
        for stranger in [ground.client(keyed(8)), ground.plain()] {
            let copy = CopyOptions::default();
            let copied = stranger.copy(&key("source"), &key("to"), &copy).await;
            assert!(copied.is_err(), "{dialect:?}");
            let upload = stranger.start_upload(&key("to"), &options).await.unwrap().upload;
            let number = PartNumber::FIRST;
            let part =
                stranger.copy_part(&upload, number, &key("source"), None, &Conditions::NONE).await;
            assert!(part.is_err(), "{dialect:?}");
        }
        let upload = store.start_upload(&key("parts"), &options).await.unwrap().upload;
        let number = PartNumber::FIRST;
        store.copy_part(&upload, number, &key("source"), None, &Conditions::NONE).await.unwrap();
        assert_eq!(store.list_parts(&upload, None).await.unwrap().parts.len(), 1, "{dialect:?}");
    }
}
