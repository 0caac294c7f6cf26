//! PyTorch's own files, `.pth` and `.pt`: the zip archive of version 1.6 and later, and the run of
//! pickles before it, which many of torchvision's published files still are.
//!
//! A tensor is rebuilt only from numbers that the file really holds: its storage must have the
//! claimed length, the view must lie inside it, and it may not repeat numbers by stride 0, so that no
//! small file can ask for much memory.

use std::collections::{BTreeMap, HashMap};

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

/// Reads all tensors.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, Fault> {
    if is_tar(bytes) {
        let what =
            "PyTorch's tar files (before version 0.1.10); load and save it with a newer PyTorch";
        return Err(Fault::Unsupported(what.to_string()));
    }
    if bytes.starts_with(b"PK") {
        read_zip(bytes)
    } else {
        read_legacy(bytes)
    }
}

fn read_zip(bytes: &[u8]) -> Result<StateDict, Fault> {
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
    tensors(&pickle, |storage| {
        let name = format!("{prefix}data/{}", storage.key);
        let data = entries.get(&name).copied();
        data.ok_or_else(|| Fault::Damaged(format!("the archive has no entry `{name}`")))
    })
}

/// Magic number, protocol, system, the object, the storages' keys; then each storage as its length
/// and its numbers.
fn read_legacy(bytes: &[u8]) -> Result<StateDict, Fault> {
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
    each_tensor(&object, |_, tensor| {
        let size = type_of(&tensor.storage.kind)?.size();
        sizes.insert(tensor.storage.key.clone(), (size, tensor.storage.count));
        Ok(())
    })?;
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
    tensors(&object, |storage| {
        let block = blocks.get(&storage.key).copied();
        block.ok_or_else(|| Fault::Damaged(format!("storage `{}` is not in the file", storage.key)))
    })
}

/// Collects the tensors of a state dict with their contents.
fn tensors<'a>(
    pickle: &Pickle,
    contents: impl Fn(&Storage) -> Result<&'a [u8], Fault>,
) -> Result<StateDict, Fault> {
    let mut dict = StateDict::new();
    each_tensor(pickle, |name, tensor| {
        let data = contents(&tensor.storage)?;
        dict.insert(name.to_string(), gather(name, tensor, data)?);
        Ok(())
    })?;
    Ok(dict)
}

/// Visits the tensors of a state dict, or of a checkpoint's entry that holds one.
fn each_tensor(
    pickle: &Pickle,
    mut visit: impl FnMut(&str, &TensorRef) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let pairs = |value| pickle.pairs(value).unwrap_or_default();
    let has_tensors = |value| {
        pairs(value)
            .iter()
            .any(|(_, v)| matches!(v, Value::Tensor(_)))
    };
    let mut root = &pickle.root;
    if !has_tensors(root) {
        let inner = ["state_dict", "model", "model_state_dict", "model_ema"]
            .iter()
            .find_map(|key| {
                pairs(root)
                    .into_iter()
                    .find(|(k, v)| k == key && has_tensors(*v))
                    .map(|(_, v)| v)
            });
        root = inner.ok_or_else(|| {
            let what = "a file without a state dict (a dictionary of tensors, or one under \
                        `state_dict` or `model`)";
            Fault::Unsupported(what.to_string())
        })?;
    }
    for (name, value) in pairs(root) {
        if let Value::Tensor(tensor) = value {
            visit(name, tensor)?;
        }
    }
    Ok(())
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
