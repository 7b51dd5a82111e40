//! What libraries say by the `log` crate: only what is known to be harmless is let in.
//!
//! fuser tells there which answers the kernel did not take. The signers of reqsign write down what they sign,
//! and on COS that is every header with the customer's key among them; reqwest can write down whole requests.
//! Nobody's level may bring those into a log, so that everything but fuser is left out before any filter.

use tracing::level_filters::LevelFilter;
use tracing_log::log::{self, Log, Metadata, Record};
use tracing_log::{AsLog, LogTracer};

/// The libraries that are heard.
const HEARD: &str = "fuser";

/// How lines begin that tell of nothing wrong: at the end of every mount that we have unmounted ourselves (where
/// that fails, we say it); and when the kernel has given up a request, because its caller was killed.
const HARMLESS: [&str; 2] =
    ["Failed to umount filesystem", "Failed to send FUSE reply: No such file or directory"];

/// Passes on what [`HEARD`] says.
struct Door(LogTracer);

fn is_heard(target: &str) -> bool {
    target == HEARD || target.strip_prefix(HEARD).is_some_and(|rest| rest.starts_with("::"))
}

fn is_harmless(line: &str) -> bool {
    HARMLESS.iter().any(|beginning| line.starts_with(beginning))
}

impl Log for Door {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_heard(metadata.target()) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) && !is_harmless(&record.args().to_string()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {}
}

/// From now on they are heard.
pub(super) fn listen() {
    // A second one would be that of a test in the same process.
    let _ = log::set_boxed_logger(Box::new(Door(LogTracer::new())));
    follow_level();
}

/// What nobody wants to hear is not put into words either.
pub(super) fn follow_level() {
    log::set_max_level(LevelFilter::current().as_log());
}

/// What stands in front of a filter: of every request at `debug`, and of what we say ourselves at `info`, fuser
/// tells too much for whoever does not name it.
pub(super) fn default_of(filter: &str) -> &'static str {
    match filter.split(',').find(|directive| !directive.contains('=')) {
        Some("off") | None => "fuser=off,",
        Some("error") => "fuser=error,",
        Some(_) => "fuser=warn,",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_and_clients_are_not_heard() {
        for target in ["fuser", "fuser::session", "fuser::mnt"] {
            assert!(is_heard(target), "{target}");
        }
        for target in ["reqsign_tencent_cos::sign_request", "reqwest::connect", "fuserx", ""] {
            assert!(!is_heard(target), "{target}");
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_not_told() {
        for line in [
            "Failed to umount filesystem: Invalid argument (os error 22)",
            "Failed to send FUSE reply: No such file or directory (os error 2)",
        ] {
            assert!(is_harmless(line), "{line}");
        }
        assert!(!is_harmless("Failed to send FUSE reply: Invalid argument (os error 22)"));
    }

    #[test]
    fn the_kernels_side_is_quiet_unless_it_is_named() {
        assert_eq!(default_of("off"), "fuser=off,");
        assert_eq!(default_of("partfs=debug"), "fuser=off,");
        assert_eq!(default_of("partfs=debug,error"), "fuser=error,");
        assert_eq!(default_of("trace"), "fuser=warn,");
        let named = super::super::filter("warn,fuser=debug").unwrap().to_string();
        assert!(named.contains("fuser=debug") && !named.contains("fuser=warn"), "{named}");
    }
}
