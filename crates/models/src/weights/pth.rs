//! PyTorch's own files, `.pth` and `.pt`: the zip archive of version 1.6 and later, and the run of
//! pickles before it, which many of torchvision's published files still are.
//!
//! A tensor is rebuilt only from numbers that the file really holds: its storage must have the
//! claimed length, the view must lie inside it, and it may not repeat numbers by stride 0, so that no
//! small file can ask for much memory.

use std::collections::{BTreeMap, HashMap, HashSet};

use burn::tensor::{DType, TensorData};

use super::StateDict;
use super::error::Fault;
use super::pickle::{self, Pickle, Storage, TensorRef, Value};
use super::zip;

/// The first pickle of the older kind of file is this number.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Whether the bytes begin as a zip archive, a pickle or a tar archive do.
pub(super) fn recognises(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK")
        || bytes.starts_with(&[0x80]) && bytes.get(1).is_some_and(|v| *v <= 5)
        || is_tar(bytes)
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// How deep dictionaries of tensors are looked for in each other.
const DEEPEST: usize = 4;

/// A file of `torch.save`: the object in it, and the numbers of its tensors.
pub(super) struct Archive<'a> {
    pickle: Pickle,
    blocks: Blocks<'a>,
    dicts: Vec<Dict>,
}

/// A dictionary that holds tensors.
struct Dict {
    /// Its place in the object, keys joined by dots; `""` for the whole object.
    place: String,
    /// Its container in the pickle.
    at: usize,
}

/// Where the numbers of storages lie.
enum Blocks<'a> {
    /// The entries of a zip archive, and what stands before their names.
    Zip(zip::Entries<'a>, String),
    /// By the storage's key.
    Legacy(BTreeMap<String, &'a [u8]>),
}

impl<'a> Blocks<'a> {
    fn of(&self, storage: &Storage) -> Result<&'a [u8], Fault> {
        let key = &storage.key;
        match self {
            Self::Zip(entries, prefix) => {
                let name = format!("{prefix}data/{key}");
                let data = entries.get(&name).copied();
                data.ok_or_else(|| Fault::Damaged(format!("the archive has no entry `{name}`")))
            }
            Self::Legacy(blocks) => {
                let block = blocks.get(key).copied();
                block.ok_or_else(|| Fault::Damaged(format!("storage `{key}` is not in the file")))
            }
        }
    }
}

impl<'a> Archive<'a> {
    /// Reads the object, and none of the numbers yet.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        if is_tar(bytes) {
            let what = "PyTorch's tar files (before version 0.1.10); load and save it with a newer PyTorch";
            return Err(Fault::Unsupported(what.to_string()));
        }
        let (pickle, blocks) = match bytes.starts_with(b"PK") {
            true => read_zip(bytes)?,
            false => read_legacy(bytes)?,
        };
        let mut dicts = Vec::new();
        find_dicts(&pickle, &pickle.root, "", 0, &mut dicts)?;
        if dicts.is_empty() {
            return Err(Fault::Unsupported(format!(
                "a file without a state dict (a dictionary of tensors, or one under `state_dict` or `model`); {}",
                holds(&pickle)
            )));
        }
        Ok(Self {
            pickle,
            blocks,
            dicts,
        })
    }

    /// The dictionaries of tensors: the place of each, and its keys.
    pub(super) fn dicts(&self) -> Vec<(&str, Vec<String>)> {
        let keys = |dict: &Dict| {
            let tensors = self.tensors_of(dict).into_iter();
            tensors.map(|(key, _)| key.to_string()).collect()
        };
        self.dicts
            .iter()
            .map(|dict| (dict.place.as_str(), keys(dict)))
            .collect()
    }

    /// The tensors of one of [`Archive::dicts`] with their numbers.
    pub(super) fn tensors(&self, index: usize) -> Result<StateDict, Fault> {
        let mut tensors = StateDict::new();
        for (name, tensor) in self.tensors_of(&self.dicts[index]) {
            let data = self.blocks.of(&tensor.storage)?;
            tensors.insert(name.to_string(), gather(name, tensor, data)?);
        }
        Ok(tensors)
    }

    fn tensors_of(&self, dict: &Dict) -> Vec<(&str, &TensorRef)> {
        let pairs = self.pickle.pairs(&Value::Dict(dict.at));
        let tensors = pairs.unwrap_or_default().into_iter();
        tensors
            .filter_map(|(key, value)| match value {
                Value::Tensor(tensor) => Some((key, tensor.as_ref())),
                _ => None,
            })
            .collect()
    }
}

