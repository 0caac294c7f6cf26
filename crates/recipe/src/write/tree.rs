//! Serde values as the tree that TOML can write.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant};
use serde::ser::{SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer};

use super::WriteError;

/// A value that TOML can write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Bool(bool),
    /// A number as it is written.
    Number(String),
    String(String),
    Array(Vec<Tree>),
    Table(Vec<(String, Tree)>),
}

/// Builds the tree of a value, or nothing for an option that holds nothing.
#[derive(Clone, Copy)]
pub(super) struct Builder;

type Built = Result<Option<Tree>, WriteError>;

fn number(value: impl ToString) -> Built {
    Ok(Some(Tree::Number(value.to_string())))
}

/// The shortest text that reads back to the same number; Rust and TOML differ in `NaN` and in `1e5`.
fn float(text: String) -> Built {
    let text = text.replace("NaN", "nan");
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '-');
    number(if plain { text + ".0" } else { text })
}

/// The content of a variant, or what stands for itself.
fn inside(variant: Option<&'static str>, content: Tree) -> Built {
    Ok(Some(match variant {
        Some(name) => Tree::Table(vec![(name.to_owned(), content)]),
        None => content,
    }))
}

impl Serializer for Builder {
    type Ok = Option<Tree>;
    type Error = WriteError;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = Parts;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    fn serialize_bool(self, value: bool) -> Built {
        Ok(Some(Tree::Bool(value)))
    }

    fn serialize_i8(self, value: i8) -> Built {
        number(value)
    }

    fn serialize_i16(self, value: i16) -> Built {
        number(value)
    }

    fn serialize_i32(self, value: i32) -> Built {
        number(value)
    }

    fn serialize_i64(self, value: i64) -> Built {
        number(value)
    }

    fn serialize_i128(self, value: i128) -> Built {
        number(value)
    }

    fn serialize_u8(self, value: u8) -> Built {
        number(value)
    }

    fn serialize_u16(self, value: u16) -> Built {
        number(value)
    }

    fn serialize_u32(self, value: u32) -> Built {
        number(value)
    }

    fn serialize_u64(self, value: u64) -> Built {
        number(value)
    }

    fn serialize_u128(self, value: u128) -> Built {
        number(value)
    }

    fn serialize_f32(self, value: f32) -> Built {
        float(format!("{value:?}"))
    }

    fn serialize_f64(self, value: f64) -> Built {
        float(format!("{value:?}"))
    }

    fn serialize_char(self, value: char) -> Built {
        Ok(Some(Tree::String(value.to_string())))
    }

    fn serialize_str(self, value: &str) -> Built {
        Ok(Some(Tree::String(value.to_owned())))
    }

    fn serialize_bytes(self, value: &[u8]) -> Built {
        Ok(Some(Tree::Array(
            value
                .iter()
                .map(|byte| Tree::Number(byte.to_string()))
                .collect(),
        )))
    }

    fn serialize_none(self) -> Built {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Built {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Built {
        Ok(Some(Tree::Table(Vec::new())))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Built {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Built {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Built {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Built {
        match value.serialize(self)? {
            Some(content) => inside(Some(name), content),
            None => Err(WriteError(format!("the variant `{name}` holds nothing"))),
        }
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, WriteError> {
        Ok(Parts::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts, WriteError> {
        Ok(Parts {
            variant: Some(name),
            ..Parts::default()
        })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts, WriteError> {
        Ok(Parts::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts, WriteError> {
        Ok(Parts::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Parts, WriteError> {
        Ok(Parts {
            variant: Some(name),
            ..Parts::default()
        })
    }
}

/// What a list or table holds so far.
#[derive(Default)]
pub(super) struct Parts {
    values: Vec<Tree>,
    entries: Vec<(String, Tree)>,
    key: Option<String>,
    variant: Option<&'static str>,
}

impl Parts {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        let value = value.serialize(Builder)?;
        self.values.push(
            value.ok_or_else(|| WriteError("a list holds a value that is nothing".to_owned()))?,
        );
        Ok(())
    }

    fn entry<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), WriteError> {
        if let Some(value) = value.serialize(Builder)? {
            self.entries.push((key, value));
        }
        Ok(())
    }

    fn array(self) -> Built {
        inside(self.variant, Tree::Array(self.values))
    }

    fn table(self) -> Built {
        inside(self.variant, Tree::Table(self.entries))
    }
}

impl SerializeSeq for Parts {
    type Ok = Option<Tree>;
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.value(value)
    }

    fn end(self) -> Built {
        self.array()
    }
}

impl SerializeTuple for Parts {
    type Ok = Option<Tree>;
    type Error = WriteError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.value(value)
    }

    fn end(self) -> Built {
        self.array()
    }
}

impl SerializeTupleStruct for Parts {
    type Ok = Option<Tree>;
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.value(value)
    }

    fn end(self) -> Built {
        self.array()
    }
}

impl SerializeTupleVariant for Parts {
    type Ok = Option<Tree>;
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        self.value(value)
    }

    fn end(self) -> Built {
        self.array()
    }
}

impl SerializeMap for Parts {
    type Ok = Option<Tree>;
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), WriteError> {
        self.key = match key.serialize(Builder)? {
            Some(Tree::String(text) | Tree::Number(text)) => Some(text),
            Some(Tree::Bool(value)) => Some(value.to_string()),
            _ => return Err(WriteError("a map's key is no word".to_owned())),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), WriteError> {
        let key = self
            .key
            .take()
            .ok_or_else(|| WriteError("a map's value has no key".to_owned()))?;
        self.entry(key, value)
    }

    fn end(mut self) -> Built {
        // A hash map has another order in each run.
        self.entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.table()
    }
}

impl SerializeStruct for Parts {
    type Ok = Option<Tree>;
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.entry(key.to_owned(), value)
    }

    fn end(self) -> Built {
        self.table()
    }
}

impl SerializeStructVariant for Parts {
    type Ok = Option<Tree>;
    type Error = WriteError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), WriteError> {
        self.entry(key.to_owned(), value)
    }

    fn end(self) -> Built {
        self.table()
    }
}
