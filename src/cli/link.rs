//! `partfs link`: from what the user typed to one object, the way to it and a time.

use super::Refusal;
use super::args::LinkArgs;
use super::environment::Environment;
use super::resolve::{Typed, connection, prefix, settings};
use super::source_url::object;
use crate::mount::LinkConfig;

/// Takes the options of a mount, so that its file can be used as it is.
pub(super) fn link(args: LinkArgs, environment: Environment) -> Result<LinkConfig, Refusal> {
    let LinkArgs { url, valid, at } = args;
    let (service, bucket, key) = object(&url)?;
    let typed = Typed::bucket(Some(url), at);
    let settings = settings(typed, environment)?;
    let prefix = prefix(&settings)?;
    if !key.as_str().starts_with(&prefix) {
        return Err(Refusal::new(format!(
            "the URL says {key}, which is not below the prefix {prefix}: write the whole key in the URL"
        )));
    }
    let connection = Box::new(connection(service, bucket, &settings)?);
    Ok(LinkConfig { connection, key, valid })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::cli::args::{Typed as Line, TypedCommand};

    const KEYS: &[(&str, &str)] =
        &[("PARTFS_ACCESS_KEY_ID", "id"), ("PARTFS_SECRET_ACCESS_KEY", "secret")];

    fn resolved(line: &str) -> Result<LinkConfig, String> {
        let words = ["partfs", "link"].into_iter().chain(line.split_whitespace());
        match Line::try_parse_from(words).map_err(|error| error.to_string())?.command {
            TypedCommand::Link(args) => {
                link(args, Environment::of(KEYS)).map_err(|refusal| refusal.to_string())
            }
            _ => panic!("no link"),
        }
    }

    #[test]
    fn an_object_and_an_hour() {
        let config = resolved("cos://b-1250000000/a/b --region ap-guangzhou").unwrap();
        assert_eq!((config.key.as_str(), config.valid), ("a/b", Duration::from_secs(3600)));
        assert_eq!(config.connection.bucket, "b-1250000000");
        assert!(resolved("cos://b-1250000000/a").unwrap_err().contains("in which region"));
    }

    #[test]
    fn seven_days_are_the_most() {
        let valid = |text: &str| resolved(&format!("s3://photos/a --region r --valid {text}"));
        for (text, seconds) in [("1", 1), ("90s", 90), ("30m", 1800), ("7d", 604_800)] {
            assert_eq!(valid(text).unwrap().valid, Duration::from_secs(seconds), "{text}");
        }
        for text in ["0", "0.9s", "604801", "7.1d", "8d", "99999999d"] {
            let refusal = valid(text).unwrap_err();
            let words = "at least a second and at most 7 days";
            assert!(refusal.contains("--valid") && refusal.contains(words), "{refusal}");
        }
        assert!(valid("soon").unwrap_err().contains("is not a time"));
    }

    #[test]
    fn a_prefix_must_be_the_keys() {
        let line = "s3://photos/2024/a --region r --prefix";
        assert_eq!(resolved(&format!("{line} 2024")).unwrap().key.as_str(), "2024/a");
        assert!(resolved(&format!("{line} 20")).unwrap_err().contains("not below the prefix 20/"));
    }
}
