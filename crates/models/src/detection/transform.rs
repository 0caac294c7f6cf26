//! The transform of torchvision's detectors (`GeneralizedRCNNTransform`): every image is resized by its shorter
//! side, the batch is padded to a common size that the strides divide, and boxes go back to the original images.

use burn::tensor::Tensor;
use firesight_ops::{Interpolation, resize};

/// Sizes of a detector's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchTransform {
    /// Length of the shorter side in pixels.
    pub shorter: usize,
    /// The longer side's limit; where it is passed, the shorter side becomes shorter than `shorter`.
    pub longest: usize,
    /// Height and width of a batch are multiples of this.
    pub divisor: usize,
}

impl Default for BatchTransform {
    /// torchvision's numbers: 800, 1333 and 32.
    fn default() -> Self {
        Self {
            shorter: 800,
            longest: 1333,
            divisor: 32,
        }
    }
}

/// A batch of images of different sizes, padded at the right and below.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// `[N, C, H, W]`
    pub images: Tensor<4>,
    /// `[height, width]` of each image before.
    pub original: Vec<[usize; 2]>,
    /// `[height, width]` of each image inside the batch.
    pub resized: Vec<[usize; 2]>,
}

impl BatchTransform {
    /// `[height, width]` after resizing. Both sides are scaled by the same factor and rounded down, as
    /// `interpolate(scale_factor=.., recompute_scale_factor=True)` does.
    pub fn size(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let (short, long) = (
            height.min(width).max(1) as f64,
            height.max(width).max(1) as f64,
        );
        let scale = (self.shorter as f64 / short).min(self.longest as f64 / long);
        [height, width].map(|side| ((side as f64 * scale) as usize).max(1))
    }

    /// The smallest size that holds all of them and that the divisor divides.
    pub fn padded(&self, sizes: &[[usize; 2]]) -> [usize; 2] {
        let divisor = self.divisor.max(1);
        [0, 1].map(|i| {
            let longest = sizes.iter().map(|size| size[i]).max().unwrap_or(1);
            longest.next_multiple_of(divisor)
        })
    }

    /// Resizes (bilinear, without antialiasing, as there), pads with zeros, and stacks.
    ///
    /// # Shapes
    /// - `images`: `[C, H, W]` each, normalised, at least one, all with the same channels
    pub fn forward(&self, images: Vec<Tensor<3>>) -> ImageBatch {
        let original: Vec<[usize; 2]> = images.iter().map(|x| [x.dims()[1], x.dims()[2]]).collect();
        let resized: Vec<[usize; 2]> = original.iter().map(|size| self.size(*size)).collect();
        let [height, width] = self.padded(&resized);
        let fit = |(image, size): (Tensor<3>, &[usize; 2])| {
            let image = resize(
                image.unsqueeze::<4>(),
                *size,
                Interpolation::Bilinear,
                false,
            );
            let [bottom, right] = [height - size[0], width - size[1]];
            image.pad((0, right, 0, bottom), 0.0)
        };
        let images = images.into_iter().zip(&resized).map(fit).collect();
        ImageBatch {
            images: Tensor::cat(images, 0),
            original,
            resized,
        }
    }
}

impl ImageBatch {
    /// A box of the batch's image `index` in pixels of the original image, clipped to it.
    pub fn restore(&self, index: usize, xyxy: [f32; 4]) -> [f32; 4] {
        let ([height, width], [h, w]) = (self.original[index], self.resized[index]);
        let (across, down) = (width as f32 / w as f32, height as f32 / h as f32);
        let [x1, y1, x2, y2] = xyxy;
        [x1 * across, y1 * down, x2 * across, y2 * down]
            .iter()
            .zip([width, height, width, height])
            .map(|(v, most)| v.clamp(0.0, most as f32))
            .collect::<Vec<f32>>()
            .try_into()
            .expect("four corners")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn sizes_are_torchvisions() {
        // `GeneralizedRCNNTransform(800, 1333)` on these sizes.
        let transform = BatchTransform::default();
        assert_eq!(transform.size([480, 640]), [800, 1066]);
        assert_eq!(transform.size([427, 640]), [800, 1199]);
        assert_eq!(transform.size([333, 1000]), [443, 1333]);
        assert_eq!(transform.padded(&[[800, 1066], [443, 1333]]), [800, 1344]);
    }

    #[test]
    fn a_batch_is_padded_and_boxes_come_back() {
        let device = Device::flex();
        let transform = BatchTransform {
            shorter: 8,
            longest: 32,
            divisor: 4,
        };
        let images = vec![
            Tensor::ones([3, 16, 32], &device),
            Tensor::ones([3, 10, 8], &device),
        ];
        let batch = transform.forward(images);
        assert_eq!(batch.resized, [[8, 16], [10, 8]]);
        assert_eq!(batch.images.dims(), [2, 3, 12, 16]);
        // The first image fills 8 * 16 of its plane, the second 10 * 8.
        assert_eq!(
            batch.images.clone().sum().into_scalar::<f32>(),
            3.0 * (128.0 + 80.0)
        );
        assert_eq!(
            batch.restore(0, [1.0, 2.0, 8.0, 99.0]),
            [2.0, 4.0, 16.0, 16.0]
        );
    }
}
