//! CIFAR-10 and CIFAR-100 in their binary form: 32x32 RGB, plain `.bin` or `.bin.xz`.
//!
//! A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images* (2009). A record is one label byte
//! (CIFAR-100: a coarse and a fine one) and 3,072 bytes of pixels: 1,024 red, 1,024 green, 1,024 blue, row-major.
//! Where the test file is missing, `split = { test = { last = 5000 } }` holds one out of the training records.
//!
//! ```
//! use firesight_data::Target;
//! use firesight_data::datasets::cifar::Cifar10Config;
//!
//! // A file of one record: class 6, all black.
//! let folder = tempfile::tempdir()?;
//! let record = [&[6u8][..], &[0; 3 * 32 * 32]].concat();
//! for number in 1..=5 {
//!     std::fs::write(folder.path().join(format!("data_batch_{number}.bin")), &record)?;
//! }
//! let splits = Cifar10Config { path: "".into(), download: false }.open(folder.path())?;
//! assert_eq!((splits.train.len(), splits.train.read(4)?.target), (5, Target::of_class(6)));
//! assert_eq!(splits.train.classes()[6], "frog");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lzma_rust2::XzReader;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::packed::Packed;
use crate::download::Published;
use crate::error::DataError;
use crate::source::{Remark, Source, Splits};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const IMAGE: usize = 3 * PLANE;
/// Ten times what any file of the published sets holds.
const MAX_RECORDS_PER_FILE: u64 = 500_000;

/// CIFAR-10's classes, from its `batches.meta.txt`.
const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// A folder with CIFAR-10's binary files: `data_batch_1.bin` to `data_batch_5.bin`, which train, and
/// `test_batch.bin`, the test split, if it is there; each also with `.xz` at the end. They may also lie in a
/// folder `cifar-10-batches-bin` in it, as the published archive unpacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cifar10Config {
    /// The folder, relative to the data root.
    pub path: PathBuf,
    /// Whether the published archive is fetched (170 MB) and unpacked if it is not there.
    pub download: bool,
}

impl Default for Cifar10Config {
    fn default() -> Self {
        Self {
            path: "cifar10".into(),
            download: false,
        }
    }
}

/// Which of CIFAR-100's two labels counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cifar100Labels {
    /// 100 classes.
    #[default]
    Fine,
    /// 20 groups of five classes each.
    Coarse,
}

/// A folder with CIFAR-100's binary files: `train.bin`, and `test.bin` if it is there; each also with `.xz` at
/// the end, and also in a folder `cifar-100-binary` in it. Classes are named by `fine_label_names.txt` or
/// `coarse_label_names.txt` beside them, otherwise by number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cifar100Config {
    /// The folder, relative to the data root.
    pub path: PathBuf,
    /// Whether the published archive is fetched (169 MB) and unpacked if it is not there.
    pub download: bool,
    /// The 100 fine classes, or the 20 coarse ones.
    pub labels: Cifar100Labels,
}

impl Default for Cifar100Config {
    fn default() -> Self {
        Self {
            path: "cifar100".into(),
            download: false,
            labels: Cifar100Labels::Fine,
        }
    }
}

impl Cifar10Config {
    /// The published dataset that this is, the folder it belongs in, and whether it may be fetched.
    pub(super) fn published(&self) -> Option<(Published, &Path, bool)> {
        Some((Published::Cifar10, &self.path, self.download))
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        super::problems::path_problems(&self.path, "CIFAR-10's binary files")
    }

    /// The training records, and the test records if their file is there.
    ///
    /// # Errors
    /// Missing or damaged files. A label that is no class makes a bad sample.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let folder = inner_folder(data_root.join(&self.path), "cifar-10-batches-bin");
        let batches: Vec<String> = (1..=5)
            .map(|batch| format!("data_batch_{batch}.bin"))
            .collect();
        let format = Format {
            label_bytes: 1,
            label_at: 0,
            classes: CIFAR10_CLASSES.map(String::from).to_vec(),
        };
        format.open(&folder, "CIFAR-10", &batches, "test_batch.bin")
    }
}

