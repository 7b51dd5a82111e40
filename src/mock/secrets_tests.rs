//! What is signed may be secret, and refusals repeat what should have been signed.

use http::Method;

use super::raw_client::{Raw, Reply};
use super::tests::{send, start};
use super::verify::sign_for_tests;
use super::*;

const TOKEN: &str = "token-CANARY=";
const KEY: &str = "CANARY2NDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODk=";

async fn with_token(dialect: MockDialect) -> MockServer {
    let session_token = match dialect {
        MockDialect::Qingstor => None,
        _ => Some(TOKEN.to_owned()),
    };
    start(MockConfig { dialect, session_token, ..MockConfig::default() }).await
}

/// The request, signed with another secret.
async fn forged(server: &MockServer, method: &'static str, headers: &[(&str, &str)]) -> Reply {
    let config = server.service.config();
    let other = MockConfig { secret_access_key: "other".to_owned(), ..MockConfig::clone(&config) };
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (method_, now) = (method.parse::<Method>().unwrap(), server.service.clock.now());
    let signed = sign_for_tests(&method_, "/k", "127.0.0.1", &headers, now, &other);
    let raw = Raw::new(method, "/k").unsigned();
    let raw = headers.iter().chain(&signed).fold(raw, |raw, (name, value)| raw.header(name, value));
    send(server, raw).await
}

/// Everything that the answer says, also in other spellings.
fn said(reply: &Reply) -> String {
    let document = reply.header("x-oss-err").and_then(base64::decode).unwrap_or_default();
    let bytes = reply.element("StringToSignBytes").unwrap_or_default();
    let bytes = bytes.split(' ').filter_map(|byte| u8::from_str_radix(byte, 16).ok());
    let bytes: Vec<u8> = bytes.collect();
    [reply.body.as_slice(), &document, &bytes].map(String::from_utf8_lossy).concat()
}

#[tokio::test]
async fn a_refused_signature_tells_no_token_and_no_key() {
    for (dialect, headers) in [
        (MockDialect::Cos, [("x-cos-security-token", TOKEN), ("x-cos-meta-a", "shown")]),
        (MockDialect::Oss, [("x-oss-security-token", TOKEN), ("x-oss-meta-a", "shown")]),
        (MockDialect::S3, [("x-amz-meta-a", "shown"), ("x-amz-meta-b", "shown")]),
        (
            MockDialect::Qingstor,
            [
                ("x-qs-encryption-customer-key", KEY),
                ("x-qs-copy-source-encryption-customer-key", KEY),
            ],
        ),
    ] {
        let server = with_token(dialect).await;
        for method in ["GET", "HEAD"] {
            let reply = forged(&server, method, &headers).await;
            let status = if dialect == MockDialect::Qingstor { 401 } else { 403 };
            assert_eq!(reply.status, status, "{dialect:?}: {}", reply.text());
            let said = said(&reply);
            assert!(!said.contains("CANARY"), "{dialect:?} {method}: {said}");
            // The rest is what helps whoever writes a signer.
            let helps = match dialect {
                MockDialect::Oss => said.contains("x-oss-security-token:(hidden)"),
                MockDialect::Qingstor => said.contains("encryption-customer-key:(hidden)"),
                _ => true,
            };
            assert!(method == "HEAD" && said.is_empty() || helps, "{dialect:?} {method}: {said}");
            assert!(dialect != MockDialect::Oss || said.contains("x-oss-meta-a:shown"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_refused_address_tells_no_token() {
    let server = with_token(MockDialect::Oss).await;
    let end = 1_700_000_100;
    let target = format!(
        "/k%3Da?OSSAccessKeyId=AKIDEXAMPLE&Expires={end}&Signature=AAAA&security-token={}",
        "token-CANARY%3D"
    );
    let reply = send(&server, Raw::new("GET", &target).unsigned()).await;
    assert_eq!(reply.code(), "SignatureDoesNotMatch", "{}", reply.text());
    let said = said(&reply);
    assert!(!said.contains("CANARY") && said.contains("/k=a?security-token=(hidden)"), "{said}");
}
