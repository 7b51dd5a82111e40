//! What of the credentials is refused before anything is started.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::environment::Environment;
use super::*;

const KEYS: [(&str, &str); 2] =
    [("PARTFS_ACCESS_KEY_ID", "id"), ("PARTFS_SECRET_ACCESS_KEY", "hush")];

fn resolved(
    service: DialectName,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<CredentialSource, String> {
    let flags: BTreeMap<_, _> =
        flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let environment = Environment::of(environment);
    let settings = Settings { flags, environment, ..Settings::default() };
    source(service, &settings).map_err(|refusal| refusal.to_string())
}

#[test]
fn keys_of_the_environment_are_searched_for() {
    let found = resolved(DialectName::Cos, &KEYS, &[]).unwrap();
    let CredentialSource::Search(search) = &found else { panic!("{found:?}") };
    assert_eq!(search.variables.get("PARTFS_ACCESS_KEY_ID"), Some("id"));
    assert!(search.instance_role);
    assert!(!format!("{found:?}").contains("hush"));
}

#[test]
fn mistakes_are_refused_at_once() {
    let alone = ("instance_role", "false");
    let none = resolved(DialectName::Cos, &[], &[alone]).unwrap_err();
    assert!(none.starts_with("no credentials found"), "{none}");
    let half = resolved(DialectName::Cos, &KEYS[..1], &[]).unwrap_err();
    assert_eq!(half, "PARTFS_ACCESS_KEY_ID is set but PARTFS_SECRET_ACCESS_KEY is not");
    let absent = resolved(DialectName::Cos, &[], &[("credentials_file", "/no/such")]).unwrap_err();
    assert_eq!(absent, "credentials_file /no/such: there is no such file");
}

#[test]
fn anonymous_is_only_that() {
    let anonymous = ("anonymous", "true");
    assert_eq!(resolved(DialectName::Cos, &KEYS, &[anonymous]), Ok(CredentialSource::Anonymous));
    let file = ("credentials_file", "/k");
    let clash = resolved(DialectName::Cos, &[], &[anonymous, file]).unwrap_err();
    assert_eq!(clash, "anonymous and credentials_file: give one");
}

#[test]
fn a_profile_is_one_of_aws() {
    let profile = ("profile", "ci");
    assert!(resolved(DialectName::Oss, &KEYS, &[profile]).unwrap_err().contains("s3:// only"));
    let file = ("credentials_file", "/k");
    let clash = resolved(DialectName::S3, &KEYS, &[profile, file]).unwrap_err();
    assert_eq!(clash, "credentials_file and profile: give one");
    let none = resolved(DialectName::S3, &[("HOME", "/no/such")], &[profile]).unwrap_err();
    assert!(none.contains("there is no such profile"), "{none}");
}

#[test]
fn files_are_found_from_anywhere() {
    let found = resolved(DialectName::Cos, &KEYS, &[("credentials_file", "k")]).unwrap();
    let CredentialSource::Search(search) = found else { panic!("{found:?}") };
    assert!(search.credentials_file.as_deref().is_some_and(Path::is_absolute));
}
