//! What fault rules do to one request and its answer, step by step as `connection` carries it. Where in a
//! body they strike is done by `wire` and `answer_body`.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, SERVER};

use super::Service;
use super::answer::Answer;
use super::answer_body::{Byte, Spoil};
use super::calls::{Call, Outcome};
use super::faults::{Action, Place, Stroke, When};
use super::refusal::Refusal;
use super::request::Request;
use crate::store::Upload;
use crate::store::memory::{Entry, MemoryBucket, UploadsQuery};

/// What a proxy that wants to know the user says.
const LOGIN: &str = "<!DOCTYPE html>\n<html><body><h1>Please log in</h1></body></html>\n";

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl std::error::Error for Broken {}

/// What a request names.
#[derive(Debug)]
pub(super) struct Named {
    key: String,
    upload: Option<Upload>,
}

impl Named {
    /// By a request that is understood.
    pub(super) fn by(call: &Result<Call, Refusal>) -> Option<Self> {
        let call = call.as_ref().ok()?;
        Some(Self { key: call.key().to_owned(), upload: call.upload().cloned() })
    }
}

/// The rules that strike one request.
#[derive(Debug, Default)]
pub(super) struct Struck(pub(super) Vec<Stroke>);

impl Struck {
    /// Those that strike this request, which is counted. None strikes what is not understood.
    pub(super) fn new(service: &Service, call: &Result<Call, Refusal>, request: &Request) -> Self {
        let Ok(call) = call else { return Self::default() };
        if let Some(operation) = call.operation() {
            service.bucket.count_request(operation);
        }
        let announced = request.header("content-length").and_then(|length| length.parse().ok());
        let struck = Self(service.faults.strike(call.operation(), call.key(), announced));
        if struck.actions().any(|action| *action == Action::ExpireCredentials) {
            service.expired.store(true, Ordering::SeqCst);
        }
        struck
    }

    fn actions(&self) -> impl Iterator<Item = &Action> {
        self.0.iter().map(|stroke| &stroke.action)
    }

    /// How much later the request is to be applied, if its connection breaks before.
    pub(super) fn delay(&self) -> Option<Duration> {
        self.actions().find_map(|action| match action {
            Action::ApplyLate(delay) => Some(*delay),
            _ => None,
        })
    }

    /// How far ahead the server's clock is, in seconds.
    pub(super) fn clock_offset(&self) -> i64 {
        let offsets = self.actions().map(|action| match action {
            Action::ClockOffset(seconds) => *seconds,
            _ => 0,
        });
        offsets.fold(0, i64::saturating_add)
    }

    /// Has a Complete go wrong.
    pub(super) fn misassemble(&self, call: &mut Result<Call, Refusal>) {
        let Ok(Call::Complete(completing)) = call else { return };
        completing.misassembly = self.0.iter().find_map(|stroke| match stroke.action {
            Action::Misassemble(how) => Some((how, stroke.clone())),
            _ => None,
        });
    }

    /// Aborts the upload that the request names, or all of its key.
    pub(super) async fn abort_uploads(
        &self,
        moment: When,
        bucket: &Arc<MemoryBucket>,
        named: &Option<Named>,
    ) {
        let wanted =
            |stroke: &&Stroke| stroke.action == Action::AbortUpload && stroke.when == moment;
        let (Some(stroke), Some(named)) = (self.0.iter().find(wanted), named) else { return };
        let uploads = match &named.upload {
            Some(upload) => vec![upload.clone()],
            None => uploads_of(bucket, &named.key),
        };
        for upload in uploads {
            if bucket.abort_upload(&upload).await.is_ok() {
                stroke.hit();
            }
        }
    }

    /// What stands in the place of the result at this moment, if anything.
    pub(super) async fn instead(
        &self,
        moment: When,
    ) -> Result<Option<Result<Outcome, Refusal>>, Broken> {
        for stroke in self.0.iter().filter(|stroke| stroke.at.is_none()) {
            if stroke.action == Action::DropResponse && moment == When::AfterApply {
                return Err(Broken);
            }
            if stroke.when != moment {
                continue;
            }
            let refusal = match &stroke.action {
                Action::Reset => return Err(Broken),
                Action::Stall => pending().await,
                Action::ErrorIn200(code) => return Ok(Some(Ok(Outcome::FailedLate(code.clone())))),
                Action::Status(status, code) => {
                    Refusal::Injected { status: *status, code: code.clone() }
                }
                Action::RedirectTo(address) => Refusal::Redirect(address.clone()),
                Action::ProxyPage(status) => Refusal::Page {
                    status: *status,
                    content_type: "text/html".to_owned(),
                    body: LOGIN.to_owned(),
                },
                Action::Answer { status, content_type, body } => Refusal::Page {
                    status: *status,
                    content_type: content_type.clone(),
                    body: body.clone(),
                },
                _ => continue,
            };
            return Ok(Some(Err(refusal)));
        }
        Ok(None)
    }

    /// Makes the result a lie.
    pub(super) fn falsify(&self, result: &mut Result<Outcome, Refusal>) {
        let Ok(outcome) = result else { return };
        for action in self.actions() {
            match action {
                Action::WrongCrc => outcome.falsify_checksum(),
                Action::WrongEtag => outcome.falsify_etag(),
                _ => {}
            }
        }
    }

    /// Takes headers away.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        if self.actions().any(|action| *action == Action::MissingEtag) {
            headers.remove(ETAG);
        }
    }

    /// What happens to the body of the answer.
    pub(super) fn spoil(&self) -> Spoil {
        let mut spoil = Spoil::default();
        for stroke in &self.0 {
            let byte = match (stroke.at, &stroke.action) {
                (Some(Place::Answer(byte)), _) => Some(Byte::Number(byte)),
                (None, Action::Truncate) => Some(Byte::Middle),
                (None, Action::Corrupt) => Some(Byte::Number(0)),
                _ => None,
            };
            spoil.strokes.extend(byte.map(|byte| (byte, stroke.clone())));
            match stroke.action {
                Action::Blanks { count, interval } => spoil.blanks = Some((count, interval)),
                Action::Rate(rate) => spoil.rate = Some(rate),
                _ => {}
            }
        }
        spoil
    }
}

fn uploads_of(bucket: &MemoryBucket, key: &str) -> Vec<Upload> {
    let query = UploadsQuery { prefix: key, max: usize::MAX, ..UploadsQuery::default() };
    let open = bucket.list_uploads(query).0.into_iter().filter_map(|entry| match entry {
        Entry::Item(open) => Some(open.upload),
        Entry::Prefix(_) => None,
    });
    open.filter(|upload| upload.key.as_str() == key).collect()
}

/// An answer of somebody in between, with none of the service's headers.
pub(super) fn page(status: u16, content_type: &str, body: String) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut answer = Answer::document(status, "", body).with(CONTENT_TYPE.as_str(), content_type);
    answer.headers.insert(SERVER, HeaderValue::from_static("proxy"));
    answer
}

/// A time so many seconds later, or the same where there is none such.
pub(super) fn ahead(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    moved.unwrap_or(time)
}
