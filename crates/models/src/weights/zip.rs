//! The part of the zip format that `torch.save` writes: stored entries, with or without zip64.
//!
//! Every number in the archive is checked against the file and against its copy elsewhere in it:
//! central directory against local headers, ranges against each other, contents against their CRC. The entries are lent
//! from the file, which may be mapped and larger than memory; readers of zip in general copy, and take archives whose
//! parts contradict each other.

use std::collections::BTreeMap;

use super::error::Fault;

/// Entries by name.
pub(super) type Entries<'a> = BTreeMap<String, &'a [u8]>;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// More entries than any checkpoint has tensors.
const MOST_ENTRIES: u64 = 200_000;

/// Reads all entries of an archive.
pub(super) fn entries(file: &[u8]) -> Result<Entries<'_>, Fault> {
    let (count, start, end) = directory(file)?;
    let mut at = start;
    let mut entries = Entries::new();
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for _ in 0..count {
        let header = Header::central(file, at, end)?;
        at = header.next;
        let name = header.name;
        if name.ends_with('/') {
            continue;
        }
        let (from, data) = local(file, &header, start)?;
        ranges.push((from, from + header.local_length(file)? + header.size));
        if crc32fast::hash(data) != header.crc {
            return Err(damaged(format!(
                "entry `{name}` does not match its checksum"
            )));
        }
        if entries.insert(name.to_string(), data).is_some() {
            return Err(damaged(format!("entry `{name}` occurs twice")));
        }
    }
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(damaged("two zip entries overlap".to_string()));
    }
    Ok(entries)
}

/// Number of entries, start and end of the central directory.
fn directory(file: &[u8]) -> Result<(u64, usize, usize), Fault> {
    let missing =
        || damaged("the zip archive has no end: the file is cut off or not a zip".to_string());
    let last = file.len().checked_sub(22).ok_or_else(missing)?;
    let first = last.saturating_sub(65_535);
    let end = (first..=last)
        .rev()
        .find(|&at| u32_at(file, at) == Some(END))
        .ok_or_else(missing)?;
    let need = |value: Option<u64>| value.ok_or_else(missing);
    let mut count = need(u16_at(file, end + 10).map(u64::from))?;
    let mut size = need(u32_at(file, end + 12).map(u64::from))?;
    let mut start = need(u32_at(file, end + 16).map(u64::from))?;
    let mut limit = end;
    if let Some(locator) = end
        .checked_sub(20)
        .filter(|&at| u32_at(file, at) == Some(LOCATOR64))
    {
        let at = need(u64_at(file, locator + 8))?;
        let at = usize::try_from(at).map_err(|_| missing())?;
        if at >= locator || u32_at(file, at) != Some(END64) {
            return Err(damaged(
                "the zip64 locator points to no zip64 record".to_string(),
            ));
        }
        let wide = [
            need(u64_at(file, at + 32))?,
            need(u64_at(file, at + 40))?,
            need(u64_at(file, at + 48))?,
        ];
        let narrow = [(count, 0xffff), (size, 0xffff_ffff), (start, 0xffff_ffff)];
        if narrow
            .iter()
            .zip(wide)
            .any(|(&(value, elsewhere), wide)| value != elsewhere && value != wide)
        {
            return Err(damaged(
                "the two ends of the zip archive contradict each other".to_string(),
            ));
        }
        [count, size, start] = wide;
        limit = at;
    }
    let stop = start.checked_add(size).filter(|&stop| stop <= limit as u64);
    let Some(stop) = stop else {
        return Err(damaged(
            "the zip directory lies outside the file".to_string(),
        ));
    };
    if count > MOST_ENTRIES || count > size / 46 {
        return Err(damaged(format!(
            "the zip directory claims {count} entries in {size} bytes"
        )));
    }
    Ok((count, start as usize, stop as usize))
}

/// An entry as the central directory has it.
struct Header<'a> {
    name: &'a str,
    crc: u32,
    size: usize,
    offset: usize,
    next: usize,
}