impl Cifar100Config {
    /// The published dataset that this is, the folder it belongs in, and whether it may be fetched.
    pub(super) fn published(&self) -> Option<(Published, &Path, bool)> {
        Some((Published::Cifar100, &self.path, self.download))
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        super::problems::path_problems(&self.path, "CIFAR-100's binary files")
    }

    /// The training records, and the test records if their file is there.
    ///
    /// # Errors
    /// Missing or damaged files; a file of class names with the wrong number of them, or one twice. A label that is
    /// no class makes a bad sample.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let folder = inner_folder(data_root.join(&self.path), "cifar-100-binary");
        let (label_at, count, names) = match self.labels {
            Cifar100Labels::Coarse => (0, 20, "coarse_label_names.txt"),
            Cifar100Labels::Fine => (1, 100, "fine_label_names.txt"),
        };
        let names = folder.join(names);
        let classes: Vec<String> = if names.is_file() {
            let text = std::fs::read_to_string(&names)
                .map_err(|error| DataError::io(&names, "read", error))?;
            text.trim_start_matches('\u{feff}')
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(String::from)
                .collect()
        } else {
            (0..count).map(|class| class.to_string()).collect()
        };
        if classes.len() != count {
            return Err(DataError::unreadable(
                names.display().to_string(),
                format!("{} class names; expected {count}", classes.len()),
            ));
        }
        if let Some((_, reason)) = super::problems::name_problems(&classes) {
            return Err(DataError::unreadable(names.display().to_string(), reason));
        }
        let format = Format {
            label_bytes: 2,
            label_at,
            classes,
        };
        format.open(&folder, "CIFAR-100", &["train.bin".into()], "test.bin")
    }
}

/// The folder itself, or the one in it that the published archive makes.
fn inner_folder(folder: PathBuf, name: &str) -> PathBuf {
    let inner = folder.join(name);
    if inner.is_dir() { inner } else { folder }
}

/// What distinguishes the two datasets.
struct Format {
    label_bytes: usize,
    label_at: usize,
    classes: Vec<String>,
}

