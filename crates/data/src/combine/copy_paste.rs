//! Objects of another picture.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Combination, Settings, fitted, laid, of_two_kinds};
use crate::augment::MINIMUM_VISIBLE;
use crate::error::DataError;
use crate::random::{below, coin, uniform};
use crate::sample::{Image, Sample, Value, with_images};
use crate::target::{BoxLabel, Mask};

/// Objects of another picture, cut out by their masks and pasted over this one (Ghiasi et al., "Simple Copy-Paste is a
/// Strong Data Augmentation Method for Instance Segmentation", 2021). Objects that are covered keep what is seen of
/// them; one that loses more than 80 % goes. Needs a mask for each object: `instance-masks = true` of `coco` and `scenes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CopyPaste {
    /// How many of the samples are pasted into, from 0 to 1.
    pub probability: f64,
    /// How many of the other picture's objects are pasted, from 0 to 1; each is drawn.
    pub share: f64,
    /// Smallest and largest size of the other picture, as a share of what fits this one.
    pub scale: [f64; 2],
}

impl Default for CopyPaste {
    fn default() -> Self {
        CopyPaste {
            probability: 0.5,
            share: 0.5,
            scale: [0.5, 1.0],
        }
    }
}

impl Combination for CopyPaste {
    fn partners(&self, rng: &mut ChaCha8Rng) -> usize {
        usize::from(coin(rng, self.probability))
    }

    fn combine(
        &self,
        mut sample: Sample,
        partners: Vec<Sample>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Sample, DataError> {
        let frame = sample.image.size();
        for partner in partners {
            for of in [&sample, &partner] {
                let lacks = of
                    .target
                    .objects()
                    .iter()
                    .any(|object| object.mask.is_none());
                if lacks || of.target.boxes.is_none() {
                    let reason = "needs objects with a mask each, as `instance-masks = true` of `coco` and `scenes` gives them";
                    return Err(DataError::setting("combine.copy-paste", reason));
                }
            }
            let size = partner.image.size();
            let [w, h] = fitted(size, frame, uniform(rng, self.scale[0], self.scale[1]));
            let [x, y] = [frame[0] - w.min(frame[0]), frame[1] - h.min(frame[1])]
                .map(|room| below(rng, room + 1) as i64);
            let mut partner = laid(partner, [w, h], [x, y], frame, [0; 3])?;
            let objects = partner.target.boxes.take().unwrap_or_default();
            for object in objects {
                if coin(rng, self.share) && !object.crowd {
                    paste(&mut sample, &partner, object)?;
                }
            }
        }
        Ok(sample)
    }

    fn problems(&self) -> Vec<(String, String)> {
        Settings(Vec::new())
            .share("probability", self.probability)
            .share("share", self.share)
            .range("scale", self.scale, 0.05, 1.0)
            .0
    }
}

/// Pastes an object of another picture of the same size over this one.
fn paste(sample: &mut Sample, partner: &Sample, object: BoxLabel) -> Result<(), DataError> {
    let Some(over) = object.mask.as_ref().map(|mask| mask.classes.clone()) else {
        return Ok(());
    };
    let covered: Vec<usize> = (0..over.len()).filter(|&at| over[at] == 1).collect();
    if covered.is_empty() {
        return Ok(());
    }
    with_images!(
        &mut sample.image, &partner.image,
        (own, other) => copy(own, other, &covered),
        else return Err(of_two_kinds())
    );
    for at in &covered {
        if let (Some(mask), Some(own)) = (&mut sample.target.mask, &partner.target.mask) {
            mask.classes[*at] = own.classes[*at];
        }
    }
    let boxes = sample.target.boxes.get_or_insert_default();
    boxes.retain_mut(|below| still_seen(below, &covered));
    boxes.push(object);
    Ok(())
}

/// Copies these pixels of an image of the same size.
fn copy<T: Value>(image: &mut Image<T>, other: &Image<T>, covered: &[usize]) {
    let channels = image.channels;
    for at in covered {
        let pixel = at * channels..(at + 1) * channels;
        image.pixels[pixel.clone()].copy_from_slice(&other.pixels[pixel]);
    }
}

/// Takes pixels away from an object; whether enough of it is still seen.
fn still_seen(object: &mut BoxLabel, covered: &[usize]) -> bool {
    let Some(mask) = &mut object.mask else {
        return true;
    };
    let count = |mask: &Mask| mask.classes.iter().filter(|class| **class == 1).count();
    let before = count(mask);
    covered.iter().for_each(|at| mask.classes[*at] = 0);
    let after = count(mask);
    if after == before {
        return true;
    }
    let width = mask.width;
    let seen = (0..mask.classes.len()).filter(|at| mask.classes[*at] == 1);
    let hull = seen.fold(None, |hull: Option<[usize; 4]>, at| {
        let (x, y) = (at % width, at / width);
        let [x1, y1, x2, y2] = hull.unwrap_or([x, y, x, y]);
        Some([x1.min(x), y1.min(y), x2.max(x), y2.max(y)])
    });
    let Some([x1, y1, x2, y2]) = hull else {
        return false;
    };
    object.xyxy = [x1, y1, x2 + 1, y2 + 1].map(|edge| edge as f32);
    let area = (x2 + 1 - x1) * (y2 + 1 - y1);
    object.cover = after as f32 / area as f32;
    after as f64 >= MINIMUM_VISIBLE * before as f64
}
