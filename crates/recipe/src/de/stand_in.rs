//! Something of the right type where the recipe has nothing usable, so that reading goes on behind it.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::context::Wanted;
use super::fault::Fault;

/// Types may nest this deep before a stand-in gives up: a type may contain itself.
const DEEPEST: usize = 16;

/// A deserializer that has a value for every type: `true`, 1, 1.0, `x`, nothing, empty lists, the first variant.
#[derive(Clone, Copy)]
pub(crate) struct StandIn<'a> {
    depth: usize,
    /// Where the outermost stand-in notes what was asked for.
    wanted: Option<&'a RefCell<Wanted>>,
}

impl<'a> StandIn<'a> {
    pub fn new() -> Self {
        Self {
            depth: 0,
            wanted: None,
        }
    }

    pub fn asking(wanted: &'a RefCell<Wanted>) -> Self {
        Self {
            depth: 0,
            wanted: Some(wanted),
        }
    }

    fn note(&self, kind: &str, allowed: &[&str]) {
        if let Some(wanted) = self.wanted {
            let allowed = allowed.iter().map(|word| (*word).to_owned()).collect();
            *wanted.borrow_mut() = Wanted {
                kind: Some(kind.to_owned()),
                allowed,
            };
        }
    }

    fn inner(self) -> Result<StandIn<'static>, Fault> {
        match self.depth < DEEPEST {
            true => Ok(StandIn {
                depth: self.depth + 1,
                wanted: None,
            }),
            false => Err(Fault::Recorded),
        }
    }
}

macro_rules! scalars {
    ($($method:ident, $visit:ident, $value:expr, $kind:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.note($kind, &[]);
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for StandIn<'_> {
    type Error = Fault;

    scalars! {
        deserialize_bool, visit_bool, true, "`true` or `false`";
        deserialize_i8, visit_i8, 1, "a whole number";
        deserialize_i16, visit_i16, 1, "a whole number";
        deserialize_i32, visit_i32, 1, "a whole number";
        deserialize_i64, visit_i64, 1, "a whole number";
        deserialize_i128, visit_i128, 1, "a whole number";
        deserialize_u8, visit_u8, 1, "a whole number";
        deserialize_u16, visit_u16, 1, "a whole number";
        deserialize_u32, visit_u32, 1, "a whole number";
        deserialize_u64, visit_u64, 1, "a whole number";
        deserialize_u128, visit_u128, 1, "a whole number";
        deserialize_f32, visit_f32, 1.0, "a number";
        deserialize_f64, visit_f64, 1.0, "a number";
        deserialize_char, visit_char, 'x', "a string of one character";
        deserialize_str, visit_str, "x", "a string";
        deserialize_string, visit_str, "x", "a string";
        deserialize_identifier, visit_str, "x", "a string";
        deserialize_bytes, visit_bytes, &[], "a list";
        deserialize_byte_buf, visit_bytes, &[], "a list";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.note("an empty table", &[]);
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_none()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.note("a list", &[]);
        visitor.visit_seq(Several {
            each: self.inner()?,
            keys: &[],
            left: 0,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.note(&format!("a list of {length} values"), &[]);
        visitor.visit_seq(Several {
            each: self.inner()?,
            keys: &[],
            left: length,
        })
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
        self.note("a table", &[]);
        visitor.visit_map(Several {
            each: self.inner()?,
            keys: &[],
            left: 0,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.note("a table", &[]);
        visitor.visit_map(Several {
            each: self.inner()?,
            keys,
            left: keys.len(),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.note("a variant", variants);
        match variants.first() {
            Some(variant) => visitor.visit_enum(Variant {
                content: self.inner()?,
                variant,
            }),
            None => Err(Fault::Recorded),
        }
    }
}

/// As many stand-ins as are wanted, under these keys if it is a table.
struct Several {
    each: StandIn<'static>,
    keys: &'static [&'static str],
    left: usize,
}

impl<'de> SeqAccess<'de> for Several {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                seed.deserialize(self.each).map(Some)
            }
            None => Ok(None),
        }
    }
}

impl<'de> MapAccess<'de> for Several {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                let key: StrDeserializer<Fault> = self.keys[left].into_deserializer();
                seed.deserialize(key).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(self.each)
    }
}

/// The first variant of an enum.
struct Variant {
    content: StandIn<'static>,
    variant: &'static str,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Fault;
    type Variant = StandIn<'static>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Fault> {
        let name: StrDeserializer<Fault> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self.content))
    }
}

impl<'de> VariantAccess<'de> for StandIn<'static> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_struct("", keys, visitor)
    }
}
