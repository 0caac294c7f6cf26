//! Boundary F1 (Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?").
//!
//! For each image and class, the boundary is the class's pixels that have a 4-neighbour of another class; the
//! edge of the image is no boundary, nor is the edge of an ignored region. Precision is the share of the predicted
//! boundary that lies within a distance of the true one, recall the other way round. The F1 of a class is averaged
//! over the images in which it has a boundary in truth or prediction, then over the classes.

use crate::MetricError;
use crate::confusion::average;
use crate::error::same_length;

/// The boundary F1 of a set of class maps.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundaryF1 {
    tolerance: f64,
    /// Sum of F1 and number of images for each class.
    classes: Vec<(f64, u64)>,
}

impl BoundaryF1 {
    /// `tolerance` is the largest distance that still counts as a hit: at 1 or more in pixels, below 1 as a share
    /// of the image's diagonal, rounded up to a pixel (0.0075 in the paper).
    pub fn new(classes: usize, tolerance: f64) -> Self {
        Self {
            tolerance,
            classes: vec![(0.0, 0); classes],
        }
    }

    /// Adds one image: class maps of `width * height`, row by row; pixels whose truth is `ignore` belong to no class.
    pub fn add(
        &mut self,
        truth: &[i64],
        predicted: &[i64],
        width: usize,
        ignore: Option<i64>,
    ) -> Result<(), MetricError> {
        same_length(
            "predicted pixels for the true ones",
            predicted.len(),
            truth.len(),
        )?;
        if width == 0 || !truth.len().is_multiple_of(width) {
            let expected = truth.len().next_multiple_of(width.max(1));
            return Err(MetricError::Length {
                what: "pixels of whole rows",
                got: truth.len(),
                expected,
            });
        }
        let height = truth.len() / width;
        let tolerance = match self.tolerance < 1.0 {
            true => (self.tolerance * (width as f64).hypot(height as f64)).ceil(),
            false => self.tolerance,
        };
        let counted: Vec<bool> = truth.iter().map(|t| Some(*t) != ignore).collect();
        for class in 0..self.classes.len() {
            let want = boundary(truth, class as i64, width, &counted);
            let got = boundary(predicted, class as i64, width, &counted);
            let (has_want, has_got) = (want.contains(&true), got.contains(&true));
            if !has_want && !has_got {
                continue;
            }
            let f1 = match has_want && has_got {
                false => 0.0,
                true => {
                    let precision = hits(&got, &squared_distances(&want, width), tolerance);
                    let recall = hits(&want, &squared_distances(&got, width), tolerance);
                    match precision + recall {
                        0.0 => 0.0,
                        sum => 2.0 * precision * recall / sum,
                    }
                }
            };
            self.classes[class].0 += f1;
            self.classes[class].1 += 1;
        }
        Ok(())
    }

    /// The F1 of each class, from 0 to 1; `None` for one that never had a boundary.
    pub fn per_class(&self) -> Vec<Option<f64>> {
        self.classes
            .iter()
            .map(|(sum, n)| (*n > 0).then(|| sum / *n as f64))
            .collect()
    }

    /// The mean over the classes that had a boundary.
    pub fn mean(&self) -> Option<f64> {
        average(self.per_class().into_iter())
    }
}

/// The pixels of a class that touch a counted pixel of another one.
fn boundary(map: &[i64], class: i64, width: usize, counted: &[bool]) -> Vec<bool> {
    let other = |i: usize| counted[i] && map[i] != class;
    let edge = |i: usize| {
        let (x, y) = (i % width, i / width);
        (x > 0 && other(i - 1))
            || (x + 1 < width && other(i + 1))
            || (y > 0 && other(i - width))
            || (i + width < map.len() && other(i + width))
    };
    (0..map.len())
        .map(|i| counted[i] && map[i] == class && edge(i))
        .collect()
}

/// The share of the marked pixels whose squared distance is within the tolerance.
fn hits(marked: &[bool], distances: &[f64], tolerance: f64) -> f64 {
    let limit = tolerance * tolerance;
    let marked: Vec<f64> = marked
        .iter()
        .zip(distances)
        .filter(|(m, _)| **m)
        .map(|(_, d)| *d)
        .collect();
    marked.iter().filter(|d| **d <= limit).count() as f64 / marked.len() as f64
}

/// The squared Euclidean distance of every pixel to the nearest marked one (there is one), exact: columns, then
/// rows, each as the lower envelope of parabolas (Felzenszwalb and Huttenlocher 2012).
fn squared_distances(marked: &[bool], width: usize) -> Vec<f64> {
    let height = marked.len() / width;
    // Larger than any distance, yet small enough that the parabolas' arithmetic stays exact.
    let far = (2 * (width * width + height * height)) as f64;
    let mut field: Vec<f64> = marked.iter().map(|m| if *m { 0.0 } else { far }).collect();
    let mut line = Vec::new();
    for x in 0..width {
        line.clear();
        line.extend((0..height).map(|y| field[y * width + x]));
        for (y, d) in envelope(&line).into_iter().enumerate() {
            field[y * width + x] = d;
        }
    }
    for row in field.chunks_mut(width) {
        let d = envelope(row);
        row.copy_from_slice(&d);
    }
    field
}

/// `min over q of (p - q)^2 + f[q]` for every p.
fn envelope(f: &[f64]) -> Vec<f64> {
    let meet = |q: usize, r: usize| {
        let (a, b) = (q as f64, r as f64);
        ((f[q] + a * a) - (f[r] + b * b)) / (2.0 * (a - b))
    };
    let (mut sites, mut starts) = (vec![0], vec![f64::NEG_INFINITY]);
    for q in 1..f.len() {
        let mut start = meet(q, sites[sites.len() - 1]);
        while start <= starts[starts.len() - 1] {
            sites.pop();
            starts.pop();
            start = meet(q, sites[sites.len() - 1]);
        }
        sites.push(q);
        starts.push(start);
    }
    let mut at = 0;
    (0..f.len())
        .map(|p| {
            while at + 1 < sites.len() && starts[at + 1] < p as f64 {
                at += 1;
            }
            let away = p as f64 - sites[at] as f64;
            away * away + f[sites[at]]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixture, integers, near};

    #[test]
    fn equals_scipy() {
        for case in fixture("classification")["boundary"].as_array().unwrap() {
            let mut score = BoundaryF1::new(3, case["tolerance"].as_f64().unwrap());
            for image in case["images"].as_array().unwrap() {
                let width = image["width"].as_u64().unwrap() as usize;
                score
                    .add(
                        &integers(&image["truth"]),
                        &integers(&image["predicted"]),
                        width,
                        Some(255),
                    )
                    .unwrap();
            }
            near(score.mean().unwrap(), &case["mean"], 1e-12);
            for (got, want) in score
                .per_class()
                .into_iter()
                .zip(case["per_class"].as_array().unwrap())
            {
                match got {
                    Some(got) => near(got, want, 1e-12),
                    None => assert!(want.is_null()),
                }
            }
        }
    }

    #[test]
    fn one_class_everywhere_has_no_boundary() {
        let mut score = BoundaryF1::new(2, 0.0075);
        score.add(&[1; 12], &[1; 12], 4, None).unwrap();
        assert_eq!((score.mean(), score.per_class()), (None, vec![None, None]));
        assert!(score.add(&[1; 12], &[1; 11], 4, None).is_err());
        assert!(score.add(&[1; 12], &[1; 12], 5, None).is_err());
        assert!(score.add(&[1; 12], &[1; 12], 0, None).is_err());
    }
}
