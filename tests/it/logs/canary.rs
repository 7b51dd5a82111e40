//! No secret is told, at any level and nowhere: keys, tokens, customers' keys and signatures are looked for in
//! all that a mount says and leaves behind.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use partfs::mock::{Action, FaultRule, MockConfig, MockDialect};
use partfs::store::Operation;
use rustix::process::Signal;
use serde_json::Value;

use super::search::Secrets;
use super::{Ground, files};
use crate::cli::run;
use crate::world::{canary, pattern};

const MIB: usize = 1 << 20;

fn config(dialect: MockDialect) -> MockConfig {
    let token = "canary-token/with+all=signs";
    MockConfig {
        dialect,
        access_key_id: "AKIDCANARY".to_owned(),
        secret_access_key: "canary-secret/with+all=signs".to_owned(),
        session_token: (dialect != MockDialect::Qingstor).then(|| token.to_owned()),
        ..MockConfig::default()
    }
}

/// Everything that a user does, and much that goes wrong, while everything is logged.
fn use_it(ground: &Ground) {
    fs::write(ground.path("small"), "small").unwrap();
    fs::write(ground.path("large"), pattern(1, 3 * MIB)).unwrap();
    assert_eq!(fs::read(ground.path("large")).unwrap().len(), 3 * MIB);
    fs::rename(ground.path("large"), ground.path("moved")).unwrap();
    fs::set_permissions(ground.path("small"), fs::Permissions::from_mode(0o600)).unwrap();
    // A panic, where the daemon has been told to.
    fs::remove_file(ground.path("small")).unwrap_err();
    fs::remove_file(ground.path("small")).unwrap();
    let faults = ground.server.faults();
    for action in [
        Action::Status(503, "SlowDown".to_owned()),
        Action::Reset,
        Action::ClockOffset(3600),
        Action::ProxyPage(502),
    ] {
        faults.add(FaultRule::new(action).on(Operation::Put));
        let _ = fs::write(ground.path("struck"), "struck");
    }
    // An upload that stays open, whose record is on disk.
    let mut open = File::create(ground.path("open")).unwrap();
    // More than the smallest part of any service.
    open.write_all(&pattern(2, 12 * MIB)).unwrap();
    let _listed = ground.until(|| fs::read_dir(ground.path(".partfs/uploads")).unwrap().next());
    for name in ["status.json", "metrics"] {
        fs::write(ground.beside(name), fs::read(ground.path(".partfs").join(name)).unwrap())
            .unwrap();
    }
    // Keys that are wrong, then none.
    let MockConfig { access_key_id, session_token, .. } = &ground.config;
    ground.server.set_credentials(
        access_key_id,
        "canary-of-somebody-else",
        session_token.as_deref(),
    );
    drop(open);
    File::create(ground.path("refused")).unwrap_err();
    ground.write_keys("canary-secret/with+all=signs\n");
}

#[test]
fn nothing_that_a_mount_says_or_leaves_has_a_secret_in_it() {
    let ledger = canary::ledger();
    for dialect in [MockDialect::Cos, MockDialect::Oss, MockDialect::Qingstor, MockDialect::S3] {
        let Some(ground) = Ground::new(config(dialect)) else { return };
        let traces = ground.beside("traces");
        fs::create_dir(&traces).unwrap();
        let key = ground.beside("sse-c");
        fs::write(&key, "canary-key-of-32-bytes-for-tests").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let daemon = ground.mount(|command| {
            command.env("PARTFS_TRACE_DIR", &traces);
            command.env("PARTFS_CRASH_AT", "panic=unlink.before_delete:1");
            command.args(["--log-level", "trace", "--close-timeout", "5s", "--log-file"]);
            command.arg(ground.beside("log"));
            // What its whole run at debug tells of the kernel's requests, too.
            command.args(["-o", "attr_ttl=0s"]);
            if dialect != MockDialect::Oss {
                command.arg("--sse-c-key-file").arg(&key);
            }
        });
        use_it(&ground);
        daemon.signal(Signal::HUP);
        let trace = traces.join(format!("{}.log", daemon.id()));
        ground.until(|| {
            let text = fs::read_to_string(&trace).ok()?;
            text.contains("credentials cannot be renewed").then_some(())
        });
        for name in ["cmdline", "environ"] {
            let text = fs::read(format!("/proc/{}/{name}", daemon.id())).unwrap();
            fs::write(ground.beside(name), text).unwrap();
        }
        daemon.stop();
        for (number, words) in
            [&["check"][..], &["uploads", "list"], &["uploads", "abort"]].iter().enumerate()
        {
            let mut command = ground.command(words);
            if words.contains(&"abort") {
                command.arg("open");
            }
            let ran = run(command.env("PARTFS_TRACE_DIR", &traces));
            fs::write(ground.beside(&format!("ran{number}")), ran.stdout + &ran.stderr).unwrap();
        }

        let text = fs::read_to_string(&trace).unwrap();
        // It is a trace that is looked at, with all that happened.
        for wanted in [
            "DEBUG",
            "wants a panic",
            "operation failed",
            "request operation=",
            "SignatureDoesNotMatch",
        ] {
            let code_of_qingstor =
                wanted == "SignatureDoesNotMatch" && dialect == MockDialect::Qingstor;
            assert!(code_of_qingstor || text.contains(wanted), "{dialect:?}: no {wanted}");
        }
        let secrets = Secrets::of(&ledger);
        assert!(secrets.len() > 50, "{}", secrets.len());
        let hidden = [ground.beside("keys"), key];
        let told = files(ground.dir.path()).into_iter().filter(|path| !hidden.contains(path));
        let found = secrets.found_in(told.chain(all_below(&ground.beside("state"))));
        assert!(found.is_empty(), "{dialect:?}: {found:#?}");
        let _: Value =
            serde_json::from_slice(&fs::read(ground.beside("status.json")).unwrap()).unwrap();
    }
}

fn all_below(folder: &Path) -> Vec<std::path::PathBuf> {
    files(folder)
}

/// What `tests/canary/run` looks at: whatever daemons, servers and commands of other tests have left.
#[test]
#[ignore = "part of tests/canary/run"]
fn nothing_that_a_whole_run_has_left_has_a_secret_in_it() {
    let folder = canary::folder().expect("PARTFS_CANARY_DIR");
    let secrets = Secrets::of(&folder);
    let places = files(&folder);
    let bytes: u64 = places.iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum();
    println!("{} forms of secrets, {} files, {} MiB", secrets.len(), places.len(), bytes >> 20);
    let is_trace = |path: &std::path::PathBuf| path.extension().is_some_and(|name| name == "log");
    assert!(bytes > 1 << 16 && places.iter().any(is_trace), "nothing was traced");
    let found = secrets.found_in(places);
    assert!(found.is_empty(), "{found:#?}");
}
