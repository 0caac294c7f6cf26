//! Classes in a CSV table, a row for each picture: `filename,label`, as many sets of Kaggle have them, or a column of 0 and 1
//! for each class, of which one is 1.
//!
//! Columns are found by their names: the picture (`filename`, `image`, `image_id`, `id`, `path`, ...) and the class (`label`,
//! `class`, `category`, ..., or the only other column). A picture is named with or without its ending.
//!
//! ```
//! use firesight_data::datasets::csv_classes::CsvClassesConfig;
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("train.csv"), "id,breed\na,pug\nb,beagle\n")?;
//! for name in ["a.jpg", "b.jpg"] {
//!     std::fs::write(folder.path().join(name), "")?; // no image is opened yet
//! }
//! let train = CsvClassesConfig::default().open(folder.path())?.train;
//! assert_eq!((train.classes(), train.class_of(0)), (&["beagle".into(), "pug".into()][..], Some(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::annotated::Names;
use super::objects::Tally;
use super::problems::{name_problems, path_problems};
use super::table::{FILES, Pictures, Row, Table};
use crate::decode::{self, Decoding};
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, Splits, out_of_range};
use crate::target::Target;

/// Tables of classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CsvClassesConfig {
    /// The dataset's folder, relative to the data root.
    pub path: PathBuf,
    /// The table of the training images, in the dataset's folder.
    pub train: PathBuf,
    /// The table of the validation images, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<PathBuf>,
    /// The table of the test images, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// The folder of the images, in the dataset's folder.
    pub images: PathBuf,
    /// The names of the columns from the left, in place of those of the first row.
    pub columns: Vec<String>,
    /// Whether the first row names the columns.
    pub header: bool,
    /// The class names in order; empty for those of the training table, sorted.
    pub classes: Vec<String>,
    /// How image files are read, and what one may cost.
    pub decode: Decoding,
}

impl Default for CsvClassesConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            train: "train.csv".into(),
            validation: None,
            test: None,
            images: PathBuf::new(),
            columns: Vec::new(),
            header: true,
            classes: Vec::new(),
            decode: Decoding::default(),
        }
    }
}

/// The names that the column of a class has.
const LABELS: [&str; 7] = [
    "label",
    "class",
    "class_name",
    "category",
    "label_name",
    "target",
    "name",
];

impl CsvClassesConfig {
    /// How its image files are read.
    pub(super) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = path_problems(&self.path, "the table and the images");
        problems.extend(name_problems(&self.classes));
        if !self.header && self.columns.is_empty() {
            problems.push((
                "columns".into(),
                "name the columns of a table without header".into(),
            ));
        }
        problems
    }

    /// Reads the tables and lists the pictures; no image is opened.
    ///
    /// # Errors
    /// A missing table or folder, a table without the columns that it needs or without a class.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        let read = |name: &PathBuf| Labels::read(&root.join(name), self);
        let train = read(&self.train)?;
        let mut remarks = Vec::new();
        let found = train
            .rows
            .iter()
            .filter_map(|(_, _, class)| class.as_deref().ok());
        let names = Names::new(&train.table.shown, &self.classes, found, &mut remarks)?;
        let part =
            |labels: Labels, remarks| labels.part(self, &root.join(&self.images), &names, remarks);
        let optional = |name: &Option<PathBuf>| -> Result<Option<Arc<dyn Source>>, DataError> {
            let Some(name) = name else { return Ok(None) };
            Ok(Some(Arc::new(part(read(name)?, Vec::new())?)))
        };
        Ok(Splits {
            validation: optional(&self.validation)?,
            test: optional(&self.test)?,
            train: Arc::new(part(train, remarks)?),
        })
    }
}

/// A table with its rows as they are written.
struct Labels {
    table: Table,
    /// Lines, pictures and their classes, or what stands in place of a class.
    rows: Vec<(u32, String, Result<String, String>)>,
    remarks: Vec<Remark>,
}

/// Where the class of a row stands.
enum Columns {
    /// In one column, as a name.
    One(usize),
    /// In the column that holds 1.
    OneHot(Vec<usize>),
}

impl Columns {
    fn all(&self) -> &[usize] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::OneHot(columns) => columns,
        }
    }

    /// The class of a row.
    fn class(&self, row: &Row, header: &[String]) -> Result<String, String> {
        match self {
            Self::One(column) => match row.cell(*column) {
                "" => Err("has no class".into()),
                class => Ok(class.to_owned()),
            },
            Self::OneHot(columns) => {
                let set = columns
                    .iter()
                    .filter(|at| row.cell(**at).parse() == Ok(1.0));
                let set: Vec<&str> = set.map(|at| &*header[*at]).collect();
                match &set[..] {
                    [class] => Ok((*class).to_owned()),
                    [] => Err("no class is 1".into()),
                    several => Err(format!(
                        "{} are 1; a picture has one class",
                        several.join(", ")
                    )),
                }
            }
        }
    }
}

