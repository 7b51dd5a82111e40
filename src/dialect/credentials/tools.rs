//! The files in which the services' own tools keep keys (AWS's are in `aws`). They are not ours to
//! refuse: one that others can read is used with a warning.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::file::{self, Contents, Links};
use super::flaw::Flaw;
use super::place::{Local, Look};
use super::{CredentialError, Credentials, Secret, ini, yaml};

/// How a file is written.
#[derive(Debug, Clone)]
pub(super) enum Format {
    /// `~/.cos.conf` of coscmd: INI, section `common`.
    CosCmd,
    /// `~/.cos.yaml` of coscli.
    CosCli,
    /// `~/.ossutilconfig`: INI, section `Credentials`.
    OssUtil,
    /// INI of Alibaba Cloud's SDKs, a section for each profile; the profile is named explicitly or is
    /// `default`.
    AlibabaIni { profile: Option<String> },
    /// `~/.aliyun/config.json` of the `aliyun` program.
    AlibabaJson { profile: Option<String> },
    /// `config.yaml` of qsctl and the SDKs of QingStor.
    QingStor,
}

/// Keys out of a file, or why there are none in it.
pub(super) type Parsed = Result<Result<Credentials, String>, Flaw>;

/// A file of a tool.
#[derive(Debug)]
pub(super) struct ToolFile {
    path: PathBuf,
    format: Format,
    /// The variable that named it: then it must be there and hold keys.
    named_by: Option<&'static str>,
    warned: Warned,
}

impl ToolFile {
    /// A file that a tool would look for by itself.
    pub(super) fn usual(path: PathBuf, format: Format) -> Self {
        Self { path, format, named_by: None, warned: Warned::default() }
    }

    /// A file that this variable names.
    pub(super) fn named(path: PathBuf, format: Format, variable: &'static str) -> Self {
        Self { named_by: Some(variable), ..Self::usual(path, format) }
    }

    fn parse(&self, text: &str) -> Parsed {
        match &self.format {
            Format::CosCmd => coscmd(text),
            Format::CosCli => coscli(text),
            Format::OssUtil => ossutil(text),
            Format::AlibabaIni { profile } => alibaba_ini(text, profile.as_deref()),
            Format::AlibabaJson { profile } => alibaba_json(text, profile.as_deref()),
            Format::QingStor => qingstor(text),
        }
    }
}

impl Local for ToolFile {
    fn name(&self) -> String {
        match self.named_by {
            Some(variable) => format!("{} (named by {variable})", self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    fn look(&self) -> Result<Look, CredentialError> {
        let bad = |what: String| CredentialError::bad(self.name(), what);
        let absent = |reason: Option<String>| match (self.named_by, reason) {
            (None, reason) => Ok(Look::Nothing(reason)),
            (Some(_), reason) => {
                Err(bad(reason.unwrap_or_else(|| "there is no such file".to_owned())))
            }
        };
        let Some(contents) = file::read(&self.path, Links::Follow, |_| Ok(())).map_err(bad)? else {
            return absent(None);
        };
        match self.parse(&contents.text).map_err(|flaw| bad(flaw.to_string()))? {
            Ok(credentials) => {
                self.warned.look_at(&self.path, &contents);
                Ok(Look::Found(credentials, Some(contents.stamped)))
            }
            Err(reason) => absent(Some(reason)),
        }
    }
}

/// Says once that others can read a file of keys.
#[derive(Debug, Default)]
pub(super) struct Warned(AtomicBool);

impl Warned {
    pub(super) fn look_at(&self, path: &Path, contents: &Contents) {
        let mode = contents.metadata.mode() & 0o7777;
        if mode & 0o077 != 0 && !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path = %path.display(),
                mode = format!("{mode:04o}"),
                "this file holds keys and others could read it: chmod 600 it"
            );
        }
    }
}

/// A key id and a secret that stand in a file, each with its line.
pub(super) struct Keys<'a> {
    pub(super) id: Option<(&'a str, usize)>,
    pub(super) secret: Option<(&'a str, usize)>,
    pub(super) token: Option<&'a str>,
}

impl Keys<'_> {
    /// The keys, if both are there; half a pair is a mistake.
    pub(super) fn whole(self) -> Parsed {
        let given = |value: Option<(&str, usize)>| {
            value.map(|(text, line)| (text.to_owned(), line)).filter(|(text, _)| !text.is_empty())
        };
        match (given(self.id), given(self.secret)) {
            (Some((id, _)), Some((secret, _))) => Ok(Ok(Credentials {
                access_key_id: id,
                secret_access_key: secret.into(),
                session_token: self.token.filter(|token| !token.is_empty()).map(Secret::new),
                expires: None,
            })),
            (Some((_, line)), None) => Err(Flaw::at(line, "a key id without its secret")),
            (None, Some((_, line))) => Err(Flaw::at(line, "a secret without its key id")),
            (None, None) => Ok(Err("it has no keys".to_owned())),
        }
    }
}

/// Entries of one INI section, found by any of their spellings: case, `_` and `-` do not count.
pub(super) struct Section<'a>(Vec<ini::Entry<'a>>);

