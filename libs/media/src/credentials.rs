//! A user name and a password on their way to a worker, and out of everything that it says.

use std::{borrow::Cow, fmt, io, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// Shorter passwords are not looked for in what a worker says: they would be found in words that
/// have nothing to do with them.
const SHORTEST: usize = 4;
const HIDDEN: &str = "[hidden]";

/// What a camera asks for. Travels to the worker in its job, by stdin alone: never as an
/// argument, in the environment, or in an address. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// Takes secrets out of text.
#[derive(Default)]
struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    fn new(credentials: &Credentials) -> Self {
        let Credentials { username, password } = credentials;
        let mut secrets = vec![
            // As basic authentication sends it (RFC 7617 §2).
            STANDARD.encode(format!("{username}:{password}")),
            password.clone(),
            url::form_urlencoded::byte_serialize(password.as_bytes()).collect(),
        ];
        secrets.retain(|secret| secret.len() >= SHORTEST);
        Self { secrets }
    }

    fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for secret in &self.secrets {
            if clean.contains(secret.as_str()) {
                clean = Cow::Owned(clean.replace(secret.as_str(), HIDDEN));
            }
        }
        clean
    }
}

/// Of this process, which serves one source.
static REDACTOR: OnceLock<Redactor> = OnceLock::new();

/// From now on these are taken out of all that this process says.
pub(crate) fn hide(credentials: &Credentials) {
    // A process has one job.
    let _ = REDACTOR.set(Redactor::new(credentials));
}

/// The text without secrets.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    match REDACTOR.get() {
        Some(redactor) => redactor.clean(text),
        None => Cow::Borrowed(text),
    }
}

/// Standard error for log lines, without secrets.
pub(crate) struct CleanStderr;

impl io::Write for CleanStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A log line is written at once.
        let text = String::from_utf8_lossy(bytes);
        io::stderr().write_all(clean(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_text_in_every_form() {
        let credentials = Credentials {
            username: "admin".to_owned(),
            password: "hunter 2".to_owned(),
        };
        let redactor = Redactor::new(&credentials);
        // Basic: base64 of "admin:hunter 2".
        let text = "hunter 2, hunter+2, YWRtaW46aHVudGVyIDI= and admin";
        let clean = "[hidden], [hidden], [hidden] and admin";
        assert_eq!(redactor.clean(text), clean);
        assert!(!format!("{credentials:?}").contains("hunter"));
    }
}
