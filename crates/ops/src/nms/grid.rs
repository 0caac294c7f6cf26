//! The kept boxes, findable by place and size, so that suppression need not compare all pairs.
//!
//! Boxes are sorted into levels by the power of two that their longer side fits into, and within a level into
//! square cells of that size by their upper left corner. A box then meets only those of the cells around it; and
//! since `IoU <= side / longer side` in each axis, only levels whose sides differ by no more than the threshold allows.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// The kept boxes of all classes.
pub struct Grid {
    threshold: f64,
    /// For each class and level, the boxes in order of insertion.
    levels: HashMap<usize, BTreeMap<i32, Level>, BuildHasherDefault<Mix>>,
}

#[derive(Default)]
struct Level {
    boxes: Vec<[f32; 4]>,
    cells: HashMap<(i64, i64), Vec<u32>, BuildHasherDefault<Mix>>,
}

impl Grid {
    pub fn new(threshold: f32) -> Self {
        Self {
            threshold: threshold as f64,
            levels: HashMap::default(),
        }
    }

    /// Adds a box of positive width and height.
    pub fn insert(&mut self, b: &[f32; 4], class: usize) {
        let level = level_of(side(b));
        let size = cell_size(level);
        let entry = self
            .levels
            .entry(class)
            .or_default()
            .entry(level)
            .or_default();
        let index = entry.boxes.len() as u32;
        entry.boxes.push(*b);
        entry
            .cells
            .entry((cell(b[0] as f64, size), cell(b[1] as f64, size)))
            .or_default()
            .push(index);
    }

    /// Whether `test` holds for some box of the class; boxes whose IoU with `b` cannot exceed the threshold may
    /// be left out.
    pub fn any(&self, b: &[f32; 4], class: usize, test: impl Fn(&[f32; 4]) -> bool) -> bool {
        let Some(levels) = self.levels.get(&class) else {
            return false;
        };
        // A little wider than exact arithmetic needs, since the IoU is computed in f32.
        let (least, most) = (
            side(b) * self.threshold * 0.999,
            side(b) / self.threshold * 1.001,
        );
        let least = if least > 0.0 {
            level_of(least)
        } else {
            i32::MIN
        };
        let most = if most.is_finite() {
            level_of(most)
        } else {
            i32::MAX
        };
        levels.range(least..=most).any(|(level, kept)| {
            let size = cell_size(*level);
            let range =
                |low: f32, high: f32| (cell(low as f64 - size, size), cell(high as f64, size));
            let ((x0, x1), (y0, y1)) = (range(b[0], b[2]), range(b[1], b[3]));
            let cells = (x1 - x0 + 1) as f64 * (y1 - y0 + 1) as f64;
            if cells > kept.boxes.len() as f64 {
                return kept.boxes.iter().any(&test);
            }
            (x0..=x1)
                .flat_map(|x| (y0..=y1).map(move |y| (x, y)))
                .any(|at| {
                    kept.cells
                        .get(&at)
                        .is_some_and(|c| c.iter().any(|i| test(&kept.boxes[*i as usize])))
                })
        })
    }
}

/// The longer side; in f64, since a difference of two f32 may round up past a power of two.
fn side(b: &[f32; 4]) -> f64 {
    (b[2] as f64 - b[0] as f64).max(b[3] as f64 - b[1] as f64)
}

/// The smallest power of two that is at least `side`.
fn level_of(side: f64) -> i32 {
    side.log2().ceil() as i32
}

fn cell_size(level: i32) -> f64 {
    // A logarithm rounded down would leave a side a hair longer than its cell.
    2.0_f64.powi(level) * (1.0 + 1e-9)
}

fn cell(at: f64, size: f64) -> i64 {
    // Half the range of i64, so that differences of cells cannot overflow.
    (at / size).floor().clamp(-4e18, 4e18) as i64
}

/// A fast hash for small integer keys, which come from geometry and not from an adversary.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u64(*b as u64));
    }

    fn write_u64(&mut self, x: u64) {
        self.0 = (self.0.rotate_left(26) ^ x).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_i64(&mut self, x: i64) {
        self.write_u64(x as u64);
    }

    fn write_usize(&mut self, x: usize) {
        self.write_u64(x as u64);
    }
}
