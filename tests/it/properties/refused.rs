//! What a service lacks is refused by the name of the option, before anything is sent.

use partfs::dialect::{
    ConnectError, CustomerKey, Encryption, Grant, ObjectProperties, Right, connect,
};
use partfs::mock::MockDialect;
use partfs::store::StandardHeaders;

use super::{EVERY, Ground};

/// One property each, by the name of its option; `sse` twice, for both of its kinds.
fn one_each() -> Vec<(&'static str, ObjectProperties)> {
    let none = ObjectProperties::default;
    let encrypted = |encryption| ObjectProperties { encryption, ..none() };
    let granted = |right| {
        let grantees = "id=\"1\"".to_owned();
        ObjectProperties { grants: vec![Grant { right, grantees }], ..none() }
    };
    let language =
        StandardHeaders { content_language: Some("de".to_owned()), ..StandardHeaders::default() };
    let kms = |key_id: Option<&str>, context: Option<&str>| {
        let (key_id, context) = (key_id.map(str::to_owned), context.map(str::to_owned));
        encrypted(Encryption::Kms { key_id, context })
    };
    vec![
        ("acl", ObjectProperties { acl: Some("private".to_owned()), ..none() }),
        ("grant_read", granted(Right::Read)),
        ("grant_read_acp", granted(Right::ReadAcp)),
        ("grant_write_acp", granted(Right::WriteAcp)),
        ("grant_full_control", granted(Right::FullControl)),
        ("content_language", ObjectProperties { headers: language, ..none() }),
        ("traffic_limit", ObjectProperties { traffic_limit_bits: Some(819_200), ..none() }),
        ("requester_pays", ObjectProperties { requester_pays: true, ..none() }),
        ("sse", encrypted(Encryption::ServiceKey { algorithm: "AES256".to_owned() })),
        ("sse", kms(None, None)),
        ("sse_kms_key_id", kms(Some("K"), None)),
        ("sse_kms_context", kms(None, Some("e30="))),
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
                    Err(ConnectError::LacksOption { option: named, .. }) => {
                        assert_eq!(named, option, "{dialect:?} calls it otherwise");
                        Some(option)
                    }
                    Err(other) => panic!("{dialect:?} {option}: {other}"),
                }
            })
            .collect();
        let expected: &[&str] = match dialect {
            MockDialect::Cos => &["requester_pays"],
            MockDialect::Oss => &[
                "grant_read",
                "grant_read_acp",
                "grant_write_acp",
                "grant_full_control",
                "sse_kms_context",
                "sse_c_key_file",
            ],
            MockDialect::S3 => &["traffic_limit"],
            MockDialect::Qingstor => &[
                "acl",
                "grant_read",
                "grant_read_acp",
                "grant_write_acp",
                "grant_full_control",
                "content_language",
                "traffic_limit",
                "requester_pays",
                "sse",
                "sse",
                "sse_kms_key_id",
                "sse_kms_context",
            ],
        };
        assert_eq!(lacking, expected, "{dialect:?}");
        let class = Some("LUKEWARM".to_owned());
        let properties = ObjectProperties { storage_class: class, ..Default::default() };
        let error = connect(ground.connection(properties)).map(drop).unwrap_err();
        let named =
            matches!(&error, ConnectError::BadOption { option, .. } if *option == "storage_class");
        assert!(named, "{dialect:?} {error}");
        assert!(ground.wire.take().is_empty(), "{dialect:?}: nothing was sent");
    }
}
