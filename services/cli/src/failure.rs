//! Why a command failed, what the user can do about it, and the exit code.

use std::fmt;
use std::process::ExitCode;

use crate::api::ProblemDetails;

/// How a command ended other than well. The codes are in the help text (`args::EXIT_CODES`).
#[derive(Debug)]
pub enum Failure {
    /// Anything that has no code of its own.
    Other(String),
    /// The gateway or Kafka cannot be reached: what, why, and what to try.
    Unreachable {
        what: String,
        why: String,
        advice: String,
    },
    /// The gateway answered, and refused.
    Refused {
        status: u16,
        problem: ProblemDetails,
    },
    /// A check ran and found something; it has been printed already.
    Found(usize),
    /// Whoever read our output went away, as `head` does. No fault, no words.
    OutputClosed,
}

impl Failure {
    pub fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::OutputClosed => 0,
            Self::Other(_) => 1,
            Self::Unreachable { .. } => 3,
            Self::Refused { .. } => 4,
            Self::Found(_) => 5,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(message) => f.write_str(message),
            Self::Unreachable { what, why, advice } => {
                write!(f, "cannot reach {what}: {why}\n{advice}")
            }
            Self::Refused { status, problem } => {
                write!(f, "{} ({status})", problem.title)?;
                if let Some(detail) = problem.detail.as_ref().filter(|d| **d != problem.title) {
                    write!(f, ": {detail}")?;
                }
                for error in &problem.errors {
                    write!(
                        f,
                        "\n  {}: {:?} is not valid; allowed: {}",
                        error.field, error.value, error.allowed
                    )?;
                }
                match status {
                    401 | 403 => f.write_str("\nThe gateway asks for a token: give it by --token or REELAY_TOKEN."),
                    412 => f.write_str("\nThe stream was changed by somebody else in between: look at it again, then repeat the command."),
                    _ => Ok(()),
                }
            }
            Self::Found(1) => f.write_str("1 finding"),
            Self::Found(n) => write!(f, "{n} findings"),
            Self::OutputClosed => f.write_str("the output was closed"),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::other(format!("cannot write the output: {error}")),
        }
    }
}
