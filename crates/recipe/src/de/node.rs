//! One value of the recipe as a serde deserializer: what all layers say at one path.

use std::collections::HashMap;

use serde::de::{Deserializer, Visitor};

use super::access::{Fields, Items, VariantOf};
use super::context::{Context, Places};
use super::fault::Fault;
use super::number::{self, Whole, whole};
use crate::diagnostic::Diagnostic;
use crate::item::{Item, Value, quote};
use crate::path::Path;

/// What the layers say at one path.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    /// What each layer says, lowest first; never empty.
    items: Vec<&'a Item>,
    /// Set for the content of a variant that a string names: an empty table that is not written.
    named: bool,
    pub path: Path,
    pub context: &'a Context,
}

impl<'a> Node<'a> {
    pub fn top(items: Vec<&'a Item>, context: &'a Context) -> Self {
        Self {
            items,
            named: false,
            path: Path::default(),
            context,
        }
    }

    pub fn new(items: Vec<&'a Item>, path: Path, context: &'a Context) -> Self {
        Self {
            items,
            named: false,
            path,
            context,
        }
    }

    /// The content of a variant of which only the name is written.
    pub fn named(item: &'a Item, path: Path, context: &'a Context) -> Self {
        Self {
            items: vec![item],
            named: true,
            path,
            context,
        }
    }

