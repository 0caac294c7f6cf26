//! JSON read for what it means: every field of an entry may be of any type, and what it is not understood as can be
//! said by name. Nothing is built of what is not needed, so that a file of a million annotations passes at the parser's
//! own speed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

use super::objects::{alike, yes_or_no};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value, as far as a reader needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Whole(i128),
    Real(f64),
    Text(String),
    List,
    Object,
}

/// The id of an image, an annotation or a category. A whole number is the same id however it is written: `1`, `1.0`
/// or `"1"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Id {
    Number(i64),
    Text(Box<str>),
}

impl Id {
    /// The id as a number of a file of results, which has no sign and no letters.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => u64::try_from(*number).ok(),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "`{text}`"),
        }
    }
}

impl Value {
    /// A number, also where it is written as a string.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        }
    }

    /// An id.
    ///
    /// # Errors
    /// What the value is instead of one.
    pub fn id(&self) -> Result<Id, String> {
        let whole = match self {
            Self::Whole(number) => *number,
            // Above, neighbouring whole numbers are the same number here.
            Self::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => *number as i128,
            Self::Text(text) => match text.parse::<i64>() {
                Ok(number) if number.to_string() == *text => i128::from(number),
                _ if text.trim().is_empty() => return Err("is an empty string".into()),
                _ => return Ok(Id::Text(text.as_str().into())),
            },
            _ => return Err(format!("is {self}, neither a whole number nor a string")),
        };
        Ok(match i64::try_from(whole) {
            Ok(number) => Id::Number(number),
            Err(_) => Id::Text(whole.to_string().into()),
        })
    }

    /// Yes or no; null is no.
    ///
    /// # Errors
    /// What the value is instead.
    pub fn flag(&self) -> Result<bool, String> {
        let flag = match self {
            Self::Null => Some(false),
            Self::Bool(flag) => Some(*flag),
            Self::Whole(0) => Some(false),
            Self::Whole(1) => Some(true),
            Self::Real(number) if *number == 0.0 => Some(false),
            Self::Real(number) if *number == 1.0 => Some(true),
            Self::Text(text) => yes_or_no(text),
            _ => None,
        };
        flag.ok_or_else(|| format!("is {self}, neither 0 nor 1"))
    }

    /// A number of pixels; null and 0 are no statement.
    ///
    /// # Errors
    /// What the value is instead.
    pub fn pixels(&self) -> Result<Option<usize>, String> {
        match (self, self.number()) {
            (Self::Null, _) => Ok(None),
            (_, Some(n)) if n.fract() == 0.0 && (0.0..1e9).contains(&n) => {
                Ok((n > 0.0).then_some(n as usize))
            }
            _ => Err(format!("is {self}, not a number of pixels")),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Text(text) if text.chars().count() > 40 => {
                let start: String = text.chars().take(40).collect();
                write!(f, "the string `{start}...`")
            }
            Self::Text(text) => write!(f, "the string `{text}`"),
            Self::List => f.write_str("a list"),
            Self::Object => f.write_str("an object"),
        }
    }
}

/// What is made of a value, whatever its type.
pub(super) trait Take<'de>: Sized {
    type Out;

    /// Of a number, string, truth value or null, and of a list or object that is not looked into.
    fn value(self, value: Value) -> Self::Out;

    /// Of a list.
    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Out, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.value(Value::List))
    }

    /// Of an object.
    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Out, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self.value(Value::Object))
    }
}

/// The value itself.
pub(super) struct Plain;

impl Take<'_> for Plain {
    type Out = Value;

    fn value(self, value: Value) -> Value {
        value
    }
}

/// Makes serde call a [`Take`].
pub(super) struct Any<T>(pub T);

