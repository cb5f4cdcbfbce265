//! Names of credentials: a spec refers to a user name and password, and never holds them.

use std::{fmt, str::FromStr};

use crate::FieldError;

/// Name of a file or folder below ingest's `--credentials-dir`: 1 to 63 of `a-z`, `0-9`, `-` and
/// `.`, as Kubernetes names its secrets; a dot never stands at an end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialsName(Box<str>);

impl CredentialsName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CredentialsName {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let sound = (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|byte| plain(byte) || matches!(byte, b'-' | b'.'))
            && text.bytes().next().is_some_and(plain)
            && text.bytes().last().is_some_and(plain);
        if sound {
            return Ok(Self(text.into()));
        }
        // Not repeated: somebody may have written the password itself.
        Err(FieldError::new(
            "credentials",
            "a name that is not allowed",
            "the name of a file or folder below ingest's --credentials-dir: 1 to 63 characters \
             a-z, 0-9, '-' and '.', such as door-camera",
        ))
    }
}

impl fmt::Display for CredentialsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
