//! Where credentials are looked for, and in which order. The first place that has some counts; a
//! place that has something unusable ends the search, because what comes after it is not what the
//! user meant.

use std::path::{Path, PathBuf};

use super::CredentialError;
use super::aws::Profile;
use super::network::Door;
use super::own_file::OwnFile;
use super::place::{Look, Place};
use super::role::{Giver, Role};
use super::tools::{Format, ToolFile};
use super::variables::{Pair, Variables};
use crate::dialect::DialectName;

/// What the user says about where the credentials are. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Whose variables, files and roles count.
    pub service: DialectName,
    /// The environment of the process.
    pub variables: Variables,
    /// A file in the format of partfs, only for the user's eyes.
    pub credentials_file: Option<PathBuf>,
    /// A profile of AWS's tools; then their variables do not count.
    pub profile: Option<String>,
    /// Whether the machine's metadata service is asked when nothing else answers.
    pub instance_role: bool,
}

impl Search {
    /// Looks at the places on this machine, so that what is wrong there is found before anything is
    /// started. Blocks while it reads small files.
    ///
    /// # Errors
    /// Something that cannot be used, or nothing and nobody to ask.
    pub fn check(&self) -> Result<(), CredentialError> {
        let mut tried = Tried::default();
        let mut remote = false;
        for place in self.places(&Door::default()) {
            match &place {
                Place::Remote(_) => remote = true,
                Place::Local(local) => match local.look()? {
                    Look::Found(credentials, _) => {
                        return credentials
                            .check()
                            .map_err(|what| CredentialError::bad(place.name(), what));
                    }
                    Look::Nothing(reason) => tried.add(&place, reason),
                },
            }
        }
        if remote { Ok(()) } else { Err(tried.into_error()) }
    }

    /// Files with keys or tokens that may be read now or later; most do not exist. A file in the user's home
    /// itself is named only where it is there now: to watch for it would be to watch the whole home.
    pub fn files(&self) -> Vec<PathBuf> {
        let (below_home, variables): (&[&str], &[&str]) = match self.service {
            DialectName::Cos => (&[".cos.conf", ".cos.yaml"], &COS_FILE_VARIABLES),
            DialectName::Oss => (&OSS_FILES, &OSS_FILE_VARIABLES),
            DialectName::Qingstor => (&[".qingstor/config.yaml"], &["QINGSTOR_CONFIG_PATH"]),
            DialectName::S3 => (&[".aws/credentials", ".aws/config"], &AWS_FILE_VARIABLES),
        };
        let home = self.variables.home();
        let below_home = below_home.iter().filter_map(|name| {
            let file = home.as_deref()?.join(name);
            (name.contains('/') || file.exists()).then_some(file)
        });
        let named = variables.iter().filter_map(|name| self.variables.get(name));
        named.map(PathBuf::from).chain(below_home).chain(self.credentials_file.clone()).collect()
    }

    /// All places in their order.
    pub(super) fn places(&self, door: &Door) -> Vec<Place> {
        let mut places = vec![self.pair(
            "PARTFS_ACCESS_KEY_ID",
            "PARTFS_SECRET_ACCESS_KEY",
            &["PARTFS_SESSION_TOKEN"],
        )];
        places.extend(self.variables_of_service());
        places.push(Place::local(OwnFile(self.credentials_file.clone())));
        places.extend(self.files_of_service());
        for giver in self.givers() {
            let asked = match giver.is_machine() {
                true => self.instance_role,
                false => giver.is_named(&self.variables),
            };
            if asked {
                places.push(Place::remote(Role::new(*giver, &self.variables, door.clone())));
            }
        }
        places
    }

