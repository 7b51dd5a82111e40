//! The only retry loop. The caller says what an attempt is and what its outcome means; here is
//! decided when the next one starts and when to give up. Nothing is repeated that the caller did
//! not call repeatable: a [`Verdict::Final`] ends it.

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, sleep, timeout_at};

/// Bound of the first pause; doubles with each attempt. The usual base of the vendors' SDKs.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Largest bound of a pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long and how often something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the first attempt's start to the end of everything, pauses included.
    pub total: Duration,
    /// Most attempts; at least one is made.
    pub max_attempts: u32,
}

/// What came of one attempt.
#[derive(Debug)]
pub enum Verdict<T, E> {
    /// It worked.
    Done(T),
    /// It failed and another attempt would not help or must not be made.
    Final(E),
    /// It failed and may be tried again, not before `after` has passed if there is time for that.
    Again {
        /// What went wrong.
        error: E,
        /// What the server asked for, if it did.
        after: Option<Duration>,
    },
}

/// Why there was no success.
#[derive(Debug, PartialEq, Eq)]
pub struct Exhausted<E> {
    /// The error of the last attempt that ended by itself, if any did.
    pub error: Option<E>,
    /// Whether the time ran out during an attempt, which was cut off: its fate is unknown.
    pub cut_off: bool,
    /// Attempts made, at least 1.
    pub attempts: u32,
}

/// Runs `attempt` (given its number, from 1) until it is done, final, or patience ends. Pauses are
/// full jitter below an exponential bound, or longer where the server said so, but then no longer than
/// half of what is left: MinIO asks for one or two minutes whenever it is busy, and patience that is
/// over before the second attempt is none. Gives up at once when the pause would outlast the deadline.
pub async fn persist<T, E, F, R>(patience: Patience, mut attempt: F) -> Result<T, Exhausted<E>>
where
    F: FnMut(u32) -> R,
    R: Future<Output = Verdict<T, E>>,
{
    let deadline = Instant::now() + patience.total;
    let mut number = 0;
    let mut last = None;
    loop {
        number += 1;
        let (error, after) = match timeout_at(deadline, attempt(number)).await {
            Ok(Verdict::Done(value)) => return Ok(value),
            Ok(Verdict::Final(error)) => {
                return Err(Exhausted { error: Some(error), cut_off: false, attempts: number });
            }
            Ok(Verdict::Again { error, after }) => (error, after),
            Err(_) => return Err(Exhausted { error: last, cut_off: true, attempts: number }),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = after.unwrap_or_default().min(left / 2);
        let pause = pause_before(number, random()).max(asked);
        if number >= patience.max_attempts || pause >= left {
            return Err(Exhausted { error: Some(error), cut_off: false, attempts: number });
        }
        last = Some(error);
        sleep(pause).await;
    }
}

/// The pause after attempt `number`: a random part of its bound, so that many clients that failed
/// together do not come back together.
fn pause_before(number: u32, random: u32) -> Duration {
    let doublings = number.saturating_sub(1).min(16);
    let bound = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn random() -> u32 {
    // Without randomness a fixed half is as good a pause as any.
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

/// What a `Retry-After` header asks for (RFC 9110 section 10.2.3). A date is measured against the
/// answer's own `Date`, so our clock does not matter; without one it is ignored.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(http::header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(text(http::header::DATE)?).ok()?;
    until.duration_since(now).ok()
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
