//! What a service lacks is refused by the name of the option, before anything is sent.

use partfs::dialect::{
    ConnectError, CustomerKey, Encryption, Grant, ObjectProperties, Right, connect,
};
use partfs::mock::MockDialect;
use partfs::store::StandardHeaders;

use super::{EVERY, Ground};

/// One property each, by the name of its option.
fn one_each() -> Vec<(&'static str, ObjectProperties)> {
    let none = ObjectProperties::default;
    let encrypted = |encryption| ObjectProperties { encryption, ..none() };
    let grant = Grant { right: Right::Read, grantees: "id=\"1\"".to_owned() };
    let language =
        StandardHeaders { content_language: Some("de".to_owned()), ..StandardHeaders::default() };
    let context = Some("e30=".to_owned());
    vec![
        ("acl", ObjectProperties { acl: Some("private".to_owned()), ..none() }),
        ("grant_read", ObjectProperties { grants: vec![grant], ..none() }),
        ("content_language", ObjectProperties { headers: language, ..none() }),
        ("traffic_limit", ObjectProperties { traffic_limit_bits: Some(819_200), ..none() }),
        ("requester_pays", ObjectProperties { requester_pays: true, ..none() }),
        ("sse", encrypted(Encryption::ServiceKey { algorithm: "AES256".to_owned() })),
        ("sse_kms_key_id", encrypted(Encryption::Kms { key_id: None, context: None })),
        ("sse_kms_context", encrypted(Encryption::Kms { key_id: None, context })),
        ("sse_c_key_file", encrypted(Encryption::CustomerKey(CustomerKey::new(&[7; 32]).unwrap()))),
    ]
}

#[tokio::test]
async fn each_service_lacks_what_it_lacks() {
    for dialect in EVERY {
        let ground = Ground::new(dialect).await;
        let lacking: Vec<_> = one_each()
            .into_iter()
            .filter_map(|(option, properties)| {
                match connect(ground.connection(properties)).map(drop) {
                    Ok(()) => None,
                    Err(ConnectError::LacksOption { option: named, .. }) => Some((option, named)),
                    Err(other) => panic!("{dialect:?} {option}: {other}"),
                }
            })
            .collect();
        let expected: &[&str] = match dialect {
            MockDialect::Cos => &["requester_pays"],
            MockDialect::Oss => &["grant_read", "sse_kms_context", "sse_c_key_file"],
            MockDialect::S3 => &["traffic_limit"],
            MockDialect::Qingstor => &[
                "acl",
                "grant_read",
                "content_language",
                "traffic_limit",
                "requester_pays",
                "sse",
                "sse_kms_key_id",
                "sse_kms_context",
            ],
        };
        let options: Vec<_> = lacking.iter().map(|(option, _)| *option).collect();
        assert_eq!(options, expected, "{dialect:?}");
        for (option, named) in lacking {
            let of_kms = option == "sse_kms_context" && named == "sse_kms_key_id";
            assert!(option == named || of_kms, "{dialect:?}: {option} is called {named}");
        }
        let class = Some("LUKEWARM".to_owned());
        let properties = ObjectProperties { storage_class: class, ..Default::default() };
        let error = connect(ground.connection(properties)).map(drop).unwrap_err();
        let named =
            matches!(&error, ConnectError::BadOption { option, .. } if *option == "storage_class");
        assert!(named, "{dialect:?} {error}");
        assert!(ground.wire.take().is_empty(), "{dialect:?}: nothing was sent");
    }
}
