//! Asks the bucket one question before the kernel mounts anything, and turns a failure into a
//! sentence that names the mistake.

use super::MountError;
use crate::store::{ErrorKind, ListPage, ListRequest, ListedObject, ObjectStore, StoreError};

/// Names for the messages.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The bucket's name.
    pub(crate) bucket: String,
    /// Where it was looked for: an endpoint or a region, as the user gave it.
    pub(crate) place: String,
}

/// How many entries are looked at before a bucket is called an archive.
const ENTRIES: u16 = 20;

/// Lists the first entries: that needs the address, the keys, the clock, the bucket and the one
/// permission without which a directory cannot be shown. A warning, if there is one.
pub(crate) async fn check(
    store: &dyn ObjectStore,
    target: &Target,
) -> Result<Option<String>, MountError> {
    let request =
        ListRequest { max_entries: ENTRIES, by_directory: true, ..ListRequest::default() };
    match store.list(&request).await {
        Ok(page) => Ok(archived(store, &page)),
        Err(error) => Err(MountError::new(sentence(&error, target))),
    }
}

/// Says so when all objects of a page are archived. No reason to refuse: they may be restored, and
/// others can be written.
pub(crate) fn archived(store: &dyn ObjectStore, page: &ListPage) -> Option<String> {
    let archives = store.limits().archive_classes;
    let is_archived = |object: &&ListedObject| {
        object.storage_class.as_deref().is_some_and(|class| archives.contains(&class))
    };
    let first = page.objects.first().filter(is_archived)?;
    page.objects.iter().all(|object| is_archived(&object)).then(|| {
        let class = first.storage_class.as_deref().unwrap_or_default();
        format!(
            "the objects here are archived ({class}): they cannot be read until they are restored \
             with the service's own tools"
        )
    })
}

