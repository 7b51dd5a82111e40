//! `partfs uploads`: from what the user typed to a bucket or a mount, and to which of its uploads are meant.

use super::Refusal;
use super::args::{AbortArgs, ListArgs, TypedPlace, UploadsCommand};
use super::environment::Environment;
use super::resolve::{Typed, absolute, settings, source};
use crate::mount::{UploadsAction, UploadsConfig, UploadsPlace};

pub(super) fn uploads(
    command: UploadsCommand,
    environment: Environment,
) -> Result<UploadsConfig, Refusal> {
    let (target, at, older_than, action) = match command {
        UploadsCommand::List(ListArgs { target, older_than, json, at }) => {
            (target, at, older_than, UploadsAction::List { json })
        }
        UploadsCommand::Abort(AbortArgs { target, keys, older_than, at }) => {
            if keys.is_empty() && older_than.is_none() {
                return Err(Refusal::new(
                    "which uploads? Give keys, KEY@UPLOADID, or --older-than TIME (0s for all)",
                ));
            }
            (target, at, older_than, UploadsAction::Abort { keys })
        }
    };
    let place = place(target, at, environment)?;
    Ok(UploadsConfig { place, older_than, action })
}

fn place(
    target: String,
    at: TypedPlace,
    environment: Environment,
) -> Result<UploadsPlace, Refusal> {
    if !target.contains("://") && !target.starts_with("mock:") {
        return Ok(UploadsPlace::Mountpoint(absolute(target.as_ref())?));
    }
    let typed = Typed::bucket(Some(target.clone()), at);
    let (source, prefix) = source(&target, &settings(typed, environment)?)?;
    Ok(UploadsPlace::Bucket { source, prefix })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::cli::args::{Typed as Line, TypedCommand};

    fn resolved(line: &str) -> Result<UploadsConfig, String> {
        let words = ["partfs", "uploads"].into_iter().chain(line.split_whitespace());
        match Line::try_parse_from(words).map_err(|error| error.to_string())?.command {
            TypedCommand::Uploads(command) => {
                let keys = [("PARTFS_ACCESS_KEY_ID", "id"), ("PARTFS_SECRET_ACCESS_KEY", "secret")];
                uploads(command, Environment::of(&keys)).map_err(|refusal| refusal.to_string())
            }
            _ => panic!("not uploads"),
        }
    }

    #[test]
    fn a_url_is_a_bucket_and_anything_else_a_mount() {
        let config = resolved("list cos://b-1250000000/x --region r --older-than 7d").unwrap();
        assert_eq!(config.older_than, Some(Duration::from_secs(7 * 86_400)));
        assert!(matches!(config.place, UploadsPlace::Bucket { prefix, .. } if prefix == "x/"));
        let config = resolved("list /mnt/data --json").unwrap();
        assert!(
            matches!(config.place, UploadsPlace::Mountpoint(at) if at == Path::new("/mnt/data"))
        );
        assert!(matches!(config.action, UploadsAction::List { json: true }));
        assert!(resolved("list").is_err() && resolved("list s3://b").is_err());
    }

    #[test]
    fn what_is_to_be_aborted_must_be_said() {
        assert!(resolved("abort /mnt").unwrap_err().contains("which uploads?"));
        assert!(resolved("abort /mnt --older-than 0s").is_ok());
        assert!(resolved("abort /mnt --older-than soon").is_err());
        let config = resolved("abort /mnt a/b c@1").unwrap();
        assert!(matches!(config.action, UploadsAction::Abort { keys } if keys == ["a/b", "c@1"]));
    }
}
