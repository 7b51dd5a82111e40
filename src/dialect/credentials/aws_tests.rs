//! Profiles of AWS's tools.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::dialect::credentials::Credentials;

/// A home with these two files.
fn home(credentials: &str, config: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
    fs::write(home.path().join(".aws/config"), config).unwrap();
    home
}

fn look(
    home: &TempDir,
    variables: &[(&str, &str)],
    name: Option<&str>,
) -> Result<Option<Credentials>, String> {
    let variables: Variables = variables.iter().copied().collect();
    let profile = Profile::new(&variables, Some(home.path()), name).unwrap();
    match profile.look() {
        Ok(Look::Found(found, _)) => Ok(Some(found)),
        Ok(Look::Nothing(_)) => Ok(None),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("hush"), "{text}");
            Err(text)
        }
    }
}

const CREDENTIALS: &str = "[default]\naws_access_key_id = AKIAd\naws_secret_access_key = hush\n\
    [ci]\naws_access_key_id=ASIAc\naws_secret_access_key=hush2\naws_session_token=t\n";

const CONFIG: &str = "[default]\nregion = r\n[profile conf]\ns3 =\n  addressing_style = path\n\
    aws_access_key_id = AKIAf\naws_secret_access_key = hush3\n[profile sso]\nsso_session = corp\n\
    [profile empty]\nregion = r\n";

#[test]
fn the_named_profile_then_the_variables_then_default() {
    let home = home(CREDENTIALS, CONFIG);
    let id = |variables: &[(&str, &str)], name| {
        look(&home, variables, name).unwrap().unwrap().access_key_id
    };
    let ci = [("AWS_PROFILE", "ci")];
    assert_eq!(id(&[], None), "AKIAd");
    assert_eq!(id(&ci, None), "ASIAc");
    assert_eq!(id(&ci, Some("conf")), "AKIAf");
    let token = look(&home, &ci, None).unwrap().unwrap().session_token.unwrap();
    assert_eq!(token.expose(), "t");
}

#[test]
fn what_was_asked_for_by_name_must_be_there() {
    let home = home(CREDENTIALS, CONFIG);
    assert!(look(&home, &[], Some("none")).unwrap_err().ends_with("there is no such profile"));
    assert!(look(&home, &[], Some("empty")).unwrap_err().ends_with("it has no keys"));
    let sso = look(&home, &[], Some("sso")).unwrap_err();
    assert!(sso.contains(".aws/config: line 9: profile sso gets its keys by sso_session"), "{sso}");
}

#[test]
fn files_are_where_the_variables_say() {
    let home = home("[other]\nx=1\n", "");
    assert_eq!(look(&home, &[], None), Ok(None));
    let elsewhere = home.path().join("elsewhere");
    fs::write(&elsewhere, CREDENTIALS).unwrap();
    let path = elsewhere.to_str().unwrap();
    let found = look(&home, &[("AWS_SHARED_CREDENTIALS_FILE", path)], None).unwrap().unwrap();
    assert_eq!(found.access_key_id, "AKIAd");
    let off = [("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"), ("AWS_CONFIG_FILE", "/dev/null")];
    assert_eq!(look(&home, &off, None), Ok(None));
}

#[test]
fn mistakes_name_file_and_line() {
    let message = look(&home("[default]\nhush\n", ""), &[], None).unwrap_err();
    assert!(message.contains(".aws/credentials: line 2: "), "{message}");
    let half = look(&home("[default]\naws_access_key_id = AKIAd\n", ""), &[], None).unwrap_err();
    assert!(half.ends_with(".aws/credentials: line 2: a key id without its secret"), "{half}");
}