    /// The uppermost layer's word.
    pub fn item(&self) -> &'a Item {
        self.items.last().expect("a node has an item")
    }

    /// What the layers say, uppermost first.
    pub fn uppermost_first(&self) -> impl Iterator<Item = &'a Item> {
        self.items.iter().rev().copied()
    }

    fn note_place(&self) {
        let item = self.item();
        let places = Places {
            key: item.key.clone(),
            value: item.place.clone(),
        };
        self.context
            .places
            .borrow_mut()
            .insert(self.path.dotted(), places);
    }

    /// The entries of all layers' tables down to the first that is no table, in the order in which they are first
    /// written, each with what the layers say of it. `None` if the uppermost is no table.
    pub fn entries(&self) -> Option<Vec<(&'a str, Vec<&'a Item>)>> {
        if self.named {
            return Some(Vec::new());
        }
        let mut tables = Vec::new();
        for item in self.uppermost_first() {
            match &item.value {
                Value::Table(entries) => tables.push(entries),
                _ => break,
            }
        }
        if tables.is_empty() {
            return None;
        }
        let mut merged: Vec<(&str, Vec<&Item>)> = Vec::new();
        let mut positions: HashMap<&str, usize> = HashMap::new();
        for (key, item) in tables.into_iter().rev().flatten() {
            let position = *positions.entry(key).or_insert(merged.len());
            match merged.get_mut(position) {
                Some((_, items)) => items.push(item),
                None => merged.push((key, vec![item])),
            }
        }
        Some(merged)
    }

    /// Records that this is not what was expected, and leaves it out.
    pub fn refuse(&self, expected: &str, help: Option<String>, allowed: &[&str]) -> Fault {
        let item = self.item();
        let found = if self.named {
            let Value::String(name) = &item.value else {
                return Fault::Recorded;
            };
            Diagnostic::error(format!("`{}` needs a value: {expected}", self.path))
                .label("the variant alone does not say it")
                .help(format!(
                    "write `{{ {name} = ... }}` in its place, with {expected}"
                ))
        } else {
            Diagnostic::error(format!(
                "`{}` must be {expected}, but is {}",
                self.path,
                item.value.describe()
            ))
            .label(format!("expected {expected}"))
        };
        let mut found = found.at(item.place.clone()).allowed(allowed);
        found.help.extend(help);
        self.context.report(item, "type", found);
        self.context.leave_out(item, &self.path);
        Fault::Recorded
    }

    /// Gives a visitor's refusal its place.
    pub fn locate(&self, fault: Fault) -> Fault {
        let item = self.item();
        match fault {
            Fault::Recorded => {}
            Fault::Expected(what) => drop(self.refuse(&what, None, &[])),
            Fault::Message(message) => {
                let found =
                    Diagnostic::error(format!("`{}`: {message}", self.path)).at(item.place.clone());
                self.context.report(item, "refused", found);
                self.context.leave_out(item, &self.path);
            }
            Fault::UnknownVariant(name, variants) => self.unknown_variant(&name, item, variants),
            Fault::UnknownKey(name, keys) => {
                let entries = self.entries().unwrap_or_default();
                match entries.iter().find(|(key, _)| *key == name) {
                    Some((key, items)) => {
                        let item = items[items.len() - 1];
                        self.context.unknown_key(&self.path, key, item, keys);
                        self.context.leave_out(item, &self.path.key(key));
                    }
                    None => self.context.leave_out(item, &self.path),
                }
            }
            Fault::Missing(name) => self.missing(name),
        }
        Fault::Recorded
    }

    fn missing(&self, name: &'static str) {
        let (item, context) = (self.item(), self.context);
        let entries = self.entries().unwrap_or_default();
        // A key that was left out is not missing; under another name of it, it is any of those left out.
        let written = entries
            .iter()
            .filter(|(key, _)| *key == name)
            .map(|(_, items)| items[items.len() - 1]);
        let all = entries.iter().map(|(_, items)| items[items.len() - 1]);
        if written
            .chain(all.clone())
            .any(|item| context.stand_in(item))
        {
            return;
        }
        let found = (!context.was_meant(all, name)).then(|| {
            let what = if self.path.is_top() {
                String::new()
            } else {
                format!(" in `{}`", self.path)
            };
            Diagnostic::error(format!("missing key `{name}`{what}"))
                .at(item.place.clone())
                .label(format!("`{name}` is required here"))
        });
        if !context.missing_key(item, &self.path, name, found) {
            context.leave_out(item, &self.path);
        }
    }

    pub fn unknown_variant(&self, name: &str, at: &Item, variants: &'static [&'static str]) {
        let kind = self
            .path
            .last_key()
            .map_or("variant".to_owned(), |key| format!("`{key}`"));
        let place = match &at.value {
            Value::String(_) if at.id == self.item().id => &at.place,
            _ => at.key.as_ref().unwrap_or(&at.place),
        };
        let found = Diagnostic::error(format!("`{name}` is not a known {kind}"));
        let mut found = found.at(place.clone()).label("unknown").allowed(variants);
        if let (Some(first), Some(_), Value::Bool(_) | Value::Integer(_) | Value::Float(_)) =
            (variants.first(), &at.key, &at.value)
        {
            found.help.push(format!(
                "name one of these first, as in `{}`",
                self.path.key(first).key(name)
            ));
        }
        if let Some(near) = crate::suggest::nearest(name, variants.iter().copied()) {
            found.help.push(format!("did you mean `{near}`?"));
        }
        self.context.report(at, "variant", found);
        self.context.leave_out(self.item(), &self.path);
    }

    fn whole<V>(
        &self,
        whole: Whole,
        visit: impl FnOnce(i128) -> Result<V, Fault>,
    ) -> Result<V, Fault> {
        self.note_place();
        match whole.read(&self.item().value) {
            Ok(value) if !self.named => visit(value).map_err(|fault| self.locate(fault)),
            Ok(_) => Err(self.refuse(&whole.describe(), None, &[])),
            Err(help) => Err(self.refuse(&whole.describe(), help.filter(|_| !self.named), &[])),
        }
    }

    fn float<V>(&self, most: f64, visit: impl FnOnce(f64) -> Result<V, Fault>) -> Result<V, Fault> {
        self.note_place();
        match number::float(&self.item().value, most) {
            Ok(value) if !self.named => visit(value).map_err(|fault| self.locate(fault)),
            Err(number::NoFloat::TooLarge) => {
                Err(self.refuse(&format!("a number up to {most:.1e}"), None, &[]))
            }
            Err(number::NoFloat::Quoted(text)) if !self.named => Err(self.refuse(
                "a number",
                Some(format!("write `{text}` without quotes")),
                &[],
            )),
            _ => Err(self.refuse("a number", None, &[])),
        }
    }

    fn text<V>(
        &self,
        visit: impl FnOnce(&str) -> Result<V, Fault>,
        expected: &str,
    ) -> Result<V, Fault> {
        self.note_place();
        let item = self.item();
        match &item.value {
            _ if self.named => Err(self.refuse(expected, None, &[])),
            Value::String(text) => visit(text).map_err(|fault| self.locate(fault)),
            Value::Array(_) | Value::Table(_) => Err(self.refuse(expected, None, &[])),
            value => match &item.place {
                // On the command line, `name=2024` may mean the string.
                place if place.source.is_override => {
                    let text = place.source.slice(&place.span().unwrap_or_default());
                    visit(text).map_err(|fault| self.locate(fault))
                }
                place => {
                    let text = place.source.slice(&place.span().unwrap_or_default());
                    let help = (!matches!(value, Value::Float(_)))
                        .then(|| format!("write {}", quote(text)));
                    Err(self.refuse(expected, help, &[]))
                }
            },
        }
    }
}

