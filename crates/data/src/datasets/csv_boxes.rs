//! Boxes in a CSV table, a row for each object: `filename, width, height, class, xmin, ymin, xmax, ymax`, as TensorFlow's
//! tutorials, Roboflow and many sets of Kaggle have them.
//!
//! Columns are found by their names, in any order and spelling of capitals: the picture (`filename`, `image`, `image_id`,
//! `path`, ...), the class (`class`, `label`, `category`, ...), the edges (`xmin ymin xmax ymax`, `x1 y1 x2 y2`, or
//! `x y w h`), and `width` and `height` of the picture where they are stated. Coordinates are pixels from 0. A picture is
//! named with or without its ending. A row without class and edges says that its picture has no object.
//!
//! ```
//! use firesight_data::datasets::csv_boxes::CsvBoxesConfig;
//! use firesight_data::draw::write_png;
//! use firesight_data::Image;
//!
//! let folder = tempfile::tempdir()?;
//! let table = "filename,class,xmin,ymin,xmax,ymax\na.png,dog,1,2,8,6\n";
//! std::fs::write(folder.path().join("train.csv"), table)?;
//! let image = Image { width: 8, height: 6, channels: 1, pixels: vec![0; 48] };
//! write_png(&image, &folder.path().join("a.png"))?;
//! let train = CsvBoxesConfig::default().open(folder.path())?.train;
//! let boxes = train.read(0)?.target.boxes.unwrap();
//! assert_eq!((boxes[0].xyxy, train.classes()[0].as_str()), ([1.0, 2.0, 8.0, 6.0], "dog"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::annotated::{Annotated, Names, Object, Picture, Read, Reading, Shape, Unit};
use super::objects::Faulty;
use super::problems::{name_problems, path_problems};
use super::table::{FILES, Pictures, Row, Table, line_of};
use crate::decode::Decoding;
use crate::error::DataError;
use crate::source::{Remark, Source, Splits};

/// Tables of boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CsvBoxesConfig {
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
    /// The class names in order; empty for those of the training table, sorted. One name where there is no such column.
    pub classes: Vec<String>,
    /// What to do about rows that cannot be true or are not understood.
    pub faulty: Faulty,
    /// How image files are read, and what one may cost.
    pub decode: Decoding,
}

impl Default for CsvBoxesConfig {
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
            faulty: Faulty::Refuse,
            decode: Decoding::default(),
        }
    }
}

/// The names that the column of a class has.
const CLASSES: [&str; 6] = [
    "class",
    "label",
    "class_name",
    "category",
    "label_name",
    "name",
];
/// The names of the columns of two corners.
const CORNERS: [[&str; 4]; 4] = [
    ["xmin", "ymin", "xmax", "ymax"],
    ["x1", "y1", "x2", "y2"],
    ["left", "top", "right", "bottom"],
    [
        "x_upper_left",
        "y_upper_left",
        "x_lower_right",
        "y_lower_right",
    ],
];
/// The names of the columns of a corner and a size.
const SIZES: [[&str; 4]; 2] = [["x", "y", "w", "h"], ["x", "y", "width", "height"]];

