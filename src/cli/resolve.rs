//! From what the user typed to what the program needs, or a refusal in the user's words. After this
//! nothing can be wrong with the configuration itself, only with the world.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{
    CheckArgs, Etags, MockArgs, MountArgs, StatusArgs, TypedOptions, TypedPlace, UmountArgs,
};
use super::definition::Described;
use super::environment::Environment;
use super::kind::size_text;
use super::settings::Settings;
use super::source_url::{SourceUrl, check_bucket, check_cos_bucket, prefix_of};
use super::{
    MockCommand, Refusal, config_file, credentials, mount_options, object_properties, options,
    reread,
};
use crate::dialect::{Connection, DialectName, Timing};
use crate::mock::{Addressing, EtagMode, FaultRule, MockConfig, MockDialect, read_faults};
use crate::mount::{
    CheckConfig, MountConfig, Source, Start, StateDir, StatusConfig, UmountConfig, random_keys,
};
use crate::telemetry::{LogConfig, LogFormat};

/// `partfs mount`.
pub(super) fn mount(args: MountArgs, environment: Environment) -> Result<MountConfig, Refusal> {
    let start = start(&args, &environment);
    let ca_places = ca_places(&environment);
    let MountArgs { url, mountpoint, config, mount_options, options, .. } = args;
    let typed = Typed { url, mountpoint, config, mount_options, options };
    let usual_state_dir = usual_state_dir(&environment);
    let settings = settings(typed, environment)?;
    let reread = reread::of(&settings)?;
    let state_dir = match optional_path(settings.get(&options::STATE_DIR)?)? {
        Some(path) => Some(StateDir::Named(path)),
        None => usual_state_dir.map(StateDir::Usual),
    };
    let url = settings.get(&options::URL)?.ok_or_else(|| missing("URL", "url"))?;
    let mountpoint =
        settings.get(&options::MOUNTPOINT)?.ok_or_else(|| missing("MOUNTPOINT", "mountpoint"))?;
    let (source, prefix) = source(&url, &settings)?;
    let (file_mode, dir_mode) = modes(&settings)?;
    let (part_bytes, memory_limit_bytes) = memory(&settings)?;
    Ok(MountConfig {
        source,
        shown: url,
        prefix,
        mountpoint: absolute(&mountpoint)?,
        nonempty: settings.value(&options::NONEMPTY)?,
        read_only: settings.value(&options::READ_ONLY)?,
        no_exec: settings.value(&options::NOEXEC)?,
        allow_other: settings.value(&options::ALLOW_OTHER)?,
        uid: settings.get(&options::UID)?.unwrap_or(rustix::process::geteuid().as_raw()),
        gid: settings.get(&options::GID)?.unwrap_or(rustix::process::getegid().as_raw()),
        file_mode,
        dir_mode,
        attr_ttl: settings.value(&options::ATTR_TTL)?,
        append_objects: settings.get(&options::APPEND_OBJECT)?.unwrap_or_default(),
        part_bytes,
        max_uploads: settings.value(&options::MAX_UPLOADS)?,
        memory_limit_bytes,
        on_writer_killed: settings.value(&options::ON_WRITER_KILLED)?,
        control_dir: settings.value(&options::CONTROL_DIR)?,
        metrics_listen: settings.get(&options::METRICS_LISTEN)?,
        abort_busy_uploads: settings.value(&options::ABORT_BUSY_UPLOADS)?,
        close_timeout: settings.value(&options::CLOSE_TIMEOUT)?,
        drain_timeout: settings.value(&options::DRAIN_TIMEOUT)?,
        staging_dir: optional_path(settings.get(&options::STAGING_DIR)?)?,
        state_dir,
        on_leftover: settings.value(&options::ON_LEFTOVER)?,
        leftover_age: settings.value(&options::LEFTOVER_AGE)?,
        sandbox: settings.value(&options::SANDBOX)?,
        ca_places,
        log: log(&settings, &start)?,
        reread,
        start,
    })
}

