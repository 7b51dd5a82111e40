//! The body of a request on its way: without its framing, and checked against what the signature and
//! the head say about it. Knows no operation.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::aws_chunked::Decoder;
use super::calls::Stated;
use super::digests::{DigestKind, RunningDigest, StatedDigest};
use super::refusal::Refusal;
use super::verify::BodyProof;
use super::wire::Wire;

/// A body that is read by whoever carries the request out.
#[derive(Debug)]
pub(super) struct Arriving<'a> {
    body: &'a mut Wire,
    /// Bytes that have come and have not been decoded.
    input: Bytes,
    framing: Option<Decoder>,
    /// The hash that was signed, and that of the bytes so far.
    signed: Option<([u8; 32], Sha256)>,
}

impl<'a> Arriving<'a> {
    pub(super) fn new(body: &'a mut Wire, proof: BodyProof) -> Self {
        let (framing, signed) = match proof {
            BodyProof::Unsigned => (None, None),
            BodyProof::Sha256(hash) => (None, Some((hash, Sha256::new()))),
            BodyProof::AwsChunked(framing) => (Some(Decoder::new(framing)), None),
        };
        Self { body, input: Bytes::new(), framing, signed }
    }

    /// The next bytes, `None` at the end. An end that comes too early is an error.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            if let Some(decoder) = &mut self.framing
                && let Some(piece) = decoder.next(&mut self.input)?
            {
                return Ok(Some(piece));
            }
            let Some(chunk) = self.body.next().await? else { return Ok(None) };
            if self.framing.is_some() {
                self.input = chunk;
                continue;
            }
            if let Some((_, hash)) = &mut self.signed {
                hash.update(&chunk);
            }
            return Ok(Some(chunk));
        }
    }

    /// To be called at the end: compares the body with its signature; gives its trailers.
    pub(super) fn finish(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        if let Some((wanted, hash)) = self.signed.take()
            && wanted != <[u8; 32]>::from(hash.finalize())
        {
            return Err(Refusal::WrongPayloadHash);
        }
        self.framing.take().map_or(Ok(Vec::new()), Decoder::finish)
    }
}

/// The digest that a request states for its body, while the body is coming.
#[derive(Debug)]
pub(super) struct DigestCheck(Option<(StatedDigest, RunningDigest)>);

impl DigestCheck {
    pub(super) fn new(stated: &Stated) -> Self {
        let digest = stated.digest.clone();
        Self(digest.map(|stated| (stated.clone(), RunningDigest::new(stated.kind))))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some((_, running)) = &mut self.0 {
            running.update(bytes);
        }
    }

    /// Which digest the body has, if one was stated and is right.
    pub(super) fn finish(
        self,
        trailers: &[(String, String)],
    ) -> Result<Option<(DigestKind, String)>, Refusal> {
        let Some((StatedDigest { kind, value }, running)) = self.0 else { return Ok(None) };
        let trailer = trailers.iter().find(|(name, _)| name == kind.header());
        let stated = value.or_else(|| trailer.map(|(_, value)| value.clone()));
        let computed = running.finish();
        if stated.as_ref() == Some(&computed) {
            Ok(Some((kind, computed)))
        } else {
            Err(Refusal::WrongDigest)
        }
    }
}
