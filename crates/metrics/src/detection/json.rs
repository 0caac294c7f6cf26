//! JSON as it is written: keys keep their order, and a key that is there twice is seen twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The largest number up to which every whole number has a floating-point value of its own.
const WHOLE: f64 = 9_007_199_254_740_992.0;

impl Json {
    /// The entries of an object in which no key is there twice.
    pub(super) fn entries(&self) -> Result<&[(String, Json)], String> {
        let Self::Object(entries) = self else {
            return Err(format!("{self} is no object"));
        };
        for (at, (key, _)) in entries.iter().enumerate() {
            if entries[..at].iter().any(|(other, _)| other == key) {
                return Err(format!("`{key}` is there twice"));
            }
        }
        Ok(entries)
    }

    /// A whole number, 0 or more; 5.0 is one too.
    pub(super) fn whole(&self) -> Result<u64, String> {
        match self {
            Self::Number(value) if value.fract() == 0.0 && (0.0..=WHOLE).contains(value) => {
                Ok(*value as u64)
            }
            _ => Err(format!("{self} is no whole number of 0 or more")),
        }
    }

    /// A finite number.
    pub(super) fn number(&self) -> Result<f64, String> {
        match self {
            Self::Number(value) if value.is_finite() => Ok(*value),
            _ => Err(format!("{self} is no number")),
        }
    }

    /// Yes or no: a boolean, 0 or 1.
    pub(super) fn flag(&self) -> Result<bool, String> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Number(0.0) => Ok(false),
            Self::Number(1.0) => Ok(true),
            _ => Err(format!("{self} is neither 0 nor 1")),
        }
    }

    /// A box `x y width height` without negative sides.
    pub(super) fn bbox(&self) -> Result<[f64; 4], String> {
        let values = match self {
            Self::List(values) if values.len() == 4 => values,
            _ => return Err(format!("{self} is no list of 4 numbers, x y width height")),
        };
        let mut bbox = [0.0; 4];
        for (at, (side, value)) in bbox.iter_mut().zip(values).enumerate() {
            *side = value.number().map_err(|wrong| format!("[{at}]: {wrong}"))?;
        }
        match bbox[2] < 0.0 || bbox[3] < 0.0 {
            true => Err(format!("{self} has a negative width or height")),
            false => Ok(bbox),
        }
    }
}

impl fmt::Display for Json {
    /// The value as a file has it, cut where it is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => format!("the string {text:?}"),
            Self::List(values) => {
                let shown: Vec<String> = values.iter().take(8).map(Self::to_string).collect();
                let more = if values.len() > 8 { ", ..." } else { "" };
                format!("[{}{more}]", shown.join(", "))
            }
            Self::Object(entries) => {
                let keys: Vec<&str> = entries
                    .iter()
                    .take(8)
                    .map(|(key, _)| key.as_str())
                    .collect();
                format!("an object of {{{}}}", keys.join(", "))
            }
        };
        match text.char_indices().nth(80) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            values.push(entry);
        }
        Ok(Json::Object(values))
    }
}
