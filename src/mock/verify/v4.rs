//! What the fourth signatures of AWS and of OSS have in common: the scope, the chain of keys, the
//! form of a time. What they sign is theirs.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use percent_encoding::utf8_percent_encode;

use super::digests::{hex, hmac_sha256, sha256_hex};
use super::{ENCODED, MAX_EXPIRES, check_skew};
use crate::mock::refusal::Refusal;
use crate::mock::request::Query;

/// How a moment is written, always in UTC.
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The words by which one scheme differs from the other.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) algorithm: &'static str,
    pub(super) key_prefix: &'static str,
    pub(super) service: &'static str,
    pub(super) terminator: &'static str,
}

/// Who signed, and for which day and region.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) access_key_id: String,
    day: String,
    pub(super) region: String,
}

impl Credential {
    /// Reads `<id>/<day>/<region>/<service>/<terminator>`; the day must be that of `time`.
    pub(super) fn parse(text: &str, time: &Time, family: &Family) -> Option<Self> {
        let mut items = text.rsplitn(5, '/');
        let ends = (items.next()?, items.next()?) == (family.terminator, family.service);
        let (region, day, access_key_id) = (items.next()?, items.next()?, items.next()?);
        let agrees = ends && time.text.split_once('T').is_some_and(|(date, _)| date == day);
        agrees.then(|| Self {
            access_key_id: access_key_id.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
        })
    }

    pub(super) fn scope(&self, family: &Family) -> String {
        format!("{}/{}/{}/{}", self.day, self.region, family.service, family.terminator)
    }

    pub(super) fn signing_key(&self, secret: &str, family: &Family) -> Vec<u8> {
        let mut key = format!("{}{secret}", family.key_prefix).into_bytes();
        for step in [&self.day, &self.region, family.service, family.terminator] {
            key = hmac_sha256(&key, step);
        }
        key
    }

    /// The string to sign for a canonical request, and its signature.
    pub(super) fn sign(
        &self,
        canonical: &str,
        time: &Time,
        secret: &str,
        family: &Family,
    ) -> (String, String) {
        let (algorithm, scope) = (family.algorithm, self.scope(family));
        let text = format!("{algorithm}\n{}\n{scope}\n{}", time.text, sha256_hex(canonical));
        let signature = hex(&hmac_sha256(&self.signing_key(secret, family), &text));
        (text, signature)
    }
}

/// A moment as it was written and as it was meant.
#[derive(Debug, Clone)]
pub(super) struct Time {
    pub(super) text: String,
    pub(super) moment: SystemTime,
}

impl Time {
    /// Reads the form `20231114T221320Z`, and no other.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let moment = DateTime::strptime(TIME_FORMAT, text).ok()?;
        let moment = TimeZone::UTC.to_timestamp(moment).ok()?;
        let time = Self { text: text.to_owned(), moment: moment.into() };
        // Blanks and signs would be read as well.
        (Self::at(time.moment).text == text).then_some(time)
    }

    pub(super) fn at(moment: SystemTime) -> Self {
        let timestamp = Timestamp::try_from(moment).unwrap_or_default();
        Self { text: timestamp.strftime(TIME_FORMAT).to_string(), moment }
    }

    /// Whether a signature of this moment is still, or already, good: for the allowed skew, or for
    /// the seconds that it says itself.
    pub(super) fn check(&self, expires: Option<&str>, now: SystemTime) -> Result<(), Refusal> {
        let Some(expires) = expires else { return check_skew(self.moment, now) };
        let seconds = expires.parse().ok().filter(|seconds| (1..=MAX_EXPIRES).contains(seconds));
        let seconds = seconds.ok_or(Refusal::MalformedAuthorization(
            "A signature in a query expires after 1 to 604800 seconds.",
        ))?;
        match now.duration_since(self.moment) {
            Ok(age) if age.as_secs() > seconds => Err(Refusal::AccessDenied("Request has expired")),
            Ok(_) => Ok(()),
            Err(_) => check_skew(self.moment, now),
        }
    }
}

/// The items `name=value` of a list with commas; `None` if one of them is something else or comes
/// twice.
pub(super) fn items(text: &str) -> Option<BTreeMap<&str, &str>> {
    let mut items = BTreeMap::new();
    for item in text.split(',') {
        let (name, value) = item.trim().split_once('=')?;
        if items.insert(name, value).is_some() {
            return None;
        }
    }
    Some(items)
}

/// All parameters but one, encoded and sorted. `empty` follows the name of one without value.
pub(super) fn canonical_query(query: &Query, but: &str, empty: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let pairs = query.pairs().filter(|(name, _)| *name != but);
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    let written = pairs.iter().map(|(name, value)| match value.as_str() {
        "" => format!("{name}{empty}"),
        value => format!("{name}={value}"),
    });
    written.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn only_one_form_of_a_time_is_read() {
        let time = Time::parse("20231114T221320Z").unwrap();
        assert_eq!(time.moment, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(Time::at(time.moment).text, time.text);
        for wrong in
            ["", "20231114", "2023-11-14T22:13:20Z", "20231314T221320Z", "20231114T 22132Z"]
        {
            assert!(Time::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn scopes_belong_to_one_service_and_to_the_day_of_their_time() {
        let family = Family { algorithm: "A", key_prefix: "K", service: "s", terminator: "end" };
        let time = Time::parse("20231114T221320Z").unwrap();
        let parse = |text| Credential::parse(text, &time, &family);
        let found = parse("a/b/20231114/r/s/end").unwrap();
        assert_eq!((found.access_key_id.as_str(), found.region.as_str()), ("a/b", "r"));
        assert_eq!(found.scope(&family), "20231114/r/s/end");
        for wrong in ["", "/", "20231114/r/s/end", "a/20231115/r/s/end", "a/20231114/r/t/end"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn items_come_in_any_order_and_once() {
        assert_eq!(items("b=2,a=1=1"), items("a=1=1, b=2"));
        for wrong in ["", "a", "a=1,", "a=1,a=1"] {
            assert_eq!(items(wrong), None, "{wrong}");
        }
    }
}
