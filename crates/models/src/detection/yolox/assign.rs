//! SimOTA, "YOLOX: Exceeding YOLO Series in 2021" (Ge et al. 2021, arXiv:2107.08430, section 2.1): which cells answer
//! for which object, by what that would cost, taken on plain numbers.

use crate::detection::Objects;

/// A place that predicts one box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    /// Column and row on its level.
    pub place: [f32; 2],
    /// Pixels of the input per step of its level.
    pub stride: f32,
}

/// The cells of levels of `[height, width]`, row by row, finest first.
pub(super) fn cells(levels: &[[usize; 2]]) -> Vec<Cell> {
    let level = |(stride, [height, width]): (f32, [usize; 2])| {
        (0..height * width).map(move |at| Cell {
            place: [(at % width) as f32, (at / width) as f32],
            stride,
        })
    };
    let strides = [8.0, 16.0, 32.0];
    strides
        .into_iter()
        .zip(levels.iter().copied())
        .flat_map(level)
        .collect()
}

impl Cell {
    /// Its middle in pixels.
    fn center(&self) -> [f32; 2] {
        self.place.map(|at| (at + 0.5) * self.stride)
    }

    /// The box `x1 y1 x2 y2` that raw values stand for. The place itself, not its middle, is added to the first two.
    pub fn decode(&self, [x, y, w, h]: [f32; 4]) -> [f32; 4] {
        let [column, row] = self.place;
        let [x, y] = [x + column, y + row].map(|v| v * self.stride);
        let [w, h] = [w, h].map(|v| v.exp() * self.stride / 2.0);
        [x - w, y - h, x + w, y + h]
    }

    /// The raw values of a box: the inverse of [`Self::decode`].
    pub fn encode(&self, [x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
        let center = |low: f32, high: f32, place: f32| (low + high) / 2.0 / self.stride - place;
        let size = |low: f32, high: f32| ((high - low) / self.stride + 1e-8).ln();
        let [column, row] = self.place;
        [
            center(x1, x2, column),
            center(y1, y2, row),
            size(x1, x2),
            size(y1, y2),
        ]
    }
}

/// What the network says of one image: for each cell the box, the objectness before the sigmoid, and the class scores
/// before it.
pub(super) struct Predictions<'a> {
    pub boxes: &'a [[f32; 4]],
    pub objectness: &'a [f32],
    pub logits: &'a [f32],
}

/// A cell that answers for an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    pub cell: usize,
    pub object: usize,
    /// Of the cell's box with the object's.
    pub iou: f32,
}

/// A cell may answer for an object whose center lies within this many strides.
const CENTER_RADIUS: f32 = 2.5;
/// The weight of the boxes beside that of the classes.
const BOX_WEIGHT: f32 = 3.0;
/// What it costs to lie outside of the object or far from its center.
const OUTSIDE: f32 = 100_000.0;
/// The most cells that answer for an object.
const MOST: usize = 10;

