//! Weights files as they lie on the disk: which format it is, the dictionaries in it, and safetensors in and out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::error::{Fault, WeightsError};
use super::{StateDict, pth};

/// The key of safetensors' metadata under which the digest of the tensors stands.
const DIGEST: &str = "firesight-sha256";
/// Longer headers are no headers: the limit of the safetensors crate.
const LONGEST_HEADER: u64 = 100_000_000;

/// The content of a weights file, whatever its format.
pub(super) enum Content<'a> {
    /// One dictionary.
    Safetensors(StateDict),
    /// One, or several in each other.
    Pytorch(pth::Archive<'a>),
}

impl<'a> Content<'a> {
    /// Looks at the bytes of a file.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        // A length of the header can look like the start of a zip archive or of a pickle, but behind it stands a brace,
        // where those two have a part of a long number.
        if !is_safetensors(bytes) && pth::recognises(bytes) {
            return pth::Archive::open(bytes).map(Self::Pytorch);
        }
        read_safetensors(bytes).map(Self::Safetensors)
    }

    /// The dictionaries of tensors: the place of each in the file, `""` for the whole, and its keys.
    pub(super) fn dicts(&self) -> Vec<(&str, Vec<String>)> {
        match self {
            Self::Safetensors(dict) => vec![("", dict.keys().cloned().collect())],
            Self::Pytorch(archive) => archive.dicts(),
        }
    }

    /// The tensors of one of [`Content::dicts`].
    pub(super) fn take(self, index: usize) -> Result<StateDict, Fault> {
        match self {
            Self::Safetensors(dict) => Ok(dict),
            Self::Pytorch(archive) => archive.tensors(index),
        }
    }
}

fn header_length(bytes: &[u8]) -> Option<u64> {
    let length = bytes.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*length))
}

fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{') && header_length(bytes).is_some_and(|n| n <= LONGEST_HEADER)
}

/// Reads safetensors; the header is checked against the file by the safetensors crate, and the digest against the
/// tensors where the file states one.
fn read_safetensors(bytes: &[u8]) -> Result<StateDict, Fault> {
    if is_safetensors(bytes) {
        check_length(bytes)?;
    }
    let damaged =
        |error| Fault::Damaged(format!("neither a PyTorch file nor safetensors ({error})"));
    let file = safetensors::SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let mut tensors = StateDict::new();
    for (name, view) in file.iter() {
        let dtype = from_safetensors(view.dtype()).ok_or_else(|| {
            Fault::Unsupported(format!("tensor `{name}` has type {:?}", view.dtype()))
        })?;
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        tensors.insert(name.to_string(), data);
    }
    let stated = header
        .metadata()
        .as_ref()
        .and_then(|about| about.get(DIGEST));
    if let Some(stated) = stated {
        let found = digest(&tensors);
        if *stated != found {
            return Err(Fault::Damaged(format!(
                "the SHA-256 of its tensors is {found}, the file states {stated}: it was changed after it was written"
            )));
        }
    }
    Ok(tensors)
}

/// Whether the header's keys are each there once, and the file has the length that they ask for.
fn check_length(bytes: &[u8]) -> Result<(), Fault> {
    let cut = |what: &str| Fault::Damaged(format!("safetensors that are cut off: {what}"));
    let length = header_length(bytes).unwrap_or(0) as usize;
    let header = (bytes.get(8..).and_then(|rest| rest.get(..length))).ok_or_else(|| {
        cut(&format!(
            "the header has {length} bytes, the file {}",
            bytes.len()
        ))
    })?;
    let mut reader = serde_json::Deserializer::from_slice(header);
    let Keys { repeated } = reader.deserialize_map(Keys::default()).unwrap_or_default();
    if let Some(key) = repeated {
        return Err(Fault::Damaged(format!("tensor `{key}` is there twice")));
    }
    let Ok(Value::Object(entries)) = serde_json::from_slice(header) else {
        return Ok(()); // The safetensors crate says what is wrong with it.
    };
    let end = entries
        .values()
        .filter_map(|entry| entry.get("data_offsets")?.get(1)?.as_u64())
        .max()
        .unwrap_or(0);
    let there = (bytes.len() - 8 - length) as u64;
    match there.cmp(&end) {
        std::cmp::Ordering::Less => Err(cut(&format!(
            "the tensors have {end} bytes, {there} are there"
        ))),
        std::cmp::Ordering::Greater => Err(Fault::Damaged(format!(
            "{} bytes follow after the last tensor",
            there - end
        ))),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// Finds the first key that an object of JSON has twice.
#[derive(Default)]
struct Keys {
    repeated: Option<String>,
}

impl<'de> Visitor<'de> for Keys {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if !seen.insert(key.clone()) {
                self.repeated.get_or_insert(key);
            }
        }
        Ok(self)
    }
}

