//! `partfs status --watch`: looks again and again, until the mount ends. On a terminal with bars, elsewhere with lines.

use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::super::human::{count, printable, size, time};
use super::super::liveness::{self, NoStatus};
use super::super::{MountError, Outcome, mountinfo};
use super::{Bars, Line, Progress, sentence, source};
use crate::fs::control::status::Status;

/// Between two looks at a terminal, …
const TICK: Duration = Duration::from_millis(500);
/// … and between two lines elsewhere.
const SLOW_TICK: Duration = Duration::from_secs(1);

/// Watches until the mount ends. Whoever reads the lines may stop reading: that is no failure.
pub(super) fn watch(place: &Path, json: bool) -> Result<Outcome, MountError> {
    let device = mountinfo::at(place).ok().flatten().and_then(|mount| mount.device);
    let device = device.or_else(|| std::fs::metadata(place).ok().map(|it| it.dev()));
    let terminal = io::stdout().is_terminal() && !json;
    let mut watched = Watched { place, device: device.unwrap_or_default(), ..Watched::new(place) };
    let tick = if terminal { TICK } else { SLOW_TICK };
    let mut bars = terminal.then(Bars::on_stdout);
    let mut seen = false;
    loop {
        let status = match liveness::status_of::<Status>(place) {
            Ok(status) => status,
            Err(NoStatus::Silent) if seen => {
                let head = format!("{}: the daemon does not answer", place.display());
                let say = || match &mut bars {
                    Some(bars) => {
                        bars.show(&head, &[]);
                        Ok(())
                    }
                    None if json => writeln!(io::stderr(), "partfs: {head}"),
                    None => print(&head, &[], &[]),
                };
                if liveness::until_answered(place, say).is_err() {
                    return Ok(Outcome::Done);
                }
                continue;
            }
            Err(error) if seen && watched.has_ended() => {
                let gone = matches!(&error, NoStatus::Unreadable(error) if liveness::is_disconnected(error));
                return watched.end(bars, json, gone.then(|| sentence(place, &error)));
            }
            Err(error) => return Err(MountError::new(sentence(place, &error))),
        };
        seen = true;
        let shown = if json { print_json(&status) } else { watched.show(&status, bars.as_mut()) };
        if shown.is_err() {
            return Ok(Outcome::Done);
        }
        std::thread::sleep(tick);
    }
}

fn print_json(status: &Status) -> io::Result<()> {
    let mut out = io::stdout();
    serde_json::to_writer(&mut out, status)?;
    out.write_all(b"\n")?;
    out.flush()
}

struct Watched<'a> {
    place: &'a Path,
    device: u64,
    began: Instant,
    files: Progress,
    /// Bytes sent and received, and when.
    traffic: Option<(u64, u64, Instant)>,
}

impl<'a> Watched<'a> {
    fn new(place: &'a Path) -> Self {
        let files = Progress::default();
        Self { place, device: 0, began: Instant::now(), files, traffic: None }
    }

    /// Whether the mount that was watched is there no more.
    fn has_ended(&self) -> bool {
        let mount = mountinfo::at(self.place).ok().flatten();
        mount.is_none_or(|mount| mount.device != Some(self.device))
            || liveness::of(self.place) == liveness::Liveness::Dead
    }

    fn show(&mut self, status: &Status, bars: Option<&mut Bars>) -> io::Result<()> {
        let (lines, gone) = self
            .files
            .look(&status.files, self.began.elapsed(), |file| source::total(file, self.device));
        let ended: Vec<String> = gone.iter().filter_map(|path| self.fate(path)).collect();
        let head = self.head(status);
        let Some(bars) = bars else { return print(&head, &lines, &ended) };
        ended.iter().for_each(|text| bars.say(text));
        bars.show(&head, &lines);
        Ok(())
    }

    /// What became of a file that is on its way no more. Nothing where it has another name now.
    fn fate(&self, path: &str) -> Option<String> {
        match liveness::told_of(self.place.join(path), "user.partfs.state")? {
            Ok(state) => Some(format!("{path}: {}", printable(&state))),
            // The name in the status has no control characters, so that the file may have another one.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.contains('?') => {
                Some(format!("{path}: there is no such file any more"))
            }
            Err(_) => None,
        }
    }

    /// One line about all.
    fn head(&mut self, status: &Status) -> String {
        let now = Instant::now();
        let before = self.traffic.replace((status.bytes_sent, status.bytes_received, now));
        let rates = before.map_or(String::new(), |(sent, received, then)| {
            let passed = now.duration_since(then).as_secs_f64().max(0.001);
            let rate =
                |now: u64, then: u64| size((now.saturating_sub(then) as f64 / passed) as u64);
            format!(
                ", {}/s out, {}/s in",
                rate(status.bytes_sent, sent),
                rate(status.bytes_received, received)
            )
        });
        let held = status.memory_limit_bytes.saturating_sub(status.memory_free_bytes);
        let waiting = match status.waiting.first() {
            Some(first) if first.waiting_ms >= 10_000 => format!(
                ", {} has waited {}",
                first.operation,
                time(Duration::from_millis(first.waiting_ms))
            ),
            _ => String::new(),
        };
        format!(
            "{}: {} not stored{rates}, {} of {} memory{waiting}",
            self.place.display(),
            count(status.files.len() + status.files_more, "file"),
            size(held),
            size(status.memory_limit_bytes),
        )
    }

    fn end(
        &self,
        bars: Option<Bars>,
        json: bool,
        why: Option<String>,
    ) -> Result<Outcome, MountError> {
        if let Some(bars) = bars {
            bars.clear();
        }
        if let Some(why) = why {
            return Err(MountError::new(why));
        }
        // Who watches a pipe that is closed does not want to know.
        if !json {
            let _ = writeln!(io::stdout(), "{} is unmounted", self.place.display());
        }
        Ok(Outcome::Done)
    }
}

fn print(head: &str, lines: &[Line], ended: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    ended.iter().try_for_each(|text| writeln!(out, "{text}"))?;
    writeln!(out, "{head}")?;
    lines.iter().try_for_each(|line| writeln!(out, "  {}: {line}", line.name))?;
    out.flush()
}
