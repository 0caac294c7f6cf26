//! Folders of images and their class masks: `images/7.png` with `masks/7.png`.
//!
//! A mask belongs to the image whose name without its ending it has, followed by `mask-suffix`. Pairs are numbered
//! by name, numbers in names by their value (`2` before `10`), and the parts of the dataset are given as ranges of
//! those numbers, or held out by the recipe's split where none is given.
//!
//! ```
//! use firesight_data::datasets::pairs::PairsConfig;
//!
//! let folder = tempfile::tempdir()?;
//! for part in ["images", "masks"] {
//!     std::fs::create_dir(folder.path().join(part))?;
//!     for number in [2, 9, 10] {
//!         std::fs::write(folder.path().join(format!("{part}/{number}.png")), "")?;
//!     }
//! }
//! let config = r#"{"images": "images", "masks": "masks", "validation": {"first": 2, "last": 2}}"#;
//! let splits = serde_json::from_str::<PairsConfig>(config)?.open(folder.path())?; // no image is opened yet
//! assert_eq!(splits.train.len(), 2);
//! assert_eq!(splits.validation.unwrap().origin(0), "images/10.png");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::mask::{Encoding, decode_mask};
use crate::decode::{self, DecodeLimits, EXTENSIONS};
use crate::error::DataError;
use crate::sample::{Label, Sample};
use crate::source::{Remark, Source, Splits, Subset, out_of_range};

/// Folders of images and masks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PairsConfig {
    /// The folder of the images, relative to the data root.
    pub images: PathBuf,
    /// The folder of the masks, relative to the data root.
    pub masks: PathBuf,
    /// What a mask's name has after its image's, before the ending: `_mask` for `7.jpg` and `7_mask.png`.
    pub mask_suffix: String,
    /// The names of the classes, by class index.
    pub classes: Vec<String>,
    /// How the pixels of a mask stand for classes.
    pub encoding: MaskEncoding,
    /// The training pairs by number, all that are in no other part unless given.
    pub train: Option<PairRange>,
    /// The validation pairs by number.
    pub validation: Option<PairRange>,
    /// The test pairs by number.
    pub test: Option<PairRange>,
    /// What one image file may cost.
    pub limits: DecodeLimits,
}

/// Numbers from `first` to `last`, both counted, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PairRange {
    /// The first number.
    pub first: usize,
    /// The last number.
    pub last: usize,
}

/// How the pixels of a mask stand for classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MaskEncoding {
    /// The number that a PNG with a palette or grey values stores is the class; 255 is ignored.
    #[default]
    Index,
    /// 0 is the first class, 255 the second.
    Binary,
    /// Each colour is a class.
    Colours(ColourTable),
}

/// Colours and their classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ColourTable {
    /// `[red, green, blue]` of each class, by class index.
    pub table: Vec<[u8; 3]>,
    /// Colours that are ignored.
    pub ignore: Vec<[u8; 3]>,
}

impl MaskEncoding {
    fn encoding(&self) -> Encoding {
        match self {
            Self::Index => Encoding::Index { void: None },
            Self::Binary => Encoding::Binary,
            Self::Colours(colours) => {
                let classes = (0u8..).map(Some);
                let mut table: HashMap<_, _> = colours.table.iter().copied().zip(classes).collect();
                table.extend(colours.ignore.iter().map(|colour| (*colour, None)));
                Encoding::Colours(table)
            }
        }
    }
}

/// What is wrong with a list of class names.
pub(super) fn class_problems(classes: &[String]) -> Option<(String, String)> {
    let message = match classes.len() {
        0 | 1 => "name at least two classes, by class index".to_string(),
        2..=255 => return None,
        many => format!("{many} classes: a mask of 8 bits holds at most 255 and the ignored one"),
    };
    Some(("classes".into(), message))
}

