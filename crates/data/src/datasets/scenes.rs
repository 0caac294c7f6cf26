//! The embedded scenes: pictures composed from the embedded digits, for segmentation and detection without a
//! download.
//!
//! A scene is 128x128 RGB and holds 3 to 8 handwritten digits whose longer side is 20 to 56 pixels, in varied
//! color and contrast, on a textured background with clutter of strokes and digit fragments. A digit is its
//! 8x8 glyph, interpolated bilinearly, widened and sheared, cut at half of full ink, and thickened by 0 to 2
//! pixels. Later digits cover earlier ones: the mask holds what stays visible (0 is background, digit `d` is
//! `d + 1`), and a box is the hull of the visible pixels of its digit (class `d`). No two boxes overlap by more
//! than IoU 0.3, and at least 60 % of each digit stays visible.
//!
//! Digits of the test scenes come from the test rows of the digits (row number divisible by 5), those of the
//! validation scenes from rows 1, 11, 21, ..., those of the training scenes from all others; so no handwriting is
//! shared. Everything is drawn with integers from a stream keyed by (seed, split, number): the same on every
//! platform. A test pins the hash of all 2,750 scenes.
//!
//! ```
//! use firesight_data::datasets::scenes::ScenesConfig;
//!
//! let splits = ScenesConfig { train: 3, seed: 7, ..Default::default() }.open(".".as_ref())?;
//! let target = splits.train.read(2)?.target;
//! assert!((3..=8).contains(&target.objects().len()));
//! assert_eq!(target.mask.unwrap().classes.len(), 128 * 128);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

use std::path::Path;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::digits::{self, Row};
use crate::error::DataError;
use crate::random::{below, keyed};
use crate::sample::{Image, Sample};
use crate::source::{Source, Splits, out_of_range};
use crate::target::{BoxLabel, Mask, Target};

/// Width and height of a scene.
pub const SIDE: usize = 128;
const S: i32 = SIDE as i32;
const DIGITS: (i32, i32) = (3, 8);
/// The longer side of a digit in pixels.
const DIGIT_SIDE: (i32, i32) = (20, 56);
/// Digits that are tried for one place before the scene goes without it, and places that are tried for each.
const TRIES: (usize, usize) = (6, 12);

/// The embedded scenes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ScenesConfig {
    /// How many training scenes.
    pub train: usize,
    /// How many validation scenes.
    pub validation: usize,
    /// How many test scenes.
    pub test: usize,
    /// The seed of the scenes, which the seed of the run has no part in.
    pub seed: u64,
    /// Whether each box comes with the mask of its object.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub instance_masks: bool,
}

impl Default for ScenesConfig {
    fn default() -> Self {
        Self {
            train: 2000,
            validation: 250,
            test: 500,
            seed: 0,
            instance_masks: false,
        }
    }
}

/// The most scenes of a split.
const MOST: usize = 1_000_000;

impl ScenesConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.train == 0 {
            problems.push((
                "train".into(),
                "at least one training scene is needed".into(),
            ));
        }
        for (key, count) in [
            ("train", self.train),
            ("validation", self.validation),
            ("test", self.test),
        ] {
            if count > MOST {
                problems.push((key.into(), format!("{count} is more than {MOST}")));
            }
        }
        problems
    }

    /// All three splits; one with no scenes is left out.
    ///
    /// # Errors
    /// [`DataError::Unreadable`] if the embedded digits are damaged.
    pub fn open(&self, _data_root: &Path) -> Result<Splits, DataError> {
        let rows = Arc::new(digits::rows()?);
        let part = |name: &'static str, len: usize, belongs: fn(usize) -> bool| {
            let numbers = (0..rows.len()).filter(|&row| belongs(row)).collect();
            Arc::new(Scenes::new(name, len, self, rows.clone(), numbers))
        };
        let optional = |part: Arc<Scenes>| (part.len > 0).then_some(part as Arc<dyn Source>);
        let (is_test, is_validation) = (digits::is_test_row, |row: usize| row % 10 == 1);
        Ok(Splits {
            train: part("train", self.train, |row| {
                !digits::is_test_row(row) && row % 10 != 1
            }),
            validation: optional(part("validation", self.validation, is_validation)),
            test: optional(part("test", self.test, is_test)),
        })
    }
}

