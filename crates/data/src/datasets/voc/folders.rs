//! Boxes from Pascal VOC's XML in folders without lists, as labelImg saves them and Roboflow exports them.
//!
//! A part is a folder with all folders in it; each `.xml` in it is a picture. The picture of a file is the one of its name in
//! the same folder, or anywhere in the part (`images/7.jpg` for `annotations/7.xml`). A picture without a file is left out and
//! remarked on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::annotated::{self, Annotated, Names, Object, Picture, Read, Shape, Unit};
use super::super::listing::{Beside, beside};
use super::super::objects::{Faulty, Tally, shown};
use super::super::problems::{name_problems, path_problems};
use super::super::table::line_of;
use super::xml::{Annotation, Reading};
use crate::decode::Decoding;
use crate::error::DataError;
use crate::source::{Remark, Source, Splits};

/// Folders of Pascal VOC's XML beside pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct VocFoldersConfig {
    /// The dataset's folder, relative to the data root.
    pub path: PathBuf,
    /// The folder of the training part in it; the whole without the other parts unless given.
    pub train: PathBuf,
    /// The folder of the validation part in it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<PathBuf>,
    /// The folder of the test part in it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// The class names in order; empty for those of the training part, sorted.
    pub classes: Vec<String>,
    /// Whether coordinates start at 1 and include the last pixel, as Pascal VOC's do.
    pub one_based: bool,
    /// What to do about objects that cannot be true or are not understood.
    pub faulty: Faulty,
    /// How image files are read, and what one may cost.
    pub decode: Decoding,
}

impl Default for VocFoldersConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            train: PathBuf::new(),
            validation: None,
            test: None,
            classes: Vec::new(),
            one_based: true,
            faulty: Faulty::Refuse,
            decode: Decoding::default(),
        }
    }
}

impl VocFoldersConfig {
    /// How its image files are read.
    pub(in crate::datasets) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = path_problems(&self.path, "the XML files");
        problems.extend(name_problems(&self.classes));
        problems
    }

    /// Reads all annotations; no image is opened.
    ///
    /// # Errors
    /// A missing folder, one without XML files, annotations without a single class.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        let others = [&self.validation, &self.test].into_iter().flatten();
        let others: Vec<&Path> = others.map(PathBuf::as_path).collect();
        let train = Part::read(&root, &self.train, &others)?;
        let mut remarks = Vec::new();
        let objects = train
            .files
            .iter()
            .flat_map(|(_, annotation)| &annotation.objects);
        let found = objects.filter_map(|object| object.name.as_deref());
        let names = Names::new(&train.shown, &self.classes, found, &mut remarks)?;
        let optional = |part: &Option<PathBuf>| -> Result<Option<Arc<dyn Source>>, DataError> {
            let Some(part) = part else { return Ok(None) };
            let part = Part::read(&root, part, &[])?;
            Ok(Some(Arc::new(part.annotated(
                self,
                &root,
                &names,
                Vec::new(),
            )?)))
        };
        Ok(Splits {
            validation: optional(&self.validation)?,
            test: optional(&self.test)?,
            train: Arc::new(train.annotated(self, &root, &names, remarks)?),
        })
    }

    /// The object that an element is.
    fn object(&self, reading: Reading, names: &Names) -> Read {
        let Reading {
            line,
            name,
            bounds,
            difficult,
            faults,
        } = reading;
        let fault = faults.into_iter().next().map(|fault| fault.reason);
        let class = name.map(|name| names.number(&name)).transpose();
        let object = match (fault, class) {
            (Some(reason), _) | (None, Err(reason)) => Err(reason),
            (None, Ok(class)) => match (class, bounds) {
                (Some(class), Some([x1, y1, x2, y2])) => {
                    let shift = if self.one_based { 1.0 } else { 0.0 };
                    let shape = Shape::Box([x1 - shift, y1 - shift, x2, y2]);
                    Ok(Object {
                        class,
                        shape,
                        difficult,
                        at: line,
                    })
                }
                _ => Err("an object without `name` or `bndbox`".into()),
            },
        };
        Read { at: line, object }
    }
}

/// The files of a part.
struct Part {
    shown: String,
    files: Vec<(PathBuf, Annotation)>,
    pictures: BTreeSet<PathBuf>,
}