impl<'a> Section<'a> {
    /// `None` when nothing stands in a section of this name.
    pub(super) fn find(entries: &[ini::Entry<'a>], name: &str) -> Option<Self> {
        let inside: Vec<_> =
            entries.iter().filter(|entry| entry.section == name).copied().collect();
        (!inside.is_empty()).then_some(Self(inside))
    }

    pub(super) fn get(&self, spellings: &[&str]) -> Option<(&'a str, usize)> {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['_', '-'], "");
        let found = self.0.iter().rev().find(|entry| spellings.contains(&&*plain(entry.name)));
        found.map(|entry| (entry.value, entry.line))
    }
}

fn coscmd(text: &str) -> Parsed {
    let entries = ini::entries(text)?;
    let Some(section) = Section::find(&entries, "common") else {
        return Ok(Err("it has no section [common]".to_owned()));
    };
    Keys {
        id: section.get(&["secretid", "accessid"]),
        secret: section.get(&["secretkey"]),
        token: section.get(&["token"]).map(|(token, _)| token),
    }
    .whole()
}

/// What every key id of Tencent Cloud begins with.
const TENCENT_KEY: &str = "AKID";

fn coscli(text: &str) -> Parsed {
    let entries = yaml::entries(text)?;
    let get = |name: &str| {
        let path = format!("cos.base.{name}");
        entries.iter().find(|entry| entry.path == path).map(|entry| (&*entry.value, entry.line))
    };
    if get("mode").is_some_and(|(mode, _)| mode.eq_ignore_ascii_case("CvmRole")) {
        return Ok(Err("it refers to the role of the machine".to_owned()));
    }
    // coscli encrypts what it writes, unless it was told not to.
    if let Some((_, line)) = get("secretid").filter(|(id, _)| !id.starts_with(TENCENT_KEY)) {
        return Err(Flaw::at(
            line,
            "coscli has encrypted its keys, so that only coscli can read them; write them into a \
             credentials_file",
        ));
    }
    let token = get("sessiontoken").map(|(token, _)| token);
    Keys { id: get("secretid"), secret: get("secretkey"), token }.whole()
}

fn ossutil(text: &str) -> Parsed {
    let entries = ini::entries(text)?;
    // ossutil 2 has profiles; its own is `default`.
    let section =
        Section::find(&entries, "Credentials").or_else(|| Section::find(&entries, "default"));
    let Some(section) = section else {
        return Ok(Err("it has no section [Credentials]".to_owned()));
    };
    if let Some((mode, line)) = section.get(&["mode"]) {
        match mode.to_ascii_lowercase().as_str() {
            "" | "ak" | "ststoken" => {}
            "ecsramrole" => return Ok(Err("it refers to the role of the machine".to_owned())),
            _ => return Err(Flaw::at(line, "partfs knows the modes AK, StsToken and EcsRamRole")),
        }
    }
    alibaba_keys(&section)
}

fn alibaba_keys(section: &Section<'_>) -> Parsed {
    Keys {
        id: section.get(&["accesskeyid", "accessid", "accesskey"]),
        secret: section.get(&["accesskeysecret", "secretaccesskey"]),
        token: section
            .get(&["ststoken", "securitytoken", "sessiontoken", "token"])
            .map(|(token, _)| token),
    }
    .whole()
}

fn alibaba_ini(text: &str, profile: Option<&str>) -> Parsed {
    let entries = ini::entries(text)?;
    let Some(section) = Section::find(&entries, profile.unwrap_or("default")) else {
        return no_profile(profile);
    };
    if let Some((kind, line)) = section.get(&["type"])
        && !matches!(kind, "access_key" | "sts" | "sts_token")
    {
        return Err(Flaw::at(line, "partfs knows the types access_key and sts"));
    }
    alibaba_keys(&section)
}

/// A profile that was asked for by name must be there.
fn no_profile(named: Option<&str>) -> Parsed {
    match named {
        Some(name) => Err(Flaw::of_file(format!("it has no profile {name}"))),
        None => Ok(Err("it has no profile default".to_owned())),
    }
}

/// The parts of `config.json` that matter here.
#[derive(serde::Deserialize)]
struct AlibabaConfig {
    #[serde(default)]
    current: String,
    #[serde(default)]
    profiles: Vec<AlibabaProfile>,
}

#[derive(serde::Deserialize)]
struct AlibabaProfile {
    #[serde(default)]
    name: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    access_key_secret: String,
    #[serde(default)]
    sts_token: String,
}

fn alibaba_json(text: &str, named: Option<&str>) -> Parsed {
    // The words of the parser may repeat values; its line never does.
    let config: AlibabaConfig = serde_json::from_str(text)
        .map_err(|error| Flaw::at(error.line(), "this is not the JSON that aliyun writes"))?;
    let current = Some(&*config.current).filter(|name| !name.is_empty());
    let name = named.or(current).unwrap_or("default");
    let Some(profile) = config.profiles.iter().find(|profile| profile.name == name) else {
        return no_profile(named);
    };
    match &*profile.mode {
        "" | "AK" | "StsToken" => {}
        "EcsRamRole" => return Ok(Err("it refers to the role of the machine".to_owned())),
        _ => {
            let modes = "partfs knows the modes AK, StsToken and EcsRamRole";
            return Err(Flaw::of_file(format!("profile {name}: {modes}")));
        }
    }
    match (profile.access_key_id.is_empty(), profile.access_key_secret.is_empty()) {
        (false, false) => Ok(Ok(Credentials {
            access_key_id: profile.access_key_id.clone(),
            secret_access_key: Secret::new(&*profile.access_key_secret),
            session_token: Some(&*profile.sts_token)
                .filter(|token| !token.is_empty())
                .map(Secret::new),
            expires: None,
        })),
        (true, true) => Ok(Err("it has no keys".to_owned())),
        _ => Err(Flaw::of_file(format!("profile {name} has half a pair of keys"))),
    }
}

fn qingstor(text: &str) -> Parsed {
    let entries = yaml::entries(text)?;
    let get = |name: &str| {
        entries.iter().find(|entry| entry.path == name).map(|entry| (&*entry.value, entry.line))
    };
    Keys { id: get("access_key_id"), secret: get("secret_access_key"), token: None }.whole()
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
