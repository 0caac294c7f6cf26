//! The parts of a table, a list or an enum, given to serde one by one.

use std::cell::RefCell;
use std::vec::IntoIter;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::context::{Context, Passed, Wanted};
use super::fault::Fault;
use super::node::Node;
use super::stand_in::StandIn;
use crate::diagnostic::Diagnostic;
use crate::item::{Item, Value};

/// The value behind a key.
enum Entry<'a> {
    Written(Node<'a>),
    /// A value that is passed over.
    Replaced,
    /// A required key that is not written, with the number of its finding.
    Missing(&'static str, Option<usize>),
}

/// The entries of a table. Unknown keys are recorded and skipped.
pub(crate) struct Fields<'a> {
    table: Node<'a>,
    entries: IntoIter<(&'a str, Entry<'a>)>,
    next: Option<Entry<'a>>,
}

impl<'a> Fields<'a> {
    /// The entries of a struct with these keys, or of a map.
    pub fn new(
        table: &Node<'a>,
        entries: Vec<(&'a str, Vec<&'a Item>)>,
        keys: Option<&'static [&'static str]>,
    ) -> Self {
        let context = table.context;
        let mut kept = Vec::new();
        for (key, items) in entries {
            let item = items[items.len() - 1];
            if let Some(keys) = keys.filter(|keys| !keys.contains(&key)) {
                context.unknown_key(&table.path, key, item, keys);
                continue;
            }
            match context.passed(item) {
                None => kept.push((
                    key,
                    Entry::Written(Node::new(items, table.path.key(key), context)),
                )),
                Some(Passed::StoodInFor) => kept.push((key, Entry::Replaced)),
                Some(Passed::LeftOut) => {}
            }
        }
        let missing = context.missing_keys(table.item()).into_iter();
        kept.extend(missing.map(|(name, found)| (name, Entry::Missing(name, found))));
        Self {
            table: table.clone(),
            entries: kept.into_iter(),
            next: None,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, entry)) = self.entries.next() else {
            return Ok(None);
        };
        self.next = Some(entry);
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let context = self.table.context;
        let result = match self.next.take() {
            Some(Entry::Written(node)) => return seed.deserialize(node),
            Some(Entry::Missing(name, Some(found))) => {
                let wanted = RefCell::new(Wanted::default());
                let result = seed.deserialize(StandIn::asking(&wanted));
                context.wanted(found, &self.table.path, name, wanted.into_inner());
                result
            }
            _ => seed.deserialize(StandIn::new()),
        };
        result.map_err(|_| give_up(&self.table))
    }
}

/// No stand-in fits: what contains it is left out.
fn give_up(node: &Node<'_>) -> Fault {
    node.context.leave_out(node.item(), &node.path);
    Fault::Recorded
}

/// A key as a deserializer: also of numbers, for maps that have them as keys.
struct Key<'a>(&'a str);

