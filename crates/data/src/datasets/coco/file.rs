//! COCO's JSON as it stands in the file: images, annotations and categories with each field either understood or said
//! to be what it is instead. Nothing is compared with anything here.

use std::marker::PhantomData;
use std::path::Path;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::super::json::{Any, Context, Element, Id, Met, Part, Plain, Take, Value, keys};
use super::super::objects::shown;
use super::super::outline::Outline;
use super::outline::{Field, Segmentation};
use crate::error::DataError;
use crate::source::Remark;

/// What is wrong with a key that an entry has twice.
pub(super) const TWICE: &str = "the key occurs twice";

/// Something in an entry that is not understood: the key it is about, and what is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Odd {
    pub key: Option<&'static str>,
    pub reason: String,
}

/// An entry of `images`.
#[derive(Debug)]
pub(super) struct ImageEntry {
    pub id: Result<Id, Odd>,
    pub file_name: Result<String, Odd>,
    /// Width and height, if both are stated.
    pub stated: Option<[usize; 2]>,
    pub odd: Vec<Odd>,
    /// What was passed over and does not matter.
    pub passed_over: Option<Odd>,
}

/// An entry of `categories`.
#[derive(Debug)]
pub(super) struct CategoryEntry {
    pub id: Result<Id, Odd>,
    pub name: Result<String, Odd>,
    pub odd: Vec<Odd>,
}

/// An entry of `annotations`.
#[derive(Debug)]
pub(super) struct AnnotationEntry {
    pub id: Option<Id>,
    pub image: Result<Id, Odd>,
    pub category: Result<Id, Odd>,
    /// `x y width height`; nothing where it is missing, null or empty.
    pub bbox: Result<Option<[f64; 4]>, Odd>,
    /// Nothing where it is missing, null or empty.
    pub outline: Result<Option<Around>, Odd>,
    pub crowd: Result<bool, Odd>,
    /// In pixels.
    pub area: Option<f64>,
    pub odd: Vec<Odd>,
    /// What was passed over and does not matter.
    pub passed_over: Vec<Odd>,
}

/// What is kept of an outline.
#[derive(Debug)]
pub(super) struct Around {
    /// The smallest box around it.
    pub bound: [f64; 4],
    /// Itself, where it is wanted.
    pub outline: Option<Outline>,
}

/// The file.
pub(super) struct CocoFile {
    /// How messages name it.
    pub shown: String,
    /// Each an entry, or what stands in place of an object.
    pub images: Vec<Result<ImageEntry, Value>>,
    pub annotations: Vec<Result<AnnotationEntry, Value>>,
    pub categories: Vec<Result<CategoryEntry, Value>>,
    pub remarks: Vec<Remark>,
}

impl CocoFile {
    /// Reads a file; `outlines` says whether they are kept beyond their bounds.
    ///
    /// # Errors
    /// A file that is missing, no JSON, or has none of the three lists.
    pub fn read(path: &Path, outlines: bool) -> Result<Self, DataError> {
        if !path.is_file() {
            let hint = "the recipe's `annotations` names it".into();
            let path = path.to_path_buf();
            return Err(DataError::Missing { path, hint });
        }
        let bytes = std::fs::read(path).map_err(|error| DataError::io(path, "read", error))?;
        Self::parse(&bytes, shown(path), outlines)
    }

    fn parse(bytes: &[u8], shown: String, outlines: bool) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::unreadable(&*shown, reason);
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(wrong("the file is empty".into()));
        }
        if matches!(
            text,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, ..] | [0, ..]
        ) {
            return Err(wrong(
                "not UTF-8, as JSON is, but UTF-16; save it as UTF-8".into(),
            ));
        }
        let context = Context::default();
        let mut json = serde_json::Deserializer::from_slice(text);
        let top = Top {
            context: &context,
            outlines,
        };
        let top = Any(top).deserialize(&mut json);
        let top = top.and_then(|top| json.end().map(|()| top));
        let top = top.map_err(|error| not_json(&shown, text, &context, &error))?;
        let Lists {
            images,
            annotations,
            categories,
            met,
        } = top.map_err(|value| {
            wrong(format!(
                "/: {value}, not an object with `images`, `annotations` and `categories`"
            ))
        })?;
        if let Some(key) = met.twice.first() {
            return Err(wrong(format!("/{key}: the key occurs twice")));
        }
        let images = list(images, "images", &met, &shown)?;
        let annotations = list(annotations, "annotations", &met, &shown)?;
        let categories = list(categories, "categories", &met, &shown)?;
        let remark = |(list, key, count, first): (&str, String, usize, usize)| {
            let (place, times) = match (list, count) {
                ("", _) => ("/".to_owned(), String::new()),
                (_, 1) => (format!("/{list}/{first}"), String::new()),
                _ => (format!("/{list}/{first}"), format!(" ({count} times)")),
            };
            let message = format!("the key `{key}` is not one of COCO's and is not read{times}");
            Remark::new(format!("{shown}: {place}"), message)
        };
        let remarks = context.unknown().into_iter().map(remark).collect();
        Ok(Self {
            images,
            annotations,
            categories,
            remarks,
            shown,
        })
    }
}

