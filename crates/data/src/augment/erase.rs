//! Random erasing.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, PixelOperation, Plan, Problems};
use crate::random::{between, coin, uniform};
use crate::sample::{Image, Picture, Value, filling, with_image};

/// Overwrites a random rectangle (Zhong et al., "Random Erasing Data Augmentation", 2017), as torchvision's
/// `RandomErasing`. Boxes and masks stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandomErasing {
    /// How often, from 0 to 1.
    pub probability: f64,
    /// Smallest and largest area, as a share of the image's.
    pub area: [f64; 2],
    /// Smallest and largest height over width, drawn evenly in the logarithm.
    pub aspect: [f64; 2],
    /// What is written.
    pub value: EraseValue,
}

/// What a rectangle is overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum EraseValue {
    /// Red, green and blue; a gray image takes the first.
    #[serde(alias = "colour")]
    Color([u8; 3]),
    /// Every value drawn evenly from 0 to 255, as in the paper.
    Random,
}

impl Default for RandomErasing {
    fn default() -> Self {
        RandomErasing {
            probability: 0.5,
            area: [0.02, 0.33],
            aspect: [0.3, 3.3],
            value: EraseValue::Color([0; 3]),
        }
    }
}

impl Augmentation for RandomErasing {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if !coin(rng, self.probability) {
            return;
        }
        let [width, height] = plan.size();
        let [low, high] = self.aspect.map(|v| v.max(1e-6).ln());
        for _ in 0..10 {
            let area = (width * height) as f64 * uniform(rng, self.area[0], self.area[1]);
            let aspect = uniform(rng, low, high).exp();
            let [w, h] = [(area / aspect).sqrt(), (area * aspect).sqrt()]
                .map(|v| v.round_ties_even() as usize);
            if w < width && h < height {
                let y = between(rng, 0, (height - h) as i64) as usize;
                let x = between(rng, 0, (width - w) as i64) as usize;
                plan.pixels(Erase {
                    x,
                    y,
                    width: w,
                    height: h,
                    value: self.value,
                    seed: rng.next_u64(),
                });
                return;
            }
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .probability(self.probability)
            .range("area", self.area, 0.0, 1.0)
            .range("aspect", self.aspect, 1e-2, 1e2)
            .0
    }
}

/// A rectangle to be overwritten, drawn; it lies inside the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Erase {
    /// Left edge in pixels.
    pub x: usize,
    /// Upper edge in pixels.
    pub y: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// What is written.
    pub value: EraseValue,
    /// The seed of random values.
    pub seed: u64,
}

impl PixelOperation for Erase {
    fn apply(&self, picture: &mut Picture) {
        with_image!(picture, image => self.erase(image));
    }
}

impl Erase {
    fn erase<T: Value>(&self, image: &mut Image<T>) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let channels = image.channels;
        let mut bytes = Vec::new();
        let right = (self.x + self.width).min(image.width);
        let left = self.x.min(right);
        for y in self.y..(self.y + self.height).min(image.height) {
            let line = y * image.width;
            let span = &mut image.pixels[(line + left) * channels..(line + right) * channels];
            match self.value {
                EraseValue::Color(color) => {
                    let color = filling(color, channels);
                    span.chunks_exact_mut(channels)
                        .for_each(|pixel| pixel.copy_from_slice(&color));
                }
                EraseValue::Random => {
                    bytes.resize(span.len(), 0);
                    rng.fill_bytes(&mut bytes);
                    let values = span.iter_mut().zip(&bytes);
                    values.for_each(|(v, byte)| *v = T::of_byte(*byte));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, stream};
    use crate::sample::Sample;
    use crate::target::Target;

    #[test]
    fn the_area_is_in_its_range() {
        let erasing = RandomErasing {
            probability: 1.0,
            value: EraseValue::Color([1, 2, 3]),
            ..RandomErasing::default()
        };
        for seed in 0..50 {
            let mut plan = Plan::new([40, 30]);
            erasing.draw(&mut stream(seed, 0, 0, Domain::Sample), &mut plan);
            let image = Image {
                width: 40,
                height: 30,
                channels: 3,
                pixels: vec![9; 3600],
            };
            let image = plan
                .apply(Sample {
                    image: image.into(),
                    target: Target::default(),
                })
                .unwrap()
                .image;
            let image = image.bytes().unwrap();
            let erased = image.pixels.chunks(3).filter(|p| *p == [1, 2, 3]).count() as f64 / 1200.0;
            assert!((0.015..0.35).contains(&erased), "{erased}");
        }
    }
}
