//! Blur and noise.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, PixelOperation, Plan, Problems};
use crate::random::{coin, normal, uniform};
use crate::sample::{Image, Picture, Value, with_image};

/// Blurs with a Gaussian, as torchvision's `GaussianBlur`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GaussianBlur {
    /// Width of the window in pixels, odd.
    pub kernel_size: usize,
    /// Smallest and largest standard deviation in pixels, above 0.
    pub sigma: [f64; 2],
    /// How often, from 0 to 1.
    pub probability: f64,
}

impl Default for GaussianBlur {
    fn default() -> Self {
        GaussianBlur {
            kernel_size: 5,
            sigma: [0.1, 2.0],
            probability: 1.0,
        }
    }
}

impl Augmentation for GaussianBlur {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if coin(rng, self.probability) {
            let sigma = uniform(rng, self.sigma[0], self.sigma[1]);
            plan.pixels(Blur {
                radius: self.kernel_size / 2,
                sigma,
            });
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        let size = self.kernel_size;
        Problems::default()
            .check(
                size % 2 == 1 && size <= 255,
                "kernel-size",
                format!("{size} is not an odd number up to 255"),
            )
            .range("sigma", self.sigma, 1e-3, 1e3)
            .probability(self.probability)
            .0
    }
}

/// A blur with its parameters drawn. The border is mirrored about the outermost pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blur {
    /// Pixels to either side of the middle.
    pub radius: usize,
    /// Standard deviation in pixels.
    pub sigma: f64,
}

impl PixelOperation for Blur {
    fn apply(&self, picture: &mut Picture) {
        with_image!(picture, image => self.blur(image));
    }
}

/// A value that a mean of such values becomes.
trait Rounded: Value {
    fn rounded(mean: f32) -> Self;
}

impl Rounded for u8 {
    fn rounded(mean: f32) -> u8 {
        mean.round_ties_even() as u8
    }
}

impl Rounded for f32 {
    fn rounded(mean: f32) -> f32 {
        mean
    }
}

impl Blur {
    fn blur<T: Rounded>(&self, image: &mut Image<T>) {
        let weight =
            |i: usize| (-0.5 * ((i as f64 - self.radius as f64) / self.sigma).powi(2)).exp();
        let weights: Vec<f64> = (0..=2 * self.radius).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let weights: Vec<f32> = weights.iter().map(|w| (w / sum) as f32).collect();
        let Image {
            width,
            height,
            channels,
            ..
        } = *image;
        // The place in a line of `length` that mirrors place `at - radius`.
        let mirrored = |at: usize, length: usize| {
            let period = (2 * (length - 1)).max(1) as i64;
            let at = (at as i64 - self.radius as i64).rem_euclid(period) as usize;
            if at < length {
                at
            } else {
                period as usize - at
            }
        };
        let line = width * channels;
        let mut rows = vec![0.0f32; image.pixels.len()];
        for (from, to) in image
            .pixels
            .chunks_exact(line)
            .zip(rows.chunks_exact_mut(line))
        {
            let padded: Vec<f32> = (0..width + 2 * self.radius)
                .flat_map(|x| {
                    let at = mirrored(x, width) * channels;
                    from[at..at + channels].iter().map(|&v| v.into())
                })
                .collect();
            for (k, w) in weights.iter().enumerate() {
                to.iter_mut()
                    .zip(&padded[k * channels..])
                    .for_each(|(t, v)| *t += w * v);
            }
        }
        let mut sums = vec![0.0f32; line];
        for (y, to) in image.pixels.chunks_exact_mut(line).enumerate() {
            sums.fill(0.0);
            for (k, w) in weights.iter().enumerate() {
                let from = &rows[mirrored(y + k, height) * line..][..line];
                sums.iter_mut().zip(from).for_each(|(t, v)| *t += w * v);
            }
            to.iter_mut()
                .zip(&sums)
                .for_each(|(t, v)| *t = T::rounded(*v));
        }
    }
}

/// Adds noise from a normal distribution to each value, as torchvision's `GaussianNoise`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GaussianNoise {
    /// Mean on values scaled to 0..1.
    pub mean: f64,
    /// Standard deviation on values scaled to 0..1.
    pub sigma: f64,
    /// How often, from 0 to 1.
    pub probability: f64,
}

impl Default for GaussianNoise {
    fn default() -> Self {
        GaussianNoise {
            mean: 0.0,
            sigma: 0.1,
            probability: 1.0,
        }
    }
}

impl Augmentation for GaussianNoise {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if coin(rng, self.probability) {
            plan.pixels(Noise {
                mean: self.mean,
                sigma: self.sigma,
                seed: rng.next_u64(),
            });
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .within("mean", self.mean, -1.0, 1.0)
            .within("sigma", self.sigma, 0.0, 10.0)
            .probability(self.probability)
            .0
    }
}

/// Noise with its parameters drawn; the seed makes it the same each time it is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Mean on values scaled to 0..1.
    pub mean: f64,
    /// Standard deviation on values scaled to 0..1.
    pub sigma: f64,
    /// The seed of the noise.
    pub seed: u64,
}

impl PixelOperation for Noise {
    fn apply(&self, picture: &mut Picture) {
        with_image!(picture, image => self.add(image));
    }
}

impl Noise {
    fn add<T: Value>(&self, image: &mut Image<T>) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        for value in &mut image.pixels {
            let noise = f64::from(T::ONE) * (self.mean + self.sigma * normal(&mut rng));
            *value = T::nearest(f64::from((*value).into()) + noise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_flat_images_and_the_mean_of_a_point() {
        let blur = Blur {
            radius: 3,
            sigma: 1.2,
        };
        let mut flat = Image {
            width: 7,
            height: 2,
            channels: 3,
            pixels: vec![90; 42],
        };
        blur.blur(&mut flat);
        assert_eq!(flat.pixels, vec![90; 42]);
        let mut point = Image {
            width: 15,
            height: 15,
            channels: 1,
            pixels: vec![0; 225],
        };
        point.pixels[112] = 255;
        blur.blur(&mut point);
        let sum: u32 = point.pixels.iter().map(|&v| u32::from(v)).sum();
        assert!(sum.abs_diff(255) < 15, "{sum}");
        let mut single = Image {
            width: 1,
            height: 1,
            channels: 1,
            pixels: vec![9],
        };
        blur.blur(&mut single);
        assert_eq!(single.pixels, [9]);
    }

    #[test]
    fn noise_has_its_deviation_and_repeats() {
        let noise = Noise {
            mean: 0.0,
            sigma: 0.05,
            seed: 3,
        };
        let flat = Image {
            width: 100,
            height: 100,
            channels: 1,
            pixels: vec![128; 10_000],
        };
        let (mut a, mut b) = (flat.clone(), flat);
        noise.add(&mut a);
        noise.add(&mut b);
        assert_eq!(a, b);
        let off = |v: &u8| (f64::from(*v) - 128.0) / 255.0;
        let deviation = (a.pixels.iter().map(|v| off(v).powi(2)).sum::<f64>() / 10_000.0).sqrt();
        assert!((deviation - 0.05).abs() < 0.002, "{deviation}");
    }
}
