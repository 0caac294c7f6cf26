//! A batch, and the augmentations that mix its samples.
//!
//! ```
//! use firesight_data::Target;
//! use firesight_data::batch::{Batch, Mix};
//!
//! let mix = |partner, weight| Mix { partner, weight };
//! let batch = Batch {
//!     images: vec![0.0; 2],
//!     shape: [2, 1, 1, 1],
//!     targets: vec![Target::of_class(0), Target::of_class(2)],
//!     indices: vec![0, 1],
//!     sizes: vec![[1, 1]; 2],
//!     number: 0,
//!     mixes: vec![mix(1, 0.75), mix(0, 0.75)],
//! };
//! assert_eq!(batch.soft_targets(3).unwrap(), [0.75, 0.0, 0.25, 0.25, 0.0, 0.75]);
//! ```

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::random::{below, beta, coin, uniform};
use crate::target::Target;

/// Samples of one size, normalised, with their targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[N, C, H, W]` values.
    pub images: Vec<f32>,
    /// `[N, C, H, W]`
    pub shape: [usize; 4],
    /// What is known about each image, after augmentation.
    pub targets: Vec<Target>,
    /// The index of each sample in its source.
    pub indices: Vec<usize>,
    /// `[width, height]` of each image before augmentation.
    pub sizes: Vec<[usize; 2]>,
    /// The batch's number in its epoch, from 0.
    pub number: usize,
    /// What each image was mixed with; empty where the batch was not mixed.
    pub mixes: Vec<Mix>,
}

/// What one image of a batch was mixed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// The other image's place in the batch.
    pub partner: usize,
    /// The share of the image itself, from 0 to 1; the partner has the rest.
    pub weight: f32,
}

impl Batch {
    /// The classes as `[N, classes]` probabilities: 1 at the label's class, or shares where the batch was mixed.
    /// `None` where a label is not a class below `classes`.
    pub fn soft_targets(&self, classes: usize) -> Option<Vec<f32>> {
        let class = |at: usize| self.targets[at].class().filter(|class| *class < classes);
        let mut targets = vec![0.0; self.targets.len() * classes];
        for (i, row) in targets.chunks_exact_mut(classes.max(1)).enumerate() {
            let mix = self.mixes.get(i).copied().unwrap_or(Mix {
                partner: i,
                weight: 1.0,
            });
            row[class(i)?] += mix.weight;
            row[class(mix.partner)?] += 1.0 - mix.weight;
        }
        Some(targets)
    }
}

/// One way of mixing the images of a batch. Each image is mixed with its predecessor in the batch, all of them with
/// the same drawn share, as torchvision's `MixUp` and `CutMix` do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mixing {
    /// See [`Mixup`].
    Mixup(Mixup),
    /// See [`Cutmix`].
    Cutmix(Cutmix),
}

/// The weighted mean of two images (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mixup {
    /// The share of the image is drawn from Beta(alpha, alpha); above 0.
    pub alpha: f64,
    /// How many of the batches are mixed, from 0 to 1.
    pub probability: f64,
}

impl Default for Mixup {
    fn default() -> Self {
        Mixup {
            alpha: 0.2,
            probability: 1.0,
        }
    }
}

/// A rectangle of another image (Yun et al., "CutMix", 2019). The share of the label is that of the area left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Cutmix {
    /// The area left is drawn from Beta(alpha, alpha) before the rectangle is clipped to the image; above 0.
    pub alpha: f64,
    /// How many of the batches are mixed, from 0 to 1.
    pub probability: f64,
}

impl Default for Cutmix {
    fn default() -> Self {
        Cutmix {
            alpha: 1.0,
            probability: 1.0,
        }
    }
}

impl Mixing {
    fn settings(&self) -> (&'static str, f64, f64) {
        match self {
            Mixing::Mixup(Mixup { alpha, probability }) => ("mixup", *alpha, *probability),
            Mixing::Cutmix(Cutmix { alpha, probability }) => ("cutmix", *alpha, *probability),
        }
    }

    /// What is wrong with the settings: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let (name, alpha, probability) = self.settings();
        let mut problems = Vec::new();
        if !(alpha > 0.0 && alpha <= 1e3) {
            problems.push((
                format!("{name}.alpha"),
                format!("{alpha} is not above 0 and at most 1000"),
            ));
        }
        if !(0.0..=1.0).contains(&probability) {
            problems.push((
                format!("{name}.probability"),
                format!("{probability} is not between 0 and 1"),
            ));
        }
        problems
    }
}

/// Mixes a batch by one of the given ways, drawn evenly.
///
/// # Errors
/// Labels that are not classes.
pub fn mix(ways: &[Mixing], batch: &mut Batch, rng: &mut ChaCha8Rng) -> Result<(), DataError> {
    let Some(way) = ways.get(below(rng, ways.len())) else {
        return Ok(());
    };
    if batch.targets.iter().any(|target| target.class().is_none()) {
        return Err(DataError::setting(
            "mixing",
            "mixup and cutmix need one class per image; take the entry out",
        ));
    }
    let (_, alpha, probability) = way.settings();
    if batch.targets.len() < 2 || !coin(rng, probability) {
        return Ok(());
    }
    let share = beta(rng, alpha);
    let share = match way {
        Mixing::Mixup(_) => mixup(batch, share),
        Mixing::Cutmix(_) => cutmix(batch, share, rng),
    };
    let count = batch.targets.len();
    batch.mixes = (0..count)
        .map(|i| Mix {
            partner: (i + count - 1) % count,
            weight: share as f32,
        })
        .collect();
    Ok(())
}

