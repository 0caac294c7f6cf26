//! Where objects are: polygons, or lengths of runs that alternate between outside and inside, column by column; the pixels
//! that they cover, and what those make of a class mask.

use super::objects::leaves;
use crate::target::Mask;

const BACKGROUND: &str = "background";

/// Where an object is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outline {
    /// Polygons `x y x y ..` of at least three points each.
    Polygons(Vec<Vec<f64>>),
    /// Lengths of runs and the size `[width, height]` of the image that they are of.
    Runs { counts: Vec<u32>, size: [usize; 2] },
}

impl Outline {
    /// The smallest box `x1 y1 x2 y2` around it; `None` where there is nothing in it.
    pub fn bound(&self) -> Option<[f64; 4]> {
        let mut bound = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        let mut widen = |[x1, y1, x2, y2]: [f64; 4]| {
            let [left, top, right, bottom] = bound;
            bound = [left.min(x1), top.min(y1), right.max(x2), bottom.max(y2)];
        };
        match self {
            Self::Polygons(polygons) => {
                let points = polygons.iter().flat_map(|polygon| polygon.chunks_exact(2));
                points.for_each(|point| widen([point[0], point[1], point[0], point[1]]));
            }
            Self::Runs { counts, size } => {
                let height = size[1];
                for (from, to) in inside(counts) {
                    let (first, last) = (from / height, (to - 1) / height);
                    let (top, bottom) = match first == last {
                        true => (from % height, (to - 1) % height),
                        false => (0, height - 1),
                    };
                    let edges = [first, top, last + 1, bottom + 1];
                    widen(edges.map(|edge| edge as f64));
                }
            }
        }
        (bound[0] <= bound[2]).then_some(bound)
    }

    /// Whether each pixel of an image of `[width, height]` is covered, row by row. A polygon covers the pixels whose
    /// centers lie inside it (even-odd).
    ///
    /// # Errors
    /// Runs for an image of another size.
    pub fn covered(&self, [width, height]: [usize; 2]) -> Result<Vec<bool>, String> {
        let mut covered = vec![false; width * height];
        match self {
            Self::Polygons(polygons) => {
                for polygon in polygons {
                    fill(polygon, [width, height], &mut covered);
                }
            }
            Self::Runs { counts, size } => {
                if *size != [width, height] {
                    let [w, h] = size;
                    return Err(format!(
                        "its run lengths are for {w}x{h} pixels, the image has {width}x{height}"
                    ));
                }
                for (from, to) in inside(counts) {
                    (from..to).for_each(|i| covered[i % height * width + i / height] = true);
                }
            }
        }
        Ok(covered)
    }

    /// Bytes that identify it.
    pub fn identity(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Polygons(polygons) => {
                for polygon in polygons {
                    bytes.extend((polygon.len() as u64).to_le_bytes());
                    polygon.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
                }
            }
            Self::Runs { counts, size } => {
                size.iter()
                    .for_each(|v| bytes.extend((*v as u64).to_le_bytes()));
                counts.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
            }
        }
    }
}

/// The runs that lie inside, from one pixel to the one after their last.
fn inside(counts: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    let runs = counts.iter().enumerate().map(move |(number, count)| {
        let from = at;
        at += *count as usize;
        (number, from, at)
    });
    runs.filter(|(number, from, to)| number % 2 == 1 && from < to)
        .map(|(_, from, to)| (from, to))
}

