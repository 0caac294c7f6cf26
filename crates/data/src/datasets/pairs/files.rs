//! Images with the files of their masks.

use std::path::{Path, PathBuf};

use super::matching::{self, Pair, shown};
use crate::decode::mask::{Encoding, decode_mask_bytes};
use crate::decode::{self, Decoding, read_file};
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, out_of_range};
use crate::target::{Mask, Target};

/// What all pairs of a dataset share.
#[derive(Clone)]
pub(in crate::datasets) struct Shared {
    pub classes: Vec<String>,
    pub encoding: Encoding,
    pub decode: Decoding,
}

/// Image files with their mask files.
pub(in crate::datasets) struct Pairs {
    /// What origins are relative to.
    root: PathBuf,
    pairs: Vec<Pair>,
    shared: Shared,
    remarks: Vec<Remark>,
    hint: Option<String>,
}

impl Pairs {
    /// Listed pairs: image and mask.
    pub fn new(root: &Path, files: Vec<(PathBuf, PathBuf)>, shared: Shared) -> Self {
        let pair = |(image, mask)| Pair {
            image,
            mask,
            fault: None,
        };
        Self {
            root: root.to_path_buf(),
            pairs: files.into_iter().map(pair).collect(),
            shared,
            remarks: Vec::new(),
            hint: None,
        }
    }

    /// The images of one folder with the masks of another.
    pub fn between(
        root: &Path,
        folders: [&Path; 2],
        suffix: &str,
        shared: Shared,
    ) -> Result<Self, DataError> {
        let (pairs, remarks) = matching::pairs(root, folders, suffix, shared.decode.extensions())?;
        Ok(Self {
            pairs,
            remarks,
            ..Self::new(root, Vec::new(), shared)
        })
    }

    /// Says what to change where pixels are ignored that were meant to count.
    pub fn hint(&mut self, hint: &str) {
        self.hint = Some(hint.to_owned());
    }

    /// Adds what was noticed about the files.
    pub fn remark(&mut self, remark: Remark) {
        self.remarks.push(remark);
    }

    fn pair(&self, index: usize) -> Result<&Pair, DataError> {
        self.pairs
            .get(index)
            .ok_or_else(|| out_of_range(index, self.pairs.len(), self.root.display().to_string()))
    }

    /// The bytes of the image.
    fn image_bytes(&self, pair: &Pair) -> Result<Vec<u8>, DataError> {
        if let Some(fault) = &pair.fault {
            return Err(DataError::unreadable(
                pair.image.display().to_string(),
                &**fault,
            ));
        }
        read_file(&pair.image, &self.shared.decode)
    }

    /// The mask, which must fit the image of `size`, and whose bytes must not be the image's.
    fn mask(&self, pair: &Pair, image: &[u8], size: [usize; 2]) -> Result<Mask, DataError> {
        let shown = pair.image.display();
        if !pair.mask.exists() {
            return Err(DataError::Missing {
                path: pair.mask.clone(),
                hint: format!("the mask of {shown}"),
            });
        }
        let Shared {
            classes,
            encoding,
            decode: decoding,
        } = &self.shared;
        let bytes = read_file(&pair.mask, decoding)?;
        let origin = pair.mask.display().to_string();
        let fault = |reason: String| DataError::unreadable(&*origin, reason);
        if bytes == image {
            return Err(fault(format!("the same file as its image {shown}")));
        }
        let mask = decode_mask_bytes(&bytes, &origin, encoding, decoding)?;
        let [width, height] = size;
        if [mask.width, mask.height] != size {
            let stored = decode::header(image, "", decoding).ok();
            let is_turned = stored.is_some_and(|(w, h, _)| [w, h] == [height, width] && w != h);
            let turned = match is_turned {
                true => format!(
                    " as its EXIF orientation turns it (it is stored as {height}x{width}); turn the mask as well"
                ),
                false => String::new(),
            };
            return Err(fault(format!(
                "{}x{} pixels, its image {shown} has {width}x{height}{turned}",
                mask.width, mask.height
            )));
        }
        let known = classes.len();
        let wrong = |class: &u8| usize::from(*class) >= known && *class != Mask::IGNORE;
        match mask.classes.iter().position(wrong) {
            Some(at) => Err(fault(format!(
                "class {} at {}, {}: there are {known} classes",
                mask.classes[at],
                at % width,
                at / width
            ))),
            None => Ok(mask),
        }
    }
}

impl Source for Pairs {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let pair = self.pair(index)?;
        let bytes = self.image_bytes(pair)?;
        let origin = pair.image.display().to_string();
        let image = decode::picture(&bytes, &origin, &self.shared.decode)?;
        let mask = self.mask(pair, &bytes, image.size())?;
        Ok(Sample {
            image,
            target: Target::of_mask(mask),
        })
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        let pair = self.pair(index)?;
        let bytes = self.image_bytes(pair)?;
        let origin = pair.image.display().to_string();
        let [width, height, _] = decode::dimensions(&bytes, &origin, &self.shared.decode)?;
        Ok(Target::of_mask(self.mask(pair, &bytes, [width, height])?))
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        let pair = self.pair(index)?;
        let bytes = self.image_bytes(pair)?;
        let origin = pair.image.display().to_string();
        decode::dimensions(&bytes, &origin, &self.shared.decode).map(Some)
    }

    fn ignored_hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn origin(&self, index: usize) -> String {
        let pair = self.pairs.get(index);
        pair.map_or_else(String::new, |pair| shown(&self.root, &pair.image))
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        Some(self.pairs.get(index)?.image.clone())
    }

    fn classes(&self) -> &[String] {
        &self.shared.classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        let Some(pair) = self.pairs.get(index) else {
            return Vec::new();
        };
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let (image, mask) = (bytes(&pair.image), bytes(&pair.mask));
        format!("{} {image} {mask}", self.origin(index)).into_bytes()
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }
}