/// The SHA-256 of tensors as hex digits: of names, types, shapes and numbers, in the order of the names.
pub fn digest(tensors: &StateDict) -> String {
    let mut hash = Sha256::new();
    for (name, data) in tensors {
        let shape = data.shape();
        hash.update(format!(
            "{name}\0{:?}\0{:?}\0",
            data.dtype(),
            shape.as_slice()
        ));
        hash.update(data.as_bytes());
    }
    format!("{:x}", hash.finalize())
}

/// Writes tensors as safetensors, whole or not at all; `metadata` is free text by key, to which the digest of the
/// tensors is added. The same tensors and metadata give the same bytes.
///
/// # Errors
/// [`WeightsError::Write`] naming the file.
pub fn write_safetensors(
    tensors: &StateDict,
    path: &Path,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let failed = |source| WeightsError::Write {
        path: path.to_path_buf(),
        source,
    };
    let mut about: BTreeMap<&str, String> = metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    about.insert("format", "pt".to_string());
    about.insert(DIGEST, digest(tensors));
    // Wide types first, so that every tensor is aligned.
    let mut ordered: Vec<(&String, &TensorData)> = tensors.iter().collect();
    ordered.sort_by_key(|(_, data)| std::cmp::Reverse(data.dtype().size()));
    let mut header = Map::new();
    header.insert("__metadata__".to_string(), json!(about));
    let mut end = 0;
    for (name, data) in &ordered {
        let dtype = to_safetensors(data.dtype()).ok_or_else(|| {
            let what = format!("tensor `{name}` has type {:?}", data.dtype());
            failed(std::io::Error::other(what))
        })?;
        let start = end;
        end += data.as_bytes().len();
        let entry =
            json!({"dtype": dtype, "shape": data.shape().to_vec(), "data_offsets": [start, end]});
        header.insert((*name).clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let write = || -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(&partial)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for (_, data) in &ordered {
            file.write_all(data.as_bytes())?;
        }
        file.into_inner()
            .map_err(|error| error.into_error())?
            .sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(failed)
}

fn from_safetensors(dtype: safetensors::Dtype) -> Option<DType> {
    use safetensors::Dtype;
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}

fn to_safetensors(dtype: DType) -> Option<safetensors::Dtype> {
    use safetensors::Dtype;
    Some(match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 | DType::Flex32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tensors: &StateDict) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        write_safetensors(tensors, &path, &BTreeMap::new()).unwrap();
        std::fs::read(path).unwrap()
    }

    fn some() -> StateDict {
        StateDict::from([
            (
                "a.half".into(),
                TensorData::new(vec![1.5f32], [1]).convert_dtype(DType::F16),
            ),
            (
                "b.weight".into(),
                TensorData::new(vec![1.0f32, 2.0], [2, 1]),
            ),
            ("c.count".into(), TensorData::new(vec![7i64], [1])),
        ])
    }

    fn fault(bytes: &[u8]) -> String {
        read_safetensors(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_and_its_digest_checked() {
        let bytes = written(&some());
        assert_eq!(bytes, written(&some()));
        assert_eq!(read_safetensors(&bytes).unwrap(), some());
        let mut changed = bytes.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert!(fault(&changed).contains("SHA-256"), "{}", fault(&changed));
    }

    #[test]
    fn a_length_that_looks_like_another_format_is_a_length() {
        // Headers of 0x4b50 ("PK") and 0x0280 (a pickle's start) bytes, and a few near them.
        for length in [0x4b50usize, 0x0280, 0x0380, 0x0480] {
            let tensors = StateDict::from([("w".into(), TensorData::new(vec![1.0f32], [1]))]);
            let plain = written(&tensors);
            let old = header_length(&plain).unwrap() as usize;
            let mut bytes = (length as u64).to_le_bytes().to_vec();
            bytes.extend(&plain[8..8 + old]);
            bytes.resize(8 + length, b' ');
            bytes.extend(&plain[8 + old..]);
            assert!(pth::recognises(&bytes));
            let Content::Safetensors(read) =
                Content::open(&bytes).unwrap_or_else(|e| panic!("{e}"))
            else {
                panic!("{length} was taken for a pickle");
            };
            assert_eq!(read, tensors);
        }
    }

    #[test]
    fn cut_off_overlong_and_doubled_files_are_named() {
        let bytes = written(&some());
        let cut = fault(&bytes[..bytes.len() - 3]);
        assert!(
            cut.contains("cut off") && cut.contains("18 bytes, 15 are there"),
            "{cut}"
        );
        let cut = fault(&bytes[..40]);
        assert!(cut.contains("cut off: the header"), "{cut}");
        let longer = fault(&[&bytes[..], b"more"].concat());
        assert!(longer.contains("4 bytes follow"), "{longer}");
        let entry = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        let header = format!("{{{entry},{entry}}}");
        let twice = [
            &(header.len() as u64).to_le_bytes()[..],
            header.as_bytes(),
            &[0; 4],
        ]
        .concat();
        assert!(
            fault(&twice).contains("`w` is there twice"),
            "{}",
            fault(&twice)
        );
    }
}
