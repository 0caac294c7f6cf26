//! Small images of one size, decoded and side by side in memory, each with a class.

use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::sample::{Image, Sample};
use crate::source::{Remark, Source, out_of_range};
use crate::target::Target;

/// Images of one size and their classes.
pub(crate) struct Packed {
    /// The dataset's name, for messages.
    name: String,
    /// Height, width, channels.
    shape: [usize; 3],
    /// All images after each other, `HWC`.
    pixels: Vec<u8>,
    labels: Vec<u8>,
    classes: Vec<String>,
    /// The number of each record in its file.
    numbers: Option<Vec<usize>>,
    remarks: Vec<Remark>,
}

impl Packed {
    /// Checks that sizes agree. A label without a class makes a bad sample.
    pub(crate) fn new(
        name: impl Into<String>,
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u8>,
        classes: Vec<String>,
    ) -> Result<Self, DataError> {
        let name = name.into();
        let size: usize = shape.iter().product();
        if size == 0 || pixels.len() != size * labels.len() {
            return Err(DataError::unreadable(
                name,
                format!(
                    "{} labels do not fit {} bytes of images of {size}",
                    labels.len(),
                    pixels.len()
                ),
            ));
        }
        Ok(Self {
            name,
            shape,
            pixels,
            labels,
            classes,
            numbers: None,
            remarks: Vec::new(),
        })
    }

    /// Says which record of its file each sample is, where the samples are not all of them.
    pub(crate) fn numbered(mut self, numbers: Vec<usize>) -> Self {
        debug_assert_eq!(numbers.len(), self.labels.len());
        self.numbers = Some(numbers);
        self
    }

    /// Adds what was noticed about the files.
    pub(crate) fn remarked(mut self, remarks: Vec<Remark>) -> Self {
        self.remarks.extend(remarks);
        self
    }

    /// The class of a sample, if it has one.
    fn class(&self, index: usize) -> Result<usize, DataError> {
        let label = self.labels.get(index);
        let label = *label.ok_or_else(|| out_of_range(index, self.len(), &self.name))?;
        let count = self.classes.len();
        match usize::from(label) < count {
            true => Ok(label.into()),
            false => Err(DataError::unreadable(
                self.origin(index),
                format!("class {label} is out of range: there are {count} classes"),
            )),
        }
    }

    /// The pixels of one image, or nothing past the end.
    fn image(&self, index: usize) -> Option<&[u8]> {
        let size: usize = self.shape.iter().product();
        self.pixels.chunks_exact(size).nth(index)
    }
}

impl Source for Packed {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let pixels = self
            .image(index)
            .ok_or_else(|| out_of_range(index, self.len(), &self.name))?;
        let [height, width, channels] = self.shape;
        Ok(Sample {
            image: Image {
                width,
                height,
                channels,
                pixels: pixels.to_vec(),
            }
            .into(),
            target: Target::of_class(self.class(index)?),
        })
    }

    fn origin(&self, index: usize) -> String {
        let number = self.numbers.as_ref().map_or(index, |numbers| {
            numbers.get(index).copied().unwrap_or(index)
        });
        format!("record {number} of {}", self.name)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn class_of(&self, index: usize) -> Option<usize> {
        self.class(index).ok()
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.class(index).map(Target::of_class)
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        let [height, width, channels] = self.shape;
        Ok((index < self.len()).then_some([width, height, channels]))
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        self.image(index)
            .map_or_else(Vec::new, |pixels| Sha256::digest(pixels).to_vec())
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }
}
