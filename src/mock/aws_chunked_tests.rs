//! Bodies are decoded whatever the pieces they come in, and none that was changed or cut off is.

use proptest::prelude::*;

use super::*;

/// The key of the vectors: any would do.
fn signing() -> ChunkSigning {
    ChunkSigning {
        key: b"a key".to_vec(),
        time: "20231114T221320Z".to_owned(),
        scope: "20231114/us-east-1/s3/aws4_request".to_owned(),
        seed: "5eed".to_owned(),
    }
}

/// The three framings, and one without anything.
#[derive(Debug, Clone, Copy)]
struct Kind {
    signed: bool,
    trailer: bool,
}

const KINDS: [Kind; 4] = [
    Kind { signed: true, trailer: false },
    Kind { signed: false, trailer: true },
    Kind { signed: true, trailer: true },
    Kind { signed: false, trailer: false },
];

const TRAILER: (&str, &str) = ("x-amz-checksum-crc32", "DUoRhQ==");

fn framing(kind: Kind, chunks: &[Vec<u8>]) -> Framing {
    Framing {
        decoded_bytes: chunks.iter().map(Vec::len).sum::<usize>() as u64,
        signing: kind.signed.then(signing),
        trailers: kind.trailer.then(|| vec![TRAILER.0.to_owned()]),
    }
}

/// Frames chunks as a client does, the empty last one included.
fn encode(kind: Kind, chunks: &[Vec<u8>], trailer_prefix: &str) -> Vec<u8> {
    let signing = signing();
    let mut previous = signing.seed.clone();
    let mut sign = |text: String| {
        previous = hex(&hmac_sha256(&signing.key, &text));
        previous.clone()
    };
    let mut body = Vec::new();
    let mut before = signing.seed.clone();
    for chunk in chunks.iter().map(Vec::as_slice).chain([&[][..]]) {
        let mut line = format!("{:x}", chunk.len());
        if kind.signed {
            before = sign(signing.chunk(&before, Sha256::new_with_prefix(chunk)));
            line += &format!(";chunk-signature={before}");
        }
        body.extend_from_slice(format!("{line}\r\n").as_bytes());
        body.extend_from_slice(chunk);
        if !chunk.is_empty() {
            body.extend_from_slice(b"\r\n");
        }
    }
    if kind.trailer {
        let (name, value) = TRAILER;
        body.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
        if kind.signed {
            let rest = sha256_hex(&format!("{name}:{value}\n"));
            let signature = sign(signing.text(trailer_prefix, &before, &rest));
            body.extend_from_slice(format!("{TRAILER_SIGNATURE}:{signature}\r\n").as_bytes());
        }
    }
    body.extend_from_slice(b"\r\n");
    body
}

const PREFIX: &str = "AWS4-HMAC-SHA256-TRAILER";

type Decoded = Result<(Vec<u8>, Vec<(String, String)>), Refusal>;

/// Decodes a body that comes in pieces of these lengths, the last one over and over.
fn decode(framing: Framing, body: &[u8], pieces: &[usize]) -> Decoded {
    let mut decoder = Decoder::new(framing);
    let (mut decoded, mut rest) = (Vec::new(), body);
    let mut lengths = pieces.iter().copied().chain(std::iter::repeat(pieces[pieces.len() - 1]));
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(lengths.next().unwrap().clamp(1, rest.len()));
        rest = behind;
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(bytes) = decoder.next(&mut input)? {
            assert!(!bytes.is_empty());
            decoded.extend_from_slice(&bytes);
        }
        assert!(input.is_empty());
        assert!(decoder.line.len() <= MAX_LINE_BYTES);
    }
    Ok((decoded, decoder.finish()?))
}

fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5)
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(&KINDS[..])
}