/// Marks the pixels whose centers lie inside a polygon `x y x y ..`.
fn fill(polygon: &[f64], [width, height]: [usize; 2], covered: &mut [bool]) {
    let corners: Vec<(f64, f64)> = polygon.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    let top = corners
        .iter()
        .map(|corner| corner.1)
        .fold(f64::MAX, f64::min);
    let bottom = corners
        .iter()
        .map(|corner| corner.1)
        .fold(f64::MIN, f64::max);
    // Casts of negative numbers give 0.
    let rows = (top.floor() as usize).min(height)..(bottom.ceil() as usize).min(height);
    let mut crossings = Vec::new();
    for row in rows {
        let line = &mut covered[row * width..][..width];
        let y = row as f64 + 0.5;
        crossings.clear();
        for (i, &(x1, y1)) in corners.iter().enumerate() {
            let (x2, y2) = corners[(i + 1) % corners.len()];
            if (y1 <= y) != (y2 <= y) {
                crossings.push(x1 + (y - y1) / (y2 - y1) * (x2 - x1));
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            // The first center at or right of an edge; negative numbers become 0.
            let [from, to] = [pair[0], pair[1]].map(|x| ((x - 0.5).ceil() as usize).min(width));
            line[from..to].fill(true);
        }
    }
}

/// What is said of an outline that leaves the image.
pub(super) fn outline_leaves([width, height]: [usize; 2]) -> String {
    format!("the outline leaves the image of {width}x{height} pixels")
}

/// The pixels of an outline in an image of `size`, and what is wrong with it if some of it leaves the image.
///
/// # Errors
/// Why it covers nothing.
pub(super) fn drawn(
    outline: &Outline,
    size: [usize; 2],
) -> Result<(Vec<bool>, Option<String>), String> {
    let covered = outline.covered(size)?;
    let out = outline.bound().is_some_and(|bound| leaves(bound, size));
    match (covered.contains(&true), out) {
        (true, out) => Ok((covered, out.then(|| outline_leaves(size)))),
        (false, true) => Err(format!(
            "{}, and nothing of it is inside",
            outline_leaves(size)
        )),
        (false, false) => Err("the outline covers the center of no pixel".into()),
    }
}

/// Whether each pixel of an image of `[width, height]` is touched by a box inside it, row by row.
pub(super) fn touched(
    [x1, y1, x2, y2]: [f32; 4],
    [width, height]: [usize; 2],
) -> impl Iterator<Item = bool> {
    let columns = x1 as usize..x2.ceil() as usize;
    let rows = y1 as usize..y2.ceil() as usize;
    let is_inside = move |at| columns.contains(&(at % width)) && rows.contains(&(at / width));
    (0..width * height).map(is_inside)
}

/// Gives pixels that nothing covered yet their class; what two objects cover does not count.
pub(super) fn mark(classes: &mut [u8], covered: impl IntoIterator<Item = bool>, class: u8) {
    let pixels = classes.iter_mut().zip(covered);
    for (pixel, _) in pixels.filter(|(_, inside)| *inside) {
        *pixel = if *pixel == 0 { class } else { Mask::IGNORE };
    }
}

/// The classes of a pixel where objects have these: background, which no object covers, and theirs.
pub(super) fn mask_classes(classes: &[String]) -> Vec<String> {
    let named = classes.iter().map(|name| match &**name {
        // A class of this name is another one than what no object covers.
        BACKGROUND => format!("{BACKGROUND} (category)"),
        name => name.to_owned(),
    });
    std::iter::once(BACKGROUND.to_owned())
        .chain(named)
        .collect()
}

/// The mask of one object from the pixels that it covers.
pub(super) fn instance([width, height]: [usize; 2], covered: Vec<bool>) -> Mask {
    Mask {
        width,
        height,
        classes: covered.into_iter().map(u8::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_pixels_of_both_kinds_agree() {
        let polygon = Outline::Polygons(vec![vec![1.0, 0.0, 3.0, 0.0, 3.0, 2.0, 1.0, 2.0]]);
        let runs = Outline::Runs {
            counts: vec![3, 2, 1, 2],
            size: [4, 3],
        };
        assert_eq!(polygon.bound(), Some([1.0, 0.0, 3.0, 2.0]));
        assert_eq!(runs.bound(), polygon.bound());
        assert_eq!(runs.covered([4, 3]), polygon.covered([4, 3]));
        let marked = runs.covered([4, 3]).unwrap();
        assert_eq!(marked.iter().filter(|inside| **inside).count(), 4);
        assert!(
            runs.covered([3, 4])
                .unwrap_err()
                .contains("for 4x3 pixels, the image has 3x4")
        );
        let long = Outline::Runs {
            counts: vec![2, 5],
            size: [4, 3],
        };
        assert_eq!(long.bound(), Some([0.0, 0.0, 3.0, 3.0]));
        // Beyond the image on every side.
        let large = Outline::Polygons(vec![vec![-5.0, -5.0, 9.0, -5.0, 9.0, 9.0, -5.0, 9.0]]);
        assert_eq!(large.covered([4, 3]).unwrap(), [true; 12]);
    }
}