impl CsvBoxesConfig {
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
        let read = |name: &PathBuf| Boxes::read(&root.join(name), self);
        let train = read(&self.train)?;
        let mut remarks = Vec::new();
        let found = train
            .objects
            .iter()
            .filter_map(|object| object.class.as_deref());
        let names = Names::new(&train.table.shown, &self.classes, found, &mut remarks)?;
        let part =
            |boxes: Boxes, remarks| boxes.part(self, &root.join(&self.images), &names, remarks);
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
struct Boxes {
    table: Table,
    objects: Vec<Written>,
    remarks: Vec<Remark>,
}

/// A row.
struct Written {
    line: u32,
    picture: String,
    /// Nothing where the row has no object.
    class: Option<String>,
    xyxy: Result<[f64; 4], String>,
    size: Result<Option<[usize; 2]>, String>,
}

impl Boxes {
    fn read(path: &Path, config: &CsvBoxesConfig) -> Result<Self, DataError> {
        let table = Table::read(path, &config.columns, config.header)?;
        let file = table
            .column(&FILES)
            .ok_or_else(|| table.lacks("of the pictures", &FILES))?;
        let all = |names: &[&str; 4]| -> Option<[usize; 4]> {
            let columns: Vec<usize> = names
                .iter()
                .filter_map(|name| table.column(&[name]))
                .collect();
            columns.try_into().ok()
        };
        let corners = CORNERS.iter().find_map(all);
        let Some(edges) = corners.or_else(|| SIZES.iter().find_map(all)) else {
            return Err(table.lacks("for each edge", &CORNERS[0]));
        };
        let class = table.column(&CLASSES);
        let only = match (class, &config.classes[..]) {
            (None, [only]) => Some(only.clone()),
            (None, _) => return Err(table.lacks("of the classes", &CLASSES)),
            _ => None,
        };
        let size =
            ["width", "height"].map(|name| table.column(&[name]).filter(|at| !edges.contains(at)));
        let mut read: Vec<usize> = vec![file];
        read.extend(edges.iter().chain(&class).chain(size.iter().flatten()));
        let written = |row: &Row| {
            let cells = edges.map(|at| row.cell(at));
            let class = match class {
                Some(at) => Some(row.cell(at).to_owned()),
                None => only.clone(),
            };
            let empty = cells.iter().all(|cell| cell.is_empty());
            let xyxy = numbers(cells, edges.map(|at| &*table.header[at]));
            Written {
                line: row.line,
                picture: row.cell(file).to_owned(),
                class: class.filter(|class| !(empty && (class.is_empty() || only.is_some()))),
                xyxy: match corners {
                    Some(_) => xyxy,
                    None => xyxy.map(|[x, y, w, h]| [x, y, x + w, y + h]),
                },
                size: pixels(size.map(|at| at.map(|at| row.cell(at)))),
            }
        };
        let objects = table.rows.iter().map(written).collect();
        let remarks = table.unread(&read);
        Ok(Self {
            table,
            objects,
            remarks,
        })
    }

