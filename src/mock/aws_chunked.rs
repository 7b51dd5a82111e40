//! Bodies in the framing `aws-chunked` of S3: chunks that state their length, each signed or not, and
//! lines of trailers behind the last. Decodes as bytes come, in any pieces, and keeps no more of them
//! than one line and the trailers. Knows neither HTTP nor buckets.

use std::fmt;
use std::mem;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use super::verify::digests::{hex, hmac_sha256, sha256_hex};

/// Longest line: a length or a trailer.
const MAX_LINE_BYTES: usize = 1024;

/// Most trailers.
const MAX_TRAILERS: usize = 16;

/// Names the signature among the trailers.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// What the head of a request says about the framing of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Framing {
    /// How many bytes are framed.
    pub(super) decoded_bytes: u64,
    /// Whether chunks are signed, and how.
    pub(super) signing: Option<ChunkSigning>,
    /// The announced trailers, in lower case; `None` where there can be none.
    pub(super) trailers: Option<Vec<String>>,
}

/// How the chunks of one body are signed: each signature covers the one before.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ChunkSigning {
    pub(super) key: Vec<u8>,
    /// As in `x-amz-date`.
    pub(super) time: String,
    pub(super) scope: String,
    /// The signature of the head.
    pub(super) seed: String,
}

impl fmt::Debug for ChunkSigning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSigning").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl ChunkSigning {
    /// The string to sign of the link after `previous`.
    fn text(&self, prefix: &str, previous: &str, rest: &str) -> String {
        format!("{prefix}\n{}\n{}\n{previous}\n{rest}", self.time, self.scope)
    }

    fn chunk(&self, previous: &str, content: Sha256) -> String {
        let rest = format!("{}\n{}", sha256_hex(""), hex(&content.finalize()));
        self.text("AWS4-HMAC-SHA256-PAYLOAD", previous, &rest)
    }

    fn signs(&self, text: &str, signature: &str) -> bool {
        hex(&hmac_sha256(&self.key, text)) == signature
    }
}

/// Where in the framing the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the line that begins a chunk.
    Length,
    /// In a chunk that has so many bytes left.
    Data(u64),
    /// In the line end behind a chunk.
    DataEnd,
    /// In a line behind the last chunk.
    Trailer,
    /// Behind the end.
    End,
}

