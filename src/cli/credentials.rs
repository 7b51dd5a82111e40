//! Which keys the user wants to be used. Never from the command line, where every user of the machine
//! could read them. Where they are looked for is `dialect`'s; what is wrong there is said before
//! anything is started.

use super::settings::Settings;
use super::{Refusal, options};
use crate::dialect::{CredentialSource, DialectName, Search, Variables};

/// Where the credentials for a bucket of this service come from.
pub(super) fn source(
    service: DialectName,
    settings: &Settings,
) -> Result<CredentialSource, Refusal> {
    let credentials_file = settings.get(&options::CREDENTIALS_FILE)?;
    let profile = settings.get(&options::PROFILE)?;
    let clash = |one: &str, other: &str| Err(Refusal::new(format!("{one} and {other}: give one")));
    if settings.value(&options::ANONYMOUS)? {
        return match (credentials_file, profile) {
            (Some(_), _) => clash("anonymous", "credentials_file"),
            (_, Some(_)) => clash("anonymous", "profile"),
            (None, None) => Ok(CredentialSource::Anonymous),
        };
    }
    if profile.is_some() && service != DialectName::S3 {
        return Err(Refusal::new("profile is one of AWS's tools, and belongs to s3:// only"));
    }
    if profile.is_some() && credentials_file.is_some() {
        return clash("credentials_file", "profile");
    }
    let search = Search {
        service,
        variables: settings.environment.iter().collect::<Variables>(),
        credentials_file: super::resolve::optional_path(credentials_file)?,
        profile,
        instance_role: settings.value(&options::INSTANCE_ROLE)?,
    };
    search.check().map_err(|error| Refusal::new(error.to_string()))?;
    Ok(CredentialSource::Search(Box::new(search)))
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
