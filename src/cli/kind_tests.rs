//! Texts become values or complaints.

use proptest::prelude::*;

use super::*;

const PART: Size = Size { subject: "a part", min: 1 << 20, max: 5 << 30 };
const ANY: Size = Size { subject: "it", min: 0, max: u64::MAX };
const TIME: Time = Time { min: Duration::ZERO, max: Duration::from_secs(86400) };

#[test]
fn sizes_are_written_in_three_ways() {
    for text in ["8MiB", "8M", "8m", "8mib", "8192K", "8388608"] {
        assert_eq!(PART.parse(text), Ok(8 << 20), "{text}");
    }
}

#[test]
fn sizes_out_of_range_are_refused_in_words() {
    for text in ["7", "0", "6GiB", "99999999T"] {
        assert_eq!(PART.parse(text), Err("a part must be from 1MiB to 5GiB".into()), "{text}");
    }
    let memory = Size { subject: "memory", min: 16 << 20, max: u64::MAX };
    assert_eq!(memory.parse("1M"), Err("memory must be at least 16MiB".into()));
}

#[test]
fn other_texts_are_not_sizes() {
    for text in ["", "MiB", "8MB", "8 MiB", "-8M", "8.5M", "0x10", "٨M"] {
        assert!(PART.parse(text).unwrap_err().starts_with("is not a size"), "{text}");
    }
}

#[test]
fn times_take_fractions_and_units() {
    for (text, ms) in [("10m", 600_000), ("1.5s", 1500), ("250ms", 250), ("2", 2000), ("0", 0)] {
        assert_eq!(TIME.parse(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "s", "-1s", "1w", "1.2.3s", ".", "1e3"] {
        assert!(TIME.parse(text).is_err(), "{text}");
    }
    assert_eq!(TIME.parse("2d"), Err("the time must be from 0 to 1d".into()));
}

#[test]
fn modes_are_octal() {
    assert_eq!(Mode.parse("0644"), Ok(0o644));
    assert_eq!(Mode.parse("755"), Ok(0o755));
    for text in ["", "888", "7777", "+7", "rw-r--r--", "0x1"] {
        assert!(Mode.parse(text).is_err(), "{text}");
    }
}

#[test]
fn only_addresses_of_this_machine_are_listened_at() {
    for text in ["127.0.0.1:9100", "127.8.8.8:0", "[::1]:9100"] {
        assert!(Loopback.parse(text).is_ok(), "{text}");
    }
    for text in ["0.0.0.0:9100", "[::]:9100", "192.168.0.1:9100", "[::ffff:127.0.0.1]:9100"] {
        assert!(Loopback.parse(text).unwrap_err().contains("other machines"), "{text}");
    }
    for text in ["", "9100", ":9100", "localhost:9100", "127.0.0.1"] {
        assert!(Loopback.parse(text).unwrap_err().contains("write 127.0.0.1:9100"), "{text}");
    }
}

#[test]
fn the_last_id_belongs_to_nobody() {
    assert_eq!(Id.parse("0"), Ok(0));
    assert!(Id.parse("4294967295").is_err());
}

#[test]
fn choices_name_the_words() {
    let choice = Choice(&[("human", 1), ("json", 2)]);
    assert_eq!(choice.parse("json"), Ok(2));
    assert_eq!(choice.parse("xml"), Err("must be human or json".into()));
}

proptest! {
    #[test]
    fn a_size_survives_being_written(bytes in any::<u64>()) {
        prop_assert_eq!(ANY.parse(&size_text(bytes)), Ok(bytes));
    }

    #[test]
    fn no_text_panics(text in ".{0,24}") {
        let _ = (ANY.parse(&text), TIME.parse(&text), Mode.parse(&text), Id.parse(&text));
    }
}