/// One split; each scene is composed when it is read.
struct Scenes {
    name: &'static str,
    len: usize,
    seed: u64,
    instance_masks: bool,
    rows: Arc<Vec<Row>>,
    /// The rows that this split draws digits from.
    numbers: Vec<usize>,
    classes: Vec<String>,
    mask_classes: Vec<String>,
}

impl Scenes {
    fn new(
        name: &'static str,
        len: usize,
        config: &ScenesConfig,
        rows: Arc<Vec<Row>>,
        numbers: Vec<usize>,
    ) -> Self {
        let classes: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        let mask_classes = std::iter::once("background".to_string())
            .chain(classes.clone())
            .collect();
        Self {
            name,
            len,
            seed: config.seed,
            instance_masks: config.instance_masks,
            rows,
            numbers,
            classes,
            mask_classes,
        }
    }

    fn any_row(&self, rng: &mut ChaCha8Rng) -> &Row {
        let number = below(rng, self.numbers.len());
        &self.rows[self.numbers[number]]
    }

    /// Composes a scene, or nothing if fewer than three digits found a place.
    fn compose(&self, rng: &mut ChaCha8Rng) -> Option<Sample> {
        let mut canvas = background(rng);
        for _ in 0..between(rng, 1, 4) {
            stroke(&mut canvas, rng);
        }
        for _ in 0..between(rng, 2, 6) {
            let (cell, thickness) = (between(rng, 18, 40), between(rng, 0, 1));
            if let Some(glyph) = Glyph::random(self.any_row(rng), cell, thickness, rng) {
                let piece = glyph.fragment(between(rng, 0, 3));
                let at = (between(rng, -4, S - 8), between(rng, -4, S - 8));
                paint(&mut canvas, &piece, at, rng);
            }
        }

        let wanted = between(rng, DIGITS.0, DIGITS.1);
        let mut placed: Vec<Placed> = Vec::new();
        for _ in 0..wanted {
            if let Some((glyph, at, with_it)) = self.find_place(&placed, rng) {
                paint(&mut canvas, &glyph, at, rng);
                placed = with_it;
            }
        }
        if (placed.len() as i32) < DIGITS.0 {
            return None;
        }
        Some(self.finish(&canvas, &placed, rng))
    }

    /// A digit, a place for it, and all digits once it is there.
    fn find_place(
        &self,
        placed: &[Placed],
        rng: &mut ChaCha8Rng,
    ) -> Option<(Glyph, (i32, i32), Vec<Placed>)> {
        for _ in 0..TRIES.0 {
            let row = self.any_row(rng);
            let cell = between(rng, 22, 60);
            let thickness = between(rng, 0, (cell / 24).min(2));
            let Some(glyph) = Glyph::random(row, cell, thickness, rng) else {
                continue;
            };
            let longer = glyph.width.max(glyph.height);
            if longer < DIGIT_SIDE.0 || longer > DIGIT_SIDE.1 {
                continue;
            }
            for _ in 0..TRIES.1 {
                let at = (
                    between(rng, 0, S - glyph.width),
                    between(rng, 0, S - glyph.height),
                );
                if let Some(with_it) = place(placed, &glyph, at, row.label) {
                    return Some((glyph, at, with_it));
                }
            }
        }
        None
    }

