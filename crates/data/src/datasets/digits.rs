//! The embedded digits: 1,797 real handwritten digits, 8x8, for recipes that need no download.
//!
//! E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository
//! (1998), CC BY 4.0; its test part, which is what scikit-learn ships as `load_digits`. The test split is every
//! fifth row (row number divisible by 5): 360 rows; validation is held out of the other 1,437.
//!
//! ```
//! use firesight_data::Target;
//! use firesight_data::datasets::digits::DigitsConfig;
//!
//! let splits = DigitsConfig::default().open()?;
//! let first = splits.train.read(0)?;
//! assert_eq!((first.image.size(), first.target), ([8, 8], Target::of_class(1)));
//! # Ok::<(), firesight_data::DataError>(())
//! ```

use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::packed::Packed;
use crate::error::DataError;
use crate::source::Splits;

const CSV_GZ: &[u8] = include_bytes!("../../assets/digits.csv.gz");
const NAME: &str = "digits";
const SIDE: usize = 8;

/// The embedded digits have no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct DigitsConfig {}

impl DigitsConfig {
    /// Training (1,437 rows) and test (360 rows).
    ///
    /// # Errors
    /// [`DataError::Unreadable`] if the embedded file is damaged.
    pub fn open(&self) -> Result<Splits, DataError> {
        let rows = rows()?;
        let part = |is_test: bool| -> Result<Arc<Packed>, DataError> {
            let numbers: Vec<usize> = (0..rows.len())
                .filter(|&row| is_test_row(row) == is_test)
                .collect();
            let pixels = numbers
                .iter()
                .flat_map(|&row| rows[row].pixels.map(scale))
                .collect();
            let labels = numbers.iter().map(|&row| rows[row].label).collect();
            let classes = (0..10).map(|digit| digit.to_string()).collect();
            let packed = Packed::new(NAME, [SIDE, SIDE, 1], pixels, labels, classes)?;
            Ok(Arc::new(packed.numbered(numbers)))
        };
        Ok(Splits {
            train: part(false)?,
            validation: None,
            test: Some(part(true)?),
        })
    }
}

/// One record as it is in the file.
pub(crate) struct Row {
    /// 8 rows of 8 values from 0 to 16.
    pub pixels: [u8; SIDE * SIDE],
    /// 0 to 9.
    pub label: u8,
}

/// Whether a row belongs to the test split.
pub(crate) fn is_test_row(row: usize) -> bool {
    row.is_multiple_of(5)
}

/// All records, in the order of the file.
pub(crate) fn rows() -> Result<Vec<Row>, DataError> {
    let mut text = String::new();
    GzDecoder::new(CSV_GZ)
        .read_to_string(&mut text)
        .map_err(|error| DataError::unreadable(NAME, error.to_string()))?;
    text.lines()
        .enumerate()
        .map(|(number, line)| row(number, line))
        .collect()
}

fn row(number: usize, line: &str) -> Result<Row, DataError> {
    let values: Option<Vec<u8>> = line.split(',').map(|value| value.parse().ok()).collect();
    match values.as_deref().and_then(<[u8]>::split_last) {
        Some((&label, pixels))
            if label < 10 && pixels.len() == SIDE * SIDE && pixels.iter().all(|&v| v <= 16) =>
        {
            let mut row = Row {
                pixels: [0; SIDE * SIDE],
                label,
            };
            row.pixels.copy_from_slice(pixels);
            Ok(row)
        }
        _ => Err(DataError::unreadable(
            format!("row {number} of {NAME}"),
            "not 64 values from 0 to 16 and a digit",
        )),
    }
}

/// 0..=16 to 0..=255, rounded half up.
fn scale(value: u8) -> u8 {
    ((u16::from(value) * 255 + 8) / 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    #[test]
    fn has_the_published_counts_and_the_first_row() {
        let splits = DigitsConfig {}.open().unwrap();
        let test = splits.test.unwrap();
        assert_eq!((splits.train.len(), test.len()), (1437, 360));
        let mut counts = [0; 10];
        for part in [&splits.train, &test] {
            (0..part.len()).for_each(|index| counts[part.class_of(index).unwrap()] += 1);
        }
        // scikit-learn's `load_digits` has the same counts per class.
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let sample = test.read(0).unwrap();
        assert_eq!(sample.target, Target::of_class(0));
        assert_eq!(
            (
                sample.image.size()[0],
                sample.image.size()[1],
                sample.image.channels()
            ),
            (8, 8, 1)
        );
        assert_eq!(
            sample.image.bytes().unwrap().pixels[..8],
            [0, 0, 80, 207, 143, 16, 0, 0]
        );
        assert_eq!(
            (test.origin(1), splits.train.origin(0)),
            ("record 5 of digits".into(), "record 1 of digits".into())
        );
    }

    #[test]
    fn scaling_reaches_both_ends() {
        assert_eq!([0, 1, 8, 15, 16].map(scale), [0, 16, 128, 239, 255]);
    }

    #[test]
    fn a_damaged_row_is_named() {
        let error = row(7, "1,2,3").err().unwrap().to_string();
        assert!(error.starts_with("row 7 of digits"), "{error}");
    }
}