/// What a file without tensors holds, in a few words.
fn holds(pickle: &Pickle) -> String {
    match (&pickle.root, pickle.pairs(&pickle.root)) {
        (_, Some(pairs)) => {
            let keys: Vec<String> = (pairs.iter().take(8))
                .map(|(key, _)| format!("`{key}`"))
                .collect();
            format!("it holds a dictionary of {}", keys.join(", "))
        }
        (Value::Tensor(_), _) => "it holds one tensor without a name".to_string(),
        (Value::List(_) | Value::Tuple(_), _) => "it holds a list".to_string(),
        _ => "it holds something else".to_string(),
    }
}

/// Collects the dictionaries that hold tensors under texts, the outer before the inner.
fn find_dicts(
    pickle: &Pickle,
    value: &Value,
    place: &str,
    depth: usize,
    found: &mut Vec<Dict>,
) -> Result<(), Fault> {
    let (Value::Dict(at), Some(pairs)) = (value, pickle.pairs(value)) else {
        return Ok(());
    };
    if found.iter().any(|dict| dict.at == *at) {
        return Ok(()); // One object under two keys.
    }
    let mut tensors = HashSet::new();
    for (key, value) in &pairs {
        if matches!(value, Value::Tensor(_)) && !tensors.insert(*key) {
            return Err(Fault::Damaged(format!("tensor `{key}` is there twice")));
        }
    }
    if !tensors.is_empty() {
        let place = place.to_string();
        found.push(Dict { place, at: *at });
    }
    for (key, value) in pairs.into_iter().filter(|_| depth < DEEPEST) {
        let inner = match place {
            "" => key.to_string(),
            place => format!("{place}.{key}"),
        };
        find_dicts(pickle, value, &inner, depth + 1, found)?;
    }
    Ok(())
}

fn read_zip(bytes: &[u8]) -> Result<(Pickle, Blocks<'_>), Fault> {
    let entries = zip::entries(bytes)?;
    let (prefix, pickled) = entries
        .iter()
        .find_map(|(name, data)| {
            name.strip_suffix("data.pkl")
                .map(|prefix| (prefix.to_string(), *data))
        })
        .ok_or_else(|| {
            Fault::Damaged("the archive has no `data.pkl`; not a file of torch.save".to_string())
        })?;
    if entries.contains_key(&format!("{prefix}constants.pkl")) {
        let what = "TorchScript archives; save the model's state dict instead";
        return Err(Fault::Unsupported(what.to_string()));
    }
    if entries
        .get(&format!("{prefix}byteorder"))
        .is_some_and(|order| *order != b"little")
    {
        return Err(Fault::Unsupported(
            "a file written in big-endian order".to_string(),
        ));
    }
    let pickle = pickle::read(pickled)?;
    Ok((pickle, Blocks::Zip(entries, prefix)))
}