impl Part {
    fn read(root: &Path, part: &Path, without: &[&Path]) -> Result<Self, DataError> {
        let hint = "expected a folder with Pascal VOC's XML files and their pictures";
        let Beside {
            folder,
            labels,
            pictures,
        } = beside(root, part, without, "xml", hint)?;
        if labels.is_empty() {
            let hint = "no `.xml` in it or in its folders".into();
            return Err(DataError::Missing { path: folder, hint });
        }
        let read = |path: PathBuf| {
            let annotation = match std::fs::read(&path) {
                Ok(bytes) => Annotation::parse(&bytes),
                Err(error) => Annotation::unread(&error),
            };
            (path, annotation)
        };
        Ok(Self {
            shown: shown(&folder),
            files: labels.into_par_iter().map(read).collect(),
            pictures,
        })
    }

    fn annotated(
        self,
        config: &VocFoldersConfig,
        root: &Path,
        names: &Names,
        mut remarks: Vec<Remark>,
    ) -> Result<Annotated, DataError> {
        let Self {
            shown: folder,
            files,
            mut pictures,
        } = self;
        let mut by_name: BTreeMap<_, Vec<PathBuf>> = BTreeMap::new();
        for path in &pictures {
            let stem = path.file_stem().unwrap_or_default().to_owned();
            by_name.entry(stem).or_default().push(path.clone());
        }
        let mut seen: HashMap<PathBuf, Arc<str>> = HashMap::new();
        let mut tally = Tally::default();
        let mut entries = Vec::with_capacity(files.len());
        for (path, annotation) in files {
            let labels: Arc<str> = shown(&path).into();
            let place = |line| match line {
                0 => labels.to_string(),
                _ => line_of(&labels, line),
            };
            for aside in &annotation.asides {
                tally.add(&aside.reason, || place(aside.line));
            }
            let of_name = path.file_stem().and_then(|stem| by_name.get(stem));
            let of_name = of_name.map_or(&[][..], Vec::as_slice);
            let here = of_name
                .iter()
                .filter(|picture| picture.parent() == path.parent());
            let here: Vec<&PathBuf> = here.collect();
            let file = match (&here[..], of_name) {
                ([one], _) => Ok((*one).clone()),
                ([], [one]) => Ok(one.clone()),
                ([], []) => Err("there is no picture of its name".to_owned()),
                _ => {
                    let names: Vec<String> = of_name.iter().map(|path| shown(path)).collect();
                    Err(format!(
                        "several pictures have its name: {}",
                        names.join(", ")
                    ))
                }
            };
            let faults = annotation
                .faults
                .iter()
                .map(|fault| Remark::new(place(fault.line), &*fault.reason));
            let mut faults: Vec<Remark> = faults.collect();
            if let Ok(file) = &file {
                pictures.remove(file);
                if let Some(first) = seen.insert(file.clone(), labels.clone()) {
                    faults.push(Remark::new(
                        &*labels,
                        format!("its picture is that of {first} too"),
                    ));
                }
            }
            let name = file.as_ref().unwrap_or(&path);
            let picture = Picture {
                name: shown(name.strip_prefix(root).unwrap_or(name)),
                file: file.clone().map_err(|reason| Remark::new(&*labels, reason)),
                labels: labels.clone(),
                stated: annotation.stated,
                objects: Vec::new(),
                faults,
            };
            let objects = annotation
                .objects
                .into_iter()
                .map(|object| config.object(object, names));
            entries.push((picture, objects.collect()));
        }
        for path in &pictures {
            tally.add("a picture without an XML file, left out", || shown(path));
        }
        remarks.extend(tally.remarks());
        let reading = annotated::Reading {
            unit: Unit::Pixels,
            faulty: config.faulty,
            instance_masks: false,
            class_masks: false,
            decode: config.decode,
            place: line_of,
        };
        Annotated::new(folder, reading, names.names().to_vec(), entries, remarks)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{
        Said, assert_outcomes, assert_same, outcome, scenes, write_blank, write_pictures,
    };
    use super::*;

    #[test]
    fn scenes_come_back_as_they_were_written() {
        let (scenes, classes) = scenes();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // Side by side as Roboflow has them, and in two folders.
        for (images, annotations) in [("train", "train"), ("valid/images", "valid/annotations")] {
            write_pictures(&scenes, &root.join(images));
            std::fs::create_dir_all(root.join(annotations)).unwrap();
            for (number, scene) in scenes.iter().enumerate() {
                let objects = scene.target.objects().iter().map(|object| {
                    let ([x1, y1, x2, y2], name) = (object.xyxy, &classes[object.class]);
                    format!(
                        "<object><name>{name}</name><pose>Unspecified</pose><bndbox><xmin>{}</xmin><ymin>{}</ymin>\
                         <xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>\n",
                        x1 + 1.0,
                        y1 + 1.0
                    )
                });
                let size = "<size><width>128</width><height>128</height><depth>3</depth></size>";
                let text = format!(
                    "<annotation>{size}{}</annotation>",
                    objects.collect::<String>()
                );
                std::fs::write(root.join(annotations).join(format!("{number}.xml")), text).unwrap();
            }
        }
        let config = VocFoldersConfig {
            validation: Some("valid".into()),
            classes,
            ..Default::default()
        };
        let splits = config.open(root).unwrap();
        for (_, part) in splits.named() {
            assert_same(&**part, &scenes, Said::Box);
            assert_eq!(part.remarks(), []);
        }
    }

    #[test]
    fn every_file_is_read_or_said_to_be_wrong() {
        const BOX: &str =
            "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>";
        let object = |inner: &str| format!("<annotation>\n<object>{inner}</object></annotation>");
        let cases = [
            (object(&format!("<name>dog</name>{BOX}")), "read 1"),
            ("<annotation/>".to_owned(), "read 0"),
            (String::new(), "bad x/b.xml:1: malformed XML"),
            ("<a/>".into(), "bad x/b.xml:1: the outermost element is `a`"),
            (object(BOX), "bad x/b.xml:2: `object` without `name`"),
            (
                object("<name>dog</name>"),
                "bad x/b.xml:2: an object without `bndbox`",
            ),
            (
                object(&format!("<name>dog</name>{}", BOX.replace(">1<", ">0<"))),
                "bad x/b.xml:2: `dog` [-1, -1, 5, 5]: the box leaves the image",
            ),
            (
                object(&format!(
                    "<name>dog</name>{}",
                    BOX.replace("<xmin>1", "<xmin>one")
                )),
                "bad x/b.xml:2: `xmin` is `one`",
            ),
            (
                object(&format!(
                    "<name>dog</name>{}",
                    BOX.replace("<xmin>1", "<xmin>9")
                )),
                "the box is inverted",
            ),
            (
                object(&format!("<name>dog</name>{BOX}")).replace(
                    "<object>",
                    "<size><width>21</width><height>10</height></size><object>",
                ),
                "bad y/b.png: 20x10 pixels, x/b.xml says 21x10",
            ),
        ];
        let cases: Vec<(&String, &[&str])> = cases
            .iter()
            .map(|(text, said)| (text, std::slice::from_ref(said)))
            .collect();
        assert_outcomes(&cases, |text| {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            for name in ["y/a", "y/b", "y/c"] {
                write_blank(&root.join(format!("{name}.png")), 20, 10);
            }
            std::fs::create_dir(root.join("x")).unwrap();
            std::fs::write(
                root.join("x/a.xml"),
                object(&format!("<name>cat</name>{BOX}")),
            )
            .unwrap();
            std::fs::write(root.join("x/b.xml"), text).unwrap();
            let found = outcome(VocFoldersConfig::default().open(root), root);
            let alone = "remark y/c.png: a picture without an XML file, left out";
            assert!(found.contains(alone), "{found}");
            found
                .replace(&format!("\n{alone}"), "")
                .replacen("read 1\n", "", 1)
        });
    }

    #[test]
    fn a_picture_of_its_own_belongs_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["y/a", "z/a"] {
            write_blank(&root.join(format!("{name}.png")), 20, 10);
        }
        for name in ["x", "y"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
            std::fs::write(root.join(name).join("a.xml"), "<annotation/>").unwrap();
        }
        std::fs::write(root.join("x/b.xml"), "<annotation/>").unwrap();
        let config = VocFoldersConfig {
            classes: vec!["cat".into()],
            ..Default::default()
        };
        let found = outcome(config.open(root), root);
        for part in [
            "bad x/a.xml: several pictures have its name: y/a.png, z/a.png",
            "bad x/b.xml: there is no picture of its name",
            "read 0",
        ] {
            assert!(found.contains(part), "{found}");
        }
    }
}