impl PairsConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, path) in [("images", &self.images), ("masks", &self.masks)] {
            if path.as_os_str().is_empty() {
                problems.push((key.into(), format!("give the folder that the {key} lie in")));
            }
        }
        problems.extend(class_problems(&self.classes));
        let classes = self.classes.len();
        match &self.encoding {
            MaskEncoding::Binary if classes != 2 => problems.push((
                "encoding".into(),
                format!("binary masks have 2 classes, {classes} are named"),
            )),
            MaskEncoding::Colours(colours) if colours.table.len() != classes => problems.push((
                "encoding.colours.table".into(),
                format!("{} colours for {classes} classes", colours.table.len()),
            )),
            _ => {}
        }
        for (key, range) in self.ranges() {
            if let Some(PairRange { first, last }) = range
                && first > last
            {
                problems.push((
                    key.into(),
                    format!("first ({first}) is after last ({last})"),
                ));
            }
        }
        problems
    }

    fn ranges(&self) -> [(&'static str, Option<PairRange>); 3] {
        [
            ("train", self.train),
            ("validation", self.validation),
            ("test", self.test),
        ]
    }

    /// Lists the files; none is opened. An image without a mask is a pair that cannot be read.
    ///
    /// # Errors
    /// A missing folder, no image, a range past the end.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let pairs = Pairs::between(
            data_root,
            [&data_root.join(&self.images), &data_root.join(&self.masks)],
            &self.mask_suffix,
            Shared {
                classes: self.classes.clone(),
                encoding: self.encoding.encoding(),
                limits: self.limits,
            },
        )?;
        let len = pairs.len();
        for (key, range) in self.ranges() {
            if let Some(range) = range
                && range.last >= len
            {
                let reason = format!("ends at {}, but there are {len} pairs", range.last);
                return Err(DataError::setting(format!("source.pairs.{key}"), reason));
            }
        }
        let all: Arc<dyn Source> = Arc::new(pairs);
        let part = |range: Option<PairRange>| -> Result<Option<Arc<dyn Source>>, DataError> {
            let subset =
                |range: PairRange| Subset::new(all.clone(), (range.first..=range.last).collect());
            Ok(range
                .map(subset)
                .transpose()?
                .map(|part| Arc::new(part) as _))
        };
        let held = |index: &usize| {
            let in_range = |range: PairRange| (range.first..=range.last).contains(index);
            self.validation.is_some_and(in_range) || self.test.is_some_and(in_range)
        };
        let train = match part(self.train)? {
            Some(train) => train,
            None => Arc::new(Subset::new(
                all.clone(),
                (0..len).filter(|i| !held(i)).collect(),
            )?),
        };
        if train.is_empty() {
            let reason = "no pair is left for training; make the other ranges smaller";
            return Err(DataError::setting("source.pairs.train", reason));
        }
        Ok(Splits {
            train,
            validation: part(self.validation)?,
            test: part(self.test)?,
        })
    }
}

/// What all pairs of a dataset share.
#[derive(Clone)]
pub(super) struct Shared {
    pub classes: Vec<String>,
    pub encoding: Encoding,
    pub limits: DecodeLimits,
}

/// Image files with their mask files.
pub(super) struct Pairs {
    /// What origins are relative to.
    root: PathBuf,
    /// Image and mask.
    files: Vec<(PathBuf, PathBuf)>,
    shared: Shared,
    remarks: Vec<Remark>,
}

impl Pairs {
    /// Listed pairs.
    pub fn new(root: &Path, files: Vec<(PathBuf, PathBuf)>, shared: Shared) -> Self {
        Self {
            root: root.to_path_buf(),
            files,
            shared,
            remarks: Vec::new(),
        }
    }

    /// The images of one folder with the masks of another.
    pub fn between(
        root: &Path,
        [images, masks]: [&Path; 2],
        suffix: &str,
        shared: Shared,
    ) -> Result<Self, DataError> {
        let mut pictures = stems(images)?;
        let mut labels = stems(masks)?;
        if pictures.is_empty() {
            return Err(DataError::Missing {
                path: images.to_path_buf(),
                hint: format!("no images in it (known endings: {})", EXTENSIONS.join(", ")),
            });
        }
        pictures.sort_by_cached_key(|(stem, _)| natural(stem));
        let mut by_stem: BTreeMap<String, PathBuf> = labels.drain(..).collect();
        let mut files = Vec::with_capacity(pictures.len());
        for (stem, image) in pictures {
            let name = format!("{stem}{suffix}");
            // A mask that is missing is found when the pair is read, so that a scan lists all of them.
            let mask = by_stem.remove(&name);
            files.push((
                image,
                mask.unwrap_or_else(|| masks.join(format!("{name}.png"))),
            ));
        }
        let mut pairs = Self::new(root, files, shared);
        // Images and masks in one folder leave the images themselves over.
        let alone = by_stem.into_values().filter(|_| images != masks);
        pairs.remarks = alone
            .map(|path| Remark::new(shown(root, &path), "a mask without an image, left out"))
            .collect();
        Ok(pairs)
    }
}

/// The image files of a folder with their names without endings.
fn stems(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    if !folder.is_dir() {
        return Err(DataError::Missing {
            path: folder.to_path_buf(),
            hint: "expected a folder of image files".into(),
        });
    }
    let fault = |error| DataError::io(folder, "list", error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
        let (Some(stem), Some(ending)) = (text(path.file_stem()), text(path.extension())) else {
            continue;
        };
        if !stem.starts_with('.') && EXTENSIONS.contains(&ending.to_lowercase().as_str()) {
            found.push((stem, path));
        }
    }
    found.sort();
    Ok(found)
}

/// A name cut into text and numbers, so that `2` comes before `10`.
fn natural(name: &str) -> Vec<(String, u128)> {
    let mut parts: Vec<(String, u128)> = vec![(String::new(), 0)];
    let mut digits = false;
    for letter in name.chars() {
        match letter.to_digit(10) {
            Some(digit) => {
                let last = parts.last_mut().map(|(_, number)| number);
                if let Some(number) = last {
                    *number = number.saturating_mul(10).saturating_add(u128::from(digit));
                }
                digits = true;
            }
            None => {
                if std::mem::take(&mut digits) {
                    parts.push((String::new(), 0));
                }
                if let Some((text, _)) = parts.last_mut() {
                    text.push(letter);
                }
            }
        }
    }
    parts
}

