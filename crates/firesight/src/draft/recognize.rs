//! What the files of a folder are, by their names and their first lines.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use firesight_data::DataError;
use firesight_data::decode::EXTENSIONS;
use firesight_data::scan::Lesson;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::settings::masks;

/// How much of a file is looked at.
const HEAD: u64 = 64 << 10;
/// How deep folders are looked into.
const DEPTH: usize = 3;

/// A way to read a folder.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The value of `source`.
    pub source: Value,
    /// What tells it.
    pub why: String,
    /// What can be learnt from it, the usual first.
    pub lessons: Vec<Lesson>,
}

impl Candidate {
    fn new(source: Value, why: String, lessons: &[Lesson]) -> Self {
        Self {
            source,
            why,
            lessons: lessons.to_vec(),
        }
    }

    /// The settings of the dataset.
    pub fn table(&self) -> &serde_json::Map<String, Value> {
        let table = self
            .source
            .as_object()
            .and_then(|source| source.values().next()?.as_object());
        table.expect("a source is a table in a table")
    }

    /// With one setting more.
    pub fn with(&self, key: &str, value: Value) -> Self {
        let mut with = self.clone();
        let table = with
            .source
            .as_object_mut()
            .and_then(|source| source.values_mut().next()?.as_object_mut());
        if let Some(table) = table {
            table.insert(key.to_owned(), value);
        }
        with
    }

    /// The name of the dataset's format.
    pub fn format(&self) -> &str {
        self.source
            .as_object()
            .and_then(|source| source.keys().next())
            .map_or("", String::as_str)
    }
}

/// The files below a folder.
struct Files {
    root: PathBuf,
    /// Relative to it, sorted.
    all: Vec<PathBuf>,
}

impl Files {
    fn of(root: &Path) -> Result<Self, DataError> {
        let mut all = Vec::new();
        add(root, Path::new(""), 0, &mut all)?;
        all.sort();
        Ok(Self {
            root: root.to_path_buf(),
            all,
        })
    }

    /// The files of an ending, no deeper than so many folders.
    fn ending(&self, ending: &str, depth: usize) -> Vec<&PathBuf> {
        let is_one =
            |path: &&PathBuf| has_ending(path, &[ending]) && path.components().count() <= depth + 1;
        self.all.iter().filter(is_one).collect()
    }

    /// The beginning of a file.
    fn head(&self, path: &Path) -> String {
        let mut head = Vec::new();
        let read = File::open(self.root.join(path))
            .and_then(|file| file.take(HEAD).read_to_end(&mut head));
        read.map_or_else(
            |_| String::new(),
            |_| String::from_utf8_lossy(&head).into_owned(),
        )
    }

    fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The folder's path as the recipe has it.
    fn path(&self) -> String {
        text(&self.root)
    }

    /// The folders directly in it.
    fn folders(&self) -> Vec<String> {
        let first = |path: &PathBuf| {
            let mut parts = path.components();
            let folder = parts.next()?.as_os_str().to_str()?.to_owned();
            parts.next().map(|_| folder)
        };
        let mut folders: Vec<String> = self.all.iter().filter_map(first).collect();
        folders.dedup();
        folders
    }
}

fn add(root: &Path, below: &Path, depth: usize, all: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let folder = root.join(below);
    let fault = |error| DataError::io(&folder, "list", error);
    for entry in std::fs::read_dir(&folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        match entry.path().is_dir() {
            true if depth < DEPTH => add(root, &below.join(name), depth + 1, all)?,
            true => {}
            false => all.push(below.join(name)),
        }
    }
    Ok(())
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| endings.contains(&&*ending))
}

fn text(path: &Path) -> String {
    path.components()
        .collect::<PathBuf>()
        .to_string_lossy()
        .replace('\\', "/")
}

/// The ways to read a folder or file, the likeliest first.
///
/// # Errors
/// A path that is not there or cannot be listed.
pub(super) fn candidates(path: &Path) -> Result<Vec<Candidate>, DataError> {
    if !path.exists() {
        let hint = "give the folder of a dataset, or a file of annotations".into();
        return Err(DataError::Missing {
            path: path.to_path_buf(),
            hint,
        });
    }
    let (folder, only) = match path.is_dir() {
        true => (path, None),
        false => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            (
                folder.unwrap_or(Path::new(".")),
                path.file_name().map(PathBuf::from),
            )
        }
    };
    let mut files = Files::of(folder)?;
    if let Some(only) = only {
        // Nothing but pictures beside the one that was named.
        files.all.retain(|file| {
            *file == only || has_ending(file, &EXTENSIONS) || has_ending(file, &["txt"])
        });
    }
    let finders = [
        yolo,
        coco,
        voc,
        voc_folders,
        labelme,
        tables,
        camvid,
        cityscapes,
        pairs,
        folder_of_classes,
    ];
    Ok(finders.iter().flat_map(|find| find(&files)).collect())
}

