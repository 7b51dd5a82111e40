//! The table of options of `partfs mount`: the only place where an option is defined. Flags, `-o`
//! words, variables, file lines, help and `docs/CONFIGURATION.md` are made from it.

use std::time::Duration;

use super::definition::{Definition, Described};
use super::kind::{Choice, Count, Id, Loopback, Mode, PathText, Size, Switch, Text, Time};
use super::object_properties::{BitRate, Entries, HeaderText, Patterns, Types};
use crate::dialect::SignatureVersion;
use crate::mount::{OnLeftover, OnWriterKilled, Sandbox};
use crate::telemetry::LogFormat;

/// Makes a definition: name, flag, kind, default (a value, or a remark in parentheses), help.
macro_rules! option {
    ($id:ident: $kind:ty = $name:literal, $flag:literal, $value:expr, ($note:literal), $help:literal) => {
        pub(crate) static $id: Definition<$kind> = Definition {
            name: $name,
            flag: $flag,
            kind: $value,
            default: None,
            default_note: $note,
            help: $help,
        };
    };
    ($id:ident: $kind:ty = $name:literal, $flag:literal, $value:expr, $default:literal, $help:literal) => {
        pub(crate) static $id: Definition<$kind> = Definition {
            name: $name,
            flag: $flag,
            kind: $value,
            default: Some($default),
            default_note: "",
            help: $help,
        };
    };
}

const DAY: Duration = Duration::from_secs(86_400);

option!(URL: Text = "url", "url", Text("URL"), (""),
    "What to mount; on the command line the first argument.");
option!(MOUNTPOINT: PathText = "mountpoint", "mountpoint", PathText, (""),
    "Where to mount it: a directory that exists; on the command line the second argument.");
option!(ENDPOINT: Text = "endpoint", "endpoint", Text("URL"), ("made from the region"),
    "Address of the service, http:// or https://, without the bucket.");
option!(REGION: Text = "region", "region", Text("REGION"), ("none"),
    "Region of the bucket, such as ap-guangzhou; of QingStor the zone.");
option!(PATH_STYLE: Switch = "path_style", "path-style", Switch, ("as the endpoint suggests"),
    "Name the bucket in the path instead of in the host: what servers of one's own mostly want.");
option!(SIGNATURE_VERSION: Choice<SignatureVersion> = "signature_version", "signature-version",
    Choice(&[("v4", SignatureVersion::V4), ("v1", SignatureVersion::V1)]), ("v4"),
    "Version of the signature; v1 needs no region. Only for oss://.");
option!(PREFIX: Text = "prefix", "prefix", Text("PREFIX"), ("the whole bucket"),
    "Mount only the keys below this prefix; the same as a path in the URL.");
option!(CREDENTIALS_FILE: PathText = "credentials_file", "credentials-file", PathText, ("none"),
    "File with access_key_id, secret_access_key and perhaps session_token; mode 0600.");
option!(PROFILE: Text = "profile", "profile", Text("PROFILE"), ("AWS_PROFILE, or default"),
    "Profile of AWS's tools whose keys are used; AWS_ACCESS_KEY_ID does not count then. Only for s3://.");
option!(INSTANCE_ROLE: Switch = "instance_role", "instance-role", Switch, "true",
    "Ask the metadata service of the machine for the keys of its role when there are no others.");
option!(ANONYMOUS: Switch = "anonymous", "anonymous", Switch, "false",
    "Sign nothing and look for no keys, for a bucket that everybody may read.");
option!(PART_SIZE: Size = "part_size", "part-size",
    Size { subject: "a part", min: 1 << 20, max: 5 << 30 }, "8MiB",
    "Size of the first parts of a multipart upload; later parts of large files are larger.");
option!(MAX_UPLOADS: Count = "max_uploads", "max-uploads",
    Count { subject: "uploads", min: 1, max: 256 }, "8",
    "How many parts and objects are sent at the same time.");
option!(MEMORY_LIMIT: Size = "memory_limit", "memory-limit",
    Size { subject: "the memory limit", min: 1 << 20, max: u64::MAX }, "256MiB",
    "How many bytes of file contents the mount may hold in memory; writers wait when it is used up.");
option!(UID: Id = "uid", "uid", Id, ("the user who mounts"),
    "Owner of files whose object names none.");
