//! Wrong requests end with code 2 and a sentence that names the mistake.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::{Ran, line, partfs, run};

const BUCKET: &str = "cos://b-1250000000";

fn refused(ran: &Ran, words: &str) {
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains(words), "expected {words:?} in {:?}", ran.stderr);
}

#[test]
fn sizes_times_and_words() {
    for (option, words) in [
        ("--part-size 7", "partfs: part_size 7: a part must be from 1MiB to 5GiB\n"),
        ("--part-size much", "part_size much is not a size: write 8MiB, 8M or 8388608"),
        ("-o part_size=7", "part_size 7: a part must be from 1MiB to 5GiB"),
        ("--memory-limit 1023K", "memory_limit 1023K: the memory limit must be at least 1MiB"),
        ("--close-timeout soon", "close_timeout soon is not a time"),
        ("--max-uploads 0", "max_uploads 0: the number of uploads must be from 1 to 256"),
        ("--file-mode 999", "file_mode 999 is not permission bits"),
        ("--log-level loud", "log_level loud"),
        ("--log-format xml", "log_format xml must be auto, human, json or journald"),
        ("-o colour", "-o colour: there is no such option"),
        ("-o partsize=1M", "did you mean part_size?"),
    ] {
        refused(&line(&format!("mount mock: /mnt {option}")), words);
    }
}

#[test]
fn urls() {
    for (url, words) in [
        (
            "ftp://x",
            "ftp://x: this cannot be mounted; partfs mounts cos://BUCKET-APPID[/PREFIX], oss:",
        ),
        ("oss://x", "bucket names have 3 to 63"),
        ("s3:bucket", "write s3://BUCKET[/PREFIX]"),
        ("mock:?dialect=gcs", "it speaks cos, oss, qingstor and s3"),
        ("cos://bucket", "bucket names of COS end in -APPID, e.g. bucket-1250000000"),
    ] {
        refused(&line(&format!("mount {url} /mnt")), words);
    }
    refused(&line("mount"), "URL is missing");
    refused(&line("mount mock:"), "MOUNTPOINT is missing");
}

#[test]
fn missing_credentials_are_told_where_they_are_looked_for() {
    let ran = line(&format!("mount {BUCKET} /mnt --region ap-guangzhou --instance-role=false"));
    refused(&ran, "no credentials found");
    for place in ["PARTFS_ACCESS_KEY_ID", "TENCENTCLOUD_SECRET_ID", "credentials_file"] {
        assert!(ran.stderr.contains(place), "{}", ran.stderr);
    }
}

#[test]
fn a_credentials_file_that_others_can_read_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys");
    fs::write(&path, "access_key_id = a\nsecret_access_key = canary-secret\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let mut command = partfs(["mount", BUCKET, "/mnt", "--region", "r", "--credentials-file"]);
    let ran = run(command.arg(&path));
    let words = format!("has mode 0640, others could read it: chmod 600 {}", path.display());
    refused(&ran, &words);
    assert!(!ran.stderr.contains("canary"));
}

#[test]
fn a_mistake_in_the_file_names_file_line_and_the_nearest_option() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("partfs.toml");
    fs::write(&path, "url = \"mock:\"\nmountpoint = \"/mnt\"\n\npart-sise = \"8MiB\"\n").unwrap();
    let ran = run(partfs(["mount", "--config"]).arg(&path));
    let words = "line 4: there is no option part-sise; did you mean part_size?";
    refused(&ran, &format!("{}: {words}", path.display()));
}

#[test]
fn the_first_of_flag_option_environment_and_file_counts() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("partfs.toml");
    fs::write(&path, "part_size = 1\n").unwrap();
    // Each place holds a wrong value of its own; the complaint shows which one was taken.
    let mut arguments = vec!["mount", "mock:", "/mnt", "--config", path.to_str().unwrap()];
    refused(&run(&mut partfs(&arguments)), "part_size 1 (");
    refused(
        &run(partfs(&arguments).env("PARTFS_PART_SIZE", "2")),
        "part_size 2 (from PARTFS_PART_SIZE): ",
    );
    arguments.extend(["-o", "part_size=3"]);
    refused(&run(partfs(&arguments).env("PARTFS_PART_SIZE", "2")), "part_size 3: ");
    arguments.extend(["--part-size", "4"]);
    refused(&run(partfs(&arguments).env("PARTFS_PART_SIZE", "2")), "part_size 4: ");
}

#[test]
fn the_mock_does_not_open_itself_to_the_network_by_accident() {
    refused(&line("mock --listen 0.0.0.0:0"), "add --public");
    refused(&line("mock --dialect gcs"), "it speaks cos, oss, qingstor and s3");
}