/// One of the lists.
fn list<E>(
    list: Option<Result<Vec<E>, Value>>,
    key: &str,
    met: &Met,
    shown: &str,
) -> Result<Vec<E>, DataError> {
    let wrong = |reason: String| DataError::unreadable(shown, reason);
    match list {
        Some(Ok(list)) => Ok(list),
        Some(Err(value)) => Err(wrong(format!("/{key}: is {value}, not a list"))),
        None => {
            let meant = met.meant(key);
            let meant = meant.map_or_else(String::new, |other| format!("; it has `{other}`"));
            let none = match key {
                "annotations" => ": an empty list says that no image has objects",
                _ => "",
            };
            Err(wrong(format!("/: has no `{key}`{meant}{none}")))
        }
    }
}

/// What serde says about text that is no JSON, with the entry that it stands in.
fn not_json(shown: &str, text: &[u8], context: &Context, error: &serde_json::Error) -> DataError {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let place = format!(" at line {line} column {column}");
    let mut reason = said.strip_suffix(&place).unwrap_or(&said).to_owned();
    let start = text.split_inclusive(|byte| *byte == b'\n');
    let start: usize = start.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let at = (start + column).min(text.len());
    let near = &text[at.saturating_sub(2)..(at + 9).min(text.len())];
    let holds = |word: &[u8]| near.windows(word.len()).any(|part| part == word);
    if holds(b"NaN") || holds(b"Infinity") {
        reason = "NaN and Infinity are not JSON; a number that is not known is null, or its key is left out".into();
    }
    let pointer = context.pointer();
    DataError::unreadable(
        format!("{shown}:{line}:{column}"),
        format!("{pointer}: not JSON: {reason}"),
    )
}

type Entries<E> = Option<Result<Vec<Result<E, Value>>, Value>>;

struct Lists {
    images: Entries<ImageEntry>,
    annotations: Entries<AnnotationEntry>,
    categories: Entries<CategoryEntry>,
    met: Met,
}

/// The outermost object.
struct Top<'a> {
    context: &'a Context,
    outlines: bool,
}

impl<'de> Take<'de> for Top<'_> {
    type Out = Result<Lists, Value>;

    fn value(self, value: Value) -> Self::Out {
        Err(value)
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<Self::Out, A::Error> {
        let (mut images, mut annotations, mut categories) = (None, None, None);
        const KNOWN: &[&str] = &["images", "annotations", "categories"];
        const UNREAD: &[&str] = &["info", "licenses", "type"];
        let Self { context, outlines } = self;
        let met = keys(context, [KNOWN, UNREAD], object, |key, object| {
            match key {
                0 => images = Some(object.next_value_seed(many(context, KNOWN[0], outlines))?),
                1 => annotations = Some(object.next_value_seed(many(context, KNOWN[1], outlines))?),
                _ => categories = Some(object.next_value_seed(many(context, KNOWN[2], outlines))?),
            }
            context.leave();
            Ok(())
        })?;
        Ok(Ok(Lists {
            images,
            annotations,
            categories,
            met,
        }))
    }
}

/// What an entry is made of.
trait Entry: Sized {
    fn read<'de, A: MapAccess<'de>>(
        context: &Context,
        outlines: bool,
        object: A,
    ) -> Result<Self, A::Error>;
}

fn many<'a, E>(context: &'a Context, list: &'static str, outlines: bool) -> Any<Many<'a, E>> {
    Any(Many {
        context,
        list,
        outlines,
        entry: PhantomData,
    })
}

/// A list of entries.
struct Many<'a, E> {
    context: &'a Context,
    list: &'static str,
    outlines: bool,
    entry: PhantomData<E>,
}