impl Labels {
    fn read(path: &Path, config: &CsvClassesConfig) -> Result<Self, DataError> {
        let table = Table::read(path, &config.columns, config.header)?;
        let file = table
            .column(&FILES)
            .ok_or_else(|| table.lacks("of the pictures", &FILES))?;
        let others: Vec<usize> = (0..table.header.len()).filter(|at| *at != file).collect();
        let is_flag =
            |cell: &str| matches!(cell.parse::<f64>(), Ok(value) if value == 0.0 || value == 1.0);
        let flags = |at: &&usize| table.rows.iter().all(|row| is_flag(row.cell(**at)));
        let one_hot: Vec<usize> = others.iter().filter(flags).copied().collect();
        let columns = match (table.column(&LABELS).filter(|at| *at != file), &others[..]) {
            (Some(label), _) => Columns::One(label),
            (None, [only]) => Columns::One(*only),
            (None, _) if one_hot.len() > 1 => Columns::OneHot(one_hot),
            (None, _) => return Err(table.lacks("of the classes", &LABELS)),
        };
        let class = |row: &Row| columns.class(row, &table.header);
        let rows = table
            .rows
            .iter()
            .map(|row| (row.line, row.cell(file).to_owned(), class(row)));
        let (rows, read) = (rows.collect(), [&[file], columns.all()].concat());
        let remarks = table.unread(&read);
        Ok(Self {
            table,
            rows,
            remarks,
        })
    }

    fn part(
        self,
        config: &CsvClassesConfig,
        images: &Path,
        names: &Names,
        mut remarks: Vec<Remark>,
    ) -> Result<Labelled, DataError> {
        let Self {
            table,
            rows,
            remarks: own,
        } = self;
        remarks.extend(own);
        let mut pictures = Pictures::of(images)?;
        let mut tally = Tally::default();
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (line, picture, class) in rows {
            let found = match picture.is_empty() {
                true => Err("names no picture".to_owned()),
                false => pictures.find(&picture, || table.place(line)),
            };
            let class = class.and_then(|class| names.number(&class));
            let label = found
                .clone()
                .and(class)
                .map_err(|reason| Remark::new(table.place(line), reason));
            let file = found.as_ref().ok().map(|file| pictures.path(file));
            let name = found.unwrap_or(picture);
            match places.get(&name).map(|place| &mut entries[*place]) {
                None => {
                    places.insert(name.clone(), entries.len());
                    entries.push(Entry { name, file, label });
                }
                Some(first) if first.label == label && label.is_ok() => {
                    tally.add("the row stands there already, and is read once", || {
                        table.place(line)
                    });
                }
                Some(first) => {
                    let reason =
                        format!("`{name}` has another class in a row above; a picture has one");
                    first.label = Err(Remark::new(table.place(line), reason));
                }
            }
        }
        remarks.extend(pictures.remarks(|file| places.contains_key(file)));
        remarks.extend(tally.remarks());
        Ok(Labelled {
            shown: table.shown,
            entries,
            classes: names.names().to_vec(),
            decode: config.decode,
            remarks,
        })
    }
}

/// Pictures with their classes.
struct Labelled {
    shown: Arc<str>,
    entries: Vec<Entry>,
    classes: Vec<String>,
    decode: Decoding,
    remarks: Vec<Remark>,
}

struct Entry {
    /// The picture in the folder of the images.
    name: String,
    file: Option<PathBuf>,
    /// Its class; or what makes it a bad sample.
    label: Result<usize, Remark>,
}

