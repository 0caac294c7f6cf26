//! Test weights and test images from one documented formula, the same here and in
//! `scripts/reference_formula.py`, so that the repository stores expected outputs only.
//!
//! Every number is made from a tensor's name, shape and index:
//!
//! 1. `seed` is FNV-1a (64 bit) over the name's UTF-8 bytes, then each side of the shape as eight
//!    little-endian bytes.
//! 2. `u(i)` in `[-1, 1)` is SplitMix64's output for state `seed + (i + 1) * 0x9e3779b97f4a7c15`,
//!    shifted right by 40, divided by `2^23`, minus 1. It is exact in f32.
//! 3. The value is `offset + scale * u(i)`, computed in f64 and rounded once to f32:
//!
//! | tensor | offset | scale |
//! |---|---|---|
//! | `running_mean` | 0 | `2 * bias` |
//! | `running_var` | 1 | 0.5 |
//! | `layer_scale` | 0.5 | 0.25 |
//! | rank 2 and above | 0 | `gain * sqrt(3 / fan_in)`, `fan_in` the product of all sides but the first |
//! | rank 1, `weight` | 0.75 | 0.25 |
//! | rank 1, anything else | 0 | `bias` |
//!
//! A matrix so drawn has variance `gain^2 / fan_in`, which preserves variance at gain 1 and through
//! a ReLU at gain 1.41. Which gain keeps a network's outputs near 1 depends on its residuals and
//! gates; the exporter chooses it per model and writes it into the reference file. `bias` is 0.1, and more in
//! the few networks in which a tenth of such a bias, deep inside, moves no output by more than the tolerance.
//!
//! Images are the sum of a pixel's noise, an 8x8 block's and an image channel's, so that two images
//! still differ after pooling.
//!
//! ```
//! use firesight_models::formula;
//!
//! // 0.75 +- 0.25, as the table says.
//! let weights = formula::values("bn1.weight", &[64], 1.0);
//! assert!(weights.iter().all(|w| (0.5..1.0).contains(w)));
//! ```

use burn::tensor::TensorData;

use crate::weights::{StateDict, TorchNames, parameters};

/// What scales the formula's values; a plain number is a gain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FormulaScale {
    /// The gain of tensors of rank 2 and above.
    pub gain: f64,
    /// The largest bias, and half the largest running mean.
    pub bias: f64,
}

impl FormulaScale {
    /// The largest bias unless a reference says otherwise.
    pub const BIAS: f64 = 0.1;
}

impl From<f64> for FormulaScale {
    fn from(gain: f64) -> Self {
        Self {
            gain,
            bias: Self::BIAS,
        }
    }
}

/// The stream of numbers of one tensor.
struct Stream(u64);

impl Stream {
    fn new(name: &str, shape: &[usize]) -> Self {
        let sides = shape.iter().flat_map(|&side| (side as u64).to_le_bytes());
        let bytes = name.bytes().chain(sides);
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    fn at(&self, index: usize) -> f64 {
        let step = (index as u64)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0.wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f64 / 8_388_608.0 - 1.0
    }
}

/// The values of one tensor of a state dict, in row-major order of PyTorch's layout.
pub fn values(name: &str, shape: &[usize], scale: impl Into<FormulaScale>) -> Vec<f32> {
    let FormulaScale { gain, bias } = scale.into();
    let last = name.rsplit('.').next().unwrap_or_default();
    let (offset, scale) = match last {
        "running_mean" => (0.0, 2.0 * bias),
        "running_var" => (1.0, 0.5),
        "layer_scale" => (0.5, 0.25),
        _ if shape.len() >= 2 => {
            let fan_in: usize = shape[1..].iter().product();
            (0.0, gain * (3.0 / fan_in as f64).sqrt())
        }
        "weight" => (0.75, 0.25),
        _ => (0.0, bias),
    };
    let stream = Stream::new(name, shape);
    let count = shape.iter().product();
    (0..count)
        .map(|index| (offset + scale * stream.at(index)) as f32)
        .collect()
}

/// A whole state for a module.
pub fn state<M: TorchNames>(module: &M, scale: impl Into<FormulaScale>) -> StateDict {
    let scale = scale.into();
    parameters(module)
        .into_iter()
        .map(|info| {
            let data = TensorData::new(values(&info.name, &info.shape, scale), info.shape);
            (info.name, data)
        })
        .collect()
}

/// Images `[n, channels, height, width]` with values of about unit variance.
pub fn images(shape: [usize; 4]) -> TensorData {
    let [count, channels, height, width] = shape;
    let grid = [count, channels, height.div_ceil(8), width.div_ceil(8)];
    let pixels = Stream::new("input", &shape);
    let blocks = Stream::new("input.block", &grid);
    let planes = Stream::new("input.plane", &[count, channels]);
    let mut values = Vec::with_capacity(count * channels * height * width);
    for plane in 0..count * channels {
        for y in 0..height {
            for x in 0..width {
                let block = (plane * grid[2] + y / 8) * grid[3] + x / 8;
                let pixel = (plane * height + y) * width + x;
                let value = 0.5 * pixels.at(pixel) + blocks.at(block) + planes.at(plane);
                values.push(value as f32);
            }
        }
    }
    TensorData::new(values, shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Printed by `scripts/reference_formula.py`.
    const FORMULA_CONV: [u32; 4] = [0xbf47390b, 0x3f64457b, 0x3f9dcc1f, 0x3e7cfff4];
    const FORMULA_VAR: [u32; 3] = [0x3fb9c6e6, 0x3f5e89a6, 0x3f883981];
    const FORMULA_SCALE: [u32; 3] = [0x3f23b3da, 0x3f16b978, 0x3f6f5c02];
    const FORMULA_IMAGE: [u32; 4] = [0x3dec5770, 0x3f86281c, 0xbf18b026, 0xbf2c3055];

    #[test]
    fn the_formula_gives_the_scripts_bits() {
        let bits = |values: Vec<f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            bits(values("conv1.weight", &[2, 1, 1, 2], 1.25)),
            FORMULA_CONV
        );
        assert_eq!(bits(values("bn1.running_var", &[3], 1.25)), FORMULA_VAR);
        assert_eq!(bits(values("bn1.weight", &[3], 1.25)), FORMULA_SCALE);
        let images = images([2, 1, 9, 1]).try_to_vec::<f32>().unwrap();
        assert_eq!(bits(images[7..11].to_vec()), FORMULA_IMAGE);
    }
}
