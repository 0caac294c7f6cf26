//! IDX files, the format of MNIST, Fashion-MNIST, KMNIST and EMNIST: unsigned bytes, big-endian header, plain or
//! gzip-compressed.
//!
//! Format: Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*: two zero bytes, the type
//! (8: unsigned byte), the number of dimensions, each dimension as a big-endian `u32`, then the values.
//!
//! ```
//! use firesight_data::datasets::idx::IdxConfig;
//!
//! // Two images of 1x2 pixels with the labels 1 and 0.
//! let folder = tempfile::tempdir()?;
//! let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
//! write("train-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40])?;
//! write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2, 1, 0])?;
//! let splits = IdxConfig::default().open(folder.path())?;
//! assert_eq!(splits.train.read(1)?.image.shown().pixels, [30, 40]);
//! assert_eq!(splits.train.classes(), ["0", "1"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::packed::Packed;
use crate::error::DataError;
use crate::source::{Remark, Splits};

/// The most bytes of values that one IDX file may announce: 4 GiB, 90 times MNIST.
const MAX_BYTES: u64 = 4 << 30;

/// A folder with IDX files under their usual names.
///
/// `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` must be there; `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte` (or `test-...`) are the test split, if they are there. A dot may stand in place of the
/// dash before `idx`, and `.gz` at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct IdxConfig {
    /// The folder, relative to the data root.
    pub path: PathBuf,
    /// The names of the classes in the order of their numbers; without them, the numbers themselves.
    pub classes: Vec<String>,
}

impl IdxConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = super::problems::path_problems(&self.path, "the IDX files");
        problems.extend(super::problems::name_problems(&self.classes));
        problems
    }

    /// The training samples, and the test samples if their files are there.
    ///
    /// # Errors
    /// Missing or damaged files, images and labels that differ in number, images that differ in size. A label
    /// without a class is a bad sample.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let folder = data_root.join(&self.path);
        let train = read_pair(&folder, "train")?.ok_or_else(|| DataError::Missing {
            path: folder.join("train-images-idx3-ubyte"),
            hint: "expected train-images-idx3-ubyte and train-labels-idx1-ubyte there, also with a dot before `idx` \
                   or .gz at the end"
                .into(),
        })?;
        let test = match (read_pair(&folder, "t10k")?, read_pair(&folder, "test")?) {
            (Some(one), Some(other)) => {
                let (one, other) = (one.name, other.name);
                return Err(DataError::unreadable(
                    folder.display().to_string(),
                    format!("both {one} and {other} are there, two test splits; keep one of them"),
                ));
            }
            (one, other) => one.or(other),
        };
        if let Some(test) = &test
            && test.shape != train.shape
        {
            let ([h, w, _], [height, width, _]) = (test.shape, train.shape);
            return Err(DataError::unreadable(
                folder.join(&test.name).display().to_string(),
                format!(
                    "images of {w}x{h} pixels, those of {} have {width}x{height}",
                    train.name
                ),
            ));
        }
        let mut classes = self.classes.clone();
        if classes.is_empty() {
            let labels = train
                .labels
                .iter()
                .chain(test.iter().flat_map(|pair| &pair.labels));
            let count = labels.max().map_or(0, |&label| usize::from(label) + 1);
            classes = (0..count).map(|class| class.to_string()).collect();
        }
        Ok(Splits {
            train: Arc::new(train.pack(&classes)?),
            validation: None,
            test: match test {
                Some(pair) => Some(Arc::new(pair.pack(&classes)?)),
                None => None,
            },
        })
    }
}

/// Images and labels that belong together.
struct Pair {
    name: String,
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u8>,
    remarks: Vec<Remark>,
}

impl Pair {
    fn pack(self, classes: &[String]) -> Result<Packed, DataError> {
        let packed = Packed::new(
            self.name,
            self.shape,
            self.pixels,
            self.labels,
            classes.to_vec(),
        )?;
        Ok(packed.remarked(self.remarks))
    }
}

