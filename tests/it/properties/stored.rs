//! What is kept with an object: found behind the answers in the bucket, and by another client in HEAD.

use partfs::dialect::{ContentTypes, Encryption, Grant, ObjectProperties, Right};
use partfs::mock::MockDialect;
use partfs::store::{
    Conditions, Content, ErrorKind, Metadata, ObjectStore, PutOptions, StandardHeaders,
};

use super::{EVERY, Ground, WHOLE, make_all, payload};
use crate::world::key;

/// A storage class that is not the usual one, and one whose objects cannot be read at once.
fn classes(dialect: MockDialect) -> (&'static str, Option<&'static str>) {
    match dialect {
        MockDialect::Cos => ("STANDARD_IA", Some("ARCHIVE")),
        MockDialect::Oss => ("IA", Some("ColdArchive")),
        MockDialect::Qingstor => ("STANDARD_IA", None),
        MockDialect::S3 => ("STANDARD_IA", Some("GLACIER")),
    }
}

/// The header of ACLs.
fn acl(dialect: MockDialect) -> Option<&'static str> {
    match dialect {
        MockDialect::Cos | MockDialect::S3 => Some("acl"),
        MockDialect::Oss => Some("object-acl"),
        MockDialect::Qingstor => None,
    }
}

fn headers(dialect: MockDialect) -> StandardHeaders {
    let text = |text: &str| Some(text.to_owned());
    StandardHeaders {
        content_type: None,
        cache_control: text("max-age=60, public"),
        content_disposition: text("attachment; filename=\"a b.html\""),
        content_encoding: text("gzip"),
        content_language: text("de-AT").filter(|_| dialect != MockDialect::Qingstor),
        expires: text("Wed, 21 Oct 2037 07:28:00 GMT"),
    }
}

async fn bytes(store: &dyn ObjectStore, name: &str) -> Vec<u8> {
    store
        .get(&key(name), None, &Conditions::NONE)
        .await
        .map(|Content { chunks, .. }| chunks.concat())
        .unwrap()
}

/// Makes the object that copies are made of, without anything.
async fn put_source(ground: &Ground) -> &'static str {
    let store = ground.plain();
    let options = PutOptions { headers: StandardHeaders::of_type("x/plain"), ..Default::default() };
    store.put(&key("source"), payload(&*store, WHOLE), &options).await.unwrap();
    "source"
}

#[tokio::test]
async fn class_acl_headers_and_metadata_are_there_whatever_made_the_object() {
    for dialect in EVERY {
        let ground = Ground::new(dialect).await;
        let (class, _) = classes(dialect);
        let configured = ObjectProperties {
            headers: headers(dialect),
            metadata: [("team", "red; blue"), ("owner", "all")].into_iter().collect(),
            storage_class: Some(class.to_owned()),
            acl: acl(dialect).map(|_| "private".to_owned()),
            ..ObjectProperties::default()
        };
        let metadata: Metadata = [("owner", "one"), ("mode", "33188")].into_iter().collect();
        let options = PutOptions { metadata, ..PutOptions::default() };
        let source = put_source(&ground).await;
        let made = make_all(&*ground.client(configured), source, &options).await;
        let plain = ground.plain();
        let expected =
            StandardHeaders { content_type: Some("text/html".to_owned()), ..headers(dialect) };
        // What the call says comes before what the options say.
        let metadata: Metadata =
            [("team", "red; blue"), ("owner", "one"), ("mode", "33188")].into_iter().collect();
        for name in &made.anew {
            let what = format!("{dialect:?} {name}");
            let properties = &ground.object(name).properties;
            assert_eq!(properties.content_type.as_deref(), Some("text/html"), "{what}");
            for (header, value) in headers(dialect).iter() {
                let stored = properties.headers.get(header).map(String::as_str);
                assert_eq!(stored, Some(value), "{what} {header}");
            }
            assert_eq!(properties.metadata, metadata, "{what}");
            let info = plain.head(&key(name)).await.unwrap();
            assert_eq!(info.headers, expected, "{what}");
            assert_eq!(info.metadata, metadata, "{what}");
            assert_eq!(info.storage_class.as_deref(), Some(class), "{what}");
            assert_eq!(bytes(&*plain, name).await, WHOLE, "{what}");
        }
        let copied = &ground.object(made.copy).properties;
        assert_eq!(copied.content_type.as_deref(), Some("x/plain"), "{dialect:?}");
        assert_eq!(copied.metadata, Metadata::new(), "{dialect:?}");
        for name in made.anew.iter().chain([&made.copy]) {
            let properties = &ground.object(name).properties;
            assert_eq!(properties.storage_class.as_deref(), Some(class), "{dialect:?} {name}");
            let Some(acl) = acl(dialect) else { continue };
            let stored = properties.headers.get(&ground.header(acl)).map(String::as_str);
            assert_eq!(stored, Some("private"), "{dialect:?} {name}");
        }
    }
}

