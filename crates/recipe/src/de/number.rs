//! Numbers, their ranges, and how both are spoken of.

use crate::item::Value;

/// A number type as a recipe's reader sees it.
pub(crate) struct Whole {
    pub least: i128,
    pub most: i128,
}

macro_rules! whole {
    ($type:ty) => {
        crate::de::number::Whole {
            least: <$type>::MIN as i128,
            most: <$type>::MAX as i128,
        }
    };
}
pub(crate) use whole;

impl Whole {
    /// `a whole number from 0 to 255`
    pub fn describe(&self) -> String {
        match (self.least, self.most) {
            (i128::MIN, _) => "a whole number".to_owned(),
            (0, most) if most >= i128::from(i64::MAX) => "a whole number of at least 0".to_owned(),
            (least, most) if least <= i128::from(i64::MIN) && most >= i128::from(i64::MAX) => {
                "a whole number".to_owned()
            }
            (least, most) => format!("a whole number from {least} to {most}"),
        }
    }

    /// The number, or what would help to write it.
    pub fn read(&self, value: &Value) -> Result<i128, Option<String>> {
        match value {
            Value::Integer(value) if (self.least..=self.most).contains(value) => Ok(*value),
            Value::Integer(value) if *value > self.most => {
                Err(Some(format!("it can be {} at most", self.most)))
            }
            Value::Huge(_) => Err(Some(format!("it can be {} at most", self.most))),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => {
                let value = *value as i128;
                Err((self.least..=self.most)
                    .contains(&value)
                    .then(|| format!("write `{value}`")))
            }
            Value::String(text) => Err(text
                .trim()
                .parse::<i128>()
                .ok()
                .map(|value| format!("write `{value}` without quotes"))),
            _ => Err(None),
        }
    }
}

/// Why a value is no number with a fraction.
pub(crate) enum NoFloat {
    TooLarge,
    /// A number, but in quotes.
    Quoted(String),
    NoNumber,
}

/// A number with a fraction, of this absolute value at most. A whole number is taken too.
pub(crate) fn float(value: &Value, most: f64) -> Result<f64, NoFloat> {
    match value {
        Value::Integer(value) if (*value as f64).abs() <= most => Ok(*value as f64),
        Value::Float(value) if !value.is_finite() || value.abs() <= most => Ok(*value),
        Value::Integer(_) | Value::Float(_) | Value::Huge(_) => Err(NoFloat::TooLarge),
        Value::String(text) if text.trim().parse::<f64>().is_ok() => {
            Err(NoFloat::Quoted(text.trim().to_owned()))
        }
        _ => Err(NoFloat::NoNumber),
    }
}