/// Reads the files of one part; nothing if neither is there.
fn read_pair(folder: &Path, part: &str) -> Result<Option<Pair>, DataError> {
    let mut remarks = Vec::new();
    let images = find(folder, part, "images", 3, &mut remarks);
    let labels = find(folder, part, "labels", 1, &mut remarks);
    let (images, labels) = match (images, labels) {
        (None, None) => return Ok(None),
        (Some(images), Some(labels)) => (images, labels),
        (images, labels) => {
            let (kind, dimensions) = if images.is_none() {
                ("images", 3)
            } else {
                ("labels", 1)
            };
            let there = images.or(labels).unwrap_or_default();
            return Err(DataError::Missing {
                path: folder.join(format!("{part}-{kind}-idx{dimensions}-ubyte")),
                hint: format!("it belongs to {}", there.display()),
            });
        }
    };
    let (image_shape, pixels) = read(&images, 3)?;
    let (label_shape, labels_read) = read(&labels, 1)?;
    if image_shape[0] != label_shape[0] {
        return Err(DataError::unreadable(
            labels.display().to_string(),
            format!(
                "{} labels for the {} images of {}",
                label_shape[0],
                image_shape[0],
                images.display()
            ),
        ));
    }
    Ok(Some(Pair {
        name: images
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        shape: [image_shape[1], image_shape[2], 1],
        pixels,
        labels: labels_read,
        remarks,
    }))
}

/// The file of a kind, by its first spelling that is there; other spellings are remarked on.
fn find(
    folder: &Path,
    part: &str,
    kind: &str,
    dimensions: usize,
    remarks: &mut Vec<Remark>,
) -> Option<PathBuf> {
    let spelled = ["-", "."].iter().flat_map(|mark| {
        ["", ".gz"].map(|end| format!("{part}-{kind}{mark}idx{dimensions}-ubyte{end}"))
    });
    let mut there = spelled.filter(|name| folder.join(name).is_file());
    let first = there.next()?;
    let message = format!("the same as {first}, which is read; left out");
    remarks.extend(there.map(|other| Remark::new(other, &*message)));
    Some(folder.join(first))
}

/// Reads one IDX file of unsigned bytes: its dimensions and its values. A file whose first bytes are gzip's is
/// decompressed, whatever its name.
///
/// # Errors
/// A file that is no IDX file of `dimensions` dimensions, announces more than 4 GiB or nothing at all, or holds
/// fewer or more values than it announces. No more is allocated than the file really holds.
pub fn read(path: &Path, dimensions: usize) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, "open", error))?;
    let mut plain = BufReader::new(file);
    let mut magic = Vec::new();
    plain
        .by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .map_err(|error| DataError::io(path, "read", error))?;
    let gzip = magic == [0x1f, 0x8b];
    let plain = std::io::Cursor::new(magic).chain(plain);
    if gzip {
        read_values(path, dimensions, &mut MultiGzDecoder::new(plain))
    } else {
        read_values(path, dimensions, &mut { plain })
    }
}

