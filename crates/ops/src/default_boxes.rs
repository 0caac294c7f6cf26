//! Default boxes of SSD, level by level: the numbers of torchvision's `DefaultBoxGenerator`.
//!
//! ```
//! use firesight_ops::DefaultBoxes;
//!
//! let boxes = DefaultBoxes {
//!     aspect_ratios: vec![vec![2.0]],
//!     scales: vec![0.5, 0.5],
//!     steps: None,
//! };
//! // Two squares and two rectangles for each of four cells of a 64x64 image.
//! let level = boxes.level(0, [64, 64], [2, 2]);
//! assert_eq!((level.len(), level[0]), (16, [0.0, 0.0, 32.0, 32.0]));
//! ```

/// Scales, ratios and steps of the default boxes of each level (Liu et al. 2016, "SSD", section 2.2).
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultBoxes {
    /// For each level, the ratios of width to height beside 1; each is used both ways.
    pub aspect_ratios: Vec<Vec<f64>>,
    /// The side of the squares as a share of the image's, one for each level and one more: each level also has squares
    /// between its own scale and the next.
    pub scales: Vec<f64>,
    /// Pixels between the cells of each level; without them the image is divided evenly.
    pub steps: Option<Vec<f64>>,
}

impl DefaultBoxes {
    /// How many boxes a cell of a level has.
    pub fn per_cell(&self, level: usize) -> usize {
        2 + 2 * self.aspect_ratios[level].len()
    }

    /// Widths and heights of a cell's boxes, as shares of the image's; none is larger than the image.
    fn cell(&self, level: usize) -> Vec<[f32; 2]> {
        let (scale, next) = (self.scales[level], self.scales[level + 1]);
        let between = (scale * next).sqrt();
        let mut sides = vec![[scale; 2], [between; 2]];
        for ratio in &self.aspect_ratios[level] {
            let (long, short) = (scale * ratio.sqrt(), scale / ratio.sqrt());
            sides.extend([[long, short], [short, long]]);
        }
        let share = |side: f64| (side as f32).clamp(0.0, 1.0);
        sides.into_iter().map(|sides| sides.map(share)).collect()
    }

    /// The boxes of a level: row by row of the feature map, cell by cell, all boxes of a cell together. Their corners may
    /// lie outside of the image.
    ///
    /// `image` and `features` are height and width.
    pub fn level(&self, level: usize, image: [usize; 2], features: [usize; 2]) -> Vec<[f32; 4]> {
        let cell = self.cell(level);
        let [height, width] = image.map(|side| side as f32);
        // Cells over the image's side.
        let cells = [0, 1].map(|i| match &self.steps {
            Some(steps) => (image[i] as f64 / steps[level]) as f32,
            None => features[i] as f32,
        });
        let mut boxes = Vec::with_capacity(features[0] * features[1] * cell.len());
        for row in 0..features[0] {
            for column in 0..features[1] {
                let x = (column as f32 + 0.5) / cells[1];
                let y = (row as f32 + 0.5) / cells[0];
                boxes.extend(cell.iter().map(|[w, h]| {
                    let (w, h) = (0.5 * w, 0.5 * h);
                    [
                        (x - w) * width,
                        (y - h) * height,
                        (x + w) * width,
                        (y + h) * height,
                    ]
                }));
            }
        }
        boxes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts, sums of each column in double precision, and four boxes of torchvision 0.29.2's `DefaultBoxGenerator`.
    #[test]
    fn equal_torchvision() {
        let ssd300 = DefaultBoxes {
            aspect_ratios: [1, 2, 2, 2, 1, 1]
                .map(|n| [2.0, 3.0][..n].to_vec())
                .to_vec(),
            scales: vec![0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
            steps: Some(vec![8.0, 16.0, 32.0, 64.0, 100.0, 300.0]),
        };
        let squares = [38, 19, 10, 5, 3, 1].map(|side| [side, side]);
        check(
            &ssd300,
            [300, 300],
            &squares,
            [
                1157388.8383276463,
                1157388.8383276463,
                1508979.1625099182,
                1508979.1625099182,
            ],
            [
                [-6.5, -6.5, 14.5, 14.5],
                [-3.42462, -10.84924, 11.42462, 18.84924],
                [205.15076, 220.57538, 234.84924, 235.42462],
                [57.72257, 0.0, 242.27744, 300.0],
            ],
        );
        let even = DefaultBoxes {
            aspect_ratios: vec![vec![2.0, 3.0]; 6],
            scales: vec![0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0],
            steps: None,
        };
        check(
            &even,
            [320, 256],
            &[[20, 16], [10, 8], [5, 4], [3, 2], [2, 1], [1, 1]],
            [
                236958.60857009888,
                296198.2594280243,
                421985.3910369873,
                527481.7383270264,
            ],
            [
                [-17.6, -24.0, 33.6, 40.0],
                [-10.10193, -37.25484, 26.10193, 53.25484],
                [85.89806, 170.74516, 122.10194, 261.25485],
                [57.7942, 0.0, 198.2058, 320.0],
            ],
        );
    }

    fn check(
        boxes: &DefaultBoxes,
        image: [usize; 2],
        levels: &[[usize; 2]],
        sums: [f64; 4],
        some: [[f32; 4]; 4],
    ) {
        let each = levels.iter().enumerate();
        let all: Vec<[f32; 4]> = each
            .flat_map(|(at, level)| boxes.level(at, image, *level))
            .collect();
        let count: usize = (0..6)
            .map(|at| levels[at][0] * levels[at][1] * boxes.per_cell(at))
            .sum();
        assert_eq!(all.len(), count);
        for (side, sum) in sums.into_iter().enumerate() {
            let found: f64 = all.iter().map(|b| f64::from(b[side])).sum();
            assert!((found - sum).abs() < 1e-6 * sum, "{found}, not {sum}");
        }
        for (at, expected) in [0, 3, count / 2, count - 1].into_iter().zip(some) {
            for (found, expected) in all[at].iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{at}: {:?}", all[at]);
            }
        }
    }
}
