//! Layered configuration: command line over environment over a TOML file over defaults.
//!
//! The clap arguments of a service are the one description of its settings. Values of
//! the file become clap *defaults* before the command line is parsed, so that one
//! parser checks them all and one text explains what is wrong. Keys of the file are
//! the long names of the flags; the environment variable of `--some-flag` is
//! `REELAY_SOME_FLAG` unless the argument names another.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};

/// The flag, and so the argument id, that names the TOML file.
pub const CONFIG: &str = "config";
/// The flag, and so the argument id, that asks to print the settings and exit.
pub const CHECK_CONFIG: &str = "check-config";

/// Why a configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line, the environment or a value of the file is not valid; also `--help`
    /// and `--version`, which clap reports the same way.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The file could not be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {path} is not valid TOML: {source}")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// The file has a key that no setting has.
    #[error(
        "unknown key `{key}` in the configuration file {path}{}; allowed: {}",
        nearest.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default(),
        allowed.join(", ")
    )]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key as it stands there.
        key: String,
        /// The most similar key that is allowed.
        nearest: Option<String>,
        /// All keys that are allowed.
        allowed: Vec<String>,
    },
    /// The file has a value of a kind that no setting takes.
    #[error(
        "`{key}` in the configuration file {path} is a {found}; \
         allowed: a string, a number, true, false, or a list of these"
    )]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The key as it stands there.
        key: String,
        /// The TOML kind that was found.
        found: &'static str,
    },
}

impl ConfigError {
    /// Writes the error to standard error (help and version to standard output) and
    /// returns the exit code that fits: 0 for help and version, 2 otherwise.
    pub fn report(&self) -> u8 {
        match self {
            Self::Arguments(error) => {
                // Nothing is left to say where even standard error is gone.
                let _ = error.print();
                u8::try_from(error.exit_code()).unwrap_or(2)
            }
            other => {
                eprintln!("error: {other}");
                2
            }
        }
    }
}

/// One setting as it is in force, for `--check-config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Long name of the flag, which is the key in the file.
    pub name: String,
    /// The values, as text; none where it is not set. Secrets are masked already.
    pub values: Vec<String>,
    /// Whether the setting takes a list.
    pub list: bool,
    /// Where the value comes from, in words.
    pub origin: String,
}

/// Arguments that were parsed, and the settings in force.
#[derive(Debug)]
pub struct Loaded<A> {
    /// The parsed arguments.
    pub args: A,
    /// Whether `--check-config` was given.
    pub check: bool,
    /// Every setting in force, in the order of the help text.
    pub settings: Vec<Setting>,
}

impl<A> Loaded<A> {
    /// The settings in force as TOML that could be given to `--config` again (but for
    /// masked secrets), each with a comment that says where it comes from.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for setting in &self.settings {
            let value = match setting.values.as_slice() {
                [] => {
                    let _ = writeln!(text, "# {} is not set", setting.name);
                    continue;
                }
                [one] if !setting.list => toml_value(one),
                many => format!(
                    "[{}]",
                    many.iter()
                        .map(|value| toml_value(value))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            };
            let _ = writeln!(text, "{} = {value} # {}", setting.name, setting.origin);
        }
        text
    }
}

fn toml_value(raw: &str) -> String {
    if raw == "true" || raw == "false" || raw.parse::<i64>().is_ok_and(|n| n.to_string() == raw) {
        raw.to_owned()
    } else {
        toml::Value::String(raw.to_owned()).to_string()
    }
}

/// Parses `arguments` (the program's name first) over the environment, the file that
/// `--config` names, and the defaults of `command`.
///
/// # Errors
/// [`ConfigError`] names the flag, variable or key and what is allowed.
pub fn load<A: FromArgMatches>(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Loaded<A>, ConfigError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = with_environment(command);

    // The first pass is only to find `--config`: nothing is required in it, as the
    // file may still give what is missing.
    let lenient = command.clone().mut_args(|arg| arg.required(false));
    let first = lenient.try_get_matches_from(&arguments)?;
    let path = first
        .try_get_one::<PathBuf>(CONFIG)
        .ok()
        .flatten()
        .filter(|path| !path.as_os_str().is_empty())
        .cloned();

    let file = match &path {
        Some(path) => read(path, &command)?,
        None => BTreeMap::new(),
    };
    let mut layered = command;
    for (name, values) in &file {
        layered = layered.mut_args(|arg| {
            if arg.get_long() == Some(name) {
                arg.required(false).default_values(values.clone())
            } else {
                arg
            }
        });
    }
    let explain = |error| explain(error, path.as_deref(), &file);
    let matches = layered
        .clone()
        .try_get_matches_from(&arguments)
        .map_err(explain)?;
    let args = A::from_arg_matches(&matches).map_err(|error| error.format(&mut layered.clone()))?;
    Ok(Loaded {
        args,
        check: matches
            .try_get_one::<bool>(CHECK_CONFIG)
            .ok()
            .flatten()
            .copied()
            .unwrap_or(false),
        settings: settings(&layered, &matches, path.as_deref(), &file),
    })
}