option!(GID: Id = "gid", "gid", Id, ("the group of the user who mounts"),
    "Group of files whose object names none.");
option!(UMASK: Mode = "umask", "umask", Mode, ("none"),
    "Sets file_mode to 0666 and dir_mode to 0777 without these bits.");
option!(FILE_MODE: Mode = "file_mode", "file-mode", Mode, "0644",
    "Permissions of files whose object has none.");
option!(DIR_MODE: Mode = "dir_mode", "dir-mode", Mode, "0755",
    "Permissions of directories whose marker has none.");
option!(ALLOW_OTHER: Switch = "allow_other", "allow-other", Switch, "false",
    "Let other users in, as far as the permissions of the files allow.");
option!(READ_ONLY: Switch = "read_only", "read-only", Switch, "false",
    "Refuse every change; `-o ro` and `-o rw` are the same option.");
option!(NOEXEC: Switch = "noexec", "noexec", Switch, "false",
    "Start no programs that are in the mount; `-o exec` is the opposite, `-o user` and `-o users` mean it as well.");
option!(NONEMPTY: Switch = "nonempty", "nonempty", Switch, "false",
    "Mount over a directory that is not empty and hide what is in it.");
option!(ATTR_TTL: Time = "attr_ttl", "attr-ttl", Time { min: Duration::ZERO, max: DAY }, "10s",
    "How long names and attributes are believed before the bucket is asked again. Changes made through this mount are seen at once.");
option!(ON_WRITER_KILLED: Choice<OnWriterKilled> = "on_writer_killed", "on-writer-killed",
    Choice(&[("keep_old", OnWriterKilled::KeepOld), ("publish", OnWriterKilled::Publish)]), "keep_old",
    "What becomes of a file when a signal ends the process that writes it: keep_old publishes nothing, so that half a file never looks like a whole one; publish stores it as far as it came.");
option!(CONTROL_DIR: Switch = "control_dir", "control-dir", Switch, "true",
    "Show the state of the mount, and the uploads in the bucket as files, in the hidden directory .partfs at its root. Without it partfs umount cannot tell how the mount ended, and fails.");
option!(ABORT_BUSY_UPLOADS: Switch = "abort_busy_uploads", "abort-busy-uploads", Switch, "false",
    "Let rm in .partfs/uploads abort what this mount is writing just now, too: the file that is being written fails then.");
option!(CLOSE_TIMEOUT: Time = "close_timeout", "close-timeout",
    Time { min: Duration::from_secs(1), max: DAY }, "10m",
    "How long close() and fsync() wait for the service before they fail.");
option!(DRAIN_TIMEOUT: Time = "drain_timeout", "drain-timeout",
    Time { min: Duration::ZERO, max: DAY }, "2m",
    "How long a daemon that is told to stop waits for open files and finishes uploads before it gives them up and names them.");
option!(STAGING_DIR: PathText = "staging_dir", "staging-dir", PathText, ("/var/tmp"),
    "Directory for the temporary files of random writes; not in the mount itself.");
option!(STATE_DIR: PathText = "state_dir", "state-dir", PathText, ("STATE_DIRECTORY, or /var/lib/partfs of root and ~/.local/state/partfs of others"),
    "Directory that remembers which uploads were begun, so that they are continued or removed after a crash; not in the mount itself.");
option!(ON_LEFTOVER: Choice<OnLeftover> = "on_leftover", "on-leftover",
    Choice(&[("resume", OnLeftover::Resume), ("abort", OnLeftover::Abort), ("keep", OnLeftover::Keep)]), "resume",
    "What becomes of uploads that were cut off: resume keeps them until leftover_age for whoever writes the same file again, abort removes them at once, keep never does.");
option!(LEFTOVER_AGE: Time = "leftover_age", "leftover-age",
    Time { min: Duration::from_secs(60), max: Duration::from_secs(3650 * 86_400) }, "7d",
    "How old an upload that was cut off may become before it is removed from the bucket.");
option!(SANDBOX: Choice<Sandbox> = "sandbox", "sandbox",
    Choice(&[("auto", Sandbox::Auto), ("off", Sandbox::Off), ("required", Sandbox::Required)]), "auto",
    "Whether the daemon gives up its privileges before it serves: auto gives up what the kernel lets it and logs a warning of the rest, required fails then, off gives up nothing.");
