//! How the text of an option becomes a value, and the words used when it cannot. Pure; knows neither
//! where a text came from nor what the value is for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A kind of option value.
pub(crate) trait Kind: Sync {
    /// What a text becomes.
    type Value;
    /// The value, or what is wrong with the text: the end of a sentence that names option and text.
    fn parse(&self, text: &str) -> Result<Self::Value, String>;
    /// What stands for the value in help texts.
    fn placeholder(&self) -> &'static str;
    /// The values allowed, for the documentation; empty where every text is allowed.
    fn allowed(&self) -> String {
        String::new()
    }
    /// All values there are, where they can be listed, for completions.
    fn words(&self) -> Vec<&'static str> {
        Vec::new()
    }
    /// Whether it names a file or a directory.
    fn is_path(&self) -> bool {
        false
    }
    /// Whether a bare name (`-o allow_other`) means `true`.
    fn is_switch(&self) -> bool {
        false
    }
    /// Whether a number without quotes is taken in a configuration file.
    fn takes_numbers(&self) -> bool {
        false
    }
}

/// Any text but an empty one.
pub(crate) struct Text(pub(crate) &'static str);

/// A path.
pub(crate) struct PathText;

/// An amount of bytes.
pub(crate) struct Size {
    /// What is measured, with its article: the subject of the complaint.
    pub(crate) subject: &'static str,
    /// Smallest allowed, in bytes.
    pub(crate) min: u64,
    /// Largest allowed, in bytes.
    pub(crate) max: u64,
}

/// A number of things.
pub(crate) struct Count {
    /// What is counted, in the plural.
    pub(crate) subject: &'static str,
    /// Smallest allowed.
    pub(crate) min: u64,
    /// Largest allowed.
    pub(crate) max: u64,
}

/// A length of time.
pub(crate) struct Time {
    /// Shortest allowed.
    pub(crate) min: Duration,
    /// Longest allowed.
    pub(crate) max: Duration,
}

/// Permission bits in octal.
pub(crate) struct Mode;

/// The number of a user or group.
pub(crate) struct Id;

/// Yes or no.
pub(crate) struct Switch;

/// An address and port on this machine that no other machine reaches.
pub(crate) struct Loopback;

/// One of a few words, each with its value.
pub(crate) struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

const UNITS: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

/// `8MiB`: the largest unit that divides it.
pub(crate) fn size_text(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) => format!("{}{name}iB", bytes / unit),
        None => bytes.to_string(),
    }
}

/// `10m`: the largest unit that divides it.
fn time_text(time: Duration) -> String {
    match time.as_millis() {
        0 => "0".into(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

impl Kind for Text {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, String> {
        match text {
            "" => Err("is empty".into()),
            text if text.contains('\0') => Err("contains a zero byte".into()),
            text => Ok(text.to_owned()),
        }
    }

    fn placeholder(&self) -> &'static str {
        self.0
    }
}

impl Kind for PathText {
    type Value = PathBuf;

    fn parse(&self, text: &str) -> Result<PathBuf, String> {
        Text("").parse(text).map(PathBuf::from)
    }

    fn placeholder(&self) -> &'static str {
        "PATH"
    }

    fn is_path(&self) -> bool {
        true
    }
}

impl Size {
    fn bounds(&self) -> String {
        if self.max == u64::MAX {
            return format!("at least {}", size_text(self.min));
        }
        format!("from {} to {}", size_text(self.min), size_text(self.max))
    }
}

impl Kind for Size {
    type Value = u64;

    fn parse(&self, text: &str) -> Result<u64, String> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let unit = unit.to_ascii_uppercase();
        let unit = unit.strip_suffix("IB").unwrap_or(&unit);
        let factor = match unit {
            "" => Some(1),
            _ => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
        };
        let (Ok(number), Some(factor)) = (digits.parse::<u64>(), factor) else {
            return Err("is not a size: write 8MiB, 8M or 8388608".into());
        };
        number
            .checked_mul(factor)
            .filter(|bytes| (self.min..=self.max).contains(bytes))
            .ok_or_else(|| format!("{} must be {}", self.subject, self.bounds()))
    }

    fn placeholder(&self) -> &'static str {
        "SIZE"
    }

    fn allowed(&self) -> String {
        self.bounds()
    }

    fn takes_numbers(&self) -> bool {
        true
    }
}

