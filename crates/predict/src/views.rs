//! Several views of an image, averaged: scales, mirrored and turned, windows that are blended.

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use firesight_ops::{Interpolation, resize};

use crate::model::Segment;
use crate::settings::{PredictConfig, SlidingWindow, Tta};

/// The probabilities of every pixel, the mean of the settings' views.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`, normalised; it is seen at the size `base` times each scale, no side below `least`
/// - output: `[N, classes, H, W]`
pub fn probabilities(
    model: &dyn Segment,
    x: Tensor<4>,
    base: [usize; 2],
    settings: &PredictConfig,
    least: usize,
) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let mut views = Vec::new();
    for scale in &settings.tta.scales {
        let side = |side: usize| ((side as f64 * scale).round() as usize).max(least).max(1);
        let seen = to_size(x.clone(), base.map(side));
        for pose in Pose::all(&settings.tta) {
            let view = windows(
                pose.apply(seen.clone()),
                settings.sliding_window,
                least,
                |x| softmax(model.logits(x), 1),
            );
            views.push(to_size(pose.undo(view), [height, width]));
        }
    }
    let count = views.len() as f64;
    let sum = views.into_iter().reduce(|sum, view| sum + view);
    sum.expect("the settings are checked to hold a scale")
        .div_scalar(count)
}

/// One of the symmetries of a square: mirrored or not, then upside down or not, then transposed or not.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pose {
    mirrored: bool,
    upside_down: bool,
    transposed: bool,
}

impl Pose {
    /// Those that the settings ask for: the image as it is first.
    fn all(settings: &Tta) -> impl Iterator<Item = Pose> {
        let Tta { flip, rotate, .. } = *settings;
        let poses = (0..8).map(|bits| Pose {
            mirrored: bits & 1 != 0,
            upside_down: bits & 2 != 0,
            transposed: bits & 4 != 0,
        });
        poses.filter(move |pose| {
            // Each mirroring changes the hand; what keeps it is a turn.
            let flips = [pose.mirrored, pose.upside_down, pose.transposed];
            let turned = pose.transposed || pose.upside_down;
            let same_hand = flips.iter().filter(|flip| **flip).count() % 2 == 0;
            (rotate || !turned) && (flip || same_hand)
        })
    }

    fn apply(self, x: Tensor<4>) -> Tensor<4> {
        let x = if self.mirrored { x.flip([3]) } else { x };
        let x = if self.upside_down { x.flip([2]) } else { x };
        if self.transposed {
            x.swap_dims(2, 3)
        } else {
            x
        }
    }

    fn undo(self, x: Tensor<4>) -> Tensor<4> {
        let x = if self.transposed {
            x.swap_dims(2, 3)
        } else {
            x
        };
        let x = if self.upside_down { x.flip([2]) } else { x };
        if self.mirrored { x.flip([3]) } else { x }
    }
}

fn to_size(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    resize(x, size, Interpolation::Bilinear, false)
}

/// Where windows of `tile` begin along a side, so that neighbours share at least `overlap` of a window.
fn starts(side: usize, tile: usize, overlap: f64) -> Vec<usize> {
    if side <= tile {
        return vec![0];
    }
    let step = ((tile as f64 * (1.0 - overlap)).floor() as usize).max(1);
    let count = (side - tile).div_ceil(step);
    // Spread evenly: the last one ends at the edge.
    (0..=count).map(|i| i * (side - tile) / count).collect()
}

/// The weight of a window's pixels along a side: it rises from the edges to the middle.
fn ramp(side: usize) -> Vec<f32> {
    let rise = |i: usize| (i.min(side - 1 - i) + 1) as f32;
    (0..side).map(rise).collect()
}