/// Decodes one body.
#[derive(Debug)]
pub(super) struct Decoder {
    framing: Framing,
    place: Place,
    line: Vec<u8>,
    /// Bytes that are still to be decoded, by the head's word.
    missing: u64,
    /// The signature before, and that of the chunk that is being read.
    signatures: (String, String),
    content: Sha256,
    trailers: Vec<(String, String)>,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        let seed = framing.signing.as_ref().map(|signing| signing.seed.clone());
        Self {
            place: Place::Length,
            line: Vec::new(),
            missing: framing.decoded_bytes,
            signatures: (seed.unwrap_or_default(), String::new()),
            content: Sha256::new(),
            trailers: Vec::new(),
            framing,
        }
    }

    /// Takes from the front of `input` up to the next piece of the decoded body; `None` when the
    /// input is used up. A chunk's signature is checked behind its last piece, so nothing counts
    /// before [`finish`](Self::finish).
    ///
    /// # Errors
    /// The framing is broken, or a signature is not the one computed here. Nothing more can be
    /// decoded then.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Refusal> {
        while !input.is_empty() {
            if let Place::Data(left) = self.place {
                let len = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let piece = input.split_to(len);
                if self.framing.signing.is_some() {
                    self.content.update(&piece);
                }
                self.place = match left - len as u64 {
                    0 => Place::DataEnd,
                    left => Place::Data(left),
                };
                return Ok(Some(piece));
            }
            if let Some(line) = self.take_line(input)? {
                self.take(&line)?;
            }
        }
        Ok(None)
    }

    /// Ends the body; gives its trailers, without the signature, in the order of the wire.
    ///
    /// # Errors
    /// [`Refusal::IncompleteBody`] when the body was not decoded to its end.
    pub(super) fn finish(self) -> Result<Vec<(String, String)>, Refusal> {
        match self.place {
            Place::End => Ok(self.trailers),
            _ => Err(Refusal::IncompleteBody),
        }
    }

    /// The next line without its end; `None` when the input has no more of it.
    fn take_line(&mut self, input: &mut Bytes) -> Result<Option<String>, Refusal> {
        let end = input.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = input.split_to(end.unwrap_or(input.len()));
        if self.line.len() + taken.len() > MAX_LINE_BYTES {
            return Err(Refusal::MalformedChunks("A line of the framing is too long."));
        }
        self.line.extend_from_slice(&taken);
        // Of trailers, one SDK ends each with a line feed of its own before the end of the line.
        if end.is_none() || !self.line.ends_with(b"\r\n") {
            return Ok(None);
        }
        let mut line = mem::take(&mut self.line);
        line.truncate(line.len() - 2);
        let line = String::from_utf8(line);
        line.map(Some).map_err(|_| Refusal::MalformedChunks("A line of the framing is no text."))
    }

    fn take(&mut self, line: &str) -> Result<(), Refusal> {
        match self.place {
            Place::Length => self.begin_chunk(line),
            Place::DataEnd if line.is_empty() => {
                self.place = Place::Length;
                self.check_chunk()
            }
            Place::DataEnd => Err(Refusal::MalformedChunks("A chunk is longer than it says.")),
            Place::Trailer if line.is_empty() => self.end(),
            Place::Trailer => self.take_trailer(line),
            Place::Data(_) | Place::End => {
                Err(Refusal::MalformedChunks("There is something behind the last chunk."))
            }
        }
    }

    /// `<length in hexadecimal>`, and `;chunk-signature=<signature>` where chunks are signed.
    fn begin_chunk(&mut self, line: &str) -> Result<(), Refusal> {
        let malformed = Refusal::MalformedChunks("The line before a chunk is malformed.");
        let (len, signature) = match line.split_once(';') {
            Some((len, extension)) => (len, extension.strip_prefix("chunk-signature=")),
            None => (line, None),
        };
        let signed = self.framing.signing.is_some();
        if signed != line.contains(';') || signed != signature.is_some() {
            return Err(malformed);
        }
        // Parsing would take a sign as well.
        if !len.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(malformed);
        }
        let len = u64::from_str_radix(len, 16).map_err(|_| malformed)?;
        self.missing = self.missing.checked_sub(len).ok_or(Refusal::IncompleteBody)?;
        self.signatures.1 = signature.unwrap_or_default().to_owned();
        if len > 0 {
            self.place = Place::Data(len);
            return Ok(());
        }
        if self.missing > 0 {
            return Err(Refusal::IncompleteBody);
        }
        self.place = Place::Trailer;
        self.check_chunk()
    }

    /// Compares the signature of the chunk that ended.
    fn check_chunk(&mut self) -> Result<(), Refusal> {
        let Some(signing) = &self.framing.signing else { return Ok(()) };
        let (previous, stated) = &mut self.signatures;
        let text = signing.chunk(previous, mem::take(&mut self.content));
        if !signing.signs(&text, stated) {
            return Err(Refusal::SignatureDoesNotMatch(text));
        }
        *previous = mem::take(stated);
        Ok(())
    }

    fn take_trailer(&mut self, line: &str) -> Result<(), Refusal> {
        let malformed = Refusal::MalformedChunks("A trailer is malformed or was not announced.");
        let announced = self.framing.trailers.as_ref().ok_or(malformed.clone())?;
        let (name, value) = line.split_once(':').ok_or(malformed.clone())?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        let known = announced.contains(&name)
            || (name == TRAILER_SIGNATURE && self.framing.signing.is_some());
        let again = self.trailers.iter().any(|(found, _)| *found == name);
        if !known || again || self.trailers.len() == MAX_TRAILERS {
            return Err(malformed);
        }
        self.trailers.push((name, value));
        Ok(())
    }

    /// At the empty line behind everything.
    fn end(&mut self) -> Result<(), Refusal> {
        self.place = Place::End;
        let Some(announced) = &self.framing.trailers else { return Ok(()) };
        let trailers = mem::take(&mut self.trailers);
        let (signature, trailers): (Vec<_>, Vec<_>) =
            trailers.into_iter().partition(|(name, _)| name == TRAILER_SIGNATURE);
        if announced.len() != trailers.len() {
            return Err(Refusal::MalformedChunks("An announced trailer is missing."));
        }
        if let Some(signing) = &self.framing.signing {
            let lines = trailers.iter().map(|(name, value)| format!("{name}:{value}\n"));
            let lines = sha256_hex(&lines.collect::<String>());
            // AWS and MinIO have the first, Garage the second.
            let prefixes = ["AWS4-HMAC-SHA256-TRAILER", "AWS4-HMAC-SHA256-PAYLOAD"];
            let texts = prefixes.map(|prefix| signing.text(prefix, &self.signatures.0, &lines));
            let stated = signature.first().map(|(_, stated)| stated.as_str()).unwrap_or_default();
            if !texts.iter().any(|text| signing.signs(text, stated)) {
                let [text, _] = texts;
                return Err(Refusal::SignatureDoesNotMatch(text));
            }
        }
        self.trailers = trailers;
        Ok(())
    }
}

#[cfg(test)]
#[path = "aws_chunked_tests.rs"]
mod tests;
