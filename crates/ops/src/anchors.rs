//! Anchors of a feature pyramid, level by level: the numbers of torchvision's `AnchorGenerator`.
//!
//! ```
//! use firesight_ops::AnchorGenerator;
//!
//! let generator = AnchorGenerator { sizes: vec![vec![32.0]], aspect_ratios: vec![vec![0.5, 1.0, 2.0]] };
//! assert_eq!(generator.cell(0)[1], [-16.0, -16.0, 16.0, 16.0]);
//! // A 64x64 image under a 4x4 map: three anchors for each of 16 cells.
//! assert_eq!(generator.level(0, [64, 64], [4, 4]).len(), 48);
//! ```

use burn::tensor::{Device, Tensor, TensorData};

/// Sizes and aspect ratios of the anchors of each level.
///
/// On a level, every cell of the feature map has `sizes * aspect_ratios` anchors, ratio by ratio, size by size
/// within a ratio.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorGenerator {
    /// For each level, the square roots of the anchors' areas, in pixels of the network's input.
    pub sizes: Vec<Vec<f32>>,
    /// For each level, height over width.
    pub aspect_ratios: Vec<Vec<f32>>,
}

impl AnchorGenerator {
    /// How many anchors a cell of a level has.
    pub fn per_cell(&self, level: usize) -> usize {
        self.sizes[level].len() * self.aspect_ratios[level].len()
    }

    /// The anchors of a cell around the origin, rounded to whole pixels (half to even).
    pub fn cell(&self, level: usize) -> Vec<[f32; 4]> {
        let mut anchors = Vec::with_capacity(self.per_cell(level));
        for ratio in &self.aspect_ratios[level] {
            let height = ratio.sqrt();
            let width = 1.0 / height;
            for size in &self.sizes[level] {
                let (w, h) = (width * size, height * size);
                anchors.push([-w, -h, w, h].map(|v| (v / 2.0).round_ties_even()));
            }
        }
        anchors
    }

    /// The anchors of a level: row by row of the feature map, cell by cell, all anchors of a cell together.
    ///
    /// `image` and `features` are height and width; the stride is their quotient, rounded down.
    pub fn level(&self, level: usize, image: [usize; 2], features: [usize; 2]) -> Vec<[f32; 4]> {
        let cell = self.cell(level);
        let stride = [0, 1].map(|i| (image[i] / features[i].max(1)) as f32);
        let mut anchors = Vec::with_capacity(features[0] * features[1] * cell.len());
        for row in 0..features[0] {
            for column in 0..features[1] {
                let (x, y) = (column as f32 * stride[1], row as f32 * stride[0]);
                anchors.extend(
                    cell.iter()
                        .map(|a| [a[0] + x, a[1] + y, a[2] + x, a[3] + y]),
                );
            }
        }
        anchors
    }

    /// The anchors of every level as tensors, `[A_level, 4]` each.
    ///
    /// # Panics
    /// If `features` has another number of levels than the generator.
    pub fn levels(
        &self,
        image: [usize; 2],
        features: &[[usize; 2]],
        device: &Device,
    ) -> Vec<Tensor<2>> {
        assert_eq!(
            features.len(),
            self.sizes.len(),
            "anchors: levels of features, levels of sizes"
        );
        let tensor = |(level, size): (usize, &[usize; 2])| {
            let anchors = self.level(level, image, *size);
            let count = anchors.len();
            Tensor::from_data(
                TensorData::new(anchors.into_flattened(), [count, 4]),
                device,
            )
        };
        features.iter().enumerate().map(tensor).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{cases, devices, numbers, values};

    fn lists(v: &Value) -> Vec<Vec<f32>> {
        v.as_array().unwrap().iter().map(numbers).collect()
    }

    #[test]
    fn equal_torchvision_to_the_bit() {
        for device in devices() {
            for case in cases("boxes", "anchors") {
                let generator = AnchorGenerator {
                    sizes: lists(&case["sizes"]),
                    aspect_ratios: lists(&case["ratios"]),
                };
                let pair = |v: &Value| [0, 1].map(|i| v[i].as_u64().unwrap() as usize);
                let features: Vec<_> = case["features"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(pair)
                    .collect();
                let levels = generator.levels(pair(&case["image"]), &features, &device);
                assert_eq!(
                    levels[0].dims()[0],
                    features[0][0] * features[0][1] * generator.per_cell(0)
                );
                assert_eq!(values(Tensor::cat(levels, 0)), numbers(&case["anchors"]));
            }
        }
    }
}