impl<'de, E: Entry> Take<'de> for Many<'_, E> {
    type Out = Result<Vec<Result<E, Value>>, Value>;

    fn value(self, value: Value) -> Self::Out {
        Err(value)
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Out, A::Error> {
        let mut entries = Vec::new();
        loop {
            self.context.enter(self.list, entries.len());
            let one = One {
                context: self.context,
                outlines: self.outlines,
                entry: PhantomData,
            };
            match list.next_element_seed(Any(one))? {
                Some(entry) => entries.push(entry),
                None => return Ok(Ok(entries)),
            }
        }
    }
}

/// One entry.
struct One<'a, E> {
    context: &'a Context,
    outlines: bool,
    entry: PhantomData<E>,
}

impl<'de, E: Entry> Take<'de> for One<'_, E> {
    type Out = Result<E, Value>;

    fn value(self, value: Value) -> Self::Out {
        Err(value)
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<Self::Out, A::Error> {
        E::read(self.context, self.outlines, object).map(Ok)
    }
}

fn odd(key: &'static str, reason: impl Into<String>) -> Odd {
    Odd {
        key: Some(key),
        reason: reason.into(),
    }
}

/// A key that must be there and is not.
fn missing(key: &'static str, met: &Met) -> Odd {
    let meant = met.meant(key);
    let meant = meant.map_or_else(String::new, |other| format!("; it has `{other}`"));
    let reason = format!("has no `{key}`{meant}");
    Odd { key: None, reason }
}

/// An id that must be there.
fn id(key: &'static str, value: Option<Value>, met: &Met) -> Result<Id, Odd> {
    let value = value.ok_or_else(|| missing(key, met))?;
    value.id().map_err(|reason| odd(key, reason))
}

/// A text that must be there; a number is a text too.
fn text(key: &'static str, value: Option<Value>, met: &Met) -> Result<String, Odd> {
    match value {
        None => Err(missing(key, met)),
        Some(Value::Text(text)) if text.trim().is_empty() => Err(odd(key, "is an empty string")),
        Some(Value::Text(text)) => Ok(text),
        Some(value @ (Value::Whole(_) | Value::Real(_))) => Ok(value.to_string()),
        Some(value) => Err(odd(key, format!("is {value}, not a string"))),
    }
}

/// Keys that occur twice, and keys that are written unlike one that is missing and may be.
fn oddities(met: &Met, needed: &[&str]) -> Vec<Odd> {
    let twice = met.twice.iter().map(|key| odd(key, TWICE));
    let alike = met
        .alike
        .iter()
        .filter(|(known, _)| !needed.contains(known));
    let alike = alike.map(|(known, key)| Odd {
        key: None,
        reason: format!("has the key `{key}`; is `{known}` meant?"),
    });
    twice.chain(alike).collect()
}

impl Entry for ImageEntry {
    fn read<'de, A: MapAccess<'de>>(
        context: &Context,
        _: bool,
        object: A,
    ) -> Result<Self, A::Error> {
        const KNOWN: &[&str] = &["id", "file_name", "width", "height", "coco_url"];
        // The last two are LVIS's: categories that were looked for in the image and are not there, or not all of which are.
        const UNREAD: &[&str] = &[
            "license",
            "flickr_url",
            "date_captured",
            "neg_category_ids",
            "not_exhaustive_category_ids",
        ];
        let mut values = [None, None, None, None, None];
        let met = keys(context, [KNOWN, UNREAD], object, |key, object| {
            values[key] = Some(object.next_value_seed(Any(Plain))?);
            Ok(())
        })?;
        let mut odd_ones = oddities(&met, &["id", "file_name"]);
        let [number, file_name, width, height, url] = values;
        let file_name = match (file_name, url.as_ref().and_then(of_url)) {
            (None | Some(Value::Null), Some(named)) => Some(named),
            (file_name, _) => file_name,
        };
        let mut side = |key: &'static str, value: Option<Value>| {
            let pixels = value.map_or(Ok(None), |value| value.pixels());
            pixels.unwrap_or_else(|reason| {
                odd_ones.push(odd(key, reason));
                None
            })
        };
        let stated = [side("width", width), side("height", height)];
        let half = stated[0].is_some() != stated[1].is_some() && odd_ones.is_empty();
        let passed_over = half.then(|| Odd {
            key: None,
            reason: "states no `width` and `height`, but one of them, which is not read".into(),
        });
        Ok(Self {
            id: id("id", number, &met),
            file_name: text("file_name", file_name, &met),
            stated: stated[0].zip(stated[1]).map(|(w, h)| [w, h]),
            odd: odd_ones,
            passed_over,
        })
    }
}