/// `partfs check`.
pub(super) fn check(args: CheckArgs, environment: Environment) -> Result<CheckConfig, Refusal> {
    let CheckArgs { url, write, at } = args;
    let typed = Typed::bucket(url, at);
    let settings = settings(typed, environment)?;
    let url = settings
        .get(&options::URL)?
        .ok_or_else(|| Refusal::new("URL is missing: partfs check URL"))?;
    let (source, prefix) = source(&url, &settings)?;
    Ok(CheckConfig { source, prefix, write })
}

/// `partfs umount`.
pub(super) fn umount(args: UmountArgs) -> Result<UmountConfig, Refusal> {
    let mountpoint = absolute(&args.mountpoint)?;
    let UmountArgs { lazy, force, if_dead, no_wait, timeout, .. } = args;
    Ok(UmountConfig { mountpoint, lazy, force, if_dead, no_wait, timeout })
}

/// `partfs status`.
pub(super) fn status(args: StatusArgs) -> Result<StatusConfig, Refusal> {
    let mountpoint = optional_path(args.mountpoint)?;
    Ok(StatusConfig { mountpoint, json: args.json, watch: args.watch })
}

/// `partfs mock`.
pub(super) fn mock(args: MockArgs, environment: &Environment) -> Result<MockCommand, Refusal> {
    let dialect: MockDialect =
        args.dialect.parse().map_err(|what| Refusal::new(format!("--dialect: {what}")))?;
    if !args.listen.ip().is_loopback() && !args.public {
        return Err(Refusal::new(format!(
            "--listen {}: other machines could reach this address; if you want that, add --public",
            args.listen
        )));
    }
    let checked = match dialect {
        MockDialect::Cos => check_cos_bucket(&args.bucket),
        _ => check_bucket(&args.bucket),
    };
    checked.map_err(|what| Refusal::new(format!("--bucket {}: {what}", args.bucket)))?;
    let given =
        (environment.get("PARTFS_ACCESS_KEY_ID"), environment.get("PARTFS_SECRET_ACCESS_KEY"));
    let (access_key_id, secret_access_key, print_keys) = match given {
        (Some(id), Some(secret)) => (id.to_owned(), secret.to_owned(), false),
        (None, None) => {
            let (id, secret) = random_keys().map_err(|error| Refusal::new(error.to_string()))?;
            (id, secret, true)
        }
        _ => {
            return Err(Refusal::new(
                "set both PARTFS_ACCESS_KEY_ID and PARTFS_SECRET_ACCESS_KEY, or neither",
            ));
        }
    };
    let etags = match args.etags {
        Etags::Md5 => EtagMode::Md5,
        Etags::Opaque => EtagMode::Opaque,
    };
    Ok(MockCommand {
        config: MockConfig {
            dialect,
            listen: args.listen,
            bucket: args.bucket,
            access_key_id,
            secret_access_key,
            session_token: environment.get("PARTFS_SESSION_TOKEN").map(str::to_owned),
            dir: optional_path(args.dir)?,
            etags,
            // Only COS gives a bucket a whole host without its name.
            addressing: match dialect {
                MockDialect::Cos => Addressing::Auto,
                _ => Addressing::Path,
            },
            ..MockConfig::default()
        },
        faults: args.faults.map_or(Ok(Vec::new()), |path| faults(&path))?,
        print_keys,
    })
}

/// Where certificates of authorities are, besides the usual places: a file, and folders.
fn ca_places(environment: &Environment) -> Vec<PathBuf> {
    let file = environment.get("SSL_CERT_FILE").map(PathBuf::from);
    let folders = environment.get("SSL_CERT_DIR").unwrap_or_default().split(':').map(PathBuf::from);
    file.into_iter().chain(folders).filter(|path| path.is_absolute()).collect()
}

/// Where state is kept when nobody says: what systemd gives, or where this user's belongs.
fn usual_state_dir(environment: &Environment) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let of = |name| environment.get(name).map(PathBuf::from).and_then(absolute);
    // systemd names several, divided by colons, where the unit does.
    let given = environment.get("STATE_DIRECTORY").and_then(|dirs| dirs.split(':').next());
    let of_user =
        || of("XDG_STATE_HOME").or_else(|| of("HOME").map(|home| home.join(".local/state")));
    given.map(PathBuf::from).and_then(absolute).or_else(|| {
        match rustix::process::geteuid().is_root() {
            true => Some("/var/lib/partfs".into()),
            false => of_user().map(|dir| dir.join("partfs")),
        }
    })
}

