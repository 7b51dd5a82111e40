//! The suite on a bucket that somebody else serves. docs/CONTRIBUTING.md says how to run it.

use std::env;
use std::sync::Arc;

use partfs::cli::{self, Command};
use partfs::dialect::connect;
use partfs::mount::Source;
use partfs::store::prefix::Prefixed;

use super::{CASES, run};

/// A bucket named by `PARTFS_TEST_URL`, below the prefix in it, reached with the `PARTFS_` variables of
/// a mount. `PARTFS_TEST_KNOWN_FAILURES` may list cases, separated by blanks, that this server is known
/// to get wrong: they must fail, so that the list stays true. `PARTFS_TEST_WITHOUT_CHECKSUMS` says that
/// the server lacks the checksum which its kind of service may have. Leaves its objects behind.
#[tokio::test]
#[ignore = "needs the bucket that PARTFS_TEST_URL names"]
async fn live() {
    #[expect(clippy::disallowed_methods, reason = "who runs this test names the bucket here")]
    let set = |name: &str| env::var(name).ok();
    let url = set("PARTFS_TEST_URL").expect("PARTFS_TEST_URL is like s3://BUCKET/PREFIX");
    let known = set("PARTFS_TEST_KNOWN_FAILURES").unwrap_or_default();
    let known: Vec<&str> = known.split_whitespace().collect();
    let unknown = known.iter().find(|known| CASES.iter().all(|(case, _)| case != *known));
    assert_eq!(unknown, None, "no case has this name");

    // What a mount of this URL would use.
    let arguments = ["partfs", "mount", &url, "/mnt"].map(Into::into);
    let config = match cli::parse(arguments) {
        Ok(Command::Mount(config)) => config,
        Ok(_) => unreachable!("a mount was asked for"),
        Err(stop) => panic!("exit code {}", stop.report(cli::Caller::User)),
    };
    let Source::Bucket(connection) = config.source else {
        panic!("{url}: the mock has tests of its own")
    };
    let mut store = connect(*connection).expect("a good connection");
    if !config.prefix.is_empty() {
        store = Arc::new(Prefixed::new(store, &config.prefix).expect("a good prefix"));
    }
    let checksums = set("PARTFS_TEST_WITHOUT_CHECKSUMS").is_none();
    let failed = run(&*store, checksums, &known).await;
    let news: Vec<_> = failed.iter().filter(|case| !known.contains(case)).collect();
    assert!(news.is_empty(), "these cases failed: {news:#?}");
    let healed: Vec<_> = known.iter().filter(|case| !failed.contains(case)).collect();
    assert!(healed.is_empty(), "these cases are known to fail but did not: {healed:#?}");
}
