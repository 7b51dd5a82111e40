//! Help and version.

use super::line;

#[test]
fn the_program_lists_its_commands() {
    let ran = line("--help");
    assert_eq!(ran.code, Some(0));
    for command in ["mount", "umount", "check", "link", "mock"] {
        assert!(ran.stdout.contains(&format!("\n  {command} ")), "{}", ran.stdout);
    }
    assert_eq!(line("").code, Some(2), "no command is a mistake");
}

#[test]
fn each_command_has_help() {
    for (command, words) in [
        (
            "mount",
            vec!["URL", "MOUNTPOINT", "--part-size <SIZE>", "[default: 8MiB]", "-o <OPTIONS>"],
        ),
        ("check", vec!["URL", "--write", "--region"]),
        ("link", vec!["URL", "--valid <TIME>", "[default: 1h]", "--region"]),
        ("umount", vec!["MOUNTPOINT", "--lazy", "--timeout"]),
        ("mock", vec!["--listen", "--bucket", "--dir", "--etags", "--public"]),
    ] {
        let ran = line(&format!("{command} --help"));
        assert_eq!(ran.code, Some(0));
        for word in words {
            assert!(ran.stdout.contains(word), "{command} --help does not say {word}");
        }
        assert!(!ran.stdout.contains("background-child"));
    }
}

#[test]
fn no_flag_takes_a_secret() {
    let help = line("mount --help").stdout + &line("mock --help").stdout;
    let flags = help.split_whitespace().filter(|word| word.starts_with("--"));
    // A key's name and the file that holds it are no secrets.
    for flag in flags.filter(|flag| !flag.ends_with("-id") && !flag.ends_with("-file")) {
        for secret in ["secret", "token", "key", "password"] {
            assert!(!flag.contains(secret), "{flag} sounds like a secret on the command line");
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(line("--version").stdout, format!("partfs {}\n", env!("CARGO_PKG_VERSION")));
}