/// The file of an image that has an address alone, as LVIS's have: its last folder and its name.
fn of_url(url: &Value) -> Option<Value> {
    let Value::Text(url) = url else { return None };
    let (before, name) = url.rsplit_once('/')?;
    let folder = before.rsplit('/').next()?;
    Some(Value::Text(format!("{folder}/{name}")))
}

impl Entry for CategoryEntry {
    fn read<'de, A: MapAccess<'de>>(
        context: &Context,
        _: bool,
        object: A,
    ) -> Result<Self, A::Error> {
        const KNOWN: &[&str] = &["id", "name"];
        const UNREAD: &[&str] = &[
            "supercategory",
            "keypoints",
            "skeleton",
            "color",
            "isthing",
            // LVIS's.
            "synset",
            "synonyms",
            "def",
            "frequency",
            "image_count",
            "instance_count",
        ];
        let mut values = [None, None];
        let met = keys(context, [KNOWN, UNREAD], object, |key, object| {
            values[key] = Some(object.next_value_seed(Any(Plain))?);
            Ok(())
        })?;
        let [number, name] = values;
        Ok(Self {
            id: id("id", number, &met),
            name: text("name", name, &met),
            odd: oddities(&met, &["id", "name"]),
        })
    }
}

impl Entry for AnnotationEntry {
    fn read<'de, A: MapAccess<'de>>(
        context: &Context,
        outlines: bool,
        object: A,
    ) -> Result<Self, A::Error> {
        const KNOWN: &[&str] = &[
            "id",
            "image_id",
            "category_id",
            "iscrowd",
            "area",
            "bbox",
            "segmentation",
        ];
        const UNREAD: &[&str] = &["keypoints", "num_keypoints"];
        let mut values = [None, None, None, None, None];
        let mut bbox = Ok(None);
        let mut segmentation = Field::Absent;
        let met = keys(context, [KNOWN, UNREAD], object, |key, object| {
            match key {
                5 => bbox = object.next_value_seed(Any(Bbox))?,
                6 => segmentation = object.next_value_seed(Any(Segmentation(context)))?,
                _ => values[key] = Some(object.next_value_seed(Any(Plain))?),
            }
            Ok(())
        })?;
        let mut odd_ones = oddities(&met, &["image_id", "category_id"]);
        let mut passed_over = Vec::new();
        let [number, image, category, crowd, area] = values;
        let number = number
            .filter(|value| *value != Value::Null)
            .map(|value| value.id());
        let number = number.transpose().unwrap_or_else(|reason| {
            odd_ones.push(odd("id", reason));
            None
        });
        let area = area.filter(|value| *value != Value::Null);
        let pixels = area
            .as_ref()
            .and_then(Value::number)
            .filter(|area| *area >= 0.0);
        if let (Some(value), None) = (&area, pixels) {
            let reason = format!("is {value}, not a number of pixels; the box's is taken");
            passed_over.push(odd("area", reason));
        }
        let outline = match segmentation {
            Field::Absent => Ok(None),
            Field::Wrong(reason) => Err(odd("segmentation", reason)),
            Field::Given { outline, aside } => {
                passed_over.extend(aside.map(|reason| odd("segmentation", reason)));
                let bound = outline.bound();
                Ok(bound.map(|bound| Around {
                    bound,
                    outline: outlines.then_some(outline),
                }))
            }
        };
        Ok(Self {
            id: number,
            image: id("image_id", image, &met),
            category: id("category_id", category, &met),
            bbox: bbox.map_err(|reason| odd("bbox", reason)),
            outline,
            crowd: crowd
                .map_or(Ok(false), |value| value.flag())
                .map_err(|reason| odd("iscrowd", reason)),
            area: pixels,
            odd: odd_ones,
            passed_over,
        })
    }
}

/// Reads `bbox`.
struct Bbox;

impl<'de> Take<'de> for Bbox {
    type Out = Result<Option<[f64; 4]>, String>;

    fn value(self, value: Value) -> Self::Out {
        match value {
            Value::Null => Ok(None),
            value => Err(format!("is {value}, not a list of x, y, width and height")),
        }
    }

    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Out, A::Error> {
        Ok(match Element.list(list)? {
            Part::Piece(numbers) => match numbers[..] {
                [] => Ok(None),
                [x, y, width, height] => Ok(Some([x, y, width, height])),
                _ => Err(format!(
                    "has {} numbers, not 4 (x, y, width, height)",
                    numbers.len()
                )),
            },
            Part::Wrong(reason) => Err(reason),
            Part::Number(_) => unreachable!("a list is no number"),
        })
    }
}
