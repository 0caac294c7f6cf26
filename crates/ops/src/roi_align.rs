//! RoIAlign (He et al. 2017, "Mask R-CNN"): features of boxes, sampled bilinearly.
//!
//! Where to sample follows from the boxes alone, which get no gradient (as in torchvision), so positions and
//! weights are computed on the CPU. Taps that several samples of a bin share are merged along each axis first;
//! the features are then gathered once and summed, which every backend can do and differentiate.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_ops::RoiAlign;
//!
//! let device = Device::default();
//! let align = RoiAlign { output_size: [7, 7], spatial_scale: 0.25, sampling_ratio: Some(2), aligned: true };
//! let boxes = Tensor::<2>::from_floats([[8.0, 8.0, 40.0, 40.0]], &device);
//! let features = align.forward(Tensor::ones([1, 16, 16, 16], &device), boxes, &[0]);
//! assert_eq!(features.dims(), [1, 16, 7, 7]);
//! ```

use burn::tensor::{Int, Tensor, TensorData};

/// The settings of torchvision's `roi_align`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiAlign {
    /// Height and width of the output.
    pub output_size: [usize; 2],
    /// Feature cells for each pixel of the boxes' coordinates: 1 / stride.
    pub spatial_scale: f64,
    /// Samples along each axis of a bin; `None` takes as many as the bin has cells, rounded up.
    pub sampling_ratio: Option<usize>,
    /// Whether boxes are shifted by half a cell, as they should be. Without it (the older form) every box also is
    /// at least one cell wide and high.
    pub aligned: bool,
}

/// Feature indices along one axis with their weights.
type Taps = Vec<(usize, f64)>;

/// More samples along an axis of one bin than this add nothing that a picture can hold.
const MOST_SAMPLES: f64 = 4096.0;

impl RoiAlign {
    /// The features of each box. A box with a NaN or infinite coordinate gives zeros.
    ///
    /// # Shapes
    /// - `features`: `[N, C, H, W]`
    /// - `boxes`: `[K, 4]`
    /// - `images`: for each box the index of its image, below N
    /// - output: `[K, C, output_size[0], output_size[1]]`
    ///
    /// # Panics
    /// If `images` has another length than `boxes` or names an image that is not there.
    pub fn forward(&self, features: Tensor<4>, boxes: Tensor<2>, images: &[usize]) -> Tensor<4> {
        let [n, c, h, w] = features.dims();
        let [ph, pw] = self.output_size;
        let boxes: Vec<f32> = boxes.into_data_as::<f32>().iter::<f32>().collect();
        let (boxes, _) = boxes.as_chunks::<4>();
        assert_eq!(
            boxes.len(),
            images.len(),
            "RoIAlign: boxes, images of the boxes"
        );
        assert!(
            images.iter().all(|i| *i < n),
            "RoIAlign: an image index is outside the batch of {n}"
        );
        let device = features.device();
        if boxes.is_empty() {
            return Tensor::zeros([0, c, ph, pw], &device);
        }

        let (rows, columns): (Vec<_>, Vec<_>) = boxes.iter().map(|b| self.taps(b, h, w)).unzip();
        let widest = |side: &[Vec<Taps>]| {
            side.iter()
                .flatten()
                .map(Vec::len)
                .max()
                .unwrap_or(0)
                .max(1)
        };
        let (ty, tx) = (widest(&rows), widest(&columns));
        let bins = boxes.len() * ph * pw;
        let mut index = vec![0_i64; bins * ty * tx];
        let mut weight = vec![0.0_f32; bins * ty * tx];
        let mut bin = 0;
        for ((rows, columns), image) in rows.iter().zip(&columns).zip(images) {
            for row in rows {
                for column in columns {
                    let at = bin * ty * tx;
                    for (i, (y, wy)) in row.iter().enumerate() {
                        for (j, (x, wx)) in column.iter().enumerate() {
                            index[at + i * tx + j] = ((image * h + y) * w + x) as i64;
                            weight[at + i * tx + j] = (wy * wx) as f32;
                        }
                    }
                    bin += 1;
                }
            }
        }

        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [bins * ty * tx]), &device);
        let weight = Tensor::<3>::from_data(TensorData::new(weight, [bins, ty * tx, 1]), &device);
        let cells = features.permute([0, 2, 3, 1]).reshape([n * h * w, c]);
        let sampled = cells.select(0, index).reshape([bins, ty * tx, c]) * weight; // [K * PH * PW, T, C]
        sampled
            .sum_dim(1)
            .reshape([boxes.len(), ph, pw, c])
            .permute([0, 3, 1, 2])
    }

    /// The taps of each row and of each column of a box's bins.
    fn taps(&self, b: &[f32; 4], height: usize, width: usize) -> (Vec<Taps>, Vec<Taps>) {
        let [x1, y1, x2, y2] = b.map(f64::from);
        (
            self.axis(y1, y2, self.output_size[0], height),
            self.axis(x1, x2, self.output_size[1], width),
        )
    }

    fn axis(&self, low: f64, high: f64, bins: usize, extent: usize) -> Vec<Taps> {
        let shift = if self.aligned { 0.5 } else { 0.0 };
        let start = low * self.spatial_scale - shift;
        let mut length = high * self.spatial_scale - shift - start;
        if !start.is_finite() || !length.is_finite() {
            return vec![Vec::new(); bins];
        }
        if !self.aligned {
            length = length.max(1.0);
        }
        let step = length / bins as f64;
        let samples = match self.sampling_ratio {
            Some(samples) => samples,
            None => step.ceil().clamp(0.0, MOST_SAMPLES) as usize,
        };
        let share = 1.0 / samples.max(1) as f64;
        let sample = |bin: usize, i: usize| start + (bin as f64 + (i as f64 + 0.5) * share) * step;
        let last = extent - 1;
        (0..bins)
            .map(|bin| {
                let mut taps = Taps::new();
                for at in (0..samples).map(|i| sample(bin, i)) {
                    // Up to one cell outside, the border holds; beyond there is nothing.
                    if at < -1.0 || at > extent as f64 {
                        continue;
                    }
                    let at = at.clamp(0.0, last as f64);
                    let cell = (at as usize).min(last);
                    let part = at - cell as f64;
                    add(&mut taps, cell, (1.0 - part) * share);
                    if part > 0.0 {
                        add(&mut taps, cell + 1, part * share);
                    }
                }
                taps
            })
            .collect()
    }
}