/// A path relative to the root, with `/` on every platform.
fn shown(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    let parts = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

impl Source for Pairs {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let (image_path, mask_path) = self.files.get(index).ok_or_else(|| {
            out_of_range(index, self.files.len(), self.root.display().to_string())
        })?;
        let image = decode::decode_file(image_path, &self.shared.limits)?;
        if !mask_path.exists() {
            return Err(DataError::Missing {
                path: mask_path.clone(),
                hint: format!("the mask of {}", image_path.display()),
            });
        }
        let mask = decode_mask(mask_path, &self.shared.encoding, &self.shared.limits)?;
        let fault = |reason| DataError::unreadable(mask_path.display().to_string(), reason);
        if (mask.width, mask.height) != (image.width, image.height) {
            return Err(fault(format!(
                "{}x{} pixels, its image {} has {}x{}",
                mask.width,
                mask.height,
                image_path.display(),
                image.width,
                image.height
            )));
        }
        let classes = self.shared.classes.len();
        let wrong = |class: &u8| usize::from(*class) >= classes && *class != crate::Mask::IGNORE;
        if let Some(at) = mask.classes.iter().position(wrong) {
            return Err(fault(format!(
                "class {} at {}, {}: there are {classes} classes",
                mask.classes[at],
                at % mask.width,
                at / mask.width
            )));
        }
        Ok(Sample {
            image,
            label: Label::Mask(mask),
        })
    }

    fn origin(&self, index: usize) -> String {
        let file = self.files.get(index);
        file.map_or_else(String::new, |(image, _)| shown(&self.root, image))
    }

    fn classes(&self) -> &[String] {
        &self.shared.classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        let Some((image, mask)) = self.files.get(index) else {
            return Vec::new();
        };
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        format!("{} {} {}", self.origin(index), bytes(image), bytes(mask)).into_bytes()
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, RgbImage};

    fn put(root: &Path, number: usize, size: u32, class: u8) {
        for part in ["images", "masks"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        let name = format!("{number}.png");
        RgbImage::new(4, 3)
            .save(root.join("images").join(&name))
            .unwrap();
        let mask = GrayImage::from_pixel(size, 3, Luma([class]));
        mask.save(root.join("masks").join(&name)).unwrap();
    }

    fn config(root: &Path) -> PairsConfig {
        PairsConfig {
            images: root.join("images"),
            masks: root.join("masks"),
            classes: vec!["cell".into(), "membrane".into()],
            ..Default::default()
        }
    }

    #[test]
    fn ranges_count_pairs_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        (0..12).for_each(|number| put(folder.path(), number, 4, (number % 2) as u8));
        let ranges = PairsConfig {
            validation: Some(PairRange { first: 9, last: 11 }),
            ..config(folder.path())
        };
        let splits = ranges.open(folder.path()).unwrap();
        let validation = splits.validation.unwrap();
        let origins: Vec<_> = (0..3).map(|i| validation.origin(i)).collect();
        assert_eq!(origins, ["images/9.png", "images/10.png", "images/11.png"]);
        assert_eq!(splits.train.len(), 9);
        let Label::Mask(mask) = validation.read(0).unwrap().label else {
            panic!("no mask");
        };
        assert_eq!(mask.classes, [1; 12]);
        let error = PairsConfig {
            test: Some(PairRange { first: 0, last: 12 }),
            ..config(folder.path())
        };
        let error = error.open(folder.path()).err().unwrap().to_string();
        assert!(
            error.contains("source.pairs.test") && error.contains("12 pairs"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_pair_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, 0, 5, 0);
        put(root, 1, 4, 2);
        put(root, 2, 4, 0);
        put(root, 3, 4, 255);
        std::fs::remove_file(root.join("masks/2.png")).unwrap();
        GrayImage::new(1, 1)
            .save(root.join("masks/lost.png"))
            .unwrap();
        let train = config(root).open(root).unwrap().train;
        let fault = |index| train.read(index).unwrap_err().to_string();
        assert!(
            fault(0).contains("masks/0.png: 5x3 pixels, its image"),
            "{}",
            fault(0)
        );
        assert!(
            fault(1).contains("masks/1.png: class 2 at 0, 0: there are 2"),
            "{}",
            fault(1)
        );
        assert!(
            fault(2).contains("masks/2.png: not found; the mask of"),
            "{}",
            fault(2)
        );
        assert!(train.read(3).is_ok());
        assert_eq!(
            train.remarks(),
            [Remark::new(
                "masks/lost.png",
                "a mask without an image, left out"
            )]
        );
        let empty = config(&root.join("none")).open(root).err().unwrap();
        assert!(
            empty
                .to_string()
                .contains("expected a folder of image files")
        );
    }

    #[test]
    fn settings_that_contradict_each_other() {
        let config = PairsConfig {
            classes: vec!["a".into(), "b".into(), "c".into()],
            encoding: MaskEncoding::Binary,
            train: Some(PairRange { first: 3, last: 2 }),
            ..Default::default()
        };
        let keys: Vec<String> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["images", "masks", "encoding", "train"]);
        assert!(class_problems(&vec![String::new(); 256]).is_some());
    }
}
