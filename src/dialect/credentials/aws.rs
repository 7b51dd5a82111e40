//! The profiles of AWS's tools: `~/.aws/credentials` and `~/.aws/config`. Only keys are taken from
//! them; a profile that gets its keys in another way is refused by name rather than passed over.

use std::path::{Path, PathBuf};

use super::file::{self, Contents, Links};
use super::place::{Local, Look};
use super::tools::{Keys, Section, Warned};
use super::variables::Variables;
use super::{CredentialError, ini};

/// Settings by which a profile gets its keys from elsewhere, in the spelling of [`Section::get`].
const ELSEWHERE: [(&str, &str); 7] = [
    ("rolearn", "role_arn"),
    ("sourceprofile", "source_profile"),
    ("credentialsource", "credential_source"),
    ("credentialprocess", "credential_process"),
    ("ssosession", "sso_session"),
    ("ssostarturl", "sso_start_url"),
    ("webidentitytokenfile", "web_identity_token_file"),
];

/// A profile in the two files.
#[derive(Debug)]
pub(super) struct Profile {
    credentials: PathBuf,
    config: PathBuf,
    /// Named by the user, so that it must be there.
    named: Option<String>,
    warned: Warned,
}

impl Profile {
    /// The profile of this name, or of `AWS_PROFILE`, or `default`, in the files of `home` or of the
    /// variables; `None` when there is neither.
    pub(super) fn new(
        variables: &Variables,
        home: Option<&Path>,
        name: Option<&str>,
    ) -> Option<Self> {
        let path = |variable: &str, usual: &str| {
            variables.get(variable).map(PathBuf::from).or_else(|| Some(home?.join(usual)))
        };
        Some(Self {
            credentials: path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")?,
            config: path("AWS_CONFIG_FILE", ".aws/config")?,
            named: name.or_else(|| variables.get("AWS_PROFILE")).map(str::to_owned),
            warned: Warned::default(),
        })
    }

    fn profile(&self) -> &str {
        self.named.as_deref().unwrap_or("default")
    }

    /// Looks into one of the files; whether the profile is there, and what was found in it.
    fn look_into(
        &self,
        path: &Path,
        section: &str,
    ) -> Result<(bool, Option<Look>), CredentialError> {
        let bad = |what: String| CredentialError::bad(path.display().to_string(), what);
        let Some(contents) = file::read(path, Links::Follow, |_| Ok(())).map_err(bad)? else {
            return Ok((false, None));
        };
        let Contents { text, stamped, .. } = &contents;
        let entries = ini::entries(text).map_err(|flaw| bad(flaw.to_string()))?;
        let Some(section) = Section::find(&entries, section) else { return Ok((false, None)) };
        let keys = Keys {
            id: section.get(&["awsaccesskeyid"]),
            secret: section.get(&["awssecretaccesskey"]),
            token: section.get(&["awssessiontoken", "awssecuritytoken"]).map(|(token, _)| token),
        };
        if let Ok(credentials) = keys.whole().map_err(|flaw| bad(flaw.to_string()))? {
            self.warned.look_at(path, &contents);
            return Ok((true, Some(Look::Found(credentials, Some(stamped.clone())))));
        }
        let elsewhere =
            ELSEWHERE.iter().find_map(|(spelling, name)| Some((name, section.get(&[spelling])?.1)));
        match elsewhere {
            Some((setting, line)) => Err(bad(format!(
                "line {line}: profile {} gets its keys by {setting}, which partfs does not follow; \
                 give the keys themselves",
                self.profile()
            ))),
            None => Ok((true, None)),
        }
    }
}

impl Local for Profile {
    fn name(&self) -> String {
        format!(
            "profile {} in {} and {}",
            self.profile(),
            self.credentials.display(),
            self.config.display()
        )
    }

    fn look(&self) -> Result<Look, CredentialError> {
        let (in_credentials, found) = self.look_into(&self.credentials, self.profile())?;
        if let Some(look) = found {
            return Ok(look);
        }
        let section = match self.profile() {
            "default" => "default".to_owned(),
            name => format!("profile {name}"),
        };
        let (in_config, found) = self.look_into(&self.config, &section)?;
        match (found, &self.named) {
            (Some(look), _) => Ok(look),
            (None, Some(_)) if in_credentials || in_config => {
                Err(CredentialError::bad(self.name(), "it has no keys"))
            }
            (None, Some(_)) => Err(CredentialError::bad(self.name(), "there is no such profile")),
            (None, None) => Ok(Look::nothing()),
        }
    }
}

#[cfg(test)]
#[path = "aws_tests.rs"]
mod tests;