    fn part(
        self,
        config: &CsvBoxesConfig,
        images: &Path,
        names: &Names,
        mut remarks: Vec<Remark>,
    ) -> Result<Annotated, DataError> {
        let Self {
            table,
            objects,
            remarks: own,
        } = self;
        remarks.extend(own);
        let mut pictures = Pictures::of(images)?;
        let mut entries: Vec<(Picture, Vec<Read>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for Written {
            line,
            picture,
            class,
            xyxy,
            size,
        } in objects
        {
            let here = |reason: String| Remark::new(table.place(line), reason);
            let found = match picture.is_empty() {
                true => Err("names no picture".to_owned()),
                false => pictures.find(&picture, || table.place(line)),
            };
            let name = found.clone().unwrap_or_else(|_| picture.clone());
            let place = *places.entry(name.clone()).or_insert_with(|| {
                let file = found.map(|file| pictures.path(&file)).map_err(here);
                let picture = Picture {
                    name,
                    file,
                    labels: table.shown.clone(),
                    stated: None,
                    objects: Vec::new(),
                    faults: Vec::new(),
                };
                entries.push((picture, Vec::new()));
                entries.len() - 1
            });
            let (picture, objects) = &mut entries[place];
            match (size, picture.stated) {
                (Err(reason), _) => picture.faults.push(here(reason)),
                (Ok(Some([w, h])), Some(stated)) if stated != [w, h] => {
                    let [width, height] = stated;
                    picture.faults.push(here(format!(
                        "{w}x{h} pixels, a row above says {width}x{height}"
                    )));
                }
                (Ok(size), _) => picture.stated = picture.stated.or(size),
            }
            let Some(class) = class else { continue };
            let number = match class.is_empty() {
                true => Err("an object without a class".into()),
                false => names.number(&class),
            };
            let object = number.and_then(|class| {
                Ok(Object {
                    class,
                    shape: Shape::Box(xyxy?),
                    difficult: false,
                    at: line,
                })
            });
            objects.push(Read { at: line, object });
        }
        remarks.extend(pictures.remarks(|file| places.contains_key(file)));
        let reading = Reading {
            unit: Unit::Pixels,
            faulty: config.faulty,
            instance_masks: false,
            class_masks: false,
            decode: config.decode,
            place: line_of,
        };
        Annotated::new(
            table.shown.to_string(),
            reading,
            names.names().to_vec(),
            entries,
            remarks,
        )
    }
}

/// The numbers of four cells of these columns.
fn numbers(cells: [&str; 4], columns: [&str; 4]) -> Result<[f64; 4], String> {
    let mut numbers = [0.0; 4];
    for ((number, cell), column) in numbers.iter_mut().zip(cells).zip(columns) {
        let value = cell.parse::<f64>().ok().filter(|value| value.is_finite());
        *number = value.ok_or_else(|| format!("`{column}` is `{cell}`, not a number"))?;
    }
    Ok(numbers)
}

/// The size of a picture from its cells; nothing where they are empty or not there.
fn pixels(cells: [Option<&str>; 2]) -> Result<Option<[usize; 2]>, String> {
    let [Some(width), Some(height)] = cells else {
        return Ok(None);
    };
    if width.is_empty() && height.is_empty() {
        return Ok(None);
    }
    let pixels = |cell: &str| {
        let number = cell.parse::<f64>().ok();
        number
            .filter(|n| n.fract() == 0.0 && (1.0..1e9).contains(n))
            .map(|n| n as usize)
    };
    match (pixels(width), pixels(height)) {
        (Some(width), Some(height)) => Ok(Some([width, height])),
        _ => Err(format!("`{width}` x `{height}` is no size in pixels")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Said, assert_outcomes, assert_same, outcome, scenes, write_blank, write_pictures,
    };
    use super::*;

    #[test]
    fn scenes_come_back_as_they_were_written() {
        let (scenes, classes) = scenes();
        let folder = tempfile::tempdir().unwrap();
        write_pictures(&scenes, &folder.path().join("images"));
        let mut table = "filename,width,height,class,xmin,ymin,xmax,ymax\n".to_owned();
        let mut other = "x;y;w;h;label;image_id\n".to_owned();
        for (number, scene) in scenes.iter().enumerate() {
            for object in scene.target.objects() {
                let ([x1, y1, x2, y2], class) = (object.xyxy, &classes[object.class]);
                table += &format!("{number}.png,128,128,{class},{x1},{y1},{x2},{y2}\n");
                other += &format!("{x1};{y1};{};{};{class};{number}\n", x2 - x1, y2 - y1);
            }
        }
        std::fs::write(folder.path().join("train.csv"), table).unwrap();
        std::fs::write(folder.path().join("other.csv"), other).unwrap();
        let config = CsvBoxesConfig {
            images: "images".into(),
            validation: Some("other.csv".into()),
            classes: classes.clone(),
            ..Default::default()
        };
        let splits = config.open(folder.path()).unwrap();
        for (_, part) in splits.named() {
            assert_same(&**part, &scenes, Said::Box);
            assert_eq!(part.remarks(), []);
        }
    }

    fn said(table: &str, change: impl FnOnce(&mut CsvBoxesConfig)) -> String {
        let folder = tempfile::tempdir().unwrap();
        write_blank(&folder.path().join("a.png"), 20, 10);
        write_blank(&folder.path().join("sub/b.png"), 20, 10);
        std::fs::write(folder.path().join("train.csv"), table).unwrap();
        let mut config = CsvBoxesConfig::default();
        change(&mut config);
        outcome(config.open(folder.path()), folder.path())
    }

    #[test]
    fn every_cell_is_read_or_said_to_be_wrong() {
        const HEAD: &str =
            "filename,width,height,class,xmin,ymin,xmax,ymax\nsub/b.png,20,10,dog,1,1,9,9\n";
        let cases: &[(&str, &[&str])] = &[
            (
                "a.png,20,10,cat,0,0,5,5\na.png,20,10,dog,0,0,5,6",
                &["read 1\nread 2"],
            ),
            ("\"a.png\",,,\"cat, black\",0.5,0,5,5", &["read 1\nread 1"]),
            ("a,20.0,10,cat,0,0,5,5", &["read 1\nread 1"]),
            ("a.png,20,10,,,,,", &["read 1\nread 0"]),
            ("a.png", &["read 1\nread 0"]),
            (".\\a.png,20,10,cat,0,0,5,5", &["read 1\nread 1"]),
            (
                "/home/x/a.png,20,10,cat,0,0,5,5",
                &[
                    "read 1\nread 1",
                    "train.csv:3: the folders of its picture are not there",
                ],
            ),
            (
                "c.png,20,10,cat,0,0,5,5",
                &[
                    "bad train.csv:3: `c.png` is no picture in",
                    "a.png: a picture that no row names, left out",
                ],
            ),
            (",20,10,cat,0,0,5,5", &["bad train.csv:3: names no picture"]),
            (
                "a.png,20,10,,0,0,5,5",
                &["bad train.csv:3: an object without a class"],
            ),
            (
                "a.png,20,10,cat,0,0,,5",
                &["bad train.csv:3: `xmax` is ``, not a number"],
            ),
            (
                "a.png,20,10,cat,0,nan,5,5",
                &["bad train.csv:3: `ymin` is `nan`, not a number"],
            ),
            (
                "a.png,20,10,cat,0,0,50,5",
                &["bad train.csv:3: `cat` [0, 0, 50, 5]: the box leaves the image of 20x10"],
            ),
            (
                "a.png,,,cat,0,0,50,5",
                &["bad train.csv:3: `cat` [0, 0, 50, 5]: the box leaves the image of 20x10"],
            ),
            ("a.png,20,10,cat,5,0,5,5", &["the box has no area"]),
            ("a.png,20,10,cat,5,0,2,5", &["the box is inverted"]),
            (
                "a.png,21,10,cat,0,0,5,5",
                &["bad a.png: 20x10 pixels, train.csv says 21x10"],
            ),
            (
                "a.png,wide,10,cat,0,0,5,5",
                &["bad train.csv:3: `wide` x `10` is no size in pixels"],
            ),
            (
                "a.png,20,10,cat,0,0,5,5\na.png,20,12,cat,0,0,5,6",
                &["bad train.csv:4: 20x12 pixels, a row above says 20x10"],
            ),
            (
                "a.png,20,10,cat,0,0,5,5,7",
                &["file train.csv:3: 9 cells, and there are 8 columns"],
            ),
            (
                "a.png,20,10,Dog,0,0,5,5",
                &[
                    "read 1\nread 1",
                    "the class `dog` differs from `Dog` in case alone",
                ],
            ),
        ];
        assert_outcomes(cases, |rows| said(&format!("{HEAD}{rows}\n"), |_| {}));
        let repaired = said(
            &format!("{HEAD}a,20,10,cat,0,0,50,5\na,,,cat,0,0,,5\n"),
            |config| config.faulty = Faulty::Repair,
        );
        assert!(
            repaired.contains("read 1\nread 1\n")
                && repaired.contains("; clipped")
                && repaired.contains("; left out"),
            "{repaired}"
        );
    }

    #[test]
    fn columns_are_found_by_name_or_named() {
        let cases: &[(&str, &[&str])] = &[
            (
                "Label, X1, Y1, X2, Y2, Image\ncat,0,0,5,5,a\n",
                &["read 1", "a picture that no row names"],
            ),
            (
                "image\tx\ty\twidth\theight\tname\na\t0\t0\t5\t5\tcat\n",
                &["read 1", "a picture that no row names"],
            ),
            (
                "image,x1,y1,x2,y2,class,truncated\na,0,0,5,5,cat,0\n",
                &["train.csv:1: the column `truncated` is not read"],
            ),
            (
                "image,x1,y1,x2,y2\na,0,0,5,5\n",
                &["file train.csv:1: no column of the classes (class, label"],
            ),
            (
                "x1,y1,x2,y2,class\n0,0,5,5,cat\n",
                &["file train.csv:1: no column of the pictures (filename"],
            ),
            (
                "image,x1,y1,x2,class\na,0,0,5,cat\n",
                &[
                    "file train.csv:1: no column for each edge (xmin, ymin, xmax, ymax); it has image, x1",
                ],
            ),
            (
                "image,x1,x1,y1,x2,y2,class\na,0,0,0,5,5,cat\n",
                &["file train.csv:1: two columns are called `x1`"],
            ),
            ("image,x1,y1,x2,y2,class\n", &["file train.csv: has no row"]),
            (
                "image,x1,y1,x2,y2,class\na,,,,,\n",
                &["no object has a class, so none is known"],
            ),
            ("", &["file train.csv: has no header"]),
        ];
        assert_outcomes(cases, |table| said(table, |_| {}));
        let bare = said("a.png,0,0,5,5,cat\n", |config| {
            config.header = false;
            config.columns = ["image", "x1", "y1", "x2", "y2", "class"]
                .map(String::from)
                .to_vec();
        });
        assert!(bare.starts_with("read 1"), "{bare}");
        let one = said("image,x1,y1,x2,y2\na,0,0,5,5\nsub/b,,,,\n", |config| {
            config.classes = vec!["cell".into()]
        });
        assert_eq!(one, "read 1\nread 0");
    }
}
