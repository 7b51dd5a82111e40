//! What a process has used, from /proc.

use std::fs;
use std::ops::Sub;

use super::Outcome;

/// Ticks of /proc/PID/stat in a second. The kernel gives 100 to programs on every architecture that
/// Rust's Linux targets have, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// In the program.
    pub(crate) user: f64,
    /// In the kernel on its behalf.
    pub(crate) system: f64,
}

impl Cpu {
    /// What all threads of a process have used so far.
    pub(crate) fn of(pid: u32) -> Outcome<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name stands in brackets and may hold blanks; utime and stime are fields 14 and 15 of all.
        let behind_name = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?.1;
        let mut fields = behind_name.split_whitespace().skip(11);
        let mut seconds = || -> Outcome<f64> {
            let field = fields.next().ok_or("/proc/PID/stat is short")?;
            Ok(field.parse::<f64>()? / TICKS_PER_SECOND)
        };
        Ok(Self { user: seconds()?, system: seconds()? })
    }

    /// Both.
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }
}

/// Forgets the peak so far. Where that is not permitted the peak is the one since the start.
pub(crate) fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Most memory the process held at a time, in bytes.
pub(crate) fn peak_bytes(pid: u32) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
    Ok(kib.parse::<u64>()? << 10)
}