option!(APPEND_OBJECT: Patterns = "append_object", "append-object", Patterns, ("none"),
    "Names of files that are written as appendable objects, such as *.log: what is added goes out alone. Not for s3://.");
option!(STORAGE_CLASS: HeaderText = "storage_class", "storage-class", HeaderText("CLASS"), ("that of the bucket"),
    "Storage class of new objects, in the service's words, such as STANDARD_IA.");
option!(ACL: HeaderText = "acl", "acl", HeaderText("ACL"), ("that of the bucket"),
    "Canned ACL of new objects, in the service's words, such as public-read.");
option!(GRANT_READ: HeaderText = "grant_read", "grant-read", HeaderText("WHO"), ("none"),
    "Who else may read new objects, in the service's words, such as id=\"100000000001\".");
option!(GRANT_READ_ACP: HeaderText = "grant_read_acp", "grant-read-acp", HeaderText("WHO"), ("none"),
    "Who else may read the ACL of new objects.");
option!(GRANT_WRITE_ACP: HeaderText = "grant_write_acp", "grant-write-acp", HeaderText("WHO"), ("none"),
    "Who else may change the ACL of new objects.");
option!(GRANT_FULL_CONTROL: HeaderText = "grant_full_control", "grant-full-control", HeaderText("WHO"), ("none"),
    "Who else may do everything with new objects.");
option!(CACHE_CONTROL: HeaderText = "cache_control", "cache-control", HeaderText("VALUE"), ("none"),
    "Cache-Control of new objects.");
option!(CONTENT_DISPOSITION: HeaderText = "content_disposition", "content-disposition", HeaderText("VALUE"), ("none"),
    "Content-Disposition of new objects.");
option!(CONTENT_ENCODING: HeaderText = "content_encoding", "content-encoding", HeaderText("VALUE"), ("none"),
    "Content-Encoding of new objects; nothing is encoded or decoded.");
option!(CONTENT_LANGUAGE: HeaderText = "content_language", "content-language", HeaderText("VALUE"), ("none"),
    "Content-Language of new objects.");
option!(EXPIRES: HeaderText = "expires", "expires", HeaderText("DATE"), ("none"),
    "Expires of new objects, a date as HTTP writes it.");
option!(CONTENT_TYPE: Types = "content_type", "content-type", Types, ("guessed from the name"),
    "Content-Type of new objects by name: the first pattern that matches, else a guess by the extension.");
option!(OBJECT_METADATA: Entries = "object_metadata", "object-metadata", Entries, ("none"),
    "User metadata that every new object gets, beside that of the file system.");
option!(TRAFFIC_LIMIT: BitRate = "traffic_limit", "traffic-limit", BitRate, ("none"),
    "Ask the service to slow each request that carries content down to this many bits per second.");
option!(CONTENT_MD5: Switch = "content_md5", "content-md5", Switch, "false",
    "Send the MD5 with parts, too, so that the service checks it; costs a core per 0.5 GiB/s. Without it their CRC-64 is compared before they are published.");
option!(SSE: HeaderText = "sse", "sse", HeaderText("ALGORITHM"), ("that of the bucket"),
    "Let the service encrypt new objects: AES256 (its own key; OSS also SM4) or KMS.");
option!(SSE_KMS_KEY_ID: HeaderText = "sse_kms_key_id", "sse-kms-key-id", HeaderText("ID"), ("the default key of the account"),
    "Key of the key management service to encrypt new objects with.");
option!(SSE_KMS_CONTEXT: HeaderText = "sse_kms_context", "sse-kms-context", HeaderText("BASE64"), ("none"),
    "Encryption context for the key management service: base64 of JSON.");
option!(SSE_C_KEY_FILE: PathText = "sse_c_key_file", "sse-c-key-file", PathText, ("none"),
    "File with a key of 32 bytes, as they are or in base64, that objects are encrypted with; mode 0600. Whoever loses it loses the objects.");
option!(REQUESTER_PAYS: Switch = "requester_pays", "requester-pays", Switch, "false",
    "Agree to pay for requests to somebody else's bucket.");
