//! Errors of validation: each names the field, the value found and what is allowed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// Path of the field in the document, such as `labels.site`.
    pub field: String,
    /// The value found, cut to 200 characters. Never a secret.
    pub value: String,
    /// What would have been accepted.
    pub allowed: String,
}

impl FieldError {
    /// An error about `field`, which holds `value`, where only `allowed` is accepted.
    pub fn new(
        field: impl Into<String>,
        value: impl fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        let mut value = value.to_string();
        if let Some((cut, _)) = value.char_indices().nth(200) {
            value.truncate(cut);
            value.push('…');
        }
        Self {
            field: field.into(),
            value,
            allowed: allowed.into(),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:?} is not valid; allowed: {}",
            self.field, self.value, self.allowed
        )
    }
}

impl std::error::Error for FieldError {}

/// All that is wrong with a document; holds at least one error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<FieldError>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

impl From<FieldError> for Invalid {
    fn from(error: FieldError) -> Self {
        Self(vec![error])
    }
}
