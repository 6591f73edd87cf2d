//! What can go wrong, as one line for a person.

use std::fmt;

/// A refusal or a failure. The text is one line and says what to do where that is known.
#[derive(Debug)]
pub struct Error(String);

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error from its one line.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<object::Error> for Error {
    fn from(error: object::Error) -> Self {
        Self(format!("malformed ELF: {error}"))
    }
}

/// Returns early with an [`Error`] made from a format string.
macro_rules! refuse {
    ($($arg:tt)*) => {
        return Err($crate::error::Error::new(format!($($arg)*)))
    };
}
pub(crate) use refuse;
