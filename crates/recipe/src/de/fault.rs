//! The error type that serde sees while a recipe is read.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

/// Why a value was refused. It has no place yet: the deserializer that called the visitor knows it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The finding is recorded, or will be; the pass is over.
    Recorded,
    /// A required key is missing.
    Missing(&'static str),
    /// A key that the visitor itself refused.
    UnknownKey(String, &'static [&'static str]),
    /// A word that is no variant.
    UnknownVariant(String, &'static [&'static str]),
    /// Not what was expected; the text says what would be.
    Expected(String),
    /// Anything else, in the words of the type.
    Message(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded => f.write_str("recorded"),
            Self::Missing(name) => write!(f, "missing key `{name}`"),
            Self::UnknownKey(name, _) => write!(f, "unknown key `{name}`"),
            Self::UnknownVariant(name, _) => write!(f, "unknown variant `{name}`"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::Message(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Message(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(plain(expected))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Expected(plain(expected))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::Expected(plain(expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownVariant(variant.to_owned(), expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownKey(field.to_owned(), expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// What serde's visitors say they expect, in a recipe's words.
fn plain(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        text if text.starts_with("a nonzero") => "a whole number of at least 1".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        _ => text,
    }
}
