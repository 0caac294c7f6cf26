//! One file of labelme, each field understood or said to be what it is instead.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::super::json::{Any, Context, Element, Met, Part, Plain, Take, Value, keys};
use super::super::objects::shown;
use super::super::text::utf8;
use crate::decode::EXTENSIONS;

/// The corners of a circle.
const CORNERS: usize = 128;

/// A file of labelme.
#[derive(Default)]
pub(super) struct File {
    pub path: PathBuf,
    /// `imagePath`, or what stands in its place.
    image: Option<Result<String, String>>,
    /// Width and height, if both are stated.
    pub stated: Option<[usize; 2]>,
    pub shapes: Vec<ShapeEntry>,
    /// What makes the picture a bad sample.
    pub faults: Vec<String>,
    /// Keys that are not known, and how often.
    pub unknown: Vec<(String, usize)>,
}

/// A shape.
pub(super) struct ShapeEntry {
    pub label: Result<String, String>,
    /// The polygon `x y x y ..` that it is.
    pub shape: Result<Vec<f64>, String>,
    /// Its `group_id`, if it has one.
    pub group: Option<Result<String, String>>,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// Its path, where it is JSON without `shapes`: it is none of labelme's.
    pub fn read(path: PathBuf) -> Result<Self, PathBuf> {
        let faulty = |path, reason| {
            Ok(Self {
                path,
                faults: vec![reason],
                ..Self::default()
            })
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return faulty(path, format!("cannot read: {error}")),
        };
        let text = match utf8(&bytes) {
            Ok(text) => text,
            Err(reason) => return faulty(path, reason),
        };
        let context = Context::default();
        let mut json = serde_json::Deserializer::from_str(text);
        let whole = Any(Whole(&context)).deserialize(&mut json);
        match whole.and_then(|whole| json.end().map(|()| whole)) {
            Ok(Some(file)) => {
                let unknown = context
                    .unknown()
                    .into_iter()
                    .map(|(_, key, count, _)| (key, count));
                Ok(Self {
                    path,
                    unknown: unknown.collect(),
                    ..file
                })
            }
            Ok(None) => Err(path),
            Err(error) => faulty(path, format!("{}: not JSON: {error}", context.pointer())),
        }
    }

    /// The labels that its shapes have.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.shapes
            .iter()
            .filter_map(|shape| shape.label.as_deref().ok())
    }

    /// The picture; `note` hears where it is another than the file names.
    ///
    /// # Errors
    /// That there is none.
    pub fn picture(&self, note: impl FnOnce(&str)) -> Result<PathBuf, String> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let named = match &self.image {
            Some(Ok(name)) => Some(folder.join(name.replace('\\', "/"))),
            Some(Err(reason)) => return Err(format!("`imagePath` {reason}")),
            None => None,
        };
        if let Some(path) = named.as_ref().filter(|path| path.is_file()) {
            return Ok(simple(path));
        }
        let endings = EXTENSIONS
            .iter()
            .flat_map(|ending| [(*ending).to_owned(), ending.to_uppercase()]);
        let mut beside = endings.map(|ending| self.path.with_extension(ending));
        match beside.find(|path| path.is_file()) {
            Some(path) => {
                note("`imagePath` names no file; the picture of the same name is taken");
                Ok(path)
            }
            None => Err(match named {
                Some(path) => format!(
                    "`imagePath` names no picture: there is no {}",
                    shown(&simple(&path))
                ),
                None => "has no `imagePath`, and no picture of its name lies beside it".into(),
            }),
        }
    }
}

/// A path without `.`, and without `..` where the part before it is known.
fn simple(path: &Path) -> PathBuf {
    let mut simple = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if simple.file_name().is_some() => drop(simple.pop()),
            part => simple.push(part),
        }
    }
    simple
}

/// The whole file; nothing where it is not one of labelme's.
struct Whole<'a>(&'a Context);

impl<'de> Take<'de> for Whole<'_> {
    type Out = Option<File>;

    fn value(self, _: Value) -> Option<File> {
        None
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<Option<File>, A::Error> {
        const KNOWN: &[&str] = &["shapes", "imagePath", "imageWidth", "imageHeight"];
        const UNREAD: &[&str] = &[
            "version",
            "flags",
            "imageData",
            "lineColor",
            "fillColor",
            "description",
            "text",
        ];
        let context = self.0;
        let (mut shapes, mut image, mut size) = (None, None, [None, None]);
        let met = keys(context, [KNOWN, UNREAD], object, |key, object| {
            match key {
                0 => shapes = Some(object.next_value_seed(Any(Shapes(context)))?),
                1 => image = Some(object.next_value_seed(Any(Plain))?),
                side => size[side - 2] = Some(object.next_value_seed(Any(Plain))?),
            }
            context.leave();
            Ok(())
        })?;
        let mut file = File::default();
        file.shapes = match (shapes, met.meant("shapes")) {
            (Some(Ok(shapes)), _) => shapes,
            (Some(Err(value)), _) => {
                file.faults.push(format!("`shapes` is {value}, not a list"));
                Vec::new()
            }
            (None, Some(other)) => {
                file.faults
                    .push(format!("has no `shapes`; it has `{other}`"));
                Vec::new()
            }
            (None, None) => return Ok(None),
        };
        let twice = met
            .twice
            .iter()
            .map(|key| format!("the key `{key}` occurs twice"));
        file.faults.extend(twice);
        file.image = image.and_then(|value| match value {
            Value::Text(text) if !text.trim().is_empty() => Some(Ok(text)),
            Value::Null | Value::Text(_) => None,
            value => Some(Err(format!("is {value}, not a path"))),
        });
        let mut sides = [None, None];
        for ((side, value), key) in sides.iter_mut().zip(size).zip(&KNOWN[2..]) {
            match value.map_or(Ok(None), |value| value.pixels()) {
                Ok(pixels) => *side = pixels,
                Err(reason) => file.faults.push(format!("`{key}` {reason}")),
            }
        }
        if let [Some(width), Some(height)] = sides {
            file.stated = Some([width, height]);
        }
        Ok(Some(file))
    }
}