#[tokio::test]
async fn rights_are_granted_where_they_can_be() {
    for dialect in [MockDialect::Cos, MockDialect::S3] {
        let ground = Ground::new(dialect).await;
        let rights = [Right::Read, Right::ReadAcp, Right::WriteAcp, Right::FullControl];
        let grants: Vec<_> = (1..)
            .zip(rights)
            .map(|(id, right)| Grant { right, grantees: format!("id=\"10{id}\", id=\"20{id}\"") })
            .collect();
        let configured = ObjectProperties { grants: grants.clone(), ..Default::default() };
        let source = put_source(&ground).await;
        let store = ground.client(configured);
        let made = make_all(&*store, source, &PutOptions::default()).await;
        for name in made.anew.iter().chain([&made.copy]) {
            let stored = &ground.object(name).properties.headers;
            for Grant { right, grantees } in &grants {
                let header = ground.header(&format!("grant-{}", right.name()));
                assert_eq!(stored.get(&header), Some(grantees), "{dialect:?} {name} {header}");
            }
        }
    }
}

#[tokio::test]
async fn content_types_are_guessed_set_by_pattern_or_left_to_the_service() {
    for dialect in EVERY {
        let ground = Ground::new(dialect).await;
        let with = |types: &[&str], guess: bool| {
            let mut content_types = ContentTypes::default();
            content_types.guess(guess);
            types.iter().for_each(|text| content_types.add(text).unwrap());
            ground.client(ObjectProperties { content_types, ..ObjectProperties::default() })
        };
        let poem = "*.html=text/x-poem; charset=utf-8";
        let source = put_source(&ground).await;
        for (store, expected) in [
            (with(&[], true), Some("text/html")),
            (with(&[poem], true), Some("text/x-poem; charset=utf-8")),
            (with(&["*.log=text/plain"], false), None),
        ] {
            let made = make_all(&*store, source, &PutOptions::default()).await;
            // Who removes them makes the next append begin anew.
            for name in made.anew {
                let stored = ground.object(name).properties.content_type.clone();
                assert_eq!(stored.as_deref(), expected, "{dialect:?} {name}");
                store.delete(&key(name)).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn the_service_is_told_what_to_encrypt_with() {
    let service_key = |algorithm: &str| {
        let encryption = Encryption::ServiceKey { algorithm: algorithm.to_owned() };
        (encryption, vec![("server-side-encryption", algorithm.to_owned())])
    };
    let kms = |id_header: &'static str, word: &str, context: Option<&str>| {
        let key_id = Some("0f-example".to_owned());
        let encryption =
            Encryption::Kms { key_id: key_id.clone(), context: context.map(str::to_owned) };
        let word = ("server-side-encryption", word.to_owned());
        (encryption, vec![word, (id_header, "0f-example".to_owned())])
    };
    let cos_id = "server-side-encryption-cos-kms-key-id";
    let oss_id = "server-side-encryption-key-id";
    let s3_id = "server-side-encryption-aws-kms-key-id";
    // {"a":"b"}
    let context = Some("eyJhIjoiYiJ9");
    for (dialect, (encryption, expected)) in [
        (MockDialect::Cos, service_key("AES256")),
        (MockDialect::Cos, kms(cos_id, "cos/kms", context)),
        (MockDialect::Oss, service_key("AES256")),
        (MockDialect::Oss, service_key("SM4")),
        (MockDialect::Oss, kms(oss_id, "KMS", None)),
        (MockDialect::S3, service_key("AES256")),
        (MockDialect::S3, kms(s3_id, "aws:kms", context)),
    ] {
        let ground = Ground::new(dialect).await;
        let source = put_source(&ground).await;
        let with_context = matches!(&encryption, Encryption::Kms { context: Some(_), .. });
        let configured = ObjectProperties { encryption, ..ObjectProperties::default() };
        let store = ground.client(configured);
        let before = ground.wire.take().len();
        assert!(before > 0, "the relay is in between");
        let made = make_all(&*store, source, &PutOptions::default()).await;
        for name in made.anew.iter().chain([&made.copy]) {
            let stored = &ground.object(name).properties.headers;
            for (header, value) in &expected {
                let header = ground.header(header);
                assert_eq!(stored.get(&header), Some(value), "{dialect:?} {name} {header}");
            }
            // The service has the key: nobody needs to bring anything.
            assert_eq!(bytes(&*ground.plain(), name).await, WHOLE, "{dialect:?} {name}");
        }
        let header = ground.header("server-side-encryption-context");
        let contexts = ground.wire.take();
        let contexts = contexts.iter().filter(|sent| sent.header(&header) == context).count();
        // PUT, Initiate, two copies; and the first append.
        let wanted = made.anew.len() + 1;
        assert_eq!(contexts, if with_context { wanted } else { 0 }, "{dialect:?}");
    }
}

#[tokio::test]
async fn archived_objects_are_told_from_others() {
    for dialect in EVERY {
        let (_, Some(class)) = classes(dialect) else { continue };
        let ground = Ground::new(dialect).await;
        let store = ground.client(ObjectProperties {
            storage_class: Some(class.to_owned()),
            ..ObjectProperties::default()
        });
        store.put(&key("f"), payload(&*store, WHOLE), &PutOptions::default()).await.unwrap();
        assert!(store.limits().archive_classes.contains(&class), "{dialect:?}");
        for reader in [store, ground.plain()] {
            let info = reader.head(&key("f")).await.unwrap();
            assert_eq!(info.storage_class.as_deref(), Some(class), "{dialect:?}");
            let error = reader.get(&key("f"), None, &Conditions::NONE).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Archived, "{dialect:?} {error}");
            assert_eq!(error.attempts, 1, "{dialect:?} {error}");
        }
    }
}