fn yolo(files: &Files) -> Vec<Candidate> {
    let yaml = files
        .ending("yaml", 0)
        .into_iter()
        .chain(files.ending("yml", 0));
    let is_one = |path: &&PathBuf| {
        let head = files.head(path);
        let has = |key: &str| head.lines().any(|line| line.trim_start().starts_with(key));
        has("train:") && (has("names:") || has("nc:"))
    };
    let found = yaml.filter(is_one).map(|path| {
        let why = format!(
            "{} has `train` and `names`, as YOLO's data.yaml",
            path.display()
        );
        let source = json!({"yolo": {"path": text(&files.root.join(path))}});
        Candidate::new(source, why, &[Lesson::Boxes, Lesson::Masks])
    });
    found.collect()
}

/// What tells COCO's JSON.
#[derive(Deserialize)]
struct CocoHead {
    images: Vec<CocoImage>,
    #[serde(rename = "annotations")]
    _annotations: Vec<IgnoredAny>,
    #[serde(rename = "categories")]
    _categories: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct CocoImage {
    file_name: Option<String>,
}

fn coco(files: &Files) -> Vec<Candidate> {
    let mut parts: [Option<Value>; 3] = [None, None, None];
    let mut named = Vec::new();
    for path in files.ending("json", 2) {
        // A file of labelme is one for each picture; there may be many.
        if files.head(path).contains("\"shapes\"") {
            continue;
        }
        let Ok(file) = File::open(files.root.join(path)) else {
            continue;
        };
        let Ok(head) = serde_json::from_reader::<_, CocoHead>(BufReader::new(file)) else {
            continue;
        };
        let Some(picture) = head.images.into_iter().find_map(|image| image.file_name) else {
            continue;
        };
        let part = part_of(path).unwrap_or(0);
        let is_instances = |value: &Value| {
            value["annotations"]
                .as_str()
                .is_some_and(|name| name.contains("instances"))
        };
        if parts[part].as_ref().is_some_and(is_instances) {
            continue;
        }
        if let Some(images) = images_of(files, path, &picture) {
            parts[part] = Some(json!({"annotations": text(path), "images": images}));
            named.push(path.display().to_string());
        }
    }
    let [train, validation, test] = parts;
    let Some(train) = train else {
        return Vec::new();
    };
    let mut table = json!({"path": files.path(), "train": train});
    for (key, part) in [("validation", validation), ("test", test)] {
        if let Some(part) = part {
            table[key] = part;
        }
    }
    let why = format!(
        "{}: `images`, `annotations` and `categories`, as COCO's JSON",
        named.join(", ")
    );
    vec![Candidate::new(
        json!({"coco": table}),
        why,
        &[Lesson::Boxes],
    )]
}

/// The folder, below the dataset's, in which a picture of COCO's JSON lies.
fn images_of(files: &Files, json: &Path, picture: &str) -> Option<String> {
    let beside = json.parent().unwrap_or(Path::new(""));
    let stem = json.file_stem()?.to_string_lossy().into_owned();
    // `instances_val2017.json` is about `val2017`.
    let last = stem.rsplit(['_', '-']).next().unwrap_or(&stem).to_owned();
    let names = [
        String::new(),
        stem,
        last,
        "images".into(),
        "train".into(),
        "data".into(),
    ];
    let mut folders: Vec<PathBuf> = [beside, Path::new(""), Path::new("images")]
        .iter()
        .flat_map(|start| names.iter().map(move |name| start.join(name)))
        .collect();
    folders.extend(files.folders().into_iter().map(PathBuf::from));
    let found = folders
        .into_iter()
        .find(|folder| files.root.join(folder).join(picture).is_file())?;
    Some(text(&found))
}

/// The part that a path is about, by the words in it: 0 for training, 1 for validation, 2 for test.
fn part_of(path: &Path) -> Option<usize> {
    let text = path.to_string_lossy().to_lowercase();
    let words: Vec<&str> = text.split(|letter: char| !letter.is_alphabetic()).collect();
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    if has(&["train", "training"]) {
        Some(0)
    } else if has(&["val", "valid", "validation"]) {
        Some(1)
    } else if has(&["test", "testing"]) {
        Some(2)
    } else {
        None
    }
}

fn voc(files: &Files) -> Vec<Candidate> {
    let mut found = Vec::new();
    let list = |sets: &str| {
        let names = ["train", "default", "trainval"];
        names
            .into_iter()
            .find(|name| files.has(&format!("ImageSets/{sets}/{name}.txt")))
    };
    if let (true, Some(train)) = (
        files.has("Annotations") && files.has("JPEGImages"),
        list("Main"),
    ) {
        let why = format!(
            "Annotations, JPEGImages and ImageSets/Main/{train}.txt, as Pascal VOC has them"
        );
        let source = match train {
            "train" => json!({"voc": {"path": files.path()}}),
            _ => json!({"voc": {"path": files.path(), "train": train}}),
        };
        found.push(Candidate::new(source, why, &[Lesson::Boxes]));
    }
    if let (true, Some("train")) = (
        files.has("SegmentationClass") && files.has("JPEGImages"),
        list("Segmentation"),
    ) {
        let why = "SegmentationClass, JPEGImages and ImageSets/Segmentation/train.txt, as Pascal VOC has them";
        let source = json!({"voc-masks": {"path": files.path()}});
        found.push(Candidate::new(source, why.into(), &[Lesson::Masks]));
    }
    found
}

/// The folders of the parts, where the labels lie in some.
fn parts(files: &Files, labels: &[&PathBuf]) -> Value {
    let mut table = json!({"path": files.path()});
    for folder in files.folders() {
        let holds = labels.iter().any(|path| path.starts_with(&folder));
        let key = match part_of(Path::new(&folder)).filter(|_| holds) {
            Some(0) => "train",
            Some(1) => "validation",
            Some(_) => "test",
            None => continue,
        };
        table[key] = folder.into();
    }
    table
}

fn voc_folders(files: &Files) -> Vec<Candidate> {
    // With lists it is the other layout.
    if files.has("ImageSets/Main") {
        return Vec::new();
    }
    let labels = files.ending("xml", DEPTH);
    let Some(first) = labels
        .iter()
        .find(|path| files.head(path).contains("<annotation"))
    else {
        return Vec::new();
    };
    let why = format!(
        "{} and {} other XML files, as Pascal VOC's",
        first.display(),
        labels.len() - 1
    );
    let source = json!({"voc-folders": parts(files, &labels)});
    vec![Candidate::new(source, why, &[Lesson::Boxes])]
}

fn labelme(files: &Files) -> Vec<Candidate> {
    let labels = files.ending("json", DEPTH);
    let Some(first) = labels
        .iter()
        .find(|path| files.head(path).contains("\"shapes\""))
    else {
        return Vec::new();
    };
    let why = format!("{} has `shapes`, as labelme's JSON", first.display());
    let source = json!({"labelme": parts(files, &labels)});
    vec![Candidate::new(source, why, &[Lesson::Boxes, Lesson::Masks])]
}

fn tables(files: &Files) -> Vec<Candidate> {
    let tables = files.ending("csv", 0);
    let of = |part: usize| tables.iter().find(|path| part_of(path) == Some(part));
    let Some(train) = of(0).or_else(|| tables.iter().find(|path| part_of(path).is_none())) else {
        return Vec::new();
    };
    let head = files.head(train);
    let mut lines = head.lines();
    let header = lines.next().unwrap_or_default().to_lowercase();
    let (format, lesson) = match ["xmin", "x1", "x_min", "left"]
        .iter()
        .any(|edge| header.contains(edge))
    {
        true => ("csv-boxes", Lesson::Boxes),
        false => ("csv-classes", Lesson::Classes),
    };
    let mut table = json!({"path": files.path(), "train": text(train)});
    if let Some(images) = images_of_table(files, lines.next().unwrap_or_default()) {
        table["images"] = images.into();
    }
    for (key, part) in [("validation", 1), ("test", 2)] {
        // A test table of Kaggle's has no labels.
        let same = |path: &&&PathBuf| files.head(path).lines().next() == head.lines().next();
        if let Some(path) = of(part).filter(same) {
            table[key] = text(path).into();
        }
    }
    let why = format!(
        "{} is a table of {}",
        train.display(),
        if lesson == Lesson::Boxes {
            "boxes"
        } else {
            "classes"
        }
    );
    vec![Candidate::new(json!({format: table}), why, &[lesson])]
}

/// The folder that holds the picture which a row names.
fn images_of_table(files: &Files, row: &str) -> Option<String> {
    let cells: Vec<&str> = row
        .split([',', ';', '\t'])
        .map(|cell| cell.trim().trim_matches('"'))
        .collect();
    let named = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_one = |cell: &&str| {
            !cell.is_empty() && (path.ends_with(cell) || **cell == *name || **cell == *stem)
        };
        has_ending(path, &EXTENSIONS) && cells.iter().any(is_one)
    };
    let path = files.all.iter().find(named)?;
    let folder = path.components().next()?.as_os_str().to_str()?;
    (path.components().count() > 1).then(|| folder.to_owned())
}

