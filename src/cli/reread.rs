//! What a mount that works asks again when it is told to reload: the level of the log. The file of `--config` is
//! read anew; flags, `-o` options and the environment are what they were when the process began, and go first
//! as ever.

use super::definition::Described;
use super::environment::Environment;
use super::resolve::{absolute, log_level};
use super::settings::Settings;
use super::{Refusal, config_file, options};
use crate::mount::{LogLevel, Reread};

/// How the settings of a mount are read anew.
pub(super) fn of(settings: &Settings) -> Result<Reread, Refusal> {
    // Of all that was given only what this is about: the environment holds secrets.
    let variable = options::LOG_LEVEL.variable();
    let environment = Environment::with(
        settings.environment.get(&variable).map(|text| (variable.as_str(), text)),
    );
    let only = |given: &std::collections::BTreeMap<&'static str, String>| {
        let name = options::LOG_LEVEL.name;
        given.get(name).map(|text| (name, text.clone())).into_iter().collect()
    };
    let (flags, mount_options) = (only(&settings.flags), only(&settings.mount_options));
    let fixed = Settings { flags, mount_options, environment, file: None };
    // The daemon leaves the directory that it was started in.
    let path = settings.file.as_ref().map(|(path, _)| absolute(path)).transpose()?;
    let fixed_by = match (fixed.fixed_by(&options::LOG_LEVEL), &path) {
        (Some(by), _) => Some(by),
        (None, None) => Some("without a file (--config)".to_owned()),
        (None, Some(_)) => None,
    };
    Ok(Reread::new(path.clone(), move || {
        let file = match &path {
            Some(path) => {
                let lines = config_file::read(path).map_err(|refusal| refusal.to_string())?;
                Some((path.clone(), lines))
            }
            None => None,
        };
        let (flags, mount_options) = (fixed.flags.clone(), fixed.mount_options.clone());
        let environment = fixed.environment.clone();
        let settings = Settings { flags, mount_options, environment, file };
        let filter = log_level(&settings).map_err(|refusal| refusal.to_string())?;
        Ok(LogLevel { filter, fixed_by: fixed_by.clone() })
    }))
}