/// Runs `see` on windows of an image and blends what it gives; on the whole image where no window is asked for or
/// the image is no larger than one.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - `see`: `[N, C, h, w]` to `[N, K, h, w]`
/// - output: `[N, K, H, W]`
fn windows(
    x: Tensor<4>,
    settings: Option<SlidingWindow>,
    least: usize,
    see: impl Fn(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let [images, channels, height, width] = x.dims();
    let Some(window) = settings else {
        return see(x);
    };
    let tile = window.size.max(least);
    if height <= tile && width <= tile {
        return see(x);
    }
    let (high, wide) = (tile.min(height), tile.min(width));
    let (down, across) = (ramp(high), ramp(wide));
    let mut total = vec![0.0f32; height * width];
    let mut sums: Vec<f32> = Vec::new();
    let mut classes = 0;
    let rows = starts(height, tile, window.overlap);
    let columns = starts(width, tile, window.overlap);
    for &top in &rows {
        for &left in &columns {
            let part = [0..images, 0..channels, top..top + high, left..left + wide];
            let seen = see(x.clone().slice(part));
            classes = seen.dims()[1];
            sums.resize(images * classes * height * width, 0.0);
            let seen: Vec<f32> = seen.into_data().iter::<f32>().collect();
            for y in 0..high {
                for x in 0..wide {
                    let weight = down[y] * across[x];
                    let at = (top + y) * width + left + x;
                    total[at] += weight;
                    for plane in 0..images * classes {
                        let value = seen[(plane * high + y) * wide + x];
                        sums[plane * height * width + at] += weight * value;
                    }
                }
            }
        }
    }
    for plane in sums.chunks_exact_mut(height * width) {
        plane
            .iter_mut()
            .zip(&total)
            .for_each(|(sum, total)| *sum /= total);
    }
    let shape = [images, classes, height, width];
    Tensor::from_data(TensorData::new(sums, shape), &x.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn windows_cover_every_pixel_and_overlap_as_asked() {
        for (side, tile, overlap) in [(10, 4, 0.0), (11, 4, 0.25), (100, 32, 0.5), (5, 4, 0.9)] {
            let starts = starts(side, tile, overlap);
            assert_eq!((starts[0], starts[starts.len() - 1]), (0, side - tile));
            let step = tile - (tile as f64 * overlap).ceil() as usize;
            let wide = starts
                .windows(2)
                .find(|pair| pair[1] - pair[0] > step.max(1));
            assert_eq!(wide, None, "{side} {tile} {overlap}: {starts:?}");
        }
        assert_eq!(starts(4, 8, 0.5), [0]);
    }

    #[test]
    fn poses_are_the_symmetries_asked_for_and_can_be_undone() {
        let device = Device::flex();
        let x = Tensor::<1, burn::tensor::Int>::arange(0..6, &device)
            .float()
            .reshape([1, 1, 2, 3]);
        for (flip, rotate, count) in [
            (false, false, 1),
            (true, false, 2),
            (false, true, 4),
            (true, true, 8),
        ] {
            let settings = Tta {
                flip,
                rotate,
                ..Tta::default()
            };
            let mut seen = Vec::new();
            for pose in Pose::all(&settings) {
                let view = pose.apply(x.clone());
                assert_eq!(pose.undo(view.clone()).into_data(), x.to_data());
                let view = view.into_data();
                assert!(!seen.contains(&view), "{pose:?} twice");
                seen.push(view);
            }
            assert_eq!(seen.len(), count);
            assert_eq!(seen[0], x.to_data());
        }
    }

    /// What does not look at neighbours gives the same in windows as at once.
    #[test]
    fn blending_leaves_a_pixelwise_function_as_it_is() {
        let device = Device::flex();
        let values: Vec<f32> = (0..2 * 2 * 13 * 17)
            .map(|i| (i as f32 * 0.37).sin())
            .collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [2, 2, 13, 17]), &device);
        let window = SlidingWindow {
            size: 6,
            overlap: 0.3,
        };
        let blended = windows(x.clone(), Some(window), 1, |x| x.mul_scalar(2.0));
        let error = (blended - x.mul_scalar(2.0)).abs().max();
        assert!(error.into_scalar::<f32>() < 1e-6);
    }
}