option!(METRICS_LISTEN: Loopback = "metrics_listen", "metrics-listen", Loopback, ("nowhere"),
    "Address of this machine and port at which /metrics is served over HTTP, for Prometheus; every user of the machine can read it. \
     .partfs/metrics has the same without a port.");
option!(LOG_LEVEL: Text = "log_level", "log-level", Text("LEVEL"), "info",
    "off, error, warn, info, debug or trace; per module as in info,partfs::write=debug.");
option!(LOG_FORMAT: Choice<LogFormat> = "log_format", "log-format",
    Choice(&[("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json), ("journald", LogFormat::Journald)]), "auto",
    "How log lines are written: human for people, json one object a line, journald to the system's journal with fields of its own; auto is journald where there is no log_file and standard error is connected to the journal, or the mount is in the background and there is a journal; else human.");
option!(LOG_FILE: PathText = "log_file", "log-file", PathText,
    ("standard error in the foreground, the journal in the background"),
    "File that log lines are appended to; opened anew on SIGHUP.");

/// What has a place of its own on the command line instead of a flag.
pub(crate) static ARGUMENTS: &[&dyn Described] = &[&URL, &MOUNTPOINT];

/// Everything that has a flag, in the order of the help.
pub(crate) static FLAGS: &[&dyn Described] = &[
    &ENDPOINT,
    &REGION,
    &PATH_STYLE,
    &SIGNATURE_VERSION,
    &PREFIX,
    &CREDENTIALS_FILE,
    &PROFILE,
    &INSTANCE_ROLE,
    &ANONYMOUS,
    &PART_SIZE,
    &MAX_UPLOADS,
    &MEMORY_LIMIT,
    &UID,
    &GID,
    &UMASK,
    &FILE_MODE,
    &DIR_MODE,
    &ALLOW_OTHER,
    &READ_ONLY,
    &NOEXEC,
    &NONEMPTY,
    &ATTR_TTL,
    &ON_WRITER_KILLED,
    &CONTROL_DIR,
    &ABORT_BUSY_UPLOADS,
    &CLOSE_TIMEOUT,
    &DRAIN_TIMEOUT,
    &STAGING_DIR,
    &STATE_DIR,
    &ON_LEFTOVER,
    &LEFTOVER_AGE,
    &SANDBOX,
    &APPEND_OBJECT,
    &STORAGE_CLASS,
    &ACL,
    &GRANT_READ,
    &GRANT_READ_ACP,
    &GRANT_WRITE_ACP,
    &GRANT_FULL_CONTROL,
    &CACHE_CONTROL,
    &CONTENT_DISPOSITION,
    &CONTENT_ENCODING,
    &CONTENT_LANGUAGE,
    &EXPIRES,
    &CONTENT_TYPE,
    &OBJECT_METADATA,
    &TRAFFIC_LIMIT,
    &CONTENT_MD5,
    &SSE,
    &SSE_KMS_KEY_ID,
    &SSE_KMS_CONTEXT,
    &SSE_C_KEY_FILE,
    &REQUESTER_PAYS,
    &METRICS_LISTEN,
    &LOG_LEVEL,
    &LOG_FORMAT,
    &LOG_FILE,
];

/// The definition with this name.
pub(crate) fn find(name: &str) -> Option<&'static dyn Described> {
    all().find(|definition| definition.name() == name)
}

/// Every definition.
pub(crate) fn all() -> impl Iterator<Item = &'static dyn Described> {
    ARGUMENTS.iter().chain(FLAGS).copied()
}

/// The known name that looks most like `name`, if one does.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    all()
        .map(|definition| (distance(name, definition.name()), definition.name()))
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// How many insertions, deletions and exchanges of characters lead from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let exchanged = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_flags_are_one_spelling() {
        for definition in all() {
            assert_eq!(definition.flag(), definition.name().replace('_', "-"));
            assert!(definition.help().ends_with('.'), "{}", definition.name());
        }
    }

    #[test]
    fn every_default_is_a_value() {
        for definition in all() {
            if let Some(default) = definition.fixed_default() {
                assert_eq!(definition.check(default), Ok(()), "{}", definition.name());
            }
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(nearest("partsize"), Some("part_size"));
        assert_eq!(nearest("memory-limit"), Some("memory_limit"));
        assert_eq!(nearest("credential_file"), Some("credentials_file"));
        assert_eq!(nearest("colour"), None);
    }
}