    /// Softens the edges, adds the sensor's noise, and writes the labels down.
    fn finish(&self, canvas: &Canvas, placed: &[Placed], rng: &mut ChaCha8Rng) -> Sample {
        let amplitude = between(rng, 2, 14);
        let mut pixels = Vec::with_capacity(SIDE * SIDE * 3);
        for y in 0..S {
            // The sums of three rows, weighted 1 2 1, and a copy at both ends.
            let row = |y: i32| &canvas[(y.clamp(0, S - 1) * S) as usize..][..SIDE];
            let (above, here, below) = (row(y - 1), row(y), row(y + 1));
            let column = |x: usize| [0, 1, 2].map(|c| above[x][c] + 2 * here[x][c] + below[x][c]);
            let mut sums = vec![column(0)];
            sums.extend((0..SIDE).map(column));
            sums.push(column(SIDE - 1));
            for window in sums.windows(3) {
                let weighted = |c: usize| window[0][c] + 2 * window[1][c] + window[2][c];
                for sum in [0, 1, 2].map(weighted) {
                    let noise = between(rng, -amplitude, amplitude);
                    pixels.push(((sum + 8) / 16 + noise).clamp(0, 255) as u8);
                }
            }
        }
        let mut classes = vec![0; SIDE * SIDE];
        let mut boxes = Vec::new();
        for digit in placed {
            let mut own = vec![0; SIDE * SIDE];
            for at in digit.visible.iter().map(|&(x, y)| (y * S + x) as usize) {
                classes[at] = digit.label + 1;
                own[at] = 1;
            }
            let (x1, y1, x2, y2) = hull(&digit.visible);
            boxes.push(BoxLabel {
                xyxy: [x1 as f32, y1 as f32, x2 as f32, y2 as f32],
                class: digit.label.into(),
                mask: self.instance_masks.then_some(Mask {
                    width: SIDE,
                    height: SIDE,
                    classes: own,
                }),
                ..BoxLabel::default()
            });
        }
        let mask = Mask {
            width: SIDE,
            height: SIDE,
            classes,
        };
        Sample {
            image: Image {
                width: SIDE,
                height: SIDE,
                channels: 3,
                pixels,
            }
            .into(),
            target: Target {
                boxes: Some(boxes),
                mask: Some(mask),
                classes: None,
            },
        }
    }
}

impl Source for Scenes {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        if index >= self.len {
            return Err(out_of_range(
                index,
                self.len,
                format!("the {} scenes", self.name),
            ));
        }
        // A scene too crowded for three digits is composed anew from the next stretch of its stream.
        let mut rng = keyed(self.seed, &format!("scenes {}", self.name), index as u64);
        loop {
            if let Some(sample) = self.compose(&mut rng) {
                return Ok(sample);
            }
        }
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        Ok((index < self.len).then_some([SIDE, SIDE, 3]))
    }

    fn origin(&self, index: usize) -> String {
        format!("{} scene {index}", self.name)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn mask_classes(&self) -> &[String] {
        &self.mask_classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        format!("scenes 1, seed {}, {} {index}", self.seed, self.name).into_bytes()
    }
}

/// Colors from 0 to 255, row by row.
type Canvas = Vec<[i32; 3]>;

/// A number from `low` to `high`, both included.
fn between(rng: &mut ChaCha8Rng, low: i32, high: i32) -> i32 {
    if low == high {
        rng.next_u64(); // One number takes a draw too: the scenes are pinned.
        return low;
    }
    low + below(rng, (high - low + 1) as usize) as i32
}

fn color(rng: &mut ChaCha8Rng) -> [i32; 3] {
    [0; 3].map(|_| between(rng, 0, 255))
}

/// 256 times the luma of Rec. 601.
fn luma(color: [i32; 3]) -> i32 {
    77 * color[0] + 150 * color[1] + 29 * color[2]
}

/// A background: a gradient between two colors that are not far apart, and on it stripes, checks or clouds.
fn background(rng: &mut ChaCha8Rng) -> Canvas {
    let from = color(rng);
    let to = from.map(|value| (value + between(rng, -70, 70)).clamp(0, 255));
    let (dx, dy) = (between(rng, -4, 4), between(rng, -4, 4));
    let depth = between(rng, 0, 36);
    let (period, skew) = (between(rng, 3, 24), between(rng, -2, 2));
    let kind = between(rng, 0, 3);
    let step = 1 << between(rng, 3, 5);
    let lattice: Vec<i32> = (0..18 * 18).map(|_| between(rng, -255, 255)).collect();
    let span = (dx.abs() + dy.abs()).max(1) * S;
    let mut canvas = Vec::with_capacity(SIDE * SIDE);
    for y in 0..S {
        for x in 0..S {
            let along = dx * if dx < 0 { x - S } else { x } + dy * if dy < 0 { y - S } else { y };
            let pattern = match kind {
                0 => 0,
                1 => 255 - 510 * ((x + skew * y).div_euclid(period) & 1),
                2 => 255 - 510 * ((x.div_euclid(period) + y.div_euclid(period)) & 1),
                _ => clouds(&lattice, step, x, y),
            };
            canvas.push([0, 1, 2].map(|channel| {
                let gradient = from[channel] + (to[channel] - from[channel]) * along / span;
                (gradient + pattern * depth / 255).clamp(0, 255)
            }));
        }
    }
    canvas
}

