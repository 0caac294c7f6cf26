//! Assigns to each prediction (anchor, proposal) the true box it answers for.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_ops::Matcher;
//!
//! let matcher = Matcher { high: 0.5, low: 0.4, low_quality: false };
//! // One true box, three predictions.
//! let quality = Tensor::<2>::from_floats([[0.7, 0.45, 0.1]], &Device::default());
//! let matches: Vec<i64> = matcher.matches(quality).into_data().iter::<i64>().collect();
//! assert_eq!(matches, [0, Matcher::BETWEEN, Matcher::BACKGROUND]);
//! ```

use burn::tensor::{Int, Tensor};

/// Matching by thresholds on a quality, usually the IoU (torchvision's `Matcher`; Ren et al. 2015).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matcher {
    /// From this quality on, a prediction is matched.
    pub high: f64,
    /// Below this quality it is background; between the two it is left out of the loss.
    pub low: f64,
    /// Whether each true box also gets the predictions of its best quality, whatever that is, ties included. A
    /// prediction kept in this way answers for its own best true box, as in torchvision. Unlike there, a true box
    /// that no prediction overlaps at all (best quality 0) gets none, and not all.
    pub low_quality: bool,
}

impl Matcher {
    /// The match of a prediction that is background.
    pub const BACKGROUND: i64 = -1;
    /// The match of a prediction that is neither matched nor background.
    pub const BETWEEN: i64 = -2;

    /// For each prediction the index of its true box, or [`Self::BACKGROUND`], or [`Self::BETWEEN`]. Among equal
    /// qualities the first true box wins.
    ///
    /// # Shapes
    /// - `quality`: `[M, N]`, true boxes by predictions, without NaN; M is at least 1 (in an image without boxes all are background)
    /// - output: `[N]`
    pub fn matches(&self, quality: Tensor<2>) -> Tensor<1, Int> {
        let (best, index) = quality.clone().max_dim_with_indices(0);
        let between = best.clone().lower_elem(self.high);
        let background = best.lower_elem(self.low);
        let mut matches = index
            .clone()
            .mask_fill(between, Self::BETWEEN)
            .mask_fill(background, Self::BACKGROUND);
        if self.low_quality {
            let highest = quality.clone().max_dim(1);
            let overlaps = quality.clone().greater_elem(0.0);
            let is_best = quality
                .clone()
                .equal(highest.expand(quality.dims()))
                .bool_and(overlaps);
            let kept = is_best.int().max_dim(0).greater_elem(0);
            matches = matches.mask_where(kept, index);
        }
        matches.squeeze_dim(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cases, devices, float, integers};

    fn list(x: Tensor<1, Int>) -> Vec<i64> {
        x.try_into_vec_as().unwrap()
    }

    #[test]
    fn equals_torchvision() {
        for device in devices() {
            for case in cases("boxes", "matcher") {
                let matcher = Matcher {
                    high: case["high"].as_f64().unwrap(),
                    low: case["low"].as_f64().unwrap(),
                    low_quality: case["low_quality"].as_bool().unwrap(),
                };
                let got = list(matcher.matches(float(&case["quality"], &device)));
                assert_eq!(got, integers(&case["matches"]), "{matcher:?}");
            }
        }
    }

    #[test]
    fn a_true_box_that_nothing_overlaps_matches_nothing() {
        for device in devices() {
            let quality = Tensor::<2>::from_floats([[0.0, 0.0, 0.0], [0.0, 0.3, 0.9]], &device);
            let matcher = Matcher {
                high: 0.5,
                low: 0.2,
                low_quality: true,
            };
            assert_eq!(list(matcher.matches(quality)), [-1, -2, 1]);
        }
    }
}
