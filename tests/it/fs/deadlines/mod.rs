//! The service falls silent for ever, and every operation ends by itself: with an error that says so, no later than
//! it may. The whole client over the mock's HTTP; from the moment of the silence time is virtual, so that the
//! deadlines are those of a mount.

mod operations;

use std::ffi::OsStr;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use partfs::dialect::Timing;
use partfs::fs::{FsResult, InodeNo, Meaning};
use partfs::mock::{Action, Addressing, FaultId, FaultRule, MockConfig, MockDialect, MockServer};
use partfs::store::fault::FaultStore;
use tokio::time::Instant;

use self::operations::{Operation, operations};
use crate::world::fs::{MAKER, World};
use crate::world::pattern;
use crate::world::served::{client, serve};

const MIB: u64 = 1 << 20;

/// `close_timeout`, as long as it is by default.
const CLOSE: Duration = Duration::from_secs(600);

/// How long anything else is tried, by default.
const ASK: Duration = Duration::from_secs(120);

/// On top of it: to abort what has failed, and to look whether it has come all the same.
const MORE: Duration = Duration::from_secs(240);

/// For content, at the rate of the slowest link (64 KiB/s), and the pace of the clock.
const ROUNDING: Duration = Duration::from_secs(10);

/// The silence begins at each of so many requests of an operation, as far as it makes them.
const REQUESTS: u32 = 7;

/// What takes longer hangs.
const NEVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// A server that falls silent when it is told to.
struct Silence {
    server: MockServer,
    /// So many requests are answered before.
    skip: u32,
    began: OnceLock<(Instant, FaultId)>,
}

impl Silence {
    fn begins(&self) {
        let rule = FaultRule::new(Action::Stall).skip(self.skip).times(u32::MAX);
        let _ = self.began.set((Instant::now(), self.server.faults().add(rule)));
    }

    fn has_struck(&self) -> bool {
        self.began.get().is_some_and(|(_, rule)| self.server.faults().fired(*rule) > 0)
    }
}

/// What came of an operation: nothing where the silence did not concern it.
struct Outcome {
    ended: Option<FsResult<()>>,
    took: Duration,
}

async fn try_it(dialect: MockDialect, operation: Operation, skip: u32) -> Option<Outcome> {
    let addressing = match dialect {
        MockDialect::Cos => Addressing::Auto,
        _ => Addressing::Path,
    };
    let bucket = "silent-1250000000".to_owned();
    let config = MockConfig { dialect, addressing, bucket, ..MockConfig::default() };
    let server = serve(config.clone()).await;
    // As a mount makes it.
    let timing = Timing { writes: Some(CLOSE), ..Timing::default() };
    let world = || {
        let client = client(&server, &config, None, timing);
        World::with(server.bucket(), FaultStore::new(client), MIB, 64 << 10, CLOSE)
    };
    fill(&world()).await.unwrap();
    let world = Arc::new(world());
    let silence = Arc::new(Silence { server, skip, began: OnceLock::new() });
    let work = tokio::spawn(operation(world, Arc::clone(&silence)));
    // What is answered is answered in real time.
    let started = Instant::now();
    while !silence.has_struck() {
        // Some let 100 seconds pass at once before.
        assert!(started.elapsed() < Duration::from_secs(300), "neither ends nor asks");
        if work.is_finished() {
            let ended = work.await.unwrap().map_err(|error| error.meaning());
            let expected = [Ok(()), Err(Meaning::NotFound), Err(Meaning::NoAttribute)];
            assert!(expected.contains(&ended), "{ended:?}");
            return None;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    tokio::time::pause();
    let ended = tokio::time::timeout(NEVER, work).await;
    let (began, _) = silence.began.get().unwrap();
    let outcome = Outcome { ended: ended.ok().map(Result::unwrap), took: began.elapsed() };
    tokio::time::resume();
    Some(outcome)
}

/// What is there before.
async fn fill(world: &World) -> FsResult<()> {
    world.put("f", b"content").await?;
    world.put("big", &pattern(1, 3 * MIB as usize)).await?;
    for name in ["dir", "empty"] {
        world.fs.mkdir(InodeNo::ROOT, OsStr::new(name), MAKER).await?;
    }
    for name in ["dir/a", "dir/b"] {
        world.put(name, b"content").await?;
    }
    let (link, target) = (OsStr::new("link"), OsStr::new("f"));
    world.fs.symlink(InodeNo::ROOT, link, target, MAKER).await?;
    Ok(())
}

async fn all_end(dialect: MockDialect, which: impl Fn(&str) -> bool) {
    let (mut table, mut wrong) = (String::new(), Vec::new());
    for (name, operation, most) in operations().into_iter().filter(|(name, ..)| which(name)) {
        for skip in 0..REQUESTS {
            let Some(Outcome { ended, took }) = try_it(dialect, operation, skip).await else {
                assert!(skip > 0, "{name} asks nothing of the service");
                break;
            };
            let line = format!("{name}, silent after {skip}: {took:.0?} {ended:?}");
            writeln!(table, "{line}").unwrap();
            // Some need no more than what was answered before.
            let told = ended.is_some_and(|ended| match ended {
                // What was published by then is told soon.
                Ok(()) => skip > 0 && (most == ASK || took <= 2 * ROUNDING),
                Err(error) => matches!(error.meaning(), Meaning::TimedOut | Meaning::Io),
            });
            let more = if most == ASK { ROUNDING } else { MORE + ROUNDING };
            if !told || took > most + more {
                wrong.push(line);
            }
        }
    }
    eprintln!("{table}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn every_operation_ends_by_itself_when_the_service_falls_silent() {
    all_end(MockDialect::Cos, |_| true).await;
}

/// QingStor moves objects, and makes copies beside them.
#[tokio::test]
async fn names_and_attributes_end_by_themselves_where_objects_are_moved() {
    let which = |name: &str| ["rename", "chmod"].iter().any(|begin| name.starts_with(begin));
    all_end(MockDialect::Qingstor, which).await;
}