impl Format {
    fn open(
        &self,
        folder: &Path,
        name: &str,
        train: &[String],
        test: &str,
    ) -> Result<Splits, DataError> {
        let mut remarks = Vec::new();
        let train: Vec<PathBuf> = train
            .iter()
            .map(|file| {
                find(folder, file, &mut remarks).ok_or_else(|| {
                    let other = match folder.join(file.trim_end_matches(".bin")).is_file() {
                        true => "; what lies there is the version for Python, which is not read",
                        false => "",
                    };
                    DataError::Missing {
                        path: folder.join(file),
                        hint: format!(
                            "the binary version of {name} has it, here also with .xz at the end{other}"
                        ),
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        let test: Option<Arc<dyn Source>> = match find(folder, test, &mut remarks) {
            Some(file) => Some(Arc::new(
                self.pack(format!("{name}'s test records"), &[file])?,
            )),
            None => None,
        };
        Ok(Splits {
            train: Arc::new(
                self.pack(format!("{name}'s training records"), &train)?
                    .remarked(remarks),
            ),
            validation: None,
            test,
        })
    }

    fn pack(&self, name: String, files: &[PathBuf]) -> Result<Packed, DataError> {
        let parts: Vec<(Vec<u8>, Vec<u8>)> = files
            .par_iter()
            .map(|file| self.read(file))
            .collect::<Result<_, _>>()?;
        let mut labels = Vec::new();
        let mut pixels = Vec::with_capacity(parts.iter().map(|(pixels, _)| pixels.len()).sum());
        for (part_pixels, part_labels) in parts {
            pixels.extend(part_pixels);
            labels.extend(part_labels);
        }
        Packed::new(name, [SIDE, SIDE, 3], pixels, labels, self.classes.clone())
    }

    /// Pixels (interleaved) and labels of one file.
    fn read(&self, path: &Path) -> Result<(Vec<u8>, Vec<u8>), DataError> {
        let fault = |reason: String| DataError::unreadable(path.display().to_string(), reason);
        let record = self.label_bytes + IMAGE;
        let limit = MAX_RECORDS_PER_FILE * record as u64;
        let file =
            BufReader::new(File::open(path).map_err(|error| DataError::io(path, "open", error))?);
        let mut bytes = Vec::new();
        if path.extension().is_some_and(|extension| extension == "xz") {
            XzReader::new(file, true)
                .take(limit + 1)
                .read_to_end(&mut bytes)
        } else {
            file.take(limit + 1).read_to_end(&mut bytes)
        }
        .map_err(|error| fault(format!("damaged or cut short: {error}")))?;
        if bytes.len() as u64 > limit {
            return Err(DataError::OverLimit {
                origin: path.display().to_string(),
                reason: format!("more than {MAX_RECORDS_PER_FILE} records"),
            });
        }
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            return Err(fault(format!(
                "{} bytes are no whole number of records of {record}",
                bytes.len()
            )));
        }
        let mut pixels = Vec::with_capacity(bytes.len() / record * IMAGE);
        let mut labels = Vec::with_capacity(bytes.len() / record);
        for record in bytes.chunks_exact(record) {
            labels.push(record[self.label_at]);
            let planes = &record[self.label_bytes..];
            pixels.extend(
                (0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]),
            );
        }
        Ok((pixels, labels))
    }
}

/// A file as it is or with `.xz`; where both are there, the first is read and the other remarked on.
fn find(folder: &Path, file: &str, remarks: &mut Vec<Remark>) -> Option<PathBuf> {
    let packed = format!("{file}.xz");
    match [file, &packed].map(|name| folder.join(name).is_file()) {
        [true, both] => {
            if both {
                let message = format!("the same as {file}, which is read; left out");
                remarks.push(Remark::new(packed, message));
            }
            Some(folder.join(file))
        }
        [false, true] => Some(folder.join(packed)),
        [false, false] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::SourceConfig;
    use crate::split::{HoldOut, SplitConfig};
    use crate::target::Target;

    fn record(labels: &[u8], rgb: [u8; 3]) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        rgb.iter().for_each(|&value| bytes.extend([value; PLANE]));
        bytes
    }

    #[test]
    fn reads_both_binary_forms() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("cifar-10-batches-bin");
        std::fs::create_dir(&inner).unwrap();
        for batch in 1..=5u8 {
            let bytes = [record(&[batch], [batch, 0, 9]), record(&[0], [1, 2, 3])].concat();
            std::fs::write(inner.join(format!("data_batch_{batch}.bin")), bytes).unwrap();
        }
        let config = Cifar10Config {
            path: folder.path().into(),
            ..Default::default()
        };
        let splits = config.open(Path::new("")).unwrap();
        assert_eq!(splits.train.len(), 10);
        let sample = splits.train.read(4).unwrap();
        assert_eq!(
            (sample.target, &sample.image.bytes().unwrap().pixels[..6]),
            (Target::of_class(3), &[3, 0, 9, 3, 0, 9][..])
        );

        std::fs::write(folder.path().join("train.bin"), record(&[7, 99], [1, 2, 3])).unwrap();
        std::fs::write(folder.path().join("test.bin"), record(&[19, 0], [1, 2, 3])).unwrap();
        let mut config = Cifar100Config {
            path: folder.path().into(),
            ..Default::default()
        };
        assert_eq!(
            config.open(Path::new("")).unwrap().train.class_of(0),
            Some(99)
        );
        config.labels = Cifar100Labels::Coarse;
        let splits = config.open(Path::new("")).unwrap();
        assert_eq!(
            (splits.train.class_of(0), splits.test.unwrap().class_of(0)),
            (Some(7), Some(19))
        );
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = Cifar100Config {
            path: folder.path().into(),
            ..Default::default()
        };
        let fault = || config.open(Path::new("")).err().unwrap().to_string();
        assert!(fault().contains("train.bin: not found"));
        std::fs::write(
            folder.path().join("train.bin"),
            &record(&[0, 0], [0; 3])[1..],
        )
        .unwrap();
        assert!(fault().contains("3073 bytes are no whole number of records of 3074"));
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        // A label without a class is the fault of its sample.
        write("train.bin", &record(&[0, 100], [0; 3]));
        let train = config.open(Path::new("")).unwrap().train;
        let error = train.read(0).unwrap_err();
        assert!(error.is_bad_sample());
        let error = error.to_string();
        assert!(
            error.contains("record 0 of CIFAR-100's training records: class 100"),
            "{error}"
        );
        write("train.bin", b"");
        assert!(fault().contains("0 bytes are no whole number of records"));
        write("train.bin", &record(&[0, 1], [0; 3]));
        write("train.bin.xz", b"damaged");
        let remarks = config.open(Path::new("")).unwrap().train.remarks();
        assert_eq!(remarks[0].origin, "train.bin.xz");
        std::fs::remove_file(folder.path().join("train.bin.xz")).unwrap();
        // Names of classes: a byte order mark is none of them, too few or one twice are named.
        let names: String = (0..100).map(|class| format!("c{class}\r\n")).collect();
        write(
            "fine_label_names.txt",
            format!("\u{feff}{names}").as_bytes(),
        );
        assert_eq!(config.open(Path::new("")).unwrap().train.classes()[0], "c0");
        write(
            "fine_label_names.txt",
            names.replace("c99", "c98").as_bytes(),
        );
        assert!(fault().contains("fine_label_names.txt: two classes are named `c98`"));
        write("fine_label_names.txt", b"one\ntwo\n");
        assert!(fault().contains("2 class names; expected 100"));
        std::fs::remove_file(folder.path().join("fine_label_names.txt")).unwrap();
        std::fs::rename(folder.path().join("train.bin"), folder.path().join("train")).unwrap();
        assert!(fault().contains("the version for Python"), "{}", fault());
        std::fs::rename(folder.path().join("train"), folder.path().join("train.bin")).unwrap();
        write("train.bin", b"no xz");
        std::fs::rename(
            folder.path().join("train.bin"),
            folder.path().join("train.bin.xz"),
        )
        .unwrap();
        assert!(fault().contains("train.bin.xz: damaged or cut short"));
    }

    #[test]
    fn the_published_training_records_with_a_test_split_held_out() {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        if !shared.is_dir() {
            println!("skipped: {} is not there", shared.display());
            return;
        }
        let config = SourceConfig::Cifar10(Cifar10Config::default());
        let split = SplitConfig {
            test: HoldOut::Last(5000),
            validation: HoldOut::Count(5000),
            ..Default::default()
        };
        let splits = config.open(&shared, &split, 1).unwrap();
        let (validation, test) = (splits.validation.unwrap(), splits.test.unwrap());
        assert_eq!(
            (splits.train.len(), validation.len(), test.len()),
            (40_000, 5000, 5000)
        );
        let mut means = [0u64; 3];
        for part in [&splits.train, &validation, &test] {
            for index in 0..part.len() {
                for pixel in part
                    .read(index)
                    .unwrap()
                    .image
                    .bytes()
                    .unwrap()
                    .pixels
                    .chunks_exact(3)
                {
                    (0..3).for_each(|channel| means[channel] += u64::from(pixel[channel]));
                }
            }
        }
        // The channel means that everyone normalises CIFAR-10's training records with.
        for (mean, expected) in means.iter().zip([0.49140, 0.48216, 0.44653]) {
            let mean = *mean as f64 / (50_000.0 * PLANE as f64 * 255.0);
            assert!((mean - expected).abs() < 1e-5, "{mean} {expected}");
        }
    }
}
