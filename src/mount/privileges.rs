//! Who does what from now on: the daemon, confined, or its keeper. What the daemon needs later is put together
//! here, from all that was configured.

use std::path::Path;
use std::sync::Arc;

use super::MountError;
use super::config::{MountConfig, Sandbox, Source};
use super::confine::{self, Folders};
use super::keeper::{Hands, Keeper};
use crate::dialect::CredentialSource;
use crate::fuse::session::SessionOptions;
use crate::write::JournalConfig;

/// Gives the right to mount to a keeper, and confines this process, which must have one thread. With
/// `sandbox=off` nothing happens.
pub(crate) fn divide(
    config: &MountConfig,
    mountpoint: &Path,
    options: &SessionOptions,
    staging_dir: &Path,
    journal: Option<&JournalConfig>,
) -> Result<Arc<Hands>, MountError> {
    if config.sandbox == Sandbox::Off {
        return Ok(Arc::new(Hands::own(mountpoint, options)));
    }
    let keeper = Keeper::start(mountpoint, options).map_err(|error| {
        MountError::new(format!("cannot start the process that keeps the right to mount: {error}"))
    })?;
    let failed = confine::confine(&needed(config, staging_dir, journal));
    if !failed.is_empty() {
        let what = failed.join("; ");
        if config.sandbox == Sandbox::Required {
            return Err(MountError::new(format!("sandbox=required: {what}")));
        }
        tracing::warn!(what, "the daemon keeps some of its privileges");
    }
    Ok(Arc::new(Hands::Far(keeper)))
}

fn needed(config: &MountConfig, staging_dir: &Path, journal: Option<&JournalConfig>) -> Folders {
    let mut folders = Folders { write: vec![staging_dir.to_owned()], ..Folders::default() };
    folders.write.extend(journal.map(|journal| journal.dir.clone()));
    // Both are opened anew on SIGHUP, and may be other files of that name then.
    config.log.file.iter().for_each(|file| folders.write_file(file));
    config.reread.file().iter().for_each(|file| folders.read_file(file));
    for place in &config.ca_places {
        if place.is_dir() {
            folders.read.push(place.clone());
        } else {
            folders.read_file(place);
        }
    }
    match &config.source {
        Source::Mock { dir, .. } => {
            // The mock makes it when it is missing, which it could not any more; what is wrong it says itself.
            if let Some(dir) = dir {
                let _ = std::fs::create_dir_all(dir);
            }
            folders.write.extend(dir.clone());
            folders.listens = true;
        }
        Source::Bucket(connection) => {
            if let CredentialSource::Search(search) = &connection.credentials {
                search.files().iter().for_each(|file| folders.read_file(file));
            }
        }
    }
    folders
}
