//! How far this machine's clock is off, in words. Pure.

use std::time::{Duration, SystemTime};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// "this machine's clock is 17 min behind", by the service's `Date` and our time. `None` when the date
/// is none, or when the clocks agree: then it is not the clock.
pub(crate) fn in_words(date: &str, ours: SystemTime) -> Option<String> {
    let theirs = httpdate::parse_http_date(date).ok()?;
    let (off, side) = match theirs.duration_since(ours) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead"),
    };
    // `Date` has whole seconds, and answers take their time.
    (off >= Duration::from_secs(2))
        .then(|| format!("this machine's clock is {} {side}", rounded(off.as_secs())))
}

fn rounded(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", (seconds + MINUTE / 2) / MINUTE),
        7200..172_800 => format!("{} h", (seconds + HOUR / 2) / HOUR),
        _ => format!("{} days", (seconds + DAY / 2) / DAY),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn offsets_are_told_in_the_unit_that_fits() {
        let date = "Tue, 14 Nov 2023 22:13:20 GMT";
        let told = |offset: i64| {
            let ours = UNIX_EPOCH + Duration::from_secs((1_700_000_000 + offset) as u64);
            in_words(date, ours)
        };
        let words = |text: &str| Some(format!("this machine's clock is {text}"));
        assert_eq!(told(-17 * 60), words("17 min behind"));
        assert_eq!(told(16 * 60 + 29), words("16 min ahead"));
        assert_eq!(told(-90), words("90 s behind"));
        assert_eq!(told(-8 * 3600), words("8 h behind"));
        assert_eq!(told(-1_700_000_000), words("19676 days behind"));
        assert_eq!(told(1), None);
        assert_eq!(in_words("yesterday", UNIX_EPOCH), None);
    }
}