/// Walks the images together with their predecessors as they were before mixing.
fn with_predecessors(batch: &mut Batch, mut visit: impl FnMut(&mut [f32], &[f32])) {
    let size = batch.shape[1..].iter().product::<usize>();
    let last = batch.images[batch.images.len() - size..].to_vec();
    // From the back, so that each predecessor is still itself.
    for i in (1..batch.shape[0]).rev() {
        let (before, after) = batch.images.split_at_mut(i * size);
        visit(&mut after[..size], &before[(i - 1) * size..]);
    }
    visit(&mut batch.images[..size], &last);
}

fn mixup(batch: &mut Batch, share: f64) -> f64 {
    let (own, other) = (share as f32, (1.0 - share) as f32);
    with_predecessors(batch, |image, previous| {
        image
            .iter_mut()
            .zip(previous)
            .for_each(|(a, b)| *a = *a * own + b * other);
    });
    share
}

/// Returns the share of the area that is left.
fn cutmix(batch: &mut Batch, share: f64, rng: &mut ChaCha8Rng) -> f64 {
    let [_, _, height, width] = batch.shape;
    let half = 0.5 * (1.0 - share).sqrt();
    let mut side = |length: usize| {
        let (center, half) = (
            uniform(rng, 0.0, length as f64).floor() as i64,
            (half * length as f64) as i64,
        );
        let clamp = |v: i64| v.clamp(0, length as i64) as usize;
        clamp(center - half)..clamp(center + half)
    };
    let (columns, rows) = (side(width), side(height));
    with_predecessors(batch, |image, previous| {
        for line in (0..image.len())
            .step_by(width)
            .filter(|line| rows.contains(&(line / width % height)))
        {
            let span = line + columns.start..line + columns.end;
            image[span.clone()].copy_from_slice(&previous[span]);
        }
    });
    1.0 - (columns.len() * rows.len()) as f64 / (width * height) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, stream};

    fn batch(count: usize) -> Batch {
        Batch {
            images: (0..count * 2 * 6 * 5)
                .map(|i| (i / 60) as f32 + 1.0)
                .collect(),
            shape: [count, 2, 6, 5],
            targets: (0..count).map(Target::of_class).collect(),
            indices: (0..count).collect(),
            sizes: vec![[5, 6]; count],
            number: 0,
            mixes: Vec::new(),
        }
    }

    #[test]
    fn mixup_is_the_weighted_mean_of_image_and_target() {
        let mut mixed = batch(4);
        mix(
            &[Mixing::Mixup(Mixup {
                alpha: 1.0,
                probability: 1.0,
            })],
            &mut mixed,
            &mut stream(1, 0, 0, Domain::Batch),
        )
        .unwrap();
        for i in 0..4 {
            let Mix { partner, weight } = mixed.mixes[i];
            assert_eq!(partner, (i + 3) % 4);
            let expected = (i + 1) as f32 * weight + (partner + 1) as f32 * (1.0 - weight);
            assert!(
                mixed.images[i * 60..(i + 1) * 60]
                    .iter()
                    .all(|v| (v - expected).abs() < 1e-5)
            );
            let target = &mixed.soft_targets(4).unwrap()[i * 4..i * 4 + 4];
            assert!(
                (target[i] - weight).abs() < 1e-6
                    && (target.iter().sum::<f32>() - 1.0).abs() < 1e-6
            );
        }
    }

    #[test]
    fn cutmix_shares_are_the_areas() {
        let mut some = 0;
        for seed in 0..20 {
            let mut mixed = batch(3);
            mix(
                &[Mixing::Cutmix(Cutmix::default())],
                &mut mixed,
                &mut stream(seed, 0, 0, Domain::Batch),
            )
            .unwrap();
            for i in 0..3 {
                let own = mixed.images[i * 60..(i + 1) * 60]
                    .iter()
                    .filter(|&&v| v == (i + 1) as f32)
                    .count();
                assert!((own as f32 / 60.0 - mixed.mixes[i].weight).abs() < 1e-6);
                some += usize::from(own < 60 && own > 0);
            }
        }
        assert!(
            some > 20,
            "rectangles were pasted in only {some} of 60 images"
        );
    }

    #[test]
    fn what_cannot_be_mixed() {
        let ways = [Mixing::Mixup(Mixup::default())];
        let mut rng = stream(1, 0, 0, Domain::Batch);
        let mut single = batch(1);
        mix(&ways, &mut single, &mut rng).unwrap();
        assert!(single.mixes.is_empty() && single.soft_targets(1) == Some(vec![1.0]));
        let mut unlabelled = batch(2);
        unlabelled.targets[1] = Target::default();
        assert!(mix(&ways, &mut unlabelled, &mut rng).is_err());
        assert_eq!(unlabelled.soft_targets(2), None);
        assert_eq!(
            Mixing::Cutmix(Cutmix {
                alpha: 0.0,
                probability: 2.0
            })
            .problems()
            .len(),
            2
        );
    }
}
