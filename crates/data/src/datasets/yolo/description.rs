//! A `data.yaml`: where the pictures are and what the classes are called.

use std::path::{Path, PathBuf};

use super::super::objects::shown;
use super::super::problems::same_but_for_case;
use super::super::text::utf8;
use super::yaml::{self, Node, Value};
use crate::error::DataError;
use crate::source::Remark;

/// What a `data.yaml` says.
pub(super) struct Description {
    /// How messages name it.
    pub shown: String,
    /// The folder that it lies in.
    pub folder: PathBuf,
    /// The folder of the dataset as it is written.
    pub path: Option<Text>,
    pub train: Vec<Text>,
    pub validation: Vec<Text>,
    pub test: Vec<Text>,
    pub classes: Vec<String>,
    /// How many numbers of keypoints follow each box, where there are any.
    pub keypoints: Option<usize>,
    pub remarks: Vec<Remark>,
}

/// A word of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub text: String,
    pub line: usize,
}

/// Keys that have a meaning which is of no use here.
const UNREAD: [&str; 7] = [
    "download",
    "roboflow",
    "flip_idx",
    "channels",
    "task",
    "kpt_names",
    "license",
];

impl Description {
    /// Reads a file, or the one of a folder.
    ///
    /// # Errors
    /// A file that is missing, is no YAML, or does not say what it must.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let path = match path.is_dir() {
            true => in_folder(path)?,
            false => path.to_path_buf(),
        };
        if !path.is_file() {
            let hint = "expected a `data.yaml` of YOLO, or the folder that it lies in".into();
            return Err(DataError::Missing { path, hint });
        }
        let bytes = std::fs::read(&path).map_err(|error| DataError::io(&path, "read", error))?;
        let shown = shown(&path);
        let text = utf8(&bytes).map_err(|reason| DataError::unreadable(&*shown, reason))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Self::of(yaml::read(text, &shown)?, shown, folder)
    }

    fn of(whole: Node, shown: String, folder: PathBuf) -> Result<Self, DataError> {
        let Value::Map(entries) = whole.value else {
            let reason = format!("is {}, not keys with values", whole.kind());
            return Err(DataError::unreadable(shown, reason));
        };
        let file = shown.clone();
        let wrong =
            |line: usize, reason: String| DataError::unreadable(format!("{file}:{line}"), reason);
        let mut found = Self {
            shown,
            folder,
            path: None,
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
            classes: Vec::new(),
            keypoints: None,
            remarks: Vec::new(),
        };
        let (mut names, mut count, mut validation): (_, _, Option<Text>) = (None, None, None);
        for (key, node) in entries {
            let line = key.line;
            let key = key.text().unwrap_or_default().to_owned();
            let about = |reason: String| wrong(node.line, format!("`{key}` {reason}"));
            match &*key {
                "path" => found.path = text(&node).map_err(about)?,
                "train" => found.train = texts(&node).map_err(about)?,
                "val" | "validation" => {
                    if let Some(Text { text, line }) = validation.replace(Text {
                        text: key.clone(),
                        line,
                    }) {
                        return Err(about(format!(
                            "means the same as `{text}` in line {line}; keep one"
                        )));
                    }
                    found.validation = texts(&node).map_err(about)?;
                }
                "test" => found.test = texts(&node).map_err(about)?,
                "nc" => {
                    count = whole_number(&node)
                        .map_err(about)?
                        .map(|count| (count, node.line))
                }
                "names" if node.is_null() => {}
                "names" => names = Some((class_names(&node).map_err(about)?, node.line)),
                "kpt_shape" => found.keypoints = keypoints(&node).map_err(about)?,
                _ if UNREAD.contains(&&*key) => {}
                _ => {
                    let message = format!("the key `{key}` is not one of YOLO's and is not read");
                    found
                        .remarks
                        .push(Remark::new(format!("{file}:{line}"), message));
                }
            }
        }
        if found.train.is_empty() {
            let reason = "has no `train`: the folder or list of the training pictures";
            return Err(DataError::unreadable(file, reason));
        }
        found.classes = match (names, count) {
            (Some((names, line)), Some((count, _))) if names.len() != count => {
                let reason = format!("`names` has {} classes, and `nc` says {count}", names.len());
                return Err(wrong(line, reason));
            }
            (Some((names, line)), _) => found.told_apart(names, line),
            (None, Some((count, line))) => {
                let message =
                    format!("no `names`; the {count} classes are called `class_0` and so on");
                found
                    .remarks
                    .push(Remark::new(format!("{file}:{line}"), message));
                (0..count).map(|number| format!("class_{number}")).collect()
            }
            (None, None) => {
                return Err(DataError::unreadable(
                    file,
                    "has no `names`: the classes by their numbers",
                ));
            }
        };
        Ok(found)
    }

    /// The names of the classes, a name that an earlier class has too with its number.
    fn told_apart(&mut self, names: Vec<String>, line: usize) -> Vec<String> {
        let place = format!("{}:{line}", self.shown);
        let mut apart: Vec<String> = Vec::with_capacity(names.len());
        for (number, name) in names.into_iter().enumerate() {
            if !apart.contains(&name) {
                apart.push(name);
                continue;
            }
            let own = format!("{name} (class {number})");
            let message = format!(
                "an earlier class is called `{name}` too; class {number} is called `{own}`"
            );
            self.remarks.push(Remark::new(&*place, message));
            apart.push(own);
        }
        for (name, other) in same_but_for_case(&apart) {
            let message = format!("the class `{name}` differs from `{other}` in case alone");
            self.remarks.push(Remark::new(&*place, message));
        }
        apart
    }
}