/// Gives every argument with a long name its environment variable.
fn with_environment(command: Command) -> Command {
    command.mut_args(|arg| match arg.get_long() {
        Some(long) if arg.get_env().is_none() && is_setting(&arg) => {
            let name = format!("REELAY_{}", long.to_uppercase().replace('-', "_"));
            arg.env(name)
        }
        Some(CONFIG) => arg.env("REELAY_CONFIG"),
        _ => arg,
    })
}

fn is_setting(arg: &Arg) -> bool {
    let informs = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    let meta = matches!(
        arg.get_long(),
        None | Some(CONFIG | CHECK_CONFIG | "help" | "version")
    );
    !informs && !meta
}

fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some()
}

/// Reads the file into lists of values by flag name.
fn read(path: &Path, command: &Command) -> Result<BTreeMap<String, Vec<String>>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let table: toml::Table = text.parse().map_err(|source| ConfigError::NotToml {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let allowed: Vec<String> = command
        .get_arguments()
        .filter(|arg| is_setting(arg))
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect();

    let mut values = BTreeMap::new();
    for (key, value) in table {
        if !allowed.contains(&key) {
            let nearest = nearest(&key, &allowed);
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                key,
                nearest,
                allowed,
            });
        }
        let wrong = |found| ConfigError::WrongKind {
            path: path.to_owned(),
            key: key.clone(),
            found,
        };
        let list = match &value {
            toml::Value::Array(items) => items
                .iter()
                .map(|item| scalar(item).ok_or_else(|| wrong(item.type_str())))
                .collect::<Result<Vec<_>, _>>()?,
            one => vec![scalar(one).ok_or_else(|| wrong(one.type_str()))?],
        };
        values.insert(key, list);
    }
    Ok(values)
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The allowed name that shares the most words with `key`, or that it begins or ends.
fn nearest(key: &str, allowed: &[String]) -> Option<String> {
    let key = key.to_lowercase().replace('_', "-");
    let words: Vec<&str> = key.split('-').collect();
    allowed
        .iter()
        .map(|name| {
            let shared = name.split('-').filter(|word| words.contains(word)).count();
            (if *name == key { usize::MAX } else { shared }, name)
        })
        .filter(|(shared, _)| *shared > 0)
        .max_by_key(|(shared, name)| (*shared, std::cmp::Reverse(name.len())))
        .map(|(_, name)| name.clone())
}

/// Adds to an error about a value that came from the file where it stands.
fn explain(
    mut error: clap::Error,
    path: Option<&Path>,
    file: &BTreeMap<String, Vec<String>>,
) -> clap::Error {
    let (Some(path), ErrorKind::InvalidValue | ErrorKind::ValueValidation) = (path, error.kind())
    else {
        return error;
    };
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (Some(flag), Some(value)) = (
        text(ContextKind::InvalidArg),
        text(ContextKind::InvalidValue),
    ) else {
        return error;
    };
    // clap shows `--flag <VALUE>`; the key is the flag's bare name.
    let name = flag
        .trim_start_matches('-')
        .split([' ', '='])
        .next()
        .unwrap_or_default()
        .to_owned();
    if file
        .get(&name)
        .is_some_and(|values| values.contains(&value))
    {
        let hint = format!("the value is that of `{name}` in {}", path.display());
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![hint.into()]),
        );
    }
    error
}

fn settings(
    command: &Command,
    matches: &ArgMatches,
    path: Option<&Path>,
    file: &BTreeMap<String, Vec<String>>,
) -> Vec<Setting> {
    command
        .get_arguments()
        .filter(|arg| is_setting(arg))
        .filter_map(|arg| {
            let name = arg.get_long()?.to_owned();
            let id = arg.get_id().as_str();
            let raw = matches.get_raw(id).map(|values| {
                values
                    .map(|value| value.to_string_lossy().into_owned())
                    .collect::<Vec<_>>()
            });
            let mut values = raw.unwrap_or_default();
            if arg.is_hide_env_values_set() {
                values
                    .iter_mut()
                    .for_each(|value| *value = "***".to_owned());
            }
            let origin = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => "command line".to_owned(),
                Some(ValueSource::EnvVariable) => {
                    let variable = arg.get_env().unwrap_or_default().to_string_lossy();
                    format!("environment variable {variable}")
                }
                _ => match path {
                    Some(path) if file.contains_key(&name) => path.display().to_string(),
                    _ => "default".to_owned(),
                },
            };
            Some(Setting {
                name,
                values,
                list: is_list(arg),
                origin,
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