/// Magic number, protocol, system, the object, the storages' keys; then each storage as its length
/// and its numbers.
fn read_legacy(bytes: &[u8]) -> Result<(Pickle, Blocks<'_>), Fault> {
    let unknown = || {
        let what = "a bare pickle that torch.save did not write";
        Fault::Unsupported(what.to_string())
    };
    if bytes.get(2..4) != Some(&[0x8a, 10]) || bytes.get(4..14) != Some(&MAGIC) {
        return Err(unknown());
    }
    let mut at = 0;
    let mut next = || -> Result<Pickle, Fault> {
        let pickle = pickle::read(&bytes[at..])?;
        at += pickle.length;
        Ok(pickle)
    };
    next()?;
    if !matches!(next()?.root, Value::Int(1001)) {
        return Err(Fault::Unsupported(
            "a protocol of torch.save other than 1001".to_string(),
        ));
    }
    next()?;
    let object = next()?;
    let keys = next()?;
    let keys = keys
        .items(&keys.root)
        .ok_or_else(|| Fault::Damaged("the list of storages is no list".to_string()))?
        .iter()
        .map(|key| match key {
            Value::Text(key) => Ok(key.to_string()),
            _ => Err(Fault::Damaged(
                "the list of storages holds something but texts".to_string(),
            )),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut sizes = HashMap::new();
    // Also of tensors that are not taken, such as an optimizer's.
    let values = object.containers.iter().flatten().chain([&object.root]);
    for value in values {
        if let Value::Tensor(tensor) = value {
            let size = type_of(&tensor.storage.kind)?.size();
            sizes.insert(tensor.storage.key.clone(), (size, tensor.storage.count));
        }
    }
    let mut blocks = BTreeMap::new();
    for key in keys {
        let Some(&(size, count)) = sizes.get(&key) else {
            return Err(Fault::Damaged(format!(
                "storage `{key}` belongs to no tensor"
            )));
        };
        let claimed = bytes
            .get(at..at + 8)
            .map(|b| u64::from_le_bytes(b.try_into().unwrap_or_default()));
        if claimed != Some(count as u64) {
            return Err(Fault::Damaged(format!(
                "storage `{key}` has not the {count} numbers it should"
            )));
        }
        let length = count
            .checked_mul(size)
            .filter(|&n| n <= bytes.len() - at - 8);
        let Some(length) = length else {
            return Err(Fault::Damaged(format!("storage `{key}` is cut off")));
        };
        blocks.insert(key, &bytes[at + 8..at + 8 + length]);
        at += 8 + length;
    }
    match bytes.len() - at {
        0 => Ok((object, Blocks::Legacy(blocks))),
        more => Err(Fault::Damaged(format!(
            "{more} bytes follow after the last tensor"
        ))),
    }
}

fn type_of(kind: &str) -> Result<DType, Fault> {
    Ok(match kind {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        other => return Err(Fault::Unsupported(format!("storages of type `{other}`"))),
    })
}

/// Copies a view out of its storage into row-major order.
fn gather(name: &str, tensor: &TensorRef, block: &[u8]) -> Result<TensorData, Fault> {
    let dtype = type_of(&tensor.storage.kind)?;
    let size = dtype.size();
    let wrong = |what: &str| Fault::Damaged(format!("tensor `{name}`: {what}"));
    if tensor.storage.count.checked_mul(size) != Some(block.len()) {
        return Err(wrong("its storage has another length than it claims"));
    }
    if tensor.shape.len() != tensor.strides.len() || tensor.shape.len() > 8 {
        return Err(wrong("shape and strides do not match"));
    }
    let count = tensor
        .shape
        .iter()
        .try_fold(1usize, |n, &side| n.checked_mul(side));
    let count = count
        .filter(|&n| n <= tensor.storage.count)
        .ok_or_else(|| wrong("it is larger than its storage"))?;
    let last = tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |at, (&side, &stride)| {
            at.checked_add(side.saturating_sub(1).checked_mul(stride)?)
        });
    if count > 0 && last.is_none_or(|last| last >= tensor.storage.count) {
        return Err(wrong("it reaches outside of its storage"));
    }
    let mut expected = 1;
    let contiguous = tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .rev()
        .all(|(&side, &stride)| {
            let fits = stride == expected || side == 1;
            expected *= side;
            fits
        });
    let bytes = if contiguous && count > 0 {
        block[tensor.offset * size..(tensor.offset + count) * size].to_vec()
    } else {
        let mut bytes = Vec::with_capacity(count * size);
        let mut index = vec![0; tensor.shape.len()];
        for _ in 0..count {
            let steps: usize = index.iter().zip(&tensor.strides).map(|(i, s)| i * s).sum();
            let at = (tensor.offset + steps) * size;
            bytes.extend_from_slice(&block[at..at + size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < tensor.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        bytes
    };
    Ok(TensorData::from_bytes_vec(
        bytes,
        tensor.shape.clone(),
        dtype,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pth");
        std::fs::read(format!("{folder}/{name}.pth")).unwrap()
    }

    /// The only dictionary of a file.
    fn read(bytes: &[u8]) -> Result<StateDict, Fault> {
        let archive = Archive::open(bytes)?;
        assert_eq!(archive.dicts().len(), 1);
        archive.tensors(0)
    }

    fn numbers(data: &TensorData) -> Vec<f64> {
        data.iter::<f64>().collect()
    }

    #[test]
    fn both_kinds_of_file_give_every_type_and_layout() {
        for name in ["zip", "legacy"] {
            let dict = read(&fixture(name)).unwrap();
            assert_eq!(dict.len(), 9, "{name}");
            let at = |key: &str| (dict[key].shape().to_vec(), numbers(&dict[key]));
            let count = |n: usize| (0..n).map(|v| v as f64).collect::<Vec<_>>();
            assert_eq!(at("plain"), (vec![2, 3, 4], count(24)), "{name}");
            let transposed = (0..24).map(|i| ((i % 4) * 6 + i / 4) as f64).collect();
            assert_eq!(at("transposed"), (vec![6, 4], transposed), "{name}");
            assert_eq!(at("part"), (vec![4], vec![5.0, 6.0, 7.0, 8.0]), "{name}");
            assert_eq!(at("scalar"), (vec![], vec![3.5]), "{name}");
            assert_eq!(at("empty"), (vec![0, 2], vec![]), "{name}");
            assert_eq!(at("half").1, [0.5, -2.0], "{name}");
            assert_eq!(at("brain").1, [1.5, -4.0], "{name}");
            assert_eq!(at("double").1, [0.25], "{name}");
            assert_eq!(
                (at("counter").1, dict["counter"].dtype()),
                (vec![7.0], DType::I64),
                "{name}"
            );
        }
    }

    #[test]
    fn a_checkpoints_state_dict_and_a_modules_are_found() {
        let dict = read(&fixture("checkpoint")).unwrap();
        assert_eq!(dict.keys().collect::<Vec<_>>(), ["module.weight"]);
        let dict = read(&fixture("module")).unwrap();
        assert_eq!(numbers(&dict["1.running_var"]), [5.0, 5.0]);
    }

    #[test]
    fn every_dictionary_of_a_training_scripts_file_is_found() {
        for name in ["training", "training_legacy"] {
            let bytes = fixture(name);
            let archive = Archive::open(&bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            let found = archive.dicts();
            let places: Vec<&str> = found.iter().map(|(place, _)| *place).collect();
            assert_eq!(places, ["", "state.model", "model_ema"], "{name}");
            assert_eq!(found[0].1, ["best_acc1"]);
            assert_eq!(found[2].1, ["n_averaged", "module.weight", "module.bias"]);
            let dict = archive.tensors(1).unwrap();
            assert_eq!(numbers(&dict["weight"]), [3.0, 3.0]);
            assert_eq!(numbers(&dict["bias"]), [4.0]);
        }
        let more = [&fixture("legacy")[..], b"more"].concat();
        let fault = read(&more).unwrap_err().to_string();
        assert!(fault.contains("4 bytes follow"), "{fault}");
    }

    #[test]
    fn a_pickle_that_calls_is_refused_and_runs_nothing() {
        for name in ["calls", "calls_legacy"] {
            let fault = read(&fixture(name)).unwrap_err();
            assert!(
                matches!(&fault, Fault::Refused(what) if what.contains("posix.system")),
                "{fault}"
            );
        }
        let fault = read(&fixture("whole_module")).unwrap_err();
        assert!(matches!(fault, Fault::Refused(_)), "{fault}");
    }

    /// A pickle that builds one tensor, with the given numbers.
    fn pickle_of(count: i32, offset: i32, sides: &[i32], strides: &[i32]) -> Vec<u8> {
        let int = |v: i32| [vec![b'J'], v.to_le_bytes().to_vec()].concat();
        let text = |t: &str| {
            [
                vec![b'X'],
                (t.len() as u32).to_le_bytes().to_vec(),
                t.into(),
            ]
            .concat()
        };
        let tuple = |v: &[i32]| {
            [
                vec![b'('],
                v.iter().flat_map(|v| int(*v)).collect(),
                vec![b't'],
            ]
            .concat()
        };
        [
            b"\x80\x02}".to_vec(),
            text("w"),
            b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
            text("storage"),
            b"ctorch\nFloatStorage\n".to_vec(),
            text("0"),
            text("cpu"),
            int(count),
            b"tQ".to_vec(),
            int(offset),
            tuple(sides),
            tuple(strides),
            b"tRs.".to_vec(),
        ]
        .concat()
    }

    #[test]
    fn views_outside_of_their_storage_are_refused() {
        let block = [0u8; 24];
        let read = |count, offset, sides: &[i32], strides: &[i32]| {
            let archive = Archive {
                pickle: pickle::read(&pickle_of(count, offset, sides, strides))?,
                blocks: Blocks::Legacy([("0".to_string(), &block[..])].into()),
                dicts: vec![Dict {
                    place: String::new(),
                    at: 0,
                }],
            };
            archive.tensors(0)
        };
        assert_eq!(
            read(6, 0, &[2, 3], &[3, 1]).unwrap()["w"].shape().to_vec(),
            [2, 3]
        );
        assert!(read(6, 2, &[2, 2], &[2, 1]).is_ok());
        for (count, offset, sides, strides) in [
            (6, 1, vec![2, 3], vec![3, 1]),               // runs past the end
            (6, 0, vec![2, 3], vec![4, 1]),               // strides past the end
            (7, 0, vec![2, 3], vec![3, 1]),               // storage shorter than claimed
            (6, -1, vec![2, 3], vec![3, 1]),              // negative offset
            (6, 0, vec![-2, 3], vec![3, 1]),              // negative side
            (-6, 0, vec![2, 3], vec![3, 1]),              // negative count
            (6, 0, vec![1 << 30, 1 << 30], vec![0, 0]),   // a small file, a huge tensor
            (6, 0, vec![i32::MAX; 3], vec![i32::MAX; 3]), // overflow
            (6, 0, vec![2, 3], vec![1]),                  // shape and strides differ
            (6, 0, vec![1; 9], vec![1; 9]),               // too many dimensions
            (6, i32::MAX, vec![0], vec![1]),              // empty, anywhere: allowed below
        ] {
            let result = read(count, offset, &sides, &strides);
            match sides.contains(&0) {
                true => assert_eq!(numbers(&result.unwrap()["w"]), Vec::<f64>::new()),
                false => assert!(result.is_err(), "{sides:?}"),
            }
        }
    }

    #[test]
    fn hostile_pickles_are_errors() {
        let huge = [
            b"\x80\x02X".to_vec(),
            u32::MAX.to_le_bytes().to_vec(),
            b"abc".to_vec(),
        ]
        .concat();
        let deep = [b"\x80\x02)".to_vec(), vec![0x85; 1 << 20], b".".to_vec()].concat();
        let refused: [&[u8]; 6] = [
            b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
            b"\x80\x02cos\nsystem\n)\x81.",
            b"\x80\x02(cos\nsystem\no.",
            b"\x80\x02(ios\nsystem\n.",
            b"\x80\x02\x82\x01.",
            b"\x80\x02ccollections\nOrderedDict\n)Rccollections\nOrderedDict\n)R0cos\nsystem\n}b.",
        ];
        for bytes in refused {
            assert!(
                matches!(pickle::read(bytes), Err(Fault::Refused(_))),
                "{bytes:?}"
            );
        }
        let damaged: [&[u8]; 9] = [
            b"",
            b"\x80",
            b"\x80\x02",
            b"\x80\x02.",
            b"\x80\x02h\x07.",
            b"\x80\x02t.",
            b"\x80\x02)R.",
            b"\x80\x02\xff.",
            &huge,
        ];
        for bytes in damaged {
            assert!(
                matches!(pickle::read(bytes), Err(Fault::Damaged(_))),
                "{bytes:?}"
            );
        }
        // A million tuples in each other cost no stack, neither to read nor to drop.
        assert!(pickle::read(&deep).is_ok());
    }

    #[test]
    fn no_truncation_and_no_flipped_byte_panics() {
        for name in ["zip", "legacy", "module"] {
            let good = fixture(name);
            for length in (0..good.len()).step_by(7) {
                assert!(
                    read(&good[..length]).is_err(),
                    "{name} cut to {length} bytes"
                );
            }
            for at in 0..good.len() {
                for flip in [0x01, 0x80, 0xff] {
                    let mut bad = good.clone();
                    bad[at] ^= flip;
                    let _ = read(&bad);
                }
            }
        }
    }

    #[test]
    fn lying_archives_are_refused() {
        let good = fixture("zip");
        let end = good.len() - 22;
        let directory = u32::from_le_bytes(good[end + 16..end + 20].try_into().unwrap()) as usize;
        let lie = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            read(&bad).unwrap_err().to_string()
        };
        assert!(lie(directory + 24, &[0x10, 0x27, 0, 0]).contains("sizes differ"));
        assert!(
            lie(directory + 42, &[0xf0, 0xff, 0xff, 0x7f]).contains("more bytes than the file")
        );
        assert!(lie(directory + 10, &[8, 0]).contains("compressed"));
        assert!(lie(directory + 8, &[1, 0]).contains("encrypted"));
        assert!(lie(directory + 16, &[0, 1, 2, 3]).contains("checksum"));
        assert!(lie(end + 16, &[1, 2, 3, 4]).contains("contradict"));
        // The zip64 record: 56 bytes, then its locator of 20, then the end.
        let record = end - 76;
        assert!(lie(record + 48, &[0xff; 8]).contains("contradict"));
        let both = |field: usize, narrow: usize, width: usize| {
            let mut bad = good.clone();
            bad[record + field..record + field + 8].fill(0x7f);
            bad[end + narrow..end + narrow + width].fill(0xff);
            read(&bad).unwrap_err().to_string()
        };
        assert!(both(48, 16, 4).contains("outside the file"));
        assert!(both(32, 10, 2).contains("claims"));
        assert!(lie(0, b"PK\x01\x02").contains("no local header"));
        assert!(lie(30, b"x").contains("another story"));
        let first = lie_about_overlap(&good, directory);
        assert!(
            first.contains("another story") || first.contains("overlap"),
            "{first}"
        );
    }

    /// Points the second entry at the first one's header.
    fn lie_about_overlap(good: &[u8], directory: usize) -> String {
        let mut bad = good.to_vec();
        let half = |at: usize| usize::from(u16::from_le_bytes([good[at], good[at + 1]]));
        let second =
            directory + 46 + half(directory + 28) + half(directory + 30) + half(directory + 32);
        bad.copy_within(directory + 42..directory + 46, second + 42);
        read(&bad).unwrap_err().to_string()
    }
}
