//! Credentials that a machine, a container or a federated identity is given for a while. The requests
//! are those of the signing crates but for COS's machines; here is decided who is asked, and what
//! their refusals mean for the search.

use async_trait::async_trait;
use http::Uri;
use reqsign_aliyun_oss as oss;
use reqsign_aws_v4 as aws;
use reqsign_core::{Context, ProvideCredential};
use reqsign_tencent_cos as cos;

use super::network::{self, Door};
use super::place::{Look, Remote};
use super::variables::Variables;
use super::{CredentialError, Credentials, Secret, cvm};

/// Who gives out credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giver {
    CosIdentity,
    CosMachine,
    OssIdentity,
    OssMachine,
    AwsIdentity,
    AwsContainer,
    AwsMachine,
}

impl Giver {
    /// Asked only where one of these variables is set, and then it must answer. A machine's role is
    /// asked without.
    fn named_by(self) -> &'static [&'static str] {
        match self {
            Self::CosIdentity => {
                &["TENCENTCLOUD_WEB_IDENTITY_TOKEN_FILE", "TKE_IDENTITY_TOKEN_FILE"]
            }
            Self::OssIdentity => &["ALIBABA_CLOUD_OIDC_TOKEN_FILE"],
            Self::AwsIdentity => &["AWS_WEB_IDENTITY_TOKEN_FILE"],
            Self::AwsContainer => {
                &["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
            }
            Self::CosMachine | Self::OssMachine | Self::AwsMachine => &[],
        }
    }

    /// The variable that switches it off.
    fn disabled_by(self) -> Option<&'static str> {
        match self {
            Self::OssMachine => Some("ALIBABA_CLOUD_ECS_METADATA_DISABLED"),
            Self::AwsMachine => Some("AWS_EC2_METADATA_DISABLED"),
            _ => None,
        }
    }

    /// Whether it is asked without having been named.
    pub(super) fn is_machine(self) -> bool {
        self.named_by().is_empty()
    }

    /// Whether a variable names it.
    pub(super) fn is_named(self, variables: &Variables) -> bool {
        self.named_by().iter().any(|name| variables.get(name).is_some())
    }
}

/// One of them, seen from this process.
#[derive(Debug)]
pub(super) struct Role {
    giver: Giver,
    variables: Variables,
    door: Door,
    context: Context,
}

impl Role {
    pub(super) fn new(giver: Giver, variables: &Variables, door: Door) -> Self {
        let context = network::context(variables, door.clone());
        Self { giver, variables: variables.clone(), door, context }
    }

    async fn fetch(&self) -> Result<Option<Credentials>, String> {
        match self.giver {
            Giver::CosMachine => cvm::credentials(&self.door).await.map(Some),
            Giver::CosIdentity => {
                let found =
                    self.provided(&cos::AssumeRoleWithWebIdentityCredentialProvider::new()).await?;
                Ok(found.map(of_cos))
            }
            Giver::OssIdentity => {
                let mut provider = oss::AssumeRoleWithOidcCredentialProvider::new();
                if self.variables.get("ALIBABA_CLOUD_ROLE_SESSION_NAME").is_none() {
                    provider = provider.with_role_session_name("partfs");
                }
                Ok(self.provided(&provider).await?.map(of_oss))
            }
            Giver::OssMachine => {
                Ok(self.provided(&oss::EcsRamRoleCredentialProvider::new()).await?.map(of_oss))
            }
            Giver::AwsIdentity => {
                let mut provider = aws::AssumeRoleWithWebIdentityCredentialProvider::new();
                if self.variables.get("AWS_ROLE_SESSION_NAME").is_none() {
                    provider = provider.with_role_session_name("partfs".to_owned());
                }
                Ok(self.provided(&provider).await?.map(of_aws))
            }
            Giver::AwsContainer => {
                self.check_container()?;
                Ok(self.provided(&aws::ECSCredentialProvider::new()).await?.map(of_aws))
            }
            Giver::AwsMachine => {
                Ok(self.provided(&aws::IMDSv2CredentialProvider::new()).await?.map(of_aws))
            }
        }
    }

    async fn provided<P: ProvideCredential>(
        &self,
        provider: &P,
    ) -> Result<Option<P::Credential>, String> {
        provider.provide_credential(&self.context).await.map_err(|error| network::words(&error))
    }

    /// The token of a container may be sent in the clear only to where AWS's tools send it: this
    /// machine and the fixed addresses of ECS and EKS.
    fn check_container(&self) -> Result<(), String> {
        let Some(url) = self.variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
            return Ok(());
        };
        let uri: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let local = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || matches!(host, "169.254.170.2" | "169.254.170.23" | "fd00:ec2::23");
        match uri.scheme_str() {
            Some("https") => Ok(()),
            Some("http") if local => Ok(()),
            _ => {
                Err("it must be https:// or lead to this machine, 169.254.170.2 or 169.254.170.23"
                    .to_owned())
            }
        }
    }
}

#[async_trait]
impl Remote for Role {
    fn name(&self) -> String {
        let what = match self.giver {
            Giver::CosIdentity => "the web identity of TENCENTCLOUD_WEB_IDENTITY_TOKEN_FILE",
            Giver::CosMachine => "the role of this machine (metadata.tencentyun.com)",
            Giver::OssIdentity => "the identity of ALIBABA_CLOUD_OIDC_TOKEN_FILE",
            Giver::OssMachine => "the role of this machine (100.100.100.200)",
            Giver::AwsIdentity => "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE",
            Giver::AwsContainer => "the role of this container (AWS_CONTAINER_CREDENTIALS_…_URI)",
            Giver::AwsMachine => "the role of this machine (169.254.169.254)",
        };
        what.to_owned()
    }

    fn is_optional(&self) -> bool {
        self.giver.is_machine()
    }

    async fn ask(&self) -> Result<Look, CredentialError> {
        if let Some(variable) = self.giver.disabled_by().filter(|name| self.variables.is_true(name))
        {
            return Ok(Look::nothing_because(format!("{variable} is set")));
        }
        match self.fetch().await {
            Ok(Some(credentials)) => Ok(Look::found(credentials)),
            Ok(None) => {
                let what = "not all the variables that belong to it are set";
                Err(CredentialError::bad(self.name(), what))
            }
            Err(what) => Err(CredentialError::unavailable(self.name(), what)),
        }
    }
}

fn of_cos(found: cos::Credential) -> Credentials {
    Credentials {
        access_key_id: found.secret_id,
        secret_access_key: Secret::new(found.secret_key),
        session_token: found.security_token.map(Secret::from),
        expires: found.expires_in.map(|time| time.as_system_time()),
    }
}

fn of_oss(found: oss::Credential) -> Credentials {
    Credentials {
        access_key_id: found.access_key_id,
        secret_access_key: Secret::new(found.access_key_secret),
        session_token: found.security_token.map(Secret::from),
        expires: found.expires_in.map(|time| time.as_system_time()),
    }
}

fn of_aws(found: aws::Credential) -> Credentials {
    Credentials {
        access_key_id: found.access_key_id,
        secret_access_key: Secret::new(found.secret_access_key),
        session_token: found.session_token.map(Secret::from),
        expires: found.expires_in.map(|time| time.as_system_time()),
    }
}

#[cfg(test)]
#[path = "role_tests.rs"]
mod tests;