/// The mistake in plain words, then what the service said, word for word.
pub(crate) fn sentence(error: &StoreError, Target { bucket, place }: &Target) -> String {
    let mistake = match error.kind {
        ErrorKind::BucketMissing | ErrorKind::NotFound => {
            format!("there is no bucket {bucket} at {place}: check its name, region and endpoint")
        }
        ErrorKind::WrongEndpoint => {
            format!("the bucket {bucket} is not at {place}: check region and endpoint")
        }
        ErrorKind::UnknownAccessKey => {
            "the service does not know this access key id: check it, and that it is one of this service"
                .to_owned()
        }
        ErrorKind::WrongSignature => {
            "the access key id is known, but its secret is wrong (or the region is): check the secret"
                .to_owned()
        }
        // Nothing was asked of the service: what stopped us says itself what to do.
        ErrorKind::BadCredentials if error.status.is_none() => {
            "there are no credentials that can be used".to_owned()
        }
        ErrorKind::BadCredentials => {
            "the credentials are expired or their token is wrong: get new ones".to_owned()
        }
        ErrorKind::AccessDenied => {
            format!("the access key is valid but may not list the bucket {bucket}: grant it that")
        }
        ErrorKind::ClockSkew => {
            "the clock of this machine is wrong: set it (timedatectl set-ntp true)".to_owned()
        }
        ErrorKind::Network => {
            format!(
                "{place} cannot be reached: check endpoint, region and network; proxies are not used"
            )
        }
        ErrorKind::Untrusted => format!(
            "{place} cannot be trusted: check that the endpoint speaks https, its name, and the \
             certificates of this machine (apt install ca-certificates)"
        ),
        ErrorKind::Timeout => format!("{place} does not answer: check endpoint and network"),
        ErrorKind::InvalidAnswer => {
            format!("{place} answers, but not as an object store does: check the endpoint")
        }
        ErrorKind::QuotaExceeded => {
            format!("the account of the bucket {bucket} is in arrears or over its quota")
        }
        ErrorKind::Throttled => format!("{place} asks for fewer requests: try again later"),
        ErrorKind::Unavailable => format!("{place} is not available now: try again later"),
        ErrorKind::InvalidRequest => {
            format!("{place} does not understand the request: check endpoint and region")
        }
        // Cannot be the answer to a listing; said as it is if it is all the same.
        ErrorKind::NoSuchUpload
        | ErrorKind::PreconditionFailed
        | ErrorKind::NotModified
        | ErrorKind::AlreadyExists
        | ErrorKind::TooLarge
        | ErrorKind::InvalidPart
        | ErrorKind::NotAppendable
        | ErrorKind::InvalidRange
        | ErrorKind::Archived
        | ErrorKind::Corrupt
        | ErrorKind::Unreadable
        | ErrorKind::InvalidKey => format!("the bucket {bucket} cannot be listed"),
    };
    let mut text = format!("{mistake} ({error}");
    // Libraries hide the reason ("connection refused") at the end of the chain.
    let mut cause = std::error::Error::source(error);
    for _ in 0..4 {
        let Some(below) = cause else { break };
        let below_text = below.to_string();
        if !text.contains(&below_text) {
            text.push_str(": ");
            text.push_str(&below_text);
        }
        cause = below.source();
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::memory::{BucketOptions, EtagMode, MemoryBucket, MemoryStore, SMALL_LIMITS};
    use crate::store::{Key, Limits, Operation, Payload, PutOptions};

    fn said(kind: ErrorKind) -> String {
        let mut error = StoreError::new(kind, Operation::List, "words of the service");
        error.request_id = Some("NjRh".into());
        error.status = Some(403);
        error.cause = Some(Arc::new(std::io::Error::other("connection refused")));
        let target = Target { bucket: "b-1250000000".into(), place: "ap-guangzhou".into() };
        sentence(&error, &target)
    }

    #[test]
    fn each_mistake_has_its_words() {
        for (kind, words) in [
            (ErrorKind::BucketMissing, "there is no bucket b-1250000000 at ap-guangzhou"),
            (ErrorKind::UnknownAccessKey, "does not know this access key id"),
            (ErrorKind::WrongSignature, "its secret is wrong"),
            (ErrorKind::BadCredentials, "expired"),
            (ErrorKind::Untrusted, "ca-certificates"),
            (ErrorKind::AccessDenied, "may not list the bucket b-1250000000"),
            (ErrorKind::ClockSkew, "the clock of this machine is wrong"),
            (ErrorKind::Network, "ap-guangzhou cannot be reached"),
            (ErrorKind::InvalidAnswer, "not as an object store does"),
            (ErrorKind::WrongEndpoint, "check region and endpoint"),
        ] {
            assert!(said(kind).contains(words), "{}", said(kind));
        }
    }

    #[test]
    fn credentials_that_were_not_found_are_not_called_wrong() {
        let error = StoreError::new(ErrorKind::BadCredentials, Operation::List, "none in the file");
        let target = Target { bucket: "b-1250000000".into(), place: "ap-guangzhou".into() };
        let text = sentence(&error, &target);
        assert!(text.starts_with("there are no credentials") && text.contains("none in the file"));
        assert!(!text.contains("access key"), "{text}");
    }

    #[test]
    fn the_services_words_its_request_id_and_the_cause_are_kept() {
        let text = said(ErrorKind::AccessDenied);
        for words in ["words of the service", "request id NjRh", "connection refused"] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[tokio::test]
    async fn an_archive_is_warned_of() {
        let options = BucketOptions::new(EtagMode::Md5, Arc::new(SystemClock));
        let limits = Limits { archive_classes: &["COLD"], ..SMALL_LIMITS };
        let store = MemoryStore::new(MemoryBucket::new(options), limits);
        let target = Target { bucket: "b".into(), place: "here".into() };
        assert_eq!(check(&store, &target).await.unwrap(), None, "an empty bucket is no archive");
        let put = async |name: &str, class: Option<&str>| {
            let storage_class = class.map(str::to_owned);
            let options = PutOptions { storage_class, ..PutOptions::default() };
            store.put(&Key::new(name).unwrap(), Payload::default(), &options).await.unwrap();
        };
        put("a", Some("COLD")).await;
        let warning = check(&store, &target).await.unwrap().unwrap();
        assert!(warning.contains("archived (COLD)"), "{warning}");
        put("b", None).await;
        assert_eq!(check(&store, &target).await.unwrap(), None, "one object can be read");
    }
}