impl Kind for Count {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, String> {
        let number = text.parse::<u64>().map_err(|_| "is not a number".to_owned())?;
        if !(self.min..=self.max).contains(&number) {
            return Err(format!(
                "the number of {} must be from {} to {}",
                self.subject, self.min, self.max
            ));
        }
        usize::try_from(number).map_err(|error| error.to_string())
    }

    fn placeholder(&self) -> &'static str {
        "NUMBER"
    }

    fn allowed(&self) -> String {
        format!("from {} to {}", self.min, self.max)
    }

    fn takes_numbers(&self) -> bool {
        true
    }
}

impl Kind for Time {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, String> {
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (digits, unit) = text.split_at(split);
        let seconds = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err("is not a time: write 500ms, 1.5s, 10m or 2h".into()),
        };
        let time = digits.parse::<f64>().ok().map(|number| number * seconds);
        let Some(Ok(time)) = time.map(Duration::try_from_secs_f64) else {
            return Err("is not a time: write 500ms, 1.5s, 10m or 2h".into());
        };
        if !(self.min..=self.max).contains(&time) {
            return Err(format!("the time must be {}", self.allowed()));
        }
        Ok(time)
    }

    fn placeholder(&self) -> &'static str {
        "TIME"
    }

    fn allowed(&self) -> String {
        format!("from {} to {}", time_text(self.min), time_text(self.max))
    }

    fn takes_numbers(&self) -> bool {
        true
    }
}

impl Kind for Mode {
    type Value = u32;

    fn parse(&self, text: &str) -> Result<u32, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| plain && *mode <= 0o777);
        mode.ok_or_else(|| "is not permission bits: write them in octal, 0 to 0777".into())
    }

    fn placeholder(&self) -> &'static str {
        "OCTAL"
    }

    fn allowed(&self) -> String {
        "octal, 0 to 0777".into()
    }
}

impl Kind for Id {
    type Value = u32;

    fn parse(&self, text: &str) -> Result<u32, String> {
        // The last number means "no change" to chown(2) and cannot own anything.
        text.parse()
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| "is not the number of a user or group (see `id`)".into())
    }

    fn placeholder(&self) -> &'static str {
        "ID"
    }

    fn takes_numbers(&self) -> bool {
        true
    }
}

impl Kind for Loopback {
    type Value = SocketAddr;

    fn parse(&self, text: &str) -> Result<SocketAddr, String> {
        let address: SocketAddr =
            text.parse().map_err(|_| "is not an address and a port: write 127.0.0.1:9100")?;
        if !address.ip().is_loopback() {
            return Err(
                "is an address that other machines could reach: write 127.0.0.1 or [::1]".into()
            );
        }
        Ok(address)
    }

    fn placeholder(&self) -> &'static str {
        "ADDRESS"
    }
}

impl Kind for Switch {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, String> {
        match text {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("must be true or false".into()),
        }
    }

    fn placeholder(&self) -> &'static str {
        "BOOL"
    }

    fn allowed(&self) -> String {
        "true or false".into()
    }

    fn is_switch(&self) -> bool {
        true
    }
}

impl<T: Copy + Sync> Kind for Choice<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, String> {
        let found = self.0.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| format!("must be {}", self.allowed()))
    }

    fn placeholder(&self) -> &'static str {
        "WORD"
    }

    fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|(word, _)| *word).collect()
    }

    fn allowed(&self) -> String {
        let words = self.words();
        match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