struct Shapes<'a>(&'a Context);

impl<'de> Take<'de> for Shapes<'_> {
    type Out = Result<Vec<ShapeEntry>, Value>;

    fn value(self, value: Value) -> Self::Out {
        Err(value)
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Out, A::Error> {
        let mut shapes = Vec::new();
        loop {
            self.0.enter("shapes", shapes.len());
            match list.next_element_seed(Any(One(self.0)))? {
                Some(shape) => shapes.push(shape),
                None => return Ok(Ok(shapes)),
            }
        }
    }
}

/// One shape.
struct One<'a>(&'a Context);

impl<'de> Take<'de> for One<'_> {
    type Out = ShapeEntry;

    fn value(self, value: Value) -> ShapeEntry {
        let reason = || format!("is {value}, not an object");
        ShapeEntry {
            label: Err(reason()),
            shape: Err(reason()),
            group: None,
        }
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<ShapeEntry, A::Error> {
        const KNOWN: &[&str] = &["label", "points", "shape_type", "group_id"];
        const UNREAD: &[&str] = &[
            "flags",
            "description",
            "mask",
            "line_color",
            "fill_color",
            "difficult",
            "attributes",
            "score",
            "kie_linking",
        ];
        let (mut label, mut points, mut kind, mut group) = (None, None, None, None);
        let met = keys(self.0, [KNOWN, UNREAD], object, |key, object| {
            match key {
                0 => label = Some(object.next_value_seed(Any(Plain))?),
                1 => points = Some(object.next_value_seed(Any(Points))?),
                2 => kind = Some(object.next_value_seed(Any(Plain))?),
                _ => group = Some(object.next_value_seed(Any(Plain))?),
            }
            Ok(())
        })?;
        Ok(ShapeEntry {
            label: read_label(label, &met),
            shape: match points {
                Some(points) => points.and_then(|points| polygon(kind, points)),
                None => Err(missing("points", &met)),
            },
            group: read_group(group),
        })
    }
}

fn missing(key: &str, met: &Met) -> String {
    let meant = met
        .meant(key)
        .map_or_else(String::new, |other| format!("; it has `{other}`"));
    format!("has no `{key}`{meant}")
}

fn read_label(label: Option<Value>, met: &Met) -> Result<String, String> {
    if let Some(key) = met.twice.first() {
        return Err(format!("the key `{key}` occurs twice"));
    }
    match label {
        Some(Value::Text(text)) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Some(Value::Whole(number)) => Ok(number.to_string()),
        Some(value) => Err(format!("`label` is {value}, not the name of a class")),
        None => Err(missing("label", met)),
    }
}

fn read_group(group: Option<Value>) -> Option<Result<String, String>> {
    match group? {
        Value::Null => None,
        Value::Whole(number) => Some(Ok(number.to_string())),
        Value::Text(text) => Some(Ok(text)),
        value => Some(Err(format!("`group_id` is {value}, not a number"))),
    }
}

/// The polygon that points of a kind of shape are.
fn polygon(kind: Option<Value>, points: Vec<[f64; 2]>) -> Result<Vec<f64>, String> {
    let kind = match kind {
        // As files of old have it.
        None | Some(Value::Null) => "polygon".to_owned(),
        Some(Value::Text(kind)) => kind,
        Some(value) => return Err(format!("`shape_type` is {value}, not a kind of shape")),
    };
    match (&*kind, &points[..]) {
        ("polygon", points) if points.len() > 2 => Ok(points.concat()),
        ("rectangle" | "rotation", points) if points.len() == 4 => Ok(points.concat()),
        ("rectangle", [[x1, y1], [x2, y2]]) => Ok(vec![*x1, *y1, *x2, *y1, *x2, *y2, *x1, *y2]),
        ("circle", [[x, y], [at_x, at_y]]) => {
            let radius = (at_x - x).hypot(at_y - y);
            let corner = |number: usize| {
                let (sin, cos) = (number as f64 / CORNERS as f64 * TAU).sin_cos();
                [x + radius * cos, y + radius * sin]
            };
            Ok((0..CORNERS).flat_map(corner).collect())
        }
        ("polygon" | "rectangle" | "rotation" | "circle", points) => {
            Err(format!("a {kind} of {} points", points.len()))
        }
        ("point" | "points" | "line" | "linestrip", _) => Err(format!("a {kind} has no area")),
        ("mask", _) => Err("a shape of the kind `mask` is not read; save it as a polygon".into()),
        _ => Err(format!(
            "`shape_type` is `{kind}`, which is not one of labelme's"
        )),
    }
}

/// A list of `[x, y]`.
struct Points;

impl<'de> Take<'de> for Points {
    type Out = Result<Vec<[f64; 2]>, String>;

    fn value(self, value: Value) -> Self::Out {
        Err(format!("`points` is {value}, not a list of points"))
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Out, A::Error> {
        let (mut points, mut fault) = (Vec::new(), None);
        while let Some(element) = list.next_element_seed(Any(Element))? {
            match element {
                Part::Piece(point) if point.len() == 2 => points.push([point[0], point[1]]),
                Part::Wrong(reason) => drop(fault.get_or_insert(format!("a point {reason}"))),
                _ => drop(fault.get_or_insert("a point that is not `[x, y]`".to_owned())),
            }
        }
        Ok(fault.map_or(Ok(points), Err))
    }
}