macro_rules! numbers {
    ($($method:ident, $visit:ident, $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Fault::Message(format!("the key `{}` must be a number", self.0))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Fault;

    numbers! {
        deserialize_i8, visit_i8, i8;
        deserialize_i16, visit_i16, i16;
        deserialize_i32, visit_i32, i32;
        deserialize_i64, visit_i64, i64;
        deserialize_u8, visit_u8, u8;
        deserialize_u16, visit_u16, u16;
        deserialize_u32, visit_u32, u32;
        deserialize_u64, visit_u64, u64;
        deserialize_f32, visit_f32, f32;
        deserialize_f64, visit_f64, f64;
        deserialize_bool, visit_bool, bool;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let name: StrDeserializer<Fault> = self.0.into_deserializer();
        visitor.visit_enum(name)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The values of a list. One that is passed over is stood in for, so that the others keep their positions.
pub(crate) struct Items<'a> {
    list: Node<'a>,
    items: std::iter::Enumerate<std::slice::Iter<'a, Item>>,
}

impl<'a> Items<'a> {
    pub fn new(list: &Node<'a>, items: &'a [Item]) -> Self {
        Self {
            list: list.clone(),
            items: items.iter().enumerate(),
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, item)) = self.items.next() else {
            return Ok(None);
        };
        let context = self.list.context;
        match context.passed(item) {
            Some(_) => seed
                .deserialize(StandIn::new())
                .map(Some)
                .map_err(|_| give_up(&self.list)),
            None => seed
                .deserialize(Node::new(vec![item], self.list.path.index(index), context))
                .map(Some),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The variant that the uppermost layer names, with what the layers say of it.
pub(crate) struct VariantOf<'a> {
    name: &'a str,
    content: Content<'a>,
}

/// What stands inside a variant.
pub(crate) struct Content<'a> {
    /// The enum itself.
    whole: Node<'a>,
    node: Node<'a>,
    /// Whether a string names the variant.
    named: bool,
}

impl<'a> VariantOf<'a> {
    /// Looks from the uppermost layer down for one that names a variant, then further for all that name the same.
    pub fn choose(node: &Node<'a>, variants: &'static [&'static str]) -> Result<Self, Fault> {
        let context: &'a Context = node.context;
        let mut chosen: Option<(&str, &Item)> = None;
        let mut inside: Vec<&Item> = Vec::new();
        for item in node.uppermost_first() {
            match (&item.value, chosen) {
                (Value::Table(entries), _) if entries.is_empty() => continue,
                (Value::String(name), None) => {
                    chosen = Some((name, item));
                    break;
                }
                (Value::Table(entries), None) => {
                    let (name, content) = one_of(node, entries, variants)?;
                    chosen = Some((name, item));
                    inside.push(content);
                }
                (Value::Table(entries), Some((name, _))) => {
                    match entries.iter().find(|(key, _)| key == name) {
                        Some((_, content)) => inside.push(content),
                        None => break,
                    }
                }
                _ => break,
            }
        }
        let Some((name, item)) = chosen else {
            return Err(node.refuse(
                &format!("the name of {} or a table with it", article(node)),
                None,
                variants,
            ));
        };
        let named = inside.is_empty();
        if named && !variants.contains(&name) {
            node.unknown_variant(name, item, variants);
            return Err(Fault::Recorded);
        }
        inside.reverse();
        let path = node.path.key(name);
        let content = if named {
            Node::named(item, path, context)
        } else {
            Node::new(inside, path, context)
        };
        Ok(Self {
            name,
            content: Content {
                whole: node.clone(),
                node: content,
                named,
            },
        })
    }
}

fn article(node: &Node<'_>) -> String {
    node.path
        .last_key()
        .map_or("a variant".to_owned(), |key| format!("a `{key}`"))
}

/// The one entry of a table that names a variant; more than one is a finding, and the first is read on with.
fn one_of<'a>(
    node: &Node<'a>,
    entries: &'a [(String, Item)],
    variants: &'static [&'static str],
) -> Result<(&'a str, &'a Item), Fault> {
    let known: Vec<&(String, Item)> = entries
        .iter()
        .filter(|(key, _)| variants.contains(&key.as_str()))
        .collect();
    let Some((name, content)) = known.first() else {
        let (name, item) = &entries[0];
        node.unknown_variant(name, item, variants);
        return Err(Fault::Recorded);
    };
    for (key, item) in entries
        .iter()
        .filter(|(key, _)| !variants.contains(&key.as_str()))
    {
        node.context.unknown_key(&node.path, key, item, variants);
    }
    if let Some((second, item)) = known.get(1) {
        let kind = node.path.last_key().unwrap_or("variant");
        let place = |item: &Item| item.key.clone().unwrap_or_else(|| item.place.clone());
        let mut found =
            Diagnostic::error(format!("two variants of `{kind}`: `{name}` and `{second}`"))
                .at(place(item))
                .label("the second")
                .help(format!(
                    "keep one of them: `{}` has exactly one variant",
                    node.path
                ));
        found.related.push((place(content), "the first".to_owned()));
        node.context.report(item, "second", found);
        node.context.damaged.borrow_mut().insert(node.path.dotted());
    }
    Ok((name, content))
}

impl<'de, 'a> EnumAccess<'de> for VariantOf<'a> {
    type Error = Fault;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'a>), Fault> {
        let name: StrDeserializer<Fault> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.content))
    }
}

impl Content<'_> {
    /// Whether what is written inside is passed over.
    fn is_passed(&self) -> bool {
        !self.named && self.node.context.passed(self.node.item()).is_some()
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        if self.is_passed() {
            return Ok(());
        }
        let Some(entries) = self.node.entries() else {
            let help = self.whole.path.last_key().map(|key| {
                format!(
                    "write `{key} = \"{}\"`",
                    self.node.path.last_key().unwrap_or_default()
                )
            });
            return Err(self.node.refuse("an empty table", help, &[]));
        };
        for (key, items) in entries {
            self.node
                .context
                .unknown_key(&self.node.path, key, items[items.len() - 1], &[]);
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        if self.is_passed() {
            return seed
                .deserialize(StandIn::new())
                .map_err(|_| give_up(&self.whole));
        }
        seed.deserialize(self.node)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Fault> {
        if self.is_passed() {
            return StandIn::new()
                .deserialize_tuple(length, visitor)
                .map_err(|_| give_up(&self.whole));
        }
        self.node.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if self.is_passed() {
            return StandIn::new()
                .deserialize_struct("", keys, visitor)
                .map_err(|_| give_up(&self.whole));
        }
        self.node.deserialize_struct("", keys, visitor)
    }
}
