//! How often the classes of masks occur, and the weights that balance them.
//!
//! ```
//! use firesight_data::datasets::scenes::ScenesConfig;
//! use firesight_data::frequency::{ClassPixels, class_pixels, median_frequency_weights};
//!
//! let scenes = ScenesConfig { train: 3, ..Default::default() }.open(".".as_ref())?.train;
//! let counted = class_pixels(&*scenes, 0)?;
//! assert_eq!(counted.iter().map(|class| class.pixels).sum::<u64>(), 3 * 128 * 128);
//! // Frequencies of 0.8 and 0.2: the median is 0.5.
//! let class = |pixels| ClassPixels { pixels, image_pixels: 100 };
//! assert_eq!(median_frequency_weights(&[class(80), class(20)]), [0.625, 2.5]);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

use rayon::prelude::*;

use crate::error::DataError;
use crate::source::Source;
use crate::target::{Mask, Target};

/// The pixels of a class over a dataset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassPixels {
    /// Pixels of the class.
    pub pixels: u64,
    /// Pixels that count of all images in which the class occurs.
    pub image_pixels: u64,
}

/// Counts the pixels of every mask of a source, on all cores. Samples that cannot be read are left out, up to
/// `max_bad` of them.
///
/// # Errors
/// [`DataError::TooManyBad`], or an error that is no single sample's.
pub fn class_pixels(source: &dyn Source, max_bad: usize) -> Result<Vec<ClassPixels>, DataError> {
    let classes = source.mask_classes().len();
    let counted: Vec<_> = (0..source.len())
        .into_par_iter()
        .map(|index| source.read(index).map(|sample| counts(&sample.target)))
        .collect();
    let mut total = vec![ClassPixels::default(); classes];
    let mut bad = 0;
    for counted in counted {
        let counted = match counted {
            Ok(counted) => counted,
            Err(error) if error.is_bad_sample() => {
                bad += 1;
                if bad > max_bad {
                    return Err(DataError::TooManyBad {
                        found: bad,
                        allowed: max_bad,
                        last: Box::new(error),
                    });
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        let image_pixels: u64 = counted[..usize::from(Mask::IGNORE)].iter().sum();
        for (class, sum) in total.iter_mut().enumerate() {
            if counted[class] > 0 {
                sum.pixels += counted[class];
                sum.image_pixels += image_pixels;
            }
        }
    }
    Ok(total)
}

fn counts(target: &Target) -> [u64; 256] {
    let mut counts = [0; 256];
    if let Some(mask) = &target.mask {
        mask.classes
            .iter()
            .for_each(|class| counts[usize::from(*class)] += 1);
    }
    counts
}

/// Median-frequency weights (Eigen and Fergus 2015, section 6.3.2; used by SegNet): the frequency of a class is its
/// share of the pixels of the images that it occurs in, and its weight the median of all frequencies divided by its
/// own. A class that never occurs weighs 1.
pub fn median_frequency_weights(classes: &[ClassPixels]) -> Vec<f32> {
    let frequency = |class: &ClassPixels| {
        (class.pixels > 0).then(|| class.pixels as f64 / class.image_pixels as f64)
    };
    let mut present: Vec<f64> = classes.iter().filter_map(frequency).collect();
    present.sort_by(f64::total_cmp);
    let middle = present.len() / 2;
    let median = match present.len() {
        0 => return vec![1.0; classes.len()],
        even if even % 2 == 0 => (present[middle - 1] + present[middle]) / 2.0,
        _ => present[middle],
    };
    let weight = |class| frequency(class).map_or(1.0, |own| (median / own) as f32);
    classes.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::scenes::ScenesConfig;

    #[test]
    fn weights_are_the_median_over_the_frequency() {
        let class = |pixels, image_pixels| ClassPixels {
            pixels,
            image_pixels,
        };
        // Frequencies 0.8, 0.1 and 0.2: the median is 0.2.
        let classes = [class(80, 100), class(10, 100), class(0, 0), class(10, 50)];
        assert_eq!(median_frequency_weights(&classes), [0.25, 2.0, 1.0, 1.0]);
        assert_eq!(median_frequency_weights(&[class(0, 0)]), [1.0]);
        // 0.8 and 0.2: halfway.
        let two = [class(80, 100), class(20, 100)];
        assert_eq!(median_frequency_weights(&two), [0.625, 2.5]);
    }

    #[test]
    fn pixels_are_counted_in_the_images_that_have_the_class() {
        let config = ScenesConfig {
            train: 3,
            ..Default::default()
        };
        let train = config.open(std::path::Path::new("")).unwrap().train;
        let classes = class_pixels(&*train, 0).unwrap();
        assert_eq!(classes.len(), 11);
        assert_eq!(classes[0].image_pixels, 3 * 128 * 128);
        let all: u64 = classes.iter().map(|class| class.pixels).sum();
        assert_eq!(all, 3 * 128 * 128);
        assert!(
            classes[1..]
                .iter()
                .all(|c| c.image_pixels % (128 * 128) == 0)
        );
    }
}