macro_rules! wholes {
    ($($method:ident, $visit:ident, $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.whole(whole!($type), |value| visitor.$visit(value as $type))
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Fault;

    wholes! {
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_i64, visit_i64, i64;
        deserialize_i128, visit_i128, i128;
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_u64, visit_u64, u64;
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.whole(
            Whole {
                least: 0,
                most: i128::MAX,
            },
            |value| visitor.visit_u128(value as u128),
        )
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.float(f64::from(f32::MAX), |value| visitor.visit_f32(value as f32))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.float(f64::MAX, |value| visitor.visit_f64(value))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.note_place();
        match &self.item().value {
            Value::Bool(value) if !self.named => visitor
                .visit_bool(*value)
                .map_err(|fault| self.locate(fault)),
            Value::String(text)
                if !self.named && matches!(text.to_lowercase().as_str(), "true" | "false") =>
            {
                let help = format!("write `{}` without quotes", text.to_lowercase());
                Err(self.refuse("`true` or `false`", Some(help), &[]))
            }
            _ => Err(self.refuse("`true` or `false`", None, &[])),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(|text| visitor.visit_str(text), "a string of one character")
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(|text| visitor.visit_str(text), "a string")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit_struct("", visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.note_place();
        let Some(entries) = self.entries() else {
            return Err(self.refuse("an empty table", None, &[]));
        };
        for (key, items) in entries {
            self.context
                .unknown_key(&self.path, key, items[items.len() - 1], &[]);
        }
        visitor.visit_unit().map_err(|fault| self.locate(fault))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let node = self.clone();
        visitor
            .visit_newtype_struct(self)
            .map_err(|fault| node.locate(fault))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.note_place();
        let Value::Array(items) = &self.item().value else {
            let help = self.item().place.source.is_override.then(|| {
                format!(
                    "a list is set as a whole: `--set '{}=[...]'`",
                    self.path.dotted()
                )
            });
            return Err(self.refuse("a list", help, &[]));
        };
        let items = Items::new(&self, items);
        visitor.visit_seq(items).map_err(|fault| self.locate(fault))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.item().value {
            Value::Array(items) if items.len() != length => {
                self.note_place();
                let expected = format!("a list of {length} values");
                let message = format!(
                    "`{}` must be {expected}, but has {}",
                    self.path,
                    items.len()
                );
                let found = Diagnostic::error(message).at(self.item().place.clone());
                self.context.report(
                    self.item(),
                    "type",
                    found.label(format!("expected {expected}")),
                );
                self.context.leave_out(self.item(), &self.path);
                Err(Fault::Recorded)
            }
            Value::Array(_) => self.deserialize_seq(visitor),
            _ => Err(self.refuse(&format!("a list of {length} values"), None, &[])),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.note_place();
        let Some(entries) = self.entries() else {
            return Err(self.refuse("a table", None, &[]));
        };
        let fields = Fields::new(&self, entries, None);
        visitor
            .visit_map(fields)
            .map_err(|fault| self.locate(fault))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.note_place();
        self.context.know(&self.path, keys);
        let Some(entries) = self.entries() else {
            let help = (!keys.is_empty()).then(|| format!("its keys are {}", keys.join(", ")));
            return Err(self.refuse("a table", help, &[]));
        };
        let fields = Fields::new(&self, entries, Some(keys));
        visitor
            .visit_map(fields)
            .map_err(|fault| self.locate(fault))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.note_place();
        let variant = VariantOf::choose(&self, variants)?;
        visitor
            .visit_enum(variant)
            .map_err(|fault| self.locate(fault))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.item().value {
            _ if self.named => self.deserialize_map(visitor),
            Value::Table(_) => self.deserialize_map(visitor),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Bool(_) => self.deserialize_bool(visitor),
            Value::Integer(value) if i64::try_from(*value).is_ok() => self.deserialize_i64(visitor),
            Value::Integer(value) if u64::try_from(*value).is_ok() => self.deserialize_u64(visitor),
            Value::Integer(_) => self.deserialize_i128(visitor),
            Value::Float(_) | Value::Huge(_) => self.deserialize_f64(visitor),
            Value::String(text) | Value::Datetime(text) => {
                self.note_place();
                visitor.visit_str(text).map_err(|fault| self.locate(fault))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }
}