fn faults(path: &Path) -> Result<Vec<FaultRule>, Refusal> {
    let refuse = |what: String| Refusal::new(format!("--faults {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    read_faults(&text).map_err(|error| refuse(error.to_string()))
}

fn missing(argument: &str, name: &str) -> Refusal {
    Refusal::new(format!(
        "{argument} is missing: partfs mount URL MOUNTPOINT, or {name} = \"…\" in the file of --config"
    ))
}

fn start(args: &MountArgs, environment: &Environment) -> Start {
    match (args.foreground, args.background_child) {
        (true, _) => {
            let notify_socket = environment.get("NOTIFY_SOCKET").map(Into::into);
            Start::Foreground { notify_socket, watchdog: watchdog(environment) }
        }
        (false, true) => Start::BackgroundChild,
        (false, false) => {
            Start::Background { arguments: args.arguments.clone(), by_mount: args.by_mount }
        }
    }
}

/// Within which time systemd expects a ping: sd_watchdog_enabled(3). Another process may be meant.
fn watchdog(environment: &Environment) -> Option<Duration> {
    let number = |name| environment.get(name).and_then(|text| text.parse::<u64>().ok());
    let meant = environment.get("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|usec| meant && *usec > 0).map(Duration::from_micros)
}

/// What was typed that other places can say as well.
pub(super) struct Typed {
    pub(super) url: Option<String>,
    pub(super) mountpoint: Option<String>,
    pub(super) config: Option<PathBuf>,
    pub(super) mount_options: Vec<String>,
    pub(super) options: TypedOptions,
}

impl Typed {
    /// A bucket that is asked, and not mounted.
    pub(super) fn bucket(url: Option<String>, at: TypedPlace) -> Self {
        let TypedPlace { config, mount_options, options } = at;
        Self { url, mountpoint: None, config, mount_options, options }
    }
}

pub(super) fn settings(args: Typed, environment: Environment) -> Result<Settings, Refusal> {
    let mut flags = args.options.0;
    flags.extend(args.url.map(|url| ("url", url)));
    flags.extend(args.mountpoint.map(|mountpoint| ("mountpoint", mountpoint)));
    let (mount_options, config) = mount_options::parse(&args.mount_options)?;
    let file = match args.config.or(config) {
        Some(path) => Some((path.clone(), config_file::read(&path)?)),
        None => None,
    };
    Ok(Settings { flags, mount_options, environment, file })
}

/// The option `prefix`: empty, or ending in `/`.
pub(super) fn prefix(settings: &Settings) -> Result<String, Refusal> {
    match settings.get(&options::PREFIX)? {
        Some(text) => prefix_of(&text).map_err(|what| Refusal::new(format!("prefix: {what}"))),
        None => Ok(String::new()),
    }
}

pub(super) fn source(url: &str, settings: &Settings) -> Result<(Source, String), Refusal> {
    let prefix = prefix(settings)?;
    match SourceUrl::parse(url)? {
        SourceUrl::Mock { dialect, dir } => {
            let places: [&dyn Described; 4] = [
                &options::ENDPOINT,
                &options::REGION,
                &options::PATH_STYLE,
                &options::SIGNATURE_VERSION,
            ];
            if let Some(given) = places.iter().find(|option| settings.is_given(**option)) {
                return Err(Refusal::new(format!("{url} takes no {}", given.name())));
            }
            let properties = Box::new(object_properties::properties(settings)?);
            Ok((Source::Mock { dialect, dir: optional_path(dir)?, properties }, prefix))
        }
        SourceUrl::Bucket { service, bucket, prefix: in_url } => {
            let prefix = match (in_url.is_empty(), prefix.is_empty()) {
                (false, false) if in_url != prefix => {
                    return Err(Refusal::new(format!(
                        "the URL says prefix {in_url}, the option prefix says {prefix}: give one"
                    )));
                }
                (true, _) => prefix,
                (false, _) => in_url,
            };
            Ok((Source::Bucket(Box::new(connection(service, bucket, settings)?)), prefix))
        }
    }
}

pub(super) fn connection(
    service: DialectName,
    bucket: String,
    settings: &Settings,
) -> Result<Connection, Refusal> {
    let endpoint = settings.get(&options::ENDPOINT)?;
    let region = settings.get(&options::REGION)?;
    if endpoint.is_none() && region.is_none() {
        let example = match service {
            DialectName::Cos => "ap-guangzhou",
            DialectName::Oss => "cn-hangzhou",
            DialectName::Qingstor => "pek3b",
            DialectName::S3 => "us-east-1, or --endpoint for a server of your own",
        };
        return Err(Refusal::new(format!(
            "{service}://{bucket}: in which region is it? Add --region, such as --region {example}"
        )));
    }
    if let Some(endpoint) = &endpoint {
        check_endpoint(endpoint, &bucket)
            .map_err(|what| Refusal::new(format!("endpoint {endpoint}: {what}")))?;
    }
    Ok(Connection {
        dialect: service,
        bucket,
        endpoint,
        region,
        path_style: settings.get(&options::PATH_STYLE)?,
        signature_version: settings.get(&options::SIGNATURE_VERSION)?,
        credentials: credentials::source(service, settings)?,
        properties: object_properties::properties(settings)?,
        timing: Timing::default(),
    })
}

fn check_endpoint(endpoint: &str, bucket: &str) -> Result<(), String> {
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    match host {
        None => Err("write it with http:// or https:// in front".into()),
        Some(host) if host.trim_end_matches('/').is_empty() => Err("the host is missing".into()),
        Some(host) if host.contains('@') => Err("keys do not belong in the endpoint".into()),
        Some(host) if host.starts_with(&format!("{bucket}.")) => {
            Err("leave the name of the bucket out of it".into())
        }
        Some(_) => Ok(()),
    }
}

/// Modes of files and of directories.
fn modes(settings: &Settings) -> Result<(u32, u32), Refusal> {
    let (mut file, mut dir) =
        (settings.value(&options::FILE_MODE)?, settings.value(&options::DIR_MODE)?);
    if let Some(umask) = settings.get(&options::UMASK)? {
        if !settings.is_given(&options::FILE_MODE) {
            file = 0o666 & !umask;
        }
        if !settings.is_given(&options::DIR_MODE) {
            dir = 0o777 & !umask;
        }
    }
    Ok((file, dir))
}

/// Bytes of a part and of the whole budget. An open file must always be able to fill one part while
/// another one is on its way, or writers would wait for each other.
fn memory(settings: &Settings) -> Result<(u64, u64), Refusal> {
    let part = settings.value(&options::PART_SIZE)?;
    let memory = settings.value(&options::MEMORY_LIMIT)?;
    if part > memory {
        return Err(Refusal::new(format!(
            "part_size {} is more than memory_limit {}: make one smaller or the other larger",
            size_text(part),
            size_text(memory)
        )));
    }
    Ok((part, memory))
}

fn log(settings: &Settings, start: &Start) -> Result<LogConfig, Refusal> {
    let filter = log_level(settings)?;
    let format = settings.value(&options::LOG_FORMAT)?;
    let file = optional_path(settings.get(&options::LOG_FILE)?)?;
    if format == LogFormat::Journald && file.is_some() {
        return Err(Refusal::new("log_format journald and log_file: give one"));
    }
    Ok(LogConfig {
        filter,
        format,
        file,
        to_stderr: matches!(start, Start::Foreground { .. }),
        journal_stream: settings.environment.get("JOURNAL_STREAM").map(str::to_owned),
    })
}

/// The filter of the log, known to be one.
pub(super) fn log_level(settings: &Settings) -> Result<String, Refusal> {
    let filter = settings.value(&options::LOG_LEVEL)?;
    LogConfig::check_filter(&filter)
        .map_err(|what| Refusal::new(format!("log_level {filter}: {what}")))?;
    Ok(filter)
}

/// Paths are made absolute here because the daemon leaves the directory it was started in.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Refusal> {
    std::path::absolute(path).map_err(|error| Refusal::new(format!("{}: {error}", path.display())))
}

pub(super) fn optional_path(path: Option<PathBuf>) -> Result<Option<PathBuf>, Refusal> {
    path.as_deref().map(absolute).transpose()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