/// Values on a lattice of 18 by 18, `step` pixels apart, interpolated bilinearly.
fn clouds(lattice: &[i32], step: i32, x: i32, y: i32) -> i32 {
    let (column, row) = (x / step, y / step);
    let (fx, fy) = (x % step, y % step);
    let at = |column: i32, row: i32| lattice[(row * 18 + column) as usize];
    let upper = at(column, row) * (step - fx) + at(column + 1, row) * fx;
    let lower = at(column, row + 1) * (step - fx) + at(column + 1, row + 1) * fx;
    (upper * (step - fy) + lower * fy) / (step * step)
}

/// A line of clutter.
fn stroke(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    let (x, y) = (between(rng, 0, S - 1), between(rng, 0, S - 1));
    let (dx, dy) = (between(rng, -60, 60), between(rng, -60, 60));
    let thickness = between(rng, 1, 4);
    let steps = dx.abs().max(dy.abs()).max(1);
    let mut pixels: Vec<(i32, i32)> = Vec::new();
    for step in 0..=steps {
        let (x, y) = (x + dx * step / steps, y + dy * step / steps);
        for oy in 0..thickness {
            pixels.extend((0..thickness).map(|ox| (x + ox, y + oy)));
        }
    }
    pixels.sort_unstable();
    pixels.dedup();
    let glyph = Glyph {
        pixels,
        width: 0,
        height: 0,
    };
    paint(canvas, &glyph, (0, 0), rng);
}

/// The pixels of a digit, relative to the upper left corner of their hull.
struct Glyph {
    pixels: Vec<(i32, i32)>,
    width: i32,
    height: i32,
}

impl Glyph {
    /// A digit in a cell of `cell` pixels, widened and sheared at random; nothing if no ink is left.
    fn random(row: &Row, cell: i32, thickness: i32, rng: &mut ChaCha8Rng) -> Option<Self> {
        let (narrowing, shear) = (between(rng, 190, 300), between(rng, -70, 70));
        let margin = cell / 3 + 3;
        let mut pixels = Vec::new();
        for y in -margin..cell + margin {
            for x in -margin..cell + margin {
                // Glyph coordinates in 1/256 of a glyph pixel, from the center of the cell.
                let gy = (2 * y + 1 - cell) * 1024 / cell;
                let gx = (2 * x + 1 - cell) * 1024 / cell * narrowing / 256 + shear * gy / 256;
                if ink(row, gx + 896, gy + 896) > 8 * 256 * 256 {
                    pixels.push((x, y));
                }
            }
        }
        if pixels.is_empty() {
            return None;
        }
        let mut pixels = thickened(&pixels, thickness);
        let (x1, y1, x2, y2) = hull(&pixels);
        pixels
            .iter_mut()
            .for_each(|(x, y)| (*x, *y) = (*x - x1, *y - y1));
        Some(Self {
            pixels,
            width: x2 - x1,
            height: y2 - y1,
        })
    }

    /// Two fifths of it, from one of four sides: too little to be a digit.
    fn fragment(mut self, side: i32) -> Self {
        let (width, height) = (self.width, self.height);
        self.pixels.retain(|&(x, y)| match side {
            0 => 5 * x < 2 * width,
            1 => 5 * x >= 3 * width,
            2 => 5 * y < 2 * height,
            _ => 5 * y >= 3 * height,
        });
        self
    }
}

/// Each pixel and what lies within `thickness` of it, row by row.
fn thickened(pixels: &[(i32, i32)], thickness: i32) -> Vec<(i32, i32)> {
    let (x1, y1, x2, y2) = hull(pixels);
    let (x1, y1) = (x1 - thickness, y1 - thickness);
    let (width, height) = (x2 + thickness - x1, y2 + thickness - y1);
    let mut inked = vec![false; (width * height) as usize];
    for dy in -thickness..=thickness {
        for dx in (-thickness..=thickness).filter(|dx| dx * dx + dy * dy <= thickness * thickness) {
            pixels
                .iter()
                .for_each(|&(x, y)| inked[((y + dy - y1) * width + x + dx - x1) as usize] = true);
        }
    }
    let at = |index: usize| (index as i32 % width + x1, index as i32 / width + y1);
    (0..inked.len())
        .filter(|&index| inked[index])
        .map(at)
        .collect()
}

