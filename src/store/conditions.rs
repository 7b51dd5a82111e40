//! On which condition an object is read or copied, and what HTTP says such conditions mean.

use std::time::{Duration, SystemTime};

use crate::store::{ETag, ErrorKind};

/// What must be true of an object for it to be read or copied (RFC 9110 section 13.1). None by default.
///
/// Dates are from 1970 to 9999 and count in whole seconds, as `Last-Modified` does and as they are sent:
/// parts of a second are dropped. A request with another date is [`ErrorKind::InvalidRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// It has this ETag.
    pub if_match: Option<ETag>,
    /// It has not this ETag.
    pub if_none_match: Option<ETag>,
    /// It was changed after this time. Not looked at beside `if_none_match`.
    pub if_modified_since: Option<SystemTime>,
    /// It was not changed after this time. Not looked at beside `if_match`.
    pub if_unmodified_since: Option<SystemTime>,
}

/// Which kind of condition did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// `if_match` or `if_unmodified_since`: status 412.
    Failed,
    /// `if_none_match` or `if_modified_since`: status 304 of a GET or HEAD.
    NotModified,
}

impl Unmet {
    /// What it means to a GET or HEAD.
    pub fn of_read(self) -> ErrorKind {
        match self {
            Self::Failed => ErrorKind::PreconditionFailed,
            Self::NotModified => ErrorKind::NotModified,
        }
    }
}

/// One after the last second that HTTP can write, the end of the year 9999.
const END_OF_DATES: u64 = 253_402_300_800;

/// Whole seconds since 1970, where HTTP has a date for them.
fn seconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    (since < END_OF_DATES).then_some(since)
}

impl Conditions {
    /// Anything goes.
    pub const NONE: Self = Self {
        if_match: None,
        if_none_match: None,
        if_modified_since: None,
        if_unmodified_since: None,
    };

    /// Only the version with this ETag.
    pub fn matching(etag: &ETag) -> Self {
        Self { if_match: Some(etag.clone()), ..Self::NONE }
    }

    /// Whether there is any that looks at the time of the last change.
    pub fn has_dates(&self) -> bool {
        self.dates().next().is_some()
    }

    /// Whether HTTP can say the dates.
    pub fn can_be_said(&self) -> bool {
        self.dates().all(|date| seconds(date).is_some())
    }

    /// Whether conditions of both kinds of [`Unmet`] are among them.
    pub fn are_mixed(&self) -> bool {
        let failing = self.if_match.is_some() || self.if_unmodified_since.is_some();
        let unmodified = self.if_none_match.is_some() || self.if_modified_since.is_some();
        failing && unmodified
    }

    fn dates(&self) -> impl Iterator<Item = SystemTime> {
        self.if_modified_since.into_iter().chain(self.if_unmodified_since)
    }

    /// Whether they hold for an object with this ETag that was last changed then, in the order of RFC 9110
    /// section 13.2.2: `if_match` makes `if_unmodified_since` not count, then `if_none_match`
    /// `if_modified_since`. Pure.
    pub fn check(&self, etag: &ETag, last_modified: SystemTime) -> Result<(), Unmet> {
        let changed_after = |date| whole(last_modified) > whole(date);
        let as_expected = match (&self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) => wanted == etag,
            (None, Some(date)) => !changed_after(date),
            (None, None) => true,
        };
        let news = match (&self.if_none_match, self.if_modified_since) {
            (Some(known), _) => known != etag,
            (None, Some(date)) => changed_after(date),
            (None, None) => true,
        };
        match (as_expected, news) {
            (false, _) => Err(Unmet::Failed),
            (true, false) => Err(Unmet::NotModified),
            (true, true) => Ok(()),
        }
    }
}

/// Without its part of a second. Times before 1970 stay as they are.
fn whole(time: SystemTime) -> SystemTime {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()),
        Err(_) => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds)
    }

    /// What they say of an object with the ETag `e` of second 100.
    fn of(
        matches: Option<&str>,
        unmodified: Option<f64>,
        none: Option<&str>,
        modified: Option<f64>,
    ) -> Result<(), Unmet> {
        let conditions = Conditions {
            if_match: matches.map(ETag::new),
            if_none_match: none.map(ETag::new),
            if_modified_since: modified.map(at),
            if_unmodified_since: unmodified.map(at),
        };
        conditions.check(&ETag::new("e"), at(100.0))
    }

    #[test]
    fn each_condition_alone() {
        assert_eq!(of(None, None, None, None), Ok(()));
        assert_eq!(of(Some("\"E\""), None, None, None), Ok(()));
        assert_eq!(of(Some("x"), None, None, None), Err(Unmet::Failed));
        assert_eq!(of(None, Some(100.0), None, None), Ok(()));
        assert_eq!(of(None, Some(99.0), None, None), Err(Unmet::Failed));
        assert_eq!(of(None, None, Some("x"), None), Ok(()));
        assert_eq!(of(None, None, Some("E"), None), Err(Unmet::NotModified));
        assert_eq!(of(None, None, None, Some(99.0)), Ok(()));
        assert_eq!(of(None, None, None, Some(100.0)), Err(Unmet::NotModified));
    }

    #[test]
    fn etags_come_before_dates_and_failures_before_news() {
        assert_eq!(of(Some("e"), Some(99.0), None, None), Ok(()));
        assert_eq!(of(Some("x"), Some(100.0), None, None), Err(Unmet::Failed));
        assert_eq!(of(None, None, Some("x"), Some(100.0)), Ok(()));
        assert_eq!(of(None, None, Some("e"), Some(99.0)), Err(Unmet::NotModified));
        assert_eq!(of(Some("x"), None, Some("e"), None), Err(Unmet::Failed));
        assert_eq!(of(Some("e"), None, Some("e"), None), Err(Unmet::NotModified));
        assert_eq!(of(None, Some(100.0), None, Some(99.0)), Ok(()));
    }

    #[test]
    fn parts_of_a_second_do_not_count() {
        assert_eq!(of(None, None, None, Some(100.9)), Err(Unmet::NotModified));
        assert_eq!(of(None, None, None, Some(99.9)), Ok(()));
        assert_eq!(of(None, Some(99.9), None, None), Err(Unmet::Failed));
        let exact = Conditions { if_unmodified_since: Some(at(100.0)), ..Conditions::NONE };
        assert_eq!(exact.check(&ETag::new("e"), at(100.9)), Ok(()));
    }

    #[test]
    fn dates_are_those_of_http() {
        let since = |date| Conditions { if_modified_since: Some(date), ..Conditions::NONE };
        let last = SystemTime::UNIX_EPOCH + Duration::from_secs(END_OF_DATES - 1);
        assert_eq!(httpdate::fmt_http_date(last), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert!(since(last).can_be_said() && since(SystemTime::UNIX_EPOCH).can_be_said());
        assert!(!since(last + Duration::from_secs(1)).can_be_said());
        let before = SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
        let unmodified = Conditions { if_unmodified_since: Some(before), ..Conditions::NONE };
        assert!(!unmodified.can_be_said() && unmodified.has_dates());
        assert!(Conditions::matching(&ETag::new("e")).can_be_said());
        assert!(!Conditions::matching(&ETag::new("e")).has_dates());
    }
}