proptest! {
    #[test]
    fn the_pieces_make_no_difference(
        kind in kinds(),
        chunks in chunks(),
        pieces in prop::collection::vec(1_usize..50, 1..20),
    ) {
        let body = encode(kind, &chunks, PREFIX);
        let trailers = kind.trailer.then_some((TRAILER.0.to_owned(), TRAILER.1.to_owned()));
        let expected = (chunks.concat(), Vec::from_iter(trailers));
        prop_assert_eq!(decode(framing(kind, &chunks), &body, &pieces), Ok(expected));
    }

    #[test]
    fn a_body_that_is_cut_off_is_incomplete(
        kind in kinds(), chunks in chunks(), cut in any::<prop::sample::Index>(),
    ) {
        let body = encode(kind, &chunks, PREFIX);
        let cut = cut.index(body.len());
        let decoded = decode(framing(kind, &chunks), &body[..cut], &[7]);
        prop_assert_eq!(decoded, Err(Refusal::IncompleteBody));
    }

    /// Of signed bodies every byte counts; the case of a hexadecimal length is not signed.
    #[test]
    fn a_signed_body_that_was_changed_is_refused(
        trailer: bool, chunks in chunks(), at in any::<prop::sample::Index>(), bit in 0..8,
    ) {
        let kind = Kind { signed: true, trailer };
        let mut body = encode(kind, &chunks, PREFIX);
        let at = at.index(body.len());
        let original = body[at];
        body[at] ^= 1_u8 << bit;
        prop_assume!(!original.eq_ignore_ascii_case(&body[at]));
        prop_assert!(decode(framing(kind, &chunks), &body, &[64]).is_err());
    }

    #[test]
    fn what_follows_the_end_is_refused(kind in kinds(), chunks in chunks(), more: u8) {
        let mut body = encode(kind, &chunks, PREFIX);
        body.push(more);
        let mut decoder = Decoder::new(framing(kind, &chunks));
        let mut input = Bytes::from(body);
        let error = loop {
            match decoder.next(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) => break decoder.line.len() == 1,
                Err(_) => break true,
            }
        };
        prop_assert!(error);
    }

    #[test]
    fn no_bytes_are_a_harm(
        kind in kinds(), body in prop::collection::vec(any::<u8>(), 0..300), pieces in 1_usize..50,
    ) {
        let decoded = decode(framing(kind, &[vec![0; 20]]), &body, &[pieces]);
        prop_assert!(decoded.is_err());
    }
}

fn refused(kind: Kind, decoded_bytes: u64, body: &str) -> Refusal {
    let framing = Framing { decoded_bytes, ..framing(kind, &[]) };
    decode(framing, body.as_bytes(), &[9]).unwrap_err()
}

#[test]
fn a_body_has_the_length_that_its_head_states() {
    let kind = Kind { signed: false, trailer: false };
    let body = "5\r\nhello\r\n0\r\n\r\n";
    for stated in [4, 6, 0, u64::MAX] {
        assert_eq!(refused(kind, stated, body), Refusal::IncompleteBody);
    }
    assert_eq!(refused(kind, 5, "ffffffffffffffff\r\nhello"), Refusal::IncompleteBody);
}

#[test]
fn broken_framing_is_refused() {
    let malformed = |kind, body: &str| {
        let refusal = refused(kind, 5, body);
        assert!(matches!(refusal, Refusal::MalformedChunks(_)), "{body:?}: {refusal:?}");
    };
    let plain = Kind { signed: false, trailer: false };
    for body in [
        "\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "11111111111111111\r\nhello",
        "5;chunk-signature=aa\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\nx\r\n",
    ] {
        malformed(plain, body);
    }
    malformed(plain, &"5".repeat(MAX_LINE_BYTES + 1));
    malformed(Kind { signed: true, trailer: false }, "5\r\nhello\r\n0\r\n\r\n");
    malformed(Kind { signed: true, trailer: false }, "5;x=y\r\nhello\r\n0\r\n\r\n");
    let trailer = Kind { signed: false, trailer: true };
    for lines in [
        "",
        "x-amz-checksum-crc32c:x\r\n",
        "x-amz-checksum-crc32\r\n",
        "x-amz-checksum-crc32:a\r\nx-amz-checksum-crc32:a\r\n",
        "x-amz-trailer-signature:a\r\n",
    ] {
        malformed(trailer, &format!("5\r\nhello\r\n0\r\n{lines}\r\n"));
    }
}

#[test]
fn trailers_may_be_signed_with_either_prefix() {
    let kind = Kind { signed: true, trailer: true };
    let chunks = [b"hello ".to_vec(), b"world".to_vec()];
    for (prefix, good) in [(PREFIX, true), ("AWS4-HMAC-SHA256-PAYLOAD", true), ("AWS4", false)] {
        let body = encode(kind, &chunks, prefix);
        let decoded = decode(framing(kind, &chunks), &body, &[100]);
        assert_eq!(decoded.is_ok(), good, "{prefix}");
    }
}

#[test]
fn a_trailer_may_end_in_a_line_feed_of_its_own() {
    let kind = Kind { signed: false, trailer: true };
    let body = b"0\r\nX-Amz-Checksum-Crc32:AAAAAA==\n\r\n\r\n";
    let (decoded, trailers) = decode(framing(kind, &[]), body, &[1]).unwrap();
    assert!(decoded.is_empty());
    assert_eq!(trailers, [("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())]);
}

#[test]
fn the_key_is_not_shown() {
    assert!(!format!("{:?}", signing()).contains(&format!("{:?}", b"a key".to_vec())));
}