/// The ink at a point given in 1/256 of a glyph pixel, interpolated, from 0 to 16 * 65536.
fn ink(row: &Row, gx: i32, gy: i32) -> i32 {
    let (x, y) = (gx.div_euclid(256), gy.div_euclid(256));
    let (fx, fy) = (gx.rem_euclid(256), gy.rem_euclid(256));
    let at = |x: i32, y: i32| match (0..8).contains(&x) && (0..8).contains(&y) {
        true => i32::from(row.pixels[(y * 8 + x) as usize]),
        false => 0,
    };
    let upper = at(x, y) * (256 - fx) + at(x + 1, y) * fx;
    let lower = at(x, y + 1) * (256 - fx) + at(x + 1, y + 1) * fx;
    upper * (256 - fy) + lower * fy
}

/// Paints a shape in a color whose luma differs from what it covers by at least a random contrast.
fn paint(canvas: &mut Canvas, glyph: &Glyph, at: (i32, i32), rng: &mut ChaCha8Rng) {
    let inside: Vec<usize> = glyph
        .pixels
        .iter()
        .map(|&(x, y)| (x + at.0, y + at.1))
        .filter(|&(x, y)| (0..S).contains(&x) && (0..S).contains(&y))
        .map(|(x, y)| (y * S + x) as usize)
        .collect();
    if inside.is_empty() {
        return;
    }
    let under = inside
        .iter()
        .map(|&at| i64::from(luma(canvas[at])))
        .sum::<i64>()
        / inside.len() as i64;
    let under = under as i32;
    let contrast = between(rng, 36, 110) * 256;
    // The far end of gray is far enough if 32 draws are not: it is at least 127 away.
    let far = if under < 128 * 256 { [255; 3] } else { [0; 3] };
    let ink = (0..32)
        .map(|_| color(rng))
        .find(|&ink| (luma(ink) - under).abs() >= contrast)
        .unwrap_or(far);
    inside.iter().for_each(|&at| canvas[at] = ink);
}

/// A digit in the scene.
#[derive(Clone)]
struct Placed {
    label: u8,
    /// How many pixels it had before others covered it.
    full: usize,
    visible: Vec<(i32, i32)>,
}

/// The digits with another one on top of them, if boxes overlap little enough and all stay visible enough.
fn place(placed: &[Placed], glyph: &Glyph, at: (i32, i32), label: u8) -> Option<Vec<Placed>> {
    let pixels: Vec<(i32, i32)> = glyph
        .pixels
        .iter()
        .map(|&(x, y)| (x + at.0, y + at.1))
        .collect();
    let mut covered = vec![false; SIDE * SIDE];
    pixels
        .iter()
        .for_each(|&(x, y)| covered[(y * S + x) as usize] = true);
    let mut all = placed.to_vec();
    for digit in &mut all {
        digit
            .visible
            .retain(|&(x, y)| !covered[(y * S + x) as usize]);
        if 10 * digit.visible.len() < 6 * digit.full {
            return None;
        }
    }
    all.push(Placed {
        label,
        full: pixels.len(),
        visible: pixels,
    });
    let boxes: Vec<_> = all.iter().map(|digit| hull(&digit.visible)).collect();
    let apart =
        |one: usize| (one + 1..boxes.len()).all(|other| overlap_is_low(boxes[one], boxes[other]));
    (0..boxes.len()).all(apart).then_some(all)
}

type Hull = (i32, i32, i32, i32);

/// `x1 y1 x2 y2` of some pixels, the far edges excluded.
fn hull(pixels: &[(i32, i32)]) -> Hull {
    let start = (i32::MAX, i32::MAX, i32::MIN, i32::MIN);
    pixels.iter().fold(start, |(x1, y1, x2, y2), &(x, y)| {
        (x1.min(x), y1.min(y), x2.max(x + 1), y2.max(y + 1))
    })
}