/// The cells that answer for an object, in their order.
///
/// An object takes as many cells as the overlaps of its ten best add up to, at least one, and of all cells that lie in
/// any object or near the center of any those that cost least: cross-entropy of the classes, three times the negative
/// logarithm of the overlap, and much for a cell that is not both in this object and near its center. A cell that
/// several take goes to the object for which it costs least. Objects of a picture without any such cell are left out.
pub(super) fn assign(cells: &[Cell], seen: &Predictions<'_>, objects: &Objects) -> Vec<Match> {
    let places = |cell: &Cell| -> Vec<(bool, bool)> {
        let all = objects.boxes.iter();
        all.map(|object| place(cell, object)).collect()
    };
    let near: Vec<(usize, Vec<(bool, bool)>)> = cells
        .iter()
        .map(places)
        .enumerate()
        .filter(|(_, places)| places.iter().any(|(within, central)| *within || *central))
        .collect();
    let classes = seen.logits.len() / cells.len().max(1);
    // By candidate, then by object.
    let priced: Vec<Vec<(f32, f32)>> = near
        .iter()
        .map(|(cell, places)| {
            let logits = &seen.logits[cell * classes..(cell + 1) * classes];
            let class_cost = class_costs(logits, seen.objectness[*cell]);
            let each = places.iter().zip(&objects.boxes).zip(&objects.classes);
            each.map(|(((within, central), object), class)| {
                let overlap = iou(&seen.boxes[*cell], object);
                let outside = if *within && *central { 0.0 } else { OUTSIDE };
                let cost = class_cost(*class) - BOX_WEIGHT * (overlap + 1e-8).ln() + outside;
                (cost, overlap)
            })
            .collect()
        })
        .collect();
    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); near.len()];
    for object in 0..objects.boxes.len() {
        let mut overlaps: Vec<f32> = priced.iter().map(|cell| cell[object].1).collect();
        overlaps.sort_by(|a, b| b.total_cmp(a));
        let count = overlaps.iter().take(MOST).sum::<f32>() as usize;
        let mut order: Vec<usize> = (0..near.len()).collect();
        order.sort_by(|a, b| priced[*a][object].0.total_cmp(&priced[*b][object].0));
        for cell in order.into_iter().take(count.max(1)) {
            takers[cell].push(object);
        }
    }
    let answer = |((at, (cell, _)), takers): ((usize, &(usize, _)), &Vec<usize>)| {
        let object = match takers[..] {
            [] => return None,
            [one] => one,
            // Of all objects, also of those that did not ask for it.
            _ => cheapest(&priced[at]),
        };
        Some(Match {
            cell: *cell,
            object,
            iou: priced[at][object].1,
        })
    };
    near.iter()
        .enumerate()
        .zip(&takers)
        .filter_map(answer)
        .collect()
}

/// Whether the middle of a cell lies within an object, and whether near its center.
fn place(cell: &Cell, [x1, y1, x2, y2]: &[f32; 4]) -> (bool, bool) {
    let [x, y] = cell.center();
    let within = x > *x1 && x < *x2 && y > *y1 && y < *y2;
    let reach = CENTER_RADIUS * cell.stride;
    let away = |at: f32, low: f32, high: f32| (at - (low + high) / 2.0).abs() < reach;
    (within, away(x, *x1, *x2) && away(y, *y1, *y2))
}

/// The cross-entropy of a cell's scores with each class alone being right. A score is the geometric mean of class and
/// objectness; its logarithms end at -100, as PyTorch's do.
fn class_costs(logits: &[f32], objectness: f32) -> impl Fn(usize) -> f32 {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let score = |logit: &f32| (sigmoid(*logit) * sigmoid(objectness)).sqrt();
    let scores: Vec<f32> = logits.iter().map(score).collect();
    let minus_log = |p: f32| -p.ln().max(-100.0);
    let none: f32 = scores.iter().map(|p| minus_log(1.0 - p)).sum();
    move |class| none - minus_log(1.0 - scores[class]) + minus_log(scores[class])
}

fn cheapest(costs: &[(f32, f32)]) -> usize {
    let order = |a: &(usize, &(f32, f32)), b: &(usize, &(f32, f32))| a.1.0.total_cmp(&b.1.0);
    costs
        .iter()
        .enumerate()
        .min_by(order)
        .map_or(0, |(object, _)| object)
}

fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let both = side(0) * side(1);
    // A box may have shrunk to nothing; an object has not.
    both / (area(a) + area(b) - both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{self, StateDict};

    #[test]
    fn boxes_go_there_and_back() {
        let levels = [[4, 6], [2, 3], [1, 2]];
        let cells = cells(&levels);
        assert_eq!(cells.len(), 24 + 6 + 2);
        assert_eq!(
            cells[7],
            Cell {
                place: [1.0, 1.0],
                stride: 8.0
            }
        );
        assert_eq!(
            cells[31],
            Cell {
                place: [1.0, 0.0],
                stride: 32.0
            }
        );
        let truth = [3.0, 4.0, 21.0, 12.0];
        for cell in cells {
            let back = cell.decode(cell.encode(truth));
            assert!(
                back.iter().zip(truth).all(|(a, b)| (a - b).abs() < 1e-3),
                "{back:?}"
            );
        }
    }

    fn fixture(name: &str) -> StateDict {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/detection");
        weights::read(format!("{folder}/{name}.safetensors").as_ref()).unwrap()
    }

    /// The rows of a tensor of a fixture.
    fn rows<const N: usize>(tensors: &StateDict, key: &str) -> Vec<[f32; N]> {
        let values: Vec<f32> = tensors[key].iter::<f32>().collect();
        values.as_chunks::<N>().0.to_vec()
    }

    #[test]
    fn boxes_are_where_the_published_network_has_them() {
        let tensors = fixture("yolox_nano");
        // Two pictures of 96x64.
        let cells = cells(&[[8, 12], [4, 6], [2, 3]]).repeat(2);
        let raw = rows::<4>(&tensors, "bbox_regression");
        let published = rows::<4>(&tensors, "decoded");
        assert_eq!(cells.len(), published.len());
        for ((cell, raw), [x, y, w, h]) in cells.iter().zip(raw).zip(published) {
            let published = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
            for (got, want) in cell.decode(raw).into_iter().zip(published) {
                assert!(
                    (got - want).abs() < 1e-3 + 1e-4 * want.abs(),
                    "{got}, {want}"
                );
            }
        }
    }

    #[test]
    fn cells_of_crowded_pictures_answer_for_the_objects_that_they_do_in_the_published_code() {
        let tensors = fixture("yolox_assignment");
        // Pictures of 128x96.
        let cells = cells(&[[12, 16], [6, 8], [3, 4]]);
        let mut answers = 0;
        for picture in 0..4 {
            let rows_of = |what: &str| format!("{what}.{picture}");
            let objectness = rows::<1>(&tensors, &rows_of("objectness"));
            let logits = rows::<5>(&tensors, &rows_of("logits"));
            let seen = Predictions {
                boxes: &rows::<4>(&tensors, &rows_of("boxes")),
                objectness: objectness.as_flattened(),
                logits: logits.as_flattened(),
            };
            let objects = rows::<5>(&tensors, &rows_of("objects"));
            let objects = Objects {
                boxes: objects
                    .iter()
                    .map(|[x1, y1, x2, y2, _]| [*x1, *y1, *x2, *y2])
                    .collect(),
                classes: objects.iter().map(|row| row[4] as usize).collect(),
            };
            let found = assign(&cells, &seen, &objects);
            let published = rows::<3>(&tensors, &rows_of("assigned"));
            assert_eq!(found.len(), published.len(), "picture {picture}");
            for (found, [cell, object, iou]) in found.iter().zip(published) {
                let answer = (found.cell as f32, found.object as f32);
                assert_eq!(answer, (cell, object), "picture {picture}");
                assert!((found.iou - iou).abs() < 1e-5, "{found:?}, {iou}");
            }
            answers += found.len();
        }
        assert_eq!(answers, 7 + 28 + 52 + 81);
    }

    #[test]
    fn a_cell_that_two_take_goes_to_the_cheaper_and_far_objects_to_none() {
        // One level of 2x2; every cell predicts the first object's box and its class.
        let cells = cells(&[[2, 2]]);
        let first = [0.0, 0.0, 16.0, 16.0];
        let seen = Predictions {
            boxes: &[first; 4],
            objectness: &[2.0; 4],
            logits: &[3.0, -3.0].repeat(4),
        };
        let objects = |boxes: &[[f32; 4]]| Objects {
            boxes: boxes.to_vec(),
            classes: (0..boxes.len()).collect(),
        };
        // Four cells that overlap fully: all four.
        let alone = assign(&cells, &seen, &objects(&[first]));
        assert_eq!(alone.len(), 4);
        assert!(alone.iter().all(|m| m.object == 0 && m.iou == 1.0));
        // The second takes its one best cell, which stays the first's: that is cheaper.
        let both = assign(&cells, &seen, &objects(&[first, [0.0, 0.0, 9.0, 9.0]]));
        assert_eq!(both, alone);
        assert_eq!(
            assign(&cells, &seen, &objects(&[[90.0, 90.0, 95.0, 95.0]])),
            []
        );
        assert_eq!(assign(&cells, &seen, &Objects::default()), []);
    }
}