/// Adds to the weight of a cell; neighbouring samples share cells, and those stand at the end.
fn add(taps: &mut Taps, cell: usize, weight: f64) {
    match taps.iter_mut().rev().take(2).find(|t| t.0 == cell) {
        Some(tap) => tap.1 += weight,
        None => taps.push((cell, weight)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, integers, numbers, values};

    #[test]
    fn equals_torchvision_in_value_and_gradient() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("sampling", "roi_align") {
                let align = RoiAlign {
                    output_size: [0, 1].map(|i| case["size"][i].as_u64().unwrap() as usize),
                    spatial_scale: case["scale"].as_f64().unwrap(),
                    sampling_ratio: case["ratio"].as_u64().map(|r| r as usize),
                    aligned: case["aligned"].as_bool().unwrap(),
                };
                let x = float::<4>(&case["input"], &device).require_grad();
                let images: Vec<usize> = integers(&case["images"])
                    .iter()
                    .map(|i| *i as usize)
                    .collect();
                let y = align.forward(x.clone(), float(&case["boxes"], &device), &images);
                let grads = (y.clone() * float::<4>(&case["upstream"], &device))
                    .sum()
                    .backward();
                let what = format!("{align:?}");
                assert_near(&values(y), &numbers(&case["value"]), 1e-5, &what);
                assert_near(
                    &values(x.grad(&grads).unwrap()),
                    &numbers(&case["grad"]),
                    1e-5,
                    &what,
                );
            }
        }
    }

    #[test]
    fn no_boxes_and_boxes_that_are_no_boxes() {
        let align = RoiAlign {
            output_size: [2, 2],
            spatial_scale: 1.0,
            sampling_ratio: None,
            aligned: true,
        };
        for device in devices() {
            let x = Tensor::<4>::ones([1, 3, 4, 4], &device);
            let none = align.forward(x.clone(), Tensor::zeros([0, 4], &device), &[]);
            assert_eq!(none.dims(), [0, 3, 2, 2]);
            let odd = Tensor::<2>::from_floats(
                [
                    [f32::NAN, 0.0, 1.0, 1.0],
                    [0.0, 0.0, f32::INFINITY, 1.0],
                    [-1e9, -1e9, 1e9, 1e9],
                ],
                &device,
            );
            let y = values(align.forward(x.clone(), odd, &[0, 0, 0]));
            assert_eq!(y[..24], [0.0; 24]);
            assert!(y.iter().all(|v| v.is_finite()));
        }
    }
}