impl Source for Labelled {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let Some(Entry { file, label, .. }) = self.entries.get(index) else {
            return Err(out_of_range(index, self.len(), &*self.shown));
        };
        let class = label
            .clone()
            .map_err(|Remark { origin, message }| DataError::unreadable(origin, message))?;
        Ok(Sample {
            image: decode::picture_file(file.as_deref().unwrap_or(Path::new("")), &self.decode)?,
            target: Target::of_class(class),
        })
    }

    fn origin(&self, index: usize) -> String {
        self.entries
            .get(index)
            .map_or_else(String::new, |entry| entry.name.clone())
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.entries.get(index)?.file.clone()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn class_of(&self, index: usize) -> Option<usize> {
        self.entries.get(index)?.label.as_ref().ok().copied()
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        let Some(file) = self.file(index) else {
            return Ok(None);
        };
        decode::file_dimensions(&file, &self.decode).map(Some)
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }

    fn known_bad(&self) -> Vec<(usize, Remark)> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter_map(|(index, entry)| Some((index, entry.label.clone().err()?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_outcomes, scenes, write_blank, write_pictures};
    use super::*;

    /// What came of a table with pictures `a.png`, `b.png`, `c.png`.
    fn said(table: &str, change: impl FnOnce(&mut CsvClassesConfig)) -> String {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            write_blank(&folder.path().join(format!("{name}.png")), 4, 3);
        }
        std::fs::write(folder.path().join("train.csv"), table).unwrap();
        let mut config = CsvClassesConfig::default();
        change(&mut config);
        let splits = match config.open(folder.path()) {
            Ok(splits) => splits,
            Err(error) => {
                return format!("file {error}")
                    .replace(&format!("{}/", folder.path().display()), "");
            }
        };
        let train = splits.train;
        let of = |index: usize| match train.read(index) {
            Ok(sample) => {
                assert_eq!(sample.target, train.target(index).unwrap());
                format!("read {}", train.classes()[sample.target.class().unwrap()])
            }
            Err(error) => format!("bad {error}"),
        };
        let read: Vec<String> = (0..train.len()).map(of).collect();
        let remarks = train
            .remarks()
            .into_iter()
            .map(|remark| format!("remark {}: {}", remark.origin, remark.message));
        let all: Vec<String> = read.into_iter().chain(remarks).collect();
        all.join("\n")
            .replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn classes_come_back_as_they_were_written() {
        let (scenes, classes) = scenes();
        let folder = tempfile::tempdir().unwrap();
        write_pictures(&scenes, &folder.path().join("images"));
        let first: Vec<usize> = scenes
            .iter()
            .map(|scene| scene.target.objects()[0].class)
            .collect();
        let rows: String = first
            .iter()
            .enumerate()
            .map(|(number, class)| format!("{number},{}\n", classes[*class]))
            .collect();
        std::fs::write(folder.path().join("train.csv"), format!("id,digit\n{rows}")).unwrap();
        let config = CsvClassesConfig {
            images: "images".into(),
            classes,
            ..Default::default()
        };
        let train = config.open(folder.path()).unwrap().train;
        for (index, class) in first.into_iter().enumerate() {
            let image = scenes[index].image.clone();
            assert_eq!(
                train.read(index).unwrap(),
                Sample {
                    image,
                    target: Target::of_class(class)
                }
            );
        }
    }

    #[test]
    fn every_cell_is_read_or_said_to_be_wrong() {
        let cases: &[(&str, &[&str])] = &[
            (
                "filename,label\na.png,cat\nb.png,dog\nc.png,cat\n",
                &["read cat\nread dog\nread cat"],
            ),
            (
                "label;image\ncat;a\ndog;b\n1;c\n",
                &["read cat\nread dog\nread 1"],
            ),
            (
                "id,breed\na,pug\nb,\"St. Bernard, old\"\nc, pug \n",
                &["read pug\nread St. Bernard, old\nread pug"],
            ),
            (
                "image,MEL,NV\na,0.0,1.0\nb,1,0\nc,0,0\n",
                &["read NV\nread MEL\nbad train.csv:4: no class is 1"],
            ),
            (
                "image,MEL,NV\na,1,1\nb,1,0\nc,0,1\n",
                &["bad train.csv:2: MEL, NV are 1; a picture has one class"],
            ),
            (
                "id,label\na,cat\na,cat\nb,dog\nc,dog\n",
                &[
                    "read cat\nread dog\nread dog",
                    "train.csv:3: the row stands there already",
                ],
            ),
            (
                "id,label\na,cat\na,dog\nb,dog\nc,dog\n",
                &["bad train.csv:3: `a.png` has another class in a row above"],
            ),
            (
                "id,label\na,cat\nb,\nc,dog\n",
                &["bad train.csv:3: has no class"],
            ),
            (
                "id,label\na,cat\n,cat\nb,dog\nc,dog\n",
                &["bad train.csv:3: names no picture"],
            ),
            (
                "id,label\na,cat\nd,cat\nb,dog\n",
                &[
                    "bad train.csv:3: `d` is no picture in",
                    "c.png: a picture that no row names, left out",
                ],
            ),
            (
                "id,label,sex\na,cat,f\nb,dog,m\nc,dog,m\n",
                &["train.csv:1: the column `sex` is not read"],
            ),
            (
                "id,label\na,cat\nb,Cat\nc,dog\n",
                &[
                    "read cat\nread Cat",
                    "the class `cat` differs from `Cat` in case alone",
                ],
            ),
            (
                "id,age,sex\na,3,f\nb,4,m\n",
                &["file train.csv:1: no column of the classes (label, class"],
            ),
            (
                "label,size\ncat,3\n",
                &["file train.csv:1: no column of the pictures (filename"],
            ),
            ("id,label\na,\nb,\n", &["no object has a class"]),
        ];
        assert_outcomes(cases, |table| said(table, |_| {}));
        let bare = said("a,cat\nb,dog\nc,dog\n", |config| {
            config.header = false;
            config.columns = ["id", "label"].map(String::from).to_vec();
        });
        assert_eq!(bare, "read cat\nread dog\nread dog");
    }
}