/// Whether IoU is at most 0.3.
fn overlap_is_low(one: Hull, other: Hull) -> bool {
    let width = (one.2.min(other.2) - one.0.max(other.0)).max(0);
    let height = (one.3.min(other.3) - one.1.max(other.1)).max(0);
    let area = |hull: Hull| (hull.2 - hull.0) * (hull.3 - hull.1);
    let both = width * height;
    10 * both <= 3 * (area(one) + area(other) - both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use sha2::{Digest, Sha256};

    /// SHA-256 over all 2,750 scenes: pixels, mask, and boxes as little-endian numbers.
    const PINNED: &str = "824bcca5d90279c7d8615db414ff8eed816b32b076b89c68ba4fe5c974fc5ce6";

    #[test]
    fn all_scenes_keep_the_rules_and_the_pinned_hash() {
        let config = ScenesConfig {
            instance_masks: true,
            ..ScenesConfig::default()
        };
        let splits = config.open(Path::new("")).unwrap();
        let parts = splits.named();
        assert_eq!(
            parts.iter().map(|(_, part)| part.len()).collect::<Vec<_>>(),
            [2000, 250, 500]
        );
        let mut hasher = Sha256::new();
        for (_, part) in parts {
            let digests: Vec<[u8; 32]> = (0..part.len())
                .into_par_iter()
                .map(|index| checked(&part.read(index).unwrap()))
                .collect();
            digests.iter().for_each(|digest| hasher.update(digest));
        }
        assert_eq!(format!("{:x}", hasher.finalize()), PINNED);
    }

    fn checked(sample: &Sample) -> [u8; 32] {
        let boxes = sample.target.boxes.as_ref().unwrap();
        let mask = sample.target.mask.as_ref().unwrap();
        assert!((3..=8).contains(&boxes.len()));
        let mut hasher = Sha256::new();
        hasher.update(&sample.image.bytes().unwrap().pixels);
        hasher.update(&mask.classes);
        let hulls: Vec<Hull> = boxes
            .iter()
            .map(|b| b.xyxy.map(|edge| edge as i32).into())
            .collect();
        for (index, (hull, label)) in hulls.iter().zip(boxes).enumerate() {
            assert!(
                0 <= hull.0
                    && hull.0 < hull.2
                    && hull.2 <= S
                    && 0 <= hull.1
                    && hull.1 < hull.3
                    && hull.3 <= S
            );
            assert!(
                hulls[..index]
                    .iter()
                    .all(|other| overlap_is_low(*hull, *other))
            );
            let row = |y: i32| (hull.0..hull.2).map(move |x| mask.classes[(y * S + x) as usize]);
            // The object's own mask lies in its box, touches its edges, and is of its class.
            let own = &label.mask.as_ref().unwrap().classes;
            let set: Vec<i32> = (0..S * S).filter(|&at| own[at as usize] == 1).collect();
            let of_class = |&&at: &&i32| usize::from(mask.classes[at as usize]) == label.class + 1;
            assert_eq!(set.iter().filter(of_class).count(), set.len());
            let columns = || set.iter().map(|at| at % S);
            assert_eq!((set[0] / S, set[set.len() - 1] / S + 1), (hull.1, hull.3));
            assert_eq!(
                (columns().min(), columns().max()),
                (Some(hull.0), Some(hull.2 - 1))
            );
            // Each edge of a box touches a pixel of its class.
            assert!(
                [hull.1, hull.3 - 1]
                    .iter()
                    .all(|&y| row(y).any(|class| usize::from(class) == label.class + 1))
            );
            [hull.0, hull.1, hull.2, hull.3]
                .iter()
                .for_each(|edge| hasher.update(edge.to_le_bytes()));
            hasher.update((label.class as u64).to_le_bytes());
        }
        for (at, &class) in mask.classes.iter().enumerate() {
            let (x, y) = (at as i32 % S, at as i32 / S);
            let inside = |(hull, label): (&Hull, &BoxLabel)| {
                label.class + 1 == usize::from(class)
                    && hull.0 <= x
                    && x < hull.2
                    && hull.1 <= y
                    && y < hull.3
            };
            assert!(class == 0 || hulls.iter().zip(boxes).any(inside));
        }
        hasher.finalize().into()
    }

    #[test]
    fn reading_is_pure_and_the_seed_counts() {
        let open = |seed| {
            let config = ScenesConfig {
                seed,
                ..Default::default()
            };
            config.open(Path::new("")).unwrap().train
        };
        let (one, other) = (open(0), open(1));
        let first = one.read(7).unwrap();
        one.read(3).unwrap();
        assert_eq!(one.read(7).unwrap(), first);
        assert_ne!(other.read(7).unwrap(), first);
        let unmasked = |object: &BoxLabel| object.mask.is_none();
        assert!(first.target.objects().iter().all(unmasked));
        assert!(one.read(2000).is_err());
        assert_eq!(
            (one.classes().len(), one.mask_classes()[10].as_str()),
            (10, "9")
        );
    }
}