/// The description in a folder: `data.yaml`, or the only file of that ending.
fn in_folder(folder: &Path) -> Result<PathBuf, DataError> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| DataError::io(folder, "list", error))?;
    let files = entries.flatten().map(|entry| entry.path());
    let is_yaml = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ending == "yaml" || ending == "yml")
    };
    let mut files: Vec<PathBuf> = files.filter(is_yaml).collect();
    files.sort();
    let usual = files
        .iter()
        .find(|path| path.file_stem().is_some_and(|stem| stem == "data"));
    match (usual, &files[..]) {
        (Some(file), _) | (None, [file]) => Ok(file.clone()),
        (None, []) => Err(DataError::Missing {
            path: folder.join("data.yaml"),
            hint: "it tells where the pictures are and what the classes are called".into(),
        }),
        (None, several) => {
            let names = several
                .iter()
                .map(|path| path.file_name().unwrap_or_default().to_string_lossy());
            let names: Vec<_> = names.collect();
            let reason = format!(
                "has {} and no `data.yaml`; name one of them by `path`",
                names.join(", ")
            );
            Err(DataError::unreadable(shown(folder), reason))
        }
    }
}

fn text(node: &Node) -> Result<Option<Text>, String> {
    match &node.value {
        Value::Null(_) => Ok(None),
        Value::Text(text) if text.trim().is_empty() => Ok(None),
        Value::Text(text) => Ok(Some(Text {
            text: text.trim().to_owned(),
            line: node.line,
        })),
        _ => Err(format!("is {}, not a path", node.kind())),
    }
}

/// One path or a list of them.
fn texts(node: &Node) -> Result<Vec<Text>, String> {
    match &node.value {
        Value::List(list) => {
            let found = list
                .iter()
                .map(|node| text(node)?.ok_or_else(|| "has an empty path in its list".to_owned()));
            found.collect()
        }
        _ => Ok(text(node)?.into_iter().collect()),
    }
}

fn whole_number(node: &Node) -> Result<Option<usize>, String> {
    if node.is_null() {
        return Ok(None);
    }
    let number = node.text().and_then(|text| text.trim().parse::<f64>().ok());
    let whole = number.filter(|n| n.fract() == 0.0 && (1.0..1e6).contains(n));
    whole
        .map(|n| Some(n as usize))
        .ok_or_else(|| format!("is {}, not a number from 1", node.kind()))
}

/// The names by number, from a list or a map.
fn class_names(node: &Node) -> Result<Vec<String>, String> {
    let name = |number: usize, node: &Node| match node.text() {
        Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Some(_) => Err(format!("has no name for class {number}")),
        None => Err(format!(
            "has {} for the name of class {number}",
            node.kind()
        )),
    };
    let names: Vec<String> = match &node.value {
        Value::List(list) => (0..)
            .zip(list)
            .map(|(number, node)| name(number, node))
            .collect::<Result<_, _>>()?,
        Value::Map(entries) => {
            let mut names = vec![None; entries.len()];
            for (key, node) in entries {
                let text = key.text().unwrap_or_default();
                let number = text
                    .trim()
                    .parse::<usize>()
                    .map_err(|_| format!("has the key `{text}`, not a number from 0"))?;
                let last = entries.len() - 1;
                let place = names.get_mut(number);
                let place = place.ok_or_else(|| {
                    let from_one = if number == last + 1 { "; are they numbered from 1?" } else { "" };
                    format!("has {} classes and one of the number {number}; they are numbered from 0 to {last}{from_one}", last + 1)
                })?;
                if place.replace(name(number, node)?).is_some() {
                    return Err(format!("has the class {number} twice"));
                }
            }
            names.into_iter().flatten().collect()
        }
        _ => {
            return Err(format!(
                "is {}, neither a list nor a map of names",
                node.kind()
            ));
        }
    };
    match names.is_empty() {
        true => Err("has no class".into()),
        false => Ok(names),
    }
}

/// How many numbers `kpt_shape: [points, numbers of each]` is.
fn keypoints(node: &Node) -> Result<Option<usize>, String> {
    if node.is_null() {
        return Ok(None);
    }
    let Value::List(list) = &node.value else {
        return Err(format!("is {}, not `[points, 2 or 3]`", node.kind()));
    };
    let numbers: Option<Vec<usize>> = list
        .iter()
        .map(|node| node.text()?.trim().parse().ok())
        .collect();
    match numbers.as_deref() {
        Some(&[points @ 1..=10_000, each @ 2..=3]) => Ok(Some(points * each)),
        _ => Err("is not `[points, 2 or 3]`".into()),
    }
}