impl<'a> Header<'a> {
    fn central(file: &'a [u8], at: usize, end: usize) -> Result<Self, Fault> {
        let short = || damaged("the zip directory is cut off".to_string());
        let fixed = file
            .get(at..end)
            .and_then(|rest| rest.get(..46))
            .ok_or_else(short)?;
        let word = |offset| u32_at(fixed, offset).unwrap_or(0);
        let half = |offset| usize::from(u16_at(fixed, offset).unwrap_or(0));
        if word(0) != CENTRAL {
            return Err(damaged(
                "the zip directory holds something that is no entry".to_string(),
            ));
        }
        let (name_length, extra_length, comment_length) = (half(28), half(30), half(32));
        let variable = name_length + extra_length + comment_length;
        let rest = file
            .get(at + 46..end)
            .and_then(|rest| rest.get(..variable))
            .ok_or_else(short)?;
        let name = std::str::from_utf8(&rest[..name_length])
            .map_err(|_| damaged("a zip entry's name is not UTF-8".to_string()))?;
        let mut sizes = [
            u64::from(word(24)),
            u64::from(word(20)),
            u64::from(word(42)),
        ];
        let extra = &rest[name_length..name_length + extra_length];
        widen(extra, &mut sizes)
            .ok_or_else(|| damaged(format!("entry `{name}`: bad zip64 field")))?;
        let [size, packed, offset] = sizes;
        if half(8) & 1 != 0 {
            return Err(Fault::Unsupported(format!("entry `{name}` is encrypted")));
        }
        if half(10) != 0 {
            return Err(Fault::Unsupported(format!(
                "entry `{name}` is compressed, torch.save stores"
            )));
        }
        if size != packed {
            return Err(damaged(format!(
                "entry `{name}` is stored, but its two sizes differ"
            )));
        }
        let within = |value: u64| usize::try_from(value).ok().filter(|&v| v <= file.len());
        let (Some(size), Some(offset)) = (within(size), within(offset)) else {
            return Err(damaged(format!(
                "entry `{name}` claims more bytes than the file has"
            )));
        };
        Ok(Self {
            name,
            crc: word(16),
            size,
            offset,
            next: at + 46 + variable,
        })
    }

    /// Length of the local header, from the file.
    fn local_length(&self, file: &[u8]) -> Result<usize, Fault> {
        let length = |at| u16_at(file, at).map(usize::from);
        match (length(self.offset + 26), length(self.offset + 28)) {
            (Some(name), Some(extra)) => Ok(30 + name + extra),
            _ => Err(damaged(format!(
                "entry `{}` has no local header",
                self.name
            ))),
        }
    }
}

/// Replaces the sizes that read "see the zip64 field" by that field's.
fn widen(mut extra: &[u8], sizes: &mut [u64; 3]) -> Option<()> {
    if sizes.iter().all(|&size| size != u64::from(u32::MAX)) {
        return Some(());
    }
    while extra.len() >= 4 {
        let (kind, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let body = extra.get(4..4 + length)?;
        if kind == 1 {
            let mut at = 0;
            for size in sizes
                .iter_mut()
                .filter(|size| **size == u64::from(u32::MAX))
            {
                *size = u64_at(body, at)?;
                at += 8;
            }
            return Some(());
        }
        extra = &extra[4 + length..];
    }
    None
}

/// Start of the local header and the contents, after checking the header against the directory.
fn local<'a>(
    file: &'a [u8],
    header: &Header,
    directory: usize,
) -> Result<(usize, &'a [u8]), Fault> {
    let name = header.name;
    if u32_at(file, header.offset) != Some(LOCAL) {
        return Err(damaged(format!("entry `{name}` points to no local header")));
    }
    let length = header.local_length(file)?;
    let named = file.get(header.offset + 30..header.offset + 30 + name.len());
    if named != Some(name.as_bytes()) || u16_at(file, header.offset + 8) != Some(0) {
        return Err(damaged(format!(
            "entry `{name}`: the local header tells another story"
        )));
    }
    let from = header.offset + length;
    match from
        .checked_add(header.size)
        .filter(|&end| end <= directory)
    {
        Some(end) => Ok((header.offset, &file[from..end])),
        None => Err(damaged(format!(
            "entry `{name}` runs past the archive's contents"
        ))),
    }
}

fn damaged(message: String) -> Fault {
    Fault::Damaged(message)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(
        bytes.get(at..at.checked_add(2)?)?.try_into().ok()?,
    ))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(
        bytes.get(at..at.checked_add(8)?)?.try_into().ok()?,
    ))
}
