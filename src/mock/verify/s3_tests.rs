//! What a signature of S3 states about the body, and which headers it must cover.

use bytes::Bytes;

use super::super::vectors::{Vector, read};
use super::*;
use crate::mock::aws_chunked::Decoder;

fn vector(name: &str) -> Vector {
    let all = read(include_str!("../../../tests/data/signing_vectors_aws_sigv4.json"));
    all.into_iter().find(|vector| vector.name == format!("aws-sigv4/{name}")).unwrap()
}

fn proof(name: &str) -> BodyProof {
    let vector = vector(name);
    verify(&vector.request().unwrap(), &vector.config(), vector.at(0)).unwrap()
}

fn decode(framing: Framing, body: &[u8]) -> (Vec<u8>, Vec<(String, String)>) {
    let (mut decoder, mut input) = (Decoder::new(framing), Bytes::copy_from_slice(body));
    let mut decoded = Vec::new();
    while let Some(piece) = decoder.next(&mut input).unwrap() {
        decoded.extend_from_slice(&piece);
    }
    (decoded, decoder.finish().unwrap())
}

#[test]
fn signatures_state_what_the_body_is() {
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let hash = unhex_sha256(hello).unwrap();
    assert_eq!(proof("put-special-key"), BodyProof::Sha256(hash));
    assert_eq!(proof("upload-part-unsigned-payload"), BodyProof::Unsigned);
    assert_eq!(proof("presign-get"), BodyProof::Unsigned);
}

#[test]
fn the_bodies_that_sdks_frame_are_decoded() {
    for name in ["put-streaming-unsigned-trailer", "put-default-crc"] {
        let BodyProof::AwsChunked(framing) = proof(name) else { panic!("{name}") };
        assert_eq!((framing.decoded_bytes, &framing.signing), (11, &None));
        let trailer = ("x-amz-checksum-crc32".to_owned(), "DUoRhQ==".to_owned());
        let body = b"b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        assert_eq!(decode(framing, body), (b"hello world".to_vec(), vec![trailer]));
    }
    assert!(vector("put-streaming-unsigned-trailer").body_utf8.starts_with("b\r\nhello world"));
}

#[test]
fn the_chunks_that_an_sdk_signs_are_decoded() {
    let name = "put-streaming-signed-chunks";
    let BodyProof::AwsChunked(framing) = proof(name) else { panic!("no chunks") };
    assert_eq!(framing.trailers, None);
    let mut body = Vec::new();
    for (chunk, letter) in vector(name).chunks.iter().zip([b"a", b"b", b" "]) {
        let data = letter.repeat(chunk.length);
        body.extend([chunk.header_line.as_bytes(), b"\r\n", &data, b"\r\n"].concat());
    }
    let expected = [b"a".repeat(65536), b"b".repeat(1024)].concat();
    assert_eq!(decode(framing, &body), (expected, Vec::new()));
}

/// Signed here, because no SDK makes such.
fn signed_here(headers: &[(&str, &str)]) -> Result<BodyProof, Refusal> {
    let config = MockConfig::default();
    let now = SystemTime::UNIX_EPOCH;
    let mut request = vector("get-plain").request().unwrap();
    request.headers.clear();
    request.headers.insert("host", "h".parse().unwrap());
    for (name, value) in headers {
        request
            .headers
            .insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    for (name, value) in headers_for_tests(&request, now, &config) {
        request.headers.insert(name, value.parse().unwrap());
    }
    let signature = sign_for_tests(&request, now, &config);
    request.headers.insert("authorization", signature.parse().unwrap());
    verify(&request, &config, now)
}

#[test]
fn statements_about_the_body_are_checked() {
    let streaming = ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
    assert_eq!(signed_here(&[]), Ok(BodyProof::Unsigned));
    assert_eq!(signed_here(&[streaming]), Err(Refusal::NoLength));
    let wrong = signed_here(&[streaming, ("x-amz-decoded-content-length", "-1")]);
    assert!(matches!(wrong, Err(Refusal::InvalidArgument(_))));
    let wrong = signed_here(&[("x-amz-content-sha256", "STREAMING-OTHER")]);
    assert!(matches!(wrong, Err(Refusal::InvalidArgument(_))));
    let length = ("x-amz-decoded-content-length", "5");
    let right = signed_here(&[streaming, length, ("x-amz-trailer", "X-Amz-Checksum-Crc32, b")]);
    let Ok(BodyProof::AwsChunked(framing)) = right else { panic!("{right:?}") };
    assert_eq!(framing.trailers, Some(vec!["x-amz-checksum-crc32".to_owned(), "b".to_owned()]));
    assert!(framing.signing.is_some());
}

#[test]
fn headers_of_the_service_must_be_signed() {
    for name in ["get-plain", "presign-get"] {
        let vector = vector(name);
        let mut request = vector.request().unwrap();
        request.headers.insert("x-amz-storage-class", "STANDARD".parse().unwrap());
        let refusal = verify(&request, &vector.config(), vector.at(0)).unwrap_err();
        assert!(matches!(refusal, Refusal::AccessDenied(text) if text.contains("not signed")));
    }
}

#[test]
fn one_signature_is_enough() {
    let (mut both, query) = (vector("get-plain"), vector("presign-get").query);
    both.query = query;
    let verified = verify(&both.request().unwrap(), &both.config(), both.at(0));
    assert!(matches!(verified, Err(Refusal::InvalidArgument(_))), "{verified:?}");
}

#[test]
fn a_signature_in_a_query_is_good_for_seven_days_at_most() {
    for (expires, good) in [("604800", true), ("604801", false), ("0", false), ("x", false)] {
        let mut vector = vector("presign-get");
        vector.query = vector.query.replace("Expires=300", &format!("Expires={expires}"));
        let verified = verify(&vector.request().unwrap(), &vector.config(), vector.at(0));
        let refused = matches!(verified, Err(Refusal::MalformedAuthorization(_)));
        assert_eq!(refused, !good, "{expires}: {verified:?}");
    }
}