    fn pair(
        &self,
        id: &'static str,
        secret: &'static str,
        tokens: &'static [&'static str],
    ) -> Place {
        Place::local(Pair { variables: self.variables.clone(), id, secret, tokens })
    }

    fn variables_of_service(&self) -> Vec<Place> {
        match self.service {
            DialectName::Cos => vec![
                self.pair(
                    "TENCENTCLOUD_SECRET_ID",
                    "TENCENTCLOUD_SECRET_KEY",
                    &["TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"],
                ),
                self.pair("TKE_SECRET_ID", "TKE_SECRET_KEY", &[]),
            ],
            DialectName::Oss => vec![
                self.pair("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", &["OSS_SESSION_TOKEN"]),
                self.pair(
                    "ALIBABA_CLOUD_ACCESS_KEY_ID",
                    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                    &["ALIBABA_CLOUD_SECURITY_TOKEN"],
                ),
            ],
            DialectName::Qingstor => {
                vec![self.pair("QINGSTOR_ACCESS_KEY_ID", "QINGSTOR_SECRET_ACCESS_KEY", &[])]
            }
            // As AWS's tools do: who names a profile means it.
            DialectName::S3 if self.profile.is_some() => Vec::new(),
            DialectName::S3 => vec![self.pair(
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                &["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"],
            )],
        }
    }

    fn files_of_service(&self) -> Vec<Place> {
        let home = self.variables.home();
        let home = home.as_deref();
        match self.service {
            DialectName::Cos => {
                usual(home, [(".cos.conf", Format::CosCmd), (".cos.yaml", Format::CosCli)])
            }
            DialectName::Oss => self.alibaba_files(home),
            DialectName::Qingstor => match self.variables.get("QINGSTOR_CONFIG_PATH") {
                Some(path) => {
                    let variable = "QINGSTOR_CONFIG_PATH";
                    vec![Place::local(ToolFile::named(path.into(), Format::QingStor, variable))]
                }
                None => usual(home, [(".qingstor/config.yaml", Format::QingStor)]),
            },
            DialectName::S3 => Profile::new(&self.variables, home, self.profile.as_deref())
                .map(Place::local)
                .into_iter()
                .collect(),
        }
    }

    fn alibaba_files(&self, home: Option<&Path>) -> Vec<Place> {
        let text = |name: &str| self.variables.get(name).map(str::to_owned);
        let profile = || text("ALIBABA_CLOUD_PROFILE");
        let mut places = usual(home, [(".ossutilconfig", Format::OssUtil)]);
        let mut add = |variable: &'static str, names: &[&str], format: Format| match self
            .variables
            .get(variable)
        {
            Some(path) => {
                places.push(Place::local(ToolFile::named(path.into(), format, variable)));
            }
            None => {
                places.extend(names.iter().flat_map(|name| usual(home, [(*name, format.clone())])));
            }
        };
        add(
            "OSS_CREDENTIAL_PROFILES_FILE",
            &[".oss/credentials"],
            Format::AlibabaIni { profile: text("OSS_PROFILE") },
        );
        add(
            "ALIBABA_CLOUD_CREDENTIALS_FILE",
            &[".alibabacloud/credentials.ini", ".aliyun/credentials.ini"],
            Format::AlibabaIni { profile: profile() },
        );
        add(
            "ALIBABA_CLOUD_CONFIG_FILE",
            &[".aliyun/config.json"],
            Format::AlibabaJson { profile: profile() },
        );
        places
    }

    fn givers(&self) -> &'static [Giver] {
        match self.service {
            DialectName::Cos => &[Giver::CosIdentity, Giver::CosMachine],
            DialectName::Oss => &[Giver::OssIdentity, Giver::OssMachine],
            DialectName::Qingstor => &[],
            DialectName::S3 => &[Giver::AwsIdentity, Giver::AwsContainer, Giver::AwsMachine],
        }
    }
}

/// Files of Alibaba's tools below the home of the user.
const OSS_FILES: [&str; 5] = [
    ".ossutilconfig",
    ".oss/credentials",
    ".alibabacloud/credentials.ini",
    ".aliyun/credentials.ini",
    ".aliyun/config.json",
];

/// Variables that name a file with keys or with a token, by service.
const COS_FILE_VARIABLES: [&str; 3] = [
    "TENCENTCLOUD_WEB_IDENTITY_TOKEN_FILE",
    "TKE_IDENTITY_TOKEN_FILE",
    "TKE_WEB_IDENTITY_TOKEN_FILE",
];
const OSS_FILE_VARIABLES: [&str; 4] = [
    "ALIBABA_CLOUD_CONFIG_FILE",
    "ALIBABA_CLOUD_CREDENTIALS_FILE",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    "OSS_CREDENTIAL_PROFILES_FILE",
];
const AWS_FILE_VARIABLES: [&str; 4] = [
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// Files that tools look for below the home of the user; none where there is no home.
fn usual<const N: usize>(home: Option<&Path>, files: [(&str, Format); N]) -> Vec<Place> {
    let Some(home) = home else { return Vec::new() };
    let place =
        |(name, format): (&str, Format)| Place::local(ToolFile::usual(home.join(name), format));
    files.into_iter().map(place).collect()
}

/// What was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Tried(Vec<String>);

impl Tried {
    pub(super) fn add(&mut self, place: &Place, reason: Option<String>) {
        self.0.push(match reason {
            Some(reason) => format!("{} ({reason})", place.name()),
            None => place.name(),
        });
    }

    pub(super) fn into_error(self) -> CredentialError {
        CredentialError::NotFound(self.0)
    }
}

/// The first place that has credentials, and what it has. The machine's own role is nobody's wish, so
/// that its silence is only one more place without credentials.
pub(super) async fn first(places: &[Place]) -> Result<(Place, Look), CredentialError> {
    let mut tried = Tried::default();
    for place in places {
        match place.look().await {
            Ok(look @ Look::Found(..)) => return Ok((place.clone(), look)),
            Ok(Look::Nothing(reason)) => tried.add(place, reason),
            Err(CredentialError::Unavailable { what, .. }) if place.is_optional() => {
                tried.add(place, Some(what));
            }
            Err(error) => return Err(error),
        }
    }
    Err(tried.into_error())
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
