//! Fault rules as people write them: a TOML file of `[[fault]]` tables. Everything that is not understood
//! is refused with its line, so that no rule is silently another one than was meant.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use super::{Action, FaultRule, KeyPattern, Misassembly, Place, When};
use crate::store::Operation;

/// Why a text is no list of fault rules.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct FaultFileError {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// Reads rules; docs/FAULTS.md shows a file and lists what can be in it.
///
/// # Errors
/// When the text is no TOML, names what there is not, or lacks what an action needs.
pub fn read_faults(text: &str) -> Result<Vec<FaultRule>, FaultFileError> {
    let error = |span: Option<Range<usize>>, what: String| {
        let offset = span.map_or(0, |span| span.start);
        let before = text.as_bytes().iter().take(offset);
        FaultFileError { line: 1 + before.filter(|byte| **byte == b'\n').count(), what }
    };
    let file: File = toml::from_str(text)
        .map_err(|wrong| error(wrong.span(), wrong.message().trim_end().replace('\n', "; ")))?;
    let rules = file.fault.into_iter().map(|written| {
        let span = written.span();
        written.into_inner().rule().map_err(|what| error(Some(span), what))
    });
    rules.collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fault: Vec<Spanned<Written>>,
}

/// One table. Which of the later fields are needed depends on the action.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    action: Name,
    operation: Option<OperationName>,
    key: Option<String>,
    #[serde(default)]
    skip: u32,
    count: Option<Count>,
    when: Option<Moment>,
    at_byte: Option<u64>,
    of: Option<Side>,
    status: Option<u16>,
    code: Option<String>,
    location: Option<String>,
    content_type: Option<String>,
    body: Option<String>,
    blanks: Option<u32>,
    milliseconds: Option<u64>,
    seconds: Option<i64>,
    bytes_per_second: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    Status,
    Reset,
    Stall,
    Truncate,
    Corrupt,
    DropResponse,
    ApplyLate,
    #[serde(rename = "error-in-200")]
    ErrorIn200,
    Blanks,
    Rate,
    WrongCrc,
    WrongEtag,
    MissingEtag,
    ExpireCredentials,
    ClockOffset,
    Redirect,
    ProxyPage,
    Answer,
    AbortUpload,
    SwapParts,
    DropPart,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OperationName {
    Head,
    Get,
    List,
    Put,
    Append,
    Copy,
    Rename,
    Delete,
    DeleteMany,
    Initiate,
    UploadPart,
    UploadPartCopy,
    Complete,
    Abort,
    ListParts,
    ListUploads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Moment {
    Before,
    AfterApply,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Side {
    Request,
    Answer,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "count: a number or \"always\"")]
enum Count {
    Number(u32),
    Word(Always),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Always {
    Always,
}

/// The value of a field that the action needs.
fn need<T>(field: &mut Option<T>, name: &str) -> Result<T, String> {
    field.take().ok_or_else(|| format!("{name} is missing: the action needs it"))
}

impl Written {
    fn rule(mut self) -> Result<FaultRule, String> {
        let action = self.take_action()?;
        let at = self.take_place()?;
        let when = self.take_moment()?;
        self.nothing_left()?;
        Ok(FaultRule {
            operation: self.operation.map(Operation::from),
            key: self.key.map(KeyPattern::Glob),
            skip: self.skip,
            count: match self.count {
                None => 1,
                Some(Count::Number(count)) => count,
                Some(Count::Word(Always::Always)) => FaultRule::ALWAYS,
            },
            when,
            at,
            action,
        })
    }

    fn take_action(&mut self) -> Result<Action, String> {
        let time = |field: &mut Option<u64>| need(field, "milliseconds").map(Duration::from_millis);
        Ok(match self.action {
            Name::Status => {
                Action::Status(self.take_status()?, self.code.take().unwrap_or_default())
            }
            Name::Reset => Action::Reset,
            Name::Stall => Action::Stall,
            Name::Truncate => Action::Truncate,
            Name::Corrupt => Action::Corrupt,
            Name::DropResponse => Action::DropResponse,
            Name::ApplyLate => Action::ApplyLate(time(&mut self.milliseconds)?),
            Name::ErrorIn200 => Action::ErrorIn200(need(&mut self.code, "code")?),
            Name::Blanks => Action::Blanks {
                count: need(&mut self.blanks, "blanks")?,
                interval: time(&mut self.milliseconds)?,
            },
            Name::Rate => Action::Rate(need(&mut self.bytes_per_second, "bytes-per-second")?),
            Name::WrongCrc => Action::WrongCrc,
            Name::WrongEtag => Action::WrongEtag,
            Name::MissingEtag => Action::MissingEtag,
            Name::ExpireCredentials => Action::ExpireCredentials,
            Name::ClockOffset => Action::ClockOffset(need(&mut self.seconds, "seconds")?),
            Name::Redirect => Action::RedirectTo(need(&mut self.location, "location")?),
            Name::ProxyPage => Action::ProxyPage(self.take_status()?),
            Name::Answer => Action::Answer {
                status: self.take_status()?,
                content_type: self.content_type.take().unwrap_or("application/xml".to_owned()),
                body: need(&mut self.body, "body")?,
            },
            Name::AbortUpload => Action::AbortUpload,
            Name::SwapParts => Action::Misassemble(Misassembly::SwapParts),
            Name::DropPart => Action::Misassemble(Misassembly::DropPart),
        })
    }

    fn take_status(&mut self) -> Result<u16, String> {
        match need(&mut self.status, "status")? {
            status @ 200..=599 => Ok(status),
            other => Err(format!("status {other} is not between 200 and 599")),
        }
    }

    fn take_place(&mut self) -> Result<Option<Place>, String> {
        let splits = matches!(self.action, Name::Reset | Name::Stall);
        let spoils = matches!(self.action, Name::Truncate | Name::Corrupt);
        let Some(byte) = self.at_byte.filter(|_| splits || spoils) else { return Ok(None) };
        self.at_byte = None;
        Ok(Some(match need(&mut self.of, "of")? {
            Side::Request => Place::Request(byte),
            Side::Answer => Place::Answer(byte),
        }))
    }

    fn take_moment(&mut self) -> Result<When, String> {
        match self.when {
            None | Some(Moment::Before) => Ok(When::Before),
            Some(Moment::AfterApply) => Ok(When::AfterApply),
        }
    }

    /// What was not taken belongs to another action.
    fn nothing_left(&self) -> Result<(), String> {
        let fields = [
            ("at-byte", self.at_byte.is_some()),
            ("of", self.of.is_some()),
            ("status", self.status.is_some()),
            ("code", self.code.is_some()),
            ("location", self.location.is_some()),
            ("content-type", self.content_type.is_some()),
            ("body", self.body.is_some()),
            ("blanks", self.blanks.is_some()),
            ("milliseconds", self.milliseconds.is_some()),
            ("seconds", self.seconds.is_some()),
            ("bytes-per-second", self.bytes_per_second.is_some()),
        ];
        match fields.iter().find(|(_, left)| *left) {
            Some((name, _)) => Err(format!("{name} does not belong to this action")),
            None => Ok(()),
        }
    }
}

impl From<OperationName> for Operation {
    fn from(name: OperationName) -> Self {
        match name {
            OperationName::Head => Self::Head,
            OperationName::Get => Self::Get,
            OperationName::List => Self::List,
            OperationName::Put => Self::Put,
            OperationName::Append => Self::Append,
            OperationName::Copy => Self::Copy,
            OperationName::Rename => Self::Rename,
            OperationName::Delete => Self::Delete,
            OperationName::DeleteMany => Self::DeleteMany,
            OperationName::Initiate => Self::StartUpload,
            OperationName::UploadPart => Self::PutPart,
            OperationName::UploadPartCopy => Self::CopyPart,
            OperationName::Complete => Self::CompleteUpload,
            OperationName::Abort => Self::AbortUpload,
            OperationName::ListParts => Self::ListParts,
            OperationName::ListUploads => Self::ListUploads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read_faults(text).unwrap_err().to_string()
    }

    #[test]
    fn what_the_documentation_shows_is_read() {
        let document = include_str!("../../../docs/FAULTS.md");
        let blocks = document.split("```toml\n").skip(1).filter_map(|text| text.split_once("```"));
        let rules = blocks.map(|(text, _)| read_faults(text).unwrap().len()).sum::<usize>();
        assert!(rules >= 3, "{rules} rules are shown");
        // The words that are known are those in the message about one that is not.
        for text in ["action = 'x'", "action = 'reset'\noperation = 'x'", "x = 1"] {
            let message = refused(&format!("[[fault]]\n{text}\n"));
            let (_, known) = message.split_once("expected one of ").unwrap();
            for name in known.split(", ") {
                assert!(document.contains(name), "{name} is not documented");
            }
        }
    }

    #[test]
    fn each_action_is_read_with_what_it_needs() {
        for (text, action) in [
            ("action = 'status'\nstatus = 503\ncode = 'x'", Action::Status(503, "x".into())),
            ("action = 'reset'", Action::Reset),
            ("action = 'drop-response'", Action::DropResponse),
            (
                "action = 'apply-late'\nmilliseconds = 20",
                Action::ApplyLate(Duration::from_millis(20)),
            ),
            ("action = 'error-in-200'\ncode = 'x'", Action::ErrorIn200("x".into())),
            (
                "action = 'blanks'\nblanks = 3\nmilliseconds = 1",
                Action::Blanks { count: 3, interval: Duration::from_millis(1) },
            ),
            ("action = 'rate'\nbytes-per-second = 1024", Action::Rate(1024)),
            ("action = 'missing-etag'", Action::MissingEtag),
            ("action = 'clock-offset'\nseconds = -3600", Action::ClockOffset(-3600)),
            ("action = 'redirect'\nlocation = 'x'", Action::RedirectTo("x".into())),
            ("action = 'proxy-page'\nstatus = 200", Action::ProxyPage(200)),
            ("action = 'abort-upload'", Action::AbortUpload),
            ("action = 'swap-parts'", Action::Misassemble(Misassembly::SwapParts)),
        ] {
            let rules = read_faults(&format!("[[fault]]\n{text}\n")).unwrap();
            assert_eq!(rules, [FaultRule::new(action)], "{text}");
        }
    }

    #[test]
    fn a_rule_says_which_requests_and_where() {
        let text = "[[fault]]\noperation = 'upload-part'\nkey = 'a/*'\nskip = 1\ncount = 'always'\n\
                    action = 'corrupt'\nat-byte = 7\nof = 'request'\n\
                    [[fault]]\naction = 'reset'\nwhen = 'after-apply'\ncount = 2\n";
        let first = FaultRule::new(Action::Corrupt).on(Operation::PutPart).key("a/*").skip(1);
        let first = first.times(FaultRule::ALWAYS).at(Place::Request(7));
        let second = FaultRule::new(Action::Reset).after_apply().times(2);
        assert_eq!(read_faults(text), Ok(vec![first, second]));
        assert_eq!(read_faults(""), Ok(vec![]));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, line, words) in [
            (
                "[[fault]]\naction = 'reset'\n\n[[fault]]\naction = 'blow-up'\n",
                5,
                "unknown variant",
            ),
            ("[[fault]]\naction = 'reset'\noperatoin = 'put'\n", 3, "unknown field `operatoin`"),
            ("[[faults]]\naction = 'reset'\n", 1, "unknown field `faults`"),
            ("[[fault]]\naction = \n", 2, ""),
            ("[[fault]]\nkey = 'k'\n", 1, "missing field `action`"),
            ("\n[[fault]]\naction = 'status'\n", 2, "status is missing"),
            ("[[fault]]\naction = 'status'\nstatus = 42\n", 1, "not between 200 and 599"),
            ("[[fault]]\naction = 'reset'\nstatus = 500\n", 1, "status does not belong"),
            ("[[fault]]\naction = 'status'\nstatus = 500\nat-byte = 1\n", 1, "at-byte does not"),
            ("[[fault]]\naction = 'reset'\nat-byte = 1\n", 1, "of is missing"),
            ("[[fault]]\naction = 'reset'\ncount = 'often'\n", 3, "a number or \"always\""),
        ] {
            let error = read_faults(text).unwrap_err();
            assert!(error.line == line && error.what.contains(words), "{text}: {error}");
        }
        assert!(refused("x").starts_with("line 1: "));
    }
}
