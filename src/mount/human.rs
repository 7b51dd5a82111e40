//! Sizes and times as people read them.

use std::time::Duration;

/// A size in the largest unit of which there is one.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let power = (bytes.max(1).ilog2() / 10).min(5);
    match power {
        0 => format!("{bytes} bytes"),
        // Below 2^53 of a unit, and rounded to a tenth.
        _ => {
            let tenths = (u128::from(bytes) * 10) >> (10 * power);
            format!("{}.{} {}", tenths / 10, tenths % 10, units[power as usize])
        }
    }
}

/// So many things.
pub(crate) fn count(number: impl TryInto<u64>, thing: &str) -> String {
    match number.try_into() {
        Ok(1) => format!("1 {thing}"),
        Ok(number) => format!("{number} {thing}s"),
        Err(_) => format!("many {thing}s"),
    }
}

/// A time in its two largest units.
pub(crate) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut words = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        words.push(format!("{} {name}", left / unit));
        left %= unit;
    }
    words.join(" ")
}

/// A name without what would move the cursor.
pub(crate) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (5_500_000, "5.2 MiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn one_thing_is_one() {
        assert_eq!(count(0_usize, "file"), "0 files");
        assert_eq!(count(1_u64, "file"), "1 file");
    }

    #[test]
    fn times_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (7384, "2 h 3 min"),
            (86_400, "1 d 0 h"),
            (u64::MAX, "213503982334601 d 7 h"),
        ] {
            assert_eq!(time(Duration::from_secs(seconds)), text);
        }
    }
}
