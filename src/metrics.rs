//! What the process did, in numbers, as Prometheus reads them: requests to the service and calls that failed. One
//! process serves one mount, so they are those of the process, and no layer has to hand them on.
//!
//! No name of a key, a file or a user is in them.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the buckets of latencies, in seconds: from a service next door to a Complete of ten thousand parts.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: String,
    status: Status,
}

/// The status of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Status {
    Code(u16),
    /// There was none.
    None,
}

impl EncodeLabelValue for Status {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        match self {
            Self::Code(code) => EncodeLabelValue::encode(code, encoder),
            Self::None => EncodeLabelValue::encode(&"none", encoder),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    operation: &'static str,
    errno: &'static str,
}

#[derive(Clone)]
struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

#[derive(Default)]
struct Process {
    requests: Family<Answered, Counter>,
    retries: Family<Operation, Counter>,
    failures: Family<Failed, Counter>,
    sent: Counter,
    received: Counter,
    totals: Totals<Counter>,
}

/// Sums over all operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals<N = u64> {
    /// Attempts at requests to the service.
    pub requests: N,
    /// Those after the first.
    pub retries: N,
    /// Calls of programs that failed.
    pub failed_calls: N,
}

struct All {
    process: Process,
    seconds: Family<Operation, Histogram, Latency>,
}

static ALL: LazyLock<All> = LazyLock::new(|| All {
    process: Process::default(),
    seconds: Family::new_with_constructor(Latency),
});

/// One attempt at a request to the service.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Which attempt, from 1.
    pub number: u32,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// Bytes of the request's body.
    pub sent: u64,
    /// Bytes of the answer's body that were read.
    pub received: u64,
}

/// Counts an attempt at a request of this operation.
pub fn attempt(operation: impl fmt::Display, attempt: &Attempt) {
    let All { process, seconds } = &*ALL;
    let operation = operation.to_string();
    let status = attempt.status.map_or(Status::None, Status::Code);
    let label = Operation { operation: operation.clone() };
    process.requests.get_or_create(&Answered { operation, status }).inc();
    process.totals.requests.inc();
    if attempt.number > 1 {
        process.totals.retries.inc();
        process.retries.get_or_create(&label).inc();
    }
    seconds.get_or_create(&label).observe(attempt.took.as_secs_f64());
    process.sent.inc_by(attempt.sent);
    process.received.inc_by(attempt.received);
}

/// Counts a call of a program that failed.
pub fn failed(operation: &'static str, errno: &'static str) {
    ALL.process.failures.get_or_create(&Failed { operation, errno }).inc();
    ALL.process.totals.failed_calls.inc();
}

/// The sums.
pub fn totals() -> Totals {
    let Totals { requests, retries, failed_calls } = &ALL.process.totals;
    Totals { requests: requests.get(), retries: retries.get(), failed_calls: failed_calls.get() }
}

/// Bytes in bodies of requests, and of answers.
pub fn bytes() -> (u64, u64) {
    (ALL.process.sent.get(), ALL.process.received.get())
}

/// A number of the mount as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Its name, without the beginning that all share.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// The number.
    pub value: u64,
    /// Whether it never becomes less.
    pub counts: bool,
}

/// All numbers as text, in the format of OpenMetrics.
pub fn text(now: &[Now]) -> String {
    let All { process, seconds } = &*ALL;
    let mut registry = Registry::with_prefix("partfs");
    registry.register(
        "requests",
        "Attempts at requests to the service, by operation and status of the answer",
        process.requests.clone(),
    );
    registry.register("retries", "Attempts after the first", process.retries.clone());
    registry.register_with_unit(
        "request",
        "How long attempts took",
        Unit::Seconds,
        seconds.clone(),
    );
    registry.register_with_unit(
        "sent",
        "Bytes in bodies of requests",
        Unit::Bytes,
        process.sent.clone(),
    );
    registry.register_with_unit(
        "received",
        "Bytes in bodies of answers",
        Unit::Bytes,
        process.received.clone(),
    );
    registry.register(
        "failed_calls",
        "Calls of programs that failed, by operation and errno",
        process.failures.clone(),
    );
    for Now { name, help, value, counts } in now {
        if *counts {
            let counter: Counter = Counter::default();
            counter.inc_by(*value);
            registry.register(*name, *help, counter);
        } else {
            let gauge: Gauge = Gauge::default();
            gauge.set(i64::try_from(*value).unwrap_or(i64::MAX));
            registry.register(*name, *help, gauge);
        }
    }
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => text,
        // Writing to a string does not fail; an empty file would say so.
        Err(fmt::Error) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text() {
        let took = Duration::from_millis(30);
        let one = Attempt { number: 1, status: None, took, sent: 5, received: 0 };
        attempt("of a test", &one);
        attempt("of a test", &Attempt { number: 2, status: Some(503), received: 7, ..one });
        failed("a call of a test", "EIO");
        let now = [
            Now { name: "inodes", help: "Inodes", value: u64::MAX, counts: false },
            Now { name: "panics", help: "Panics", value: 2, counts: true },
        ];
        let text = text(&now);
        for line in [
            "partfs_requests_total{operation=\"of a test\",status=\"none\"} 1",
            "partfs_requests_total{operation=\"of a test\",status=\"503\"} 1",
            "partfs_retries_total{operation=\"of a test\"} 1",
            "partfs_request_seconds_bucket{le=\"0.025\",operation=\"of a test\"} 0",
            "partfs_request_seconds_bucket{le=\"0.05\",operation=\"of a test\"} 2",
            "partfs_failed_calls_total{operation=\"a call of a test\",errno=\"EIO\"} 1",
            "partfs_inodes 9223372036854775807",
            "partfs_panics_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