fn camvid(files: &Files) -> Vec<Candidate> {
    if !(files.has("train") && files.has("trainannot")) {
        return Vec::new();
    }
    let source = json!({"camvid": {"path": files.path()}});
    vec![Candidate::new(
        source,
        "train and trainannot, as CamVid has them".into(),
        &[Lesson::Masks],
    )]
}

fn cityscapes(files: &Files) -> Vec<Candidate> {
    if !(files.has("leftImg8bit/train") && files.has("gtFine/train")) {
        return Vec::new();
    }
    let source = json!({"cityscapes": {"path": files.path()}});
    let why = "leftImg8bit/train and gtFine/train, as Cityscapes has them";
    vec![Candidate::new(source, why.into(), &[Lesson::Masks])]
}

fn pairs(files: &Files) -> Vec<Candidate> {
    const IMAGES: [&str; 7] = [
        "images",
        "image",
        "imgs",
        "img",
        "jpegimages",
        "pictures",
        "x",
    ];
    const MASKS: [&str; 9] = [
        "masks",
        "mask",
        "labels",
        "label",
        "annotations",
        "annots",
        "segmentationclass",
        "gt",
        "y",
    ];
    let folders = files.folders();
    let among = |known: &[&str]| {
        folders
            .iter()
            .find(|name| known.contains(&&*name.to_lowercase()))
    };
    let (Some(images), Some(labels)) = (among(&IMAGES), among(&MASKS)) else {
        return Vec::new();
    };
    let below = |folder: &str| -> Vec<&PathBuf> {
        let is_in = |path: &&PathBuf| path.starts_with(folder) && path.components().count() == 2;
        files
            .all
            .iter()
            .filter(is_in)
            .filter(|path| has_ending(path, &EXTENSIONS))
            .collect()
    };
    let (pictures, labelled) = (below(images), below(labels));
    let paths: Vec<PathBuf> = labelled.iter().map(|path| files.root.join(path)).collect();
    let (Some(first), Some(stored)) = (pictures.first(), masks(&paths)) else {
        return Vec::new();
    };
    let stem = first
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let suffix = labelled.iter().find_map(|path| {
        let of = path.file_stem()?.to_str()?;
        of.strip_prefix(&stem)
            .filter(|rest| rest.is_empty() || !rest.starts_with(char::is_alphanumeric))
            .map(str::to_owned)
    });
    let mut table = json!({
        "images": text(&files.root.join(images)),
        "masks": text(&files.root.join(labels)),
        "classes": stored.classes,
    });
    if stored.binary {
        table["encoding"] = "binary".into();
    }
    if let Some(suffix) = suffix.filter(|suffix| !suffix.is_empty()) {
        table["mask-suffix"] = suffix.into();
    }
    let why = format!(
        "{images} and {labels} are pictures and masks of {}",
        stored.said
    );
    vec![Candidate::new(
        json!({"pairs": table}),
        why,
        &[Lesson::Masks],
    )]
}

fn folder_of_classes(files: &Files) -> Vec<Candidate> {
    let holds = |folder: &&String| {
        files
            .all
            .iter()
            .any(|path| path.starts_with(folder) && has_ending(path, &EXTENSIONS))
    };
    let folders = files.folders();
    let folders: Vec<&String> = folders.iter().filter(holds).collect();
    if folders.is_empty() {
        return Vec::new();
    }
    let some: Vec<&str> = folders.iter().take(5).map(|name| name.as_str()).collect();
    let more = if folders.len() > 5 { ", .." } else { "" };
    let why = format!(
        "folders with pictures ({}{more}), one a class",
        some.join(", ")
    );
    vec![Candidate::new(
        json!({"folder": {"path": files.path()}}),
        why,
        &[Lesson::Classes],
    )]
}