fn read_values(
    path: &Path,
    dimensions: usize,
    input: &mut dyn Read,
) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let fault = |reason: String| DataError::unreadable(path.display().to_string(), reason);
    let read_fault = |error: std::io::Error| fault(format!("damaged or cut short: {error}"));
    let mut header = Vec::new();
    input
        .take(4 + 4 * dimensions as u64)
        .read_to_end(&mut header)
        .map_err(read_fault)?;
    if header.len() < 4 + 4 * dimensions {
        return Err(fault(format!(
            "cut short: {} bytes do not hold an IDX header",
            header.len()
        )));
    }
    if header[..2] != [0, 0] {
        return Err(fault(format!(
            "not an IDX file: it starts with {:?}",
            header[..4].escape_ascii().to_string()
        )));
    }
    if header[2] != 8 || usize::from(header[3]) != dimensions {
        return Err(fault(format!(
            "IDX type {:#04x} with {} dimensions; expected unsigned bytes (0x08) with {dimensions}",
            header[2], header[3]
        )));
    }
    let shape: Vec<usize> = header[4..]
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect();
    let announced = shape
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size as u64));
    let announced = match announced {
        Some(0) => return Err(fault(format!("its header says {shape:?}: no values"))),
        Some(bytes) if bytes <= MAX_BYTES => bytes,
        _ => {
            return Err(DataError::OverLimit {
                origin: path.display().to_string(),
                reason: format!(
                    "its header says {shape:?}, more than the {MAX_BYTES} bytes allowed"
                ),
            });
        }
    };
    let mut values = Vec::new();
    input
        .take(announced + 1)
        .read_to_end(&mut values)
        .map_err(read_fault)?;
    match (values.len() as u64).cmp(&announced) {
        std::cmp::Ordering::Equal => Ok((shape, values)),
        std::cmp::Ordering::Less => Err(fault(format!(
            "cut short: its header says {shape:?}, {announced} bytes, and only {} are there",
            values.len()
        ))),
        std::cmp::Ordering::Greater => Err(fault(format!(
            "its header says {shape:?}, {announced} bytes, and more follow"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        shape
            .iter()
            .for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn config(folder: &Path) -> IdxConfig {
        IdxConfig {
            path: folder.into(),
            ..Default::default()
        }
    }

    #[test]
    fn reads_both_spellings_plain_and_gzip() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write(
            "train-images-idx3-ubyte.gz",
            &gzip(&idx(&[2, 1, 2], &[1, 2, 3, 4])),
        );
        write("train-labels.idx1-ubyte", &idx(&[2], &[0, 2]));
        let splits = config(folder.path()).open(Path::new("")).unwrap();
        assert!(splits.test.is_none());
        assert_eq!(splits.train.classes(), ["0", "1", "2"]);
        assert_eq!(
            splits.train.read(1).unwrap().image.bytes().unwrap().pixels,
            [3, 4]
        );
        assert_eq!(
            splits.train.origin(1),
            "record 1 of train-images-idx3-ubyte.gz"
        );
        write("t10k-images.idx3-ubyte", &idx(&[1, 1, 2], &[5, 6]));
        let error = config(folder.path())
            .open(Path::new(""))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("t10k-labels-idx1-ubyte: not found"),
            "{error}"
        );
        write("t10k-labels-idx1-ubyte", &idx(&[1], &[7]));
        let splits = config(folder.path()).open(Path::new("")).unwrap();
        assert_eq!(
            (splits.test.unwrap().len(), splits.train.classes().len()),
            (1, 8)
        );
        let mut named = config(folder.path());
        named.classes = vec!["a".into(), "b".into(), "c".into()];
        // A label without a class is the fault of its sample.
        let test = named.open(Path::new("")).unwrap().test.unwrap();
        let error = test.read(0).unwrap_err();
        assert!(error.is_bad_sample() && test.class_of(0).is_none());
        assert_eq!(test.target(0).unwrap_err().to_string(), error.to_string());
        let error = error.to_string();
        assert!(
            error.contains("record 0 of t10k-images") && error.contains("class 7"),
            "{error}"
        );
    }

    #[test]
    fn files_that_contradict_each_other_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        let open = || config(folder.path()).open(Path::new(""));
        let fault = || open().err().unwrap().to_string();
        write("train-labels-idx1-ubyte", &idx(&[2], &[0, 1]));
        assert!(
            fault().contains("train-images-idx3-ubyte: not found; it belongs to"),
            "{}",
            fault()
        );
        write("train-images-idx3-ubyte", &idx(&[3, 1, 1], &[1, 2, 3]));
        assert!(fault().contains("2 labels for the 3 images"), "{}", fault());
        write("train-images-idx3-ubyte", &idx(&[2], &[1, 2]));
        assert!(
            fault().contains("train-images-idx3-ubyte: cut short"),
            "{}",
            fault()
        );
        // Signed bytes, floats, an unknown type.
        for kind in [9, 0x0d, 0] {
            let mut bytes = idx(&[2, 1, 1], &[1, 2]);
            bytes[2] = kind;
            write("train-images-idx3-ubyte", &bytes);
            assert!(fault().contains("expected unsigned bytes"), "{}", fault());
        }
        write("train-images-idx3-ubyte", &idx(&[2, 1, 1], &[1, 2]));
        assert!(open().unwrap().train.remarks().is_empty());
        write(
            "train-images-idx3-ubyte.gz",
            &gzip(&idx(&[2, 1, 1], &[1, 2])),
        );
        let remarks = open().unwrap().train.remarks();
        assert_eq!(remarks[0].origin, "train-images-idx3-ubyte.gz");
        assert!(remarks[0].message.contains("left out") && remarks.len() == 1);
        write("t10k-images-idx3-ubyte", &idx(&[1, 2, 1], &[1, 2]));
        write("t10k-labels-idx1-ubyte", &idx(&[1], &[0]));
        assert!(
            fault().contains("t10k-images-idx3-ubyte: images of 1x2 pixels"),
            "{}",
            fault()
        );
        write("t10k-images-idx3-ubyte", &idx(&[1, 1, 1], &[1]));
        write("test-images-idx3-ubyte", &idx(&[1, 1, 1], &[1]));
        write("test-labels-idx1-ubyte", &idx(&[1], &[0]));
        assert!(fault().contains("two test splits"), "{}", fault());
        let doubled = IdxConfig {
            classes: vec!["a".into(), "b".into(), "a".into()],
            ..config(folder.path())
        };
        assert!(
            doubled.problems()[0]
                .1
                .contains("two classes are named `a`")
        );
        let empty = IdxConfig {
            classes: vec!["a".into(), " ".into()],
            ..config(folder.path())
        };
        assert!(
            empty.problems()[0]
                .1
                .contains("the name of class 1 is empty")
        );
    }

    #[test]
    fn refuses_what_does_not_fit_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let fault = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path, 3).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            error
        };
        assert!(fault(b"").contains("cut short"));
        assert!(fault(&idx(&[2, 1, 2], &[1, 2, 3])).contains("only 3 are there"));
        assert!(fault(&idx(&[2, 1, 2], &[1, 2, 3, 4, 5])).contains("more follow"));
        assert!(fault(&idx(&[2, 0, 2], &[])).contains("no values"));
        assert!(fault(&idx(&[u32::MAX, u32::MAX, u32::MAX], &[])).contains("refused"));
        assert!(fault(b"<!DOCTYPE html><html>").contains("not an IDX file"));
        assert!(fault(&idx(&[2], &[1; 64])).contains("1 dimensions"));
        let whole = gzip(&idx(&[2, 1, 2], &[1, 2, 3, 4]));
        assert!(fault(&whole[..whole.len() - 9]).contains("cut short"));
    }

    #[test]
    fn mnist_and_the_malformed_files_go_through() {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        if !shared.is_dir() {
            println!("skipped: {} is not there", shared.display());
            return;
        }
        let splits = config(&shared.join("mnist")).open(Path::new("")).unwrap();
        let test = splits.test.unwrap();
        assert_eq!((splits.train.len(), test.len()), (60_000, 10_000));
        assert_eq!(
            (0..4)
                .map(|index| test.class_of(index).unwrap())
                .collect::<Vec<_>>(),
            [7, 2, 1, 0]
        );
        for (name, reason) in [
            ("train-images-truncated-262144.gz", "cut short"),
            ("html-instead-of-train-images.gz", "not an IDX file"),
            (
                "t10k-images-idx3-ubyte-truncated-786432",
                "only 786416 are there",
            ),
        ] {
            let error = read(&shared.join("bad-idx").join(name), 3)
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
    }
}
