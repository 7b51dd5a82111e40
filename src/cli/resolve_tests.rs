//! From command lines to configurations.

use clap::Parser;

use super::super::args::{Typed, TypedCommand};
use super::*;
use crate::dialect::CredentialSource;

const KEYS: &[(&str, &str)] =
    &[("PARTFS_ACCESS_KEY_ID", "id"), ("PARTFS_SECRET_ACCESS_KEY", "secret")];

fn resolved(line: &str, environment: &[(&str, &str)]) -> Result<MountConfig, String> {
    let words = ["partfs", "mount"].into_iter().chain(line.split_whitespace());
    let TypedCommand::Mount(args) = Typed::try_parse_from(words).unwrap().command else {
        panic!("not a mount")
    };
    mount(args, Environment::of(environment)).map_err(|refusal| refusal.to_string())
}

#[test]
fn the_shortest_line_has_all_defaults() {
    let config = resolved("mock: /mnt", &[]).unwrap();
    assert!(matches!(config.source, Source::Mock { dir: None, .. }));
    assert_eq!((config.part_bytes, config.memory_limit_bytes), (8 << 20, 256 << 20));
    assert_eq!((config.file_mode, config.dir_mode), (0o644, 0o755));
    assert_eq!(config.mountpoint, Path::new("/mnt"));
    assert!(matches!(config.start, Start::Background { .. }));
    assert!(!config.allow_other && !config.read_only && !config.nonempty);
}

#[test]
fn pings_are_sent_when_systemd_wants_them_of_this_process() {
    let watchdog =
        |environment: &[(&str, &str)]| match resolved("mock: /mnt --foreground", environment)
            .unwrap()
            .start
        {
            Start::Foreground { watchdog, .. } => watchdog,
            start => panic!("{start:?}"),
        };
    let minute = Some(Duration::from_secs(60));
    let me = std::process::id().to_string();
    assert_eq!(watchdog(&[]), None);
    assert_eq!(watchdog(&[("WATCHDOG_USEC", "60000000")]), minute);
    assert_eq!(watchdog(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", &me)]), minute);
    assert_eq!(watchdog(&[("WATCHDOG_USEC", "60000000"), ("WATCHDOG_PID", "1")]), None);
    assert_eq!(watchdog(&[("WATCHDOG_USEC", "0")]), None);
    assert_eq!(watchdog(&[("WATCHDOG_USEC", "soon")]), None);
}

#[test]
fn a_bucket_needs_a_region_or_an_endpoint_and_keys() {
    let url = "cos://b-1250000000/p /mnt";
    assert!(resolved(url, KEYS).unwrap_err().contains("in which region"));
    let line = format!("{url} --region ap-guangzhou");
    let alone = format!("{line} --instance-role=false");
    assert!(resolved(&alone, &[]).unwrap_err().contains("no credentials found"));
    let config = resolved(&line, KEYS).unwrap();
    assert_eq!(config.prefix, "p/");
    let Source::Bucket(connection) = config.source else { panic!("not a bucket") };
    assert_eq!(connection.region.as_deref(), Some("ap-guangzhou"));
    assert!(matches!(connection.credentials, CredentialSource::Search(_)));
}

#[test]
fn endpoints_are_looked_at() {
    let message = |endpoint: &str| {
        resolved(&format!("cos://b-1250000000 /mnt --endpoint {endpoint}"), KEYS).map(drop)
    };
    assert_eq!(message("http://127.0.0.1:9"), Ok(()));
    assert!(message("cos.ap-guangzhou.myqcloud.com").unwrap_err().contains("http:// or https://"));
    let with_bucket = message("https://b-1250000000.cos.ap-guangzhou.myqcloud.com");
    assert!(with_bucket.unwrap_err().contains("leave the name of the bucket out"));
    assert!(message("http://a:b@host").unwrap_err().contains("keys do not belong"));
}

#[test]
fn prefixes_must_not_contradict() {
    let line = "cos://b-1250000000/a /mnt --region r --prefix";
    assert_eq!(resolved(&format!("{line} a/"), KEYS).unwrap().prefix, "a/");
    assert!(resolved(&format!("{line} b"), KEYS).unwrap_err().contains("give one"));
}

#[test]
fn umask_gives_modes_unless_they_are_given() {
    let config = resolved("mock: /mnt --umask 027", &[]).unwrap();
    assert_eq!((config.file_mode, config.dir_mode), (0o640, 0o750));
    let config = resolved("mock: /mnt --umask 027 -o file_mode=600", &[]).unwrap();
    assert_eq!((config.file_mode, config.dir_mode), (0o600, 0o750));
}

#[test]
fn a_part_is_not_larger_than_the_memory() {
    let message = resolved("mock: /mnt --part-size 1GiB", &[]).unwrap_err();
    assert!(message.starts_with("part_size 1GiB is more than memory_limit 256MiB"));
    assert!(resolved("mock: /mnt --part-size 1GiB --memory-limit 1G", &[]).is_ok());
    let message = resolved("mock: /mnt --memory-limit 1MiB", &[]).unwrap_err();
    assert!(message.starts_with("part_size 8MiB is more than memory_limit 1MiB"), "{message}");
    assert!(resolved("mock: /mnt --memory-limit 1MiB --part-size 1MiB", &[]).is_ok());
}

#[test]
fn a_secret_is_never_shown() {
    let config = resolved("cos://b-1250000000 /mnt --region r", KEYS).unwrap();
    assert!(!format!("{config:?}").contains("\"secret\""));
}

#[test]
fn the_mock_stays_on_this_machine() {
    let command = |line: &str, environment: &[(&str, &str)]| {
        let words = ["partfs", "mock"].into_iter().chain(line.split_whitespace());
        let TypedCommand::Mock(args) = Typed::try_parse_from(words).unwrap().command else {
            panic!("not a mock")
        };
        mock(args, &Environment::of(environment)).map_err(|refusal| refusal.to_string())
    };
    assert!(command("--listen 0.0.0.0:0", &[]).unwrap_err().contains("--public"));
    assert!(command("--listen 0.0.0.0:0 --public", &[]).is_ok());
    for (name, dialect) in [
        ("cos", MockDialect::Cos),
        ("oss", MockDialect::Oss),
        ("qingstor", MockDialect::Qingstor),
        ("s3", MockDialect::S3),
    ] {
        let config = command(&format!("--dialect {name}"), &[]).unwrap().config;
        assert_eq!(config.dialect, dialect);
    }
    assert!(command("--dialect gcs", &[]).unwrap_err().contains("cos, oss, qingstor and s3"));
    assert!(command("--dialect s3 --bucket a.b", &[]).is_ok());
    assert!(command("--dialect s3 --bucket A", &[]).unwrap_err().contains("--bucket A"));
    assert!(command("--bucket b", &[]).unwrap_err().contains("-APPID"));
    assert!(command("", &KEYS[..1]).unwrap_err().contains("or neither"));
    let (a, b) = (command("", &[]).unwrap(), command("", &[]).unwrap());
    assert!(a.print_keys && a.config.secret_access_key != b.config.secret_access_key);
    assert!(!command("", KEYS).unwrap().print_keys);
}