impl<'de, T: Take<'de>> DeserializeSeed<'de> for Any<T> {
    type Value = T::Out;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Out, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Take<'de>> Visitor<'de> for Any<T> {
    type Value = T::Out;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<T::Out, E> {
        Ok(self.0.value(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T::Out, E> {
        Ok(self.0.value(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T::Out, E> {
        Ok(self.0.value(Value::Whole(value.into())))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T::Out, E> {
        Ok(self.0.value(Value::Whole(value.into())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T::Out, E> {
        Ok(self.0.value(Value::Real(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<T::Out, E> {
        Ok(self.0.value(Value::Text(value.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T::Out, A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T::Out, A::Error> {
        self.0.object(object)
    }
}

/// An element of a list: a number or a list of numbers.
pub(super) struct Element;

/// What an element is.
pub(super) enum Part {
    Number(f64),
    Piece(Vec<f64>),
    /// Why it is neither.
    Wrong(String),
}

impl<'de> Take<'de> for Element {
    type Out = Part;

    fn value(self, value: Value) -> Part {
        match value.number() {
            Some(number) => Part::Number(number),
            None => Part::Wrong(format!("is {value}, not a number")),
        }
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
        let (mut numbers, mut fault) = (Vec::new(), None);
        while let Some(value) = list.next_element_seed(Any(Plain))? {
            match value.number() {
                Some(number) => numbers.push(number),
                None => {
                    fault.get_or_insert(format!("holds {value}, not a number"));
                }
            }
        }
        Ok(fault.map_or(Part::Piece(numbers), Part::Wrong))
    }
}

/// Where a reader is in the file, and the keys that it met and does not know.
#[derive(Default)]
pub(super) struct Context {
    list: Cell<Option<(&'static str, usize)>>,
    key: Cell<Option<&'static str>>,
    unknown: RefCell<BTreeMap<&'static str, BTreeMap<String, Unknown>>>,
}

/// A key that is not known.
struct Unknown {
    count: usize,
    /// The number of the first entry that has it.
    first: usize,
    /// The known key that is written alike.
    meant: Option<&'static str>,
}

impl Context {
    /// Goes to entry `number` of a list.
    pub fn enter(&self, list: &'static str, number: usize) {
        self.list.set(Some((list, number)));
        self.key.set(None);
    }

    /// Goes back to the outermost object.
    pub fn leave(&self) {
        self.list.set(None);
        self.key.set(None);
    }

    /// The JSON pointer to where the reader is.
    pub fn pointer(&self) -> String {
        let entry = self.list.get();
        let mut pointer = entry.map_or_else(String::new, |(list, i)| format!("/{list}/{i}"));
        if let Some(key) = self.key.get() {
            pointer += "/";
            pointer += key;
        }
        match pointer.is_empty() {
            true => "/".into(),
            false => pointer,
        }
    }

    /// Counts an unknown key; the known one that is written alike.
    fn met(&self, key: &str, known: &[&'static str]) -> Option<&'static str> {
        let (list, first) = self.list.get().unwrap_or(("", 0));
        let mut unknown = self.unknown.borrow_mut();
        let keys = unknown.entry(list).or_default();
        if let Some(unknown) = keys.get_mut(key) {
            unknown.count += 1;
            return unknown.meant;
        }
        let meant = known.iter().copied().find(|known| alike(known, key));
        let count = 1;
        keys.insert(
            key.into(),
            Unknown {
                count,
                first,
                meant,
            },
        );
        meant
    }

    /// The unknown keys as the list (empty for the outermost object), the key, how often, and the first entry.
    pub fn unknown(self) -> Vec<(&'static str, String, usize, usize)> {
        let lists = self.unknown.into_inner().into_iter();
        let flat = lists.flat_map(|(list, keys)| {
            keys.into_iter()
                .map(move |(key, unknown)| (list, key, unknown.count, unknown.first))
        });
        flat.collect()
    }
}

/// What was noticed about the keys of an object.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Known keys that stand there twice; the first one was read.
    pub twice: Vec<&'static str>,
    /// Known keys that are missing where one that is written alike stands there: the known one and the other.
    pub alike: Vec<(&'static str, String)>,
}

impl Met {
    /// The key that stands there in place of a known one.
    pub fn meant(&self, known: &str) -> Option<&str> {
        let mut alike = self.alike.iter();
        alike.find_map(|(key, other)| (*key == known).then_some(other.as_str()))
    }
}

/// Reads the keys of an object: `take` gets the number of each key in `known` and reads its value, once; keys in
/// `unread` have a meaning that is of no use here.
pub(super) fn keys<'de, A: MapAccess<'de>>(
    context: &Context,
    [known, unread]: [&'static [&'static str]; 2],
    mut object: A,
    mut take: impl FnMut(usize, &mut A) -> Result<(), A::Error>,
) -> Result<Met, A::Error> {
    let (mut seen, mut met) = (0u64, Met::default());
    let outer = context.key.get();
    loop {
        let key = Key {
            context,
            known,
            unread,
            alike: &mut met.alike,
        };
        match object.next_key_seed(key)? {
            None => break,
            Some(Some(number)) if seen & 1 << number == 0 => {
                seen |= 1 << number;
                context.key.set(Some(known[number]));
                take(number, &mut object)?;
                context.key.set(outer);
            }
            Some(Some(number)) => {
                object.next_value::<IgnoredAny>()?;
                met.twice.push(known[number]);
            }
            Some(None) => {
                object.next_value::<IgnoredAny>()?;
            }
        }
    }
    let missing = |key: &str| {
        known
            .iter()
            .position(|k| *k == key)
            .is_some_and(|i| seen & 1 << i == 0)
    };
    met.alike.retain(|(key, _)| missing(key));
    Ok(met)
}

/// A key: its number among the known ones.
struct Key<'a> {
    context: &'a Context,
    known: &'static [&'static str],
    unread: &'static [&'static str],
    alike: &'a mut Vec<(&'static str, String)>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        let number = self.known.iter().position(|known| *known == key);
        if number.is_none() && !self.unread.contains(&key) {
            let meant = self.context.met(key, self.known);
            self.alike
                .extend(meant.map(|known| (known, key.to_owned())));
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Any(Plain)
            .deserialize(&mut serde_json::Deserializer::from_str(text))
            .unwrap()
    }

    #[test]
    fn a_whole_number_is_the_same_id_however_it_is_written() {
        let id = |text: &str| value(text).id();
        for text in ["7", "7.0", "7e0", "\"7\""] {
            assert_eq!(id(text), Ok(Id::Number(7)), "{text}");
        }
        assert_eq!(id("-1"), Ok(Id::Number(-1)));
        let large = Id::Text("18446744073709551615".into());
        assert_eq!(id("18446744073709551615"), Ok(large.clone()));
        assert_eq!(
            (large.number(), Id::Number(-1).number()),
            (Some(u64::MAX), None)
        );
        // Words, and numbers that are written in a way of their own.
        for text in ["007", "a b", "+7", "1.0"] {
            assert_eq!(id(&format!("\"{text}\"")), Ok(Id::Text(text.into())));
        }
        for (text, message) in [
            ("1.5", "is 1.5, neither"),
            ("1e300", "neither"),
            ("null", "is null, neither"),
            ("true", "is true, neither"),
            ("[1]", "is a list, neither"),
            ("{}", "is an object, neither"),
            ("\" \"", "is an empty string"),
        ] {
            let error = id(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_flags_and_sizes() {
        assert_eq!(value("\" 2.5 \"").number(), Some(2.5));
        for text in ["\"nan\"", "\"\"", "null", "true", "[1]"] {
            assert_eq!(value(text).number(), None, "{text}");
        }
        for text in ["0", "0.0", "false", "null", "\"0\"", "\"False\""] {
            assert_eq!(value(text).flag(), Ok(false), "{text}");
        }
        for text in ["1", "1.0", "true", "\"yes\""] {
            assert_eq!(value(text).flag(), Ok(true), "{text}");
        }
        for text in ["2", "-1", "0.5", "\"maybe\"", "[]", "{}"] {
            assert!(value(text).flag().is_err(), "{text}");
        }
        assert_eq!(value("96.0").pixels(), Ok(Some(96)));
        assert_eq!(value("0").pixels(), Ok(None));
        for text in ["-1", "1.5", "\"wide\"", "true", "[96]"] {
            assert!(value(text).pixels().is_err(), "{text}");
        }
        let long = value(&format!("\"{}\"", "x".repeat(50))).to_string();
        assert!(long.ends_with("x...`") && long.len() < 70, "{long}");
    }
}
