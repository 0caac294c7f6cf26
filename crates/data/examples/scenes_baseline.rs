//! A classical baseline on the embedded scenes: threshold, connected components, nearest glyph. A learned model
//! has to do better than this to mean something.
//!
//! `cargo run --release -p firesight-data --example scenes_baseline [-- SPLIT]`
//!
//! Otsu's threshold on the luma splits the picture in two; the connected components of either side whose size
//! could be a digit's are reduced to 8x8 and compared with every training glyph of the digits; the nearest one
//! gives the class, and how much nearer it is than the worst possible the score. Reported are the average
//! precision at IoU 0.5 (all-point interpolation, mean over classes), the best F1 at IoU 0.5 over all thresholds
//! of the score, and the mean IoU of the masks, background included.

use std::path::Path;

use firesight_data::datasets::digits::DigitsConfig;
use firesight_data::datasets::scenes::ScenesConfig;
use firesight_data::{BoxLabel, Image, Mask, Sample, Source};

/// A component that could be a digit.
struct Found {
    scene: usize,
    class: usize,
    score: f64,
    xyxy: [f32; 4],
}

/// A glyph of 8x8, and its class.
type Glyph = ([f64; 64], usize);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let splits = ScenesConfig::default().open(Path::new(""))?;
    let name = std::env::args().nth(1).unwrap_or("test".into());
    let part = splits
        .named()
        .into_iter()
        .find(|(part, _)| *part == name)
        .ok_or("no such split")?
        .1
        .clone();
    let glyphs = glyphs(&*DigitsConfig {}.open()?.train)?;

    let mut found = Vec::new();
    let mut truth: Vec<Vec<BoxLabel>> = Vec::new();
    let mut confusion = vec![[0u64; 11]; 11];
    for scene in 0..part.len() {
        let Sample { image, target } = part.read(scene)?;
        let image = image.shown();
        let boxes = target.boxes.unwrap();
        let mask = target.mask.unwrap();
        let mut predicted = vec![0; mask.classes.len()];
        for side in [false, true] {
            for pixels in components(&binary(&image), side, image.width) {
                if let Some(one) = classify(&pixels, scene, image.width, &glyphs) {
                    pixels
                        .iter()
                        .for_each(|&at| predicted[at] = one.class as u8 + 1);
                    found.push(one);
                }
            }
        }
        count(&mask, &predicted, &mut confusion);
        truth.push(boxes);
    }
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    let (ap50, f1) = detection(&found, &truth);
    println!(
        "{name}: {} scenes, {} boxes, {} found",
        truth.len(),
        truth.iter().map(Vec::len).sum::<usize>(),
        found.len()
    );
    println!(
        "AP at IoU 0.5: {ap50:.4}; best F1 at IoU 0.5: {f1:.4}; mean IoU of the masks: {:.4}",
        mean_iou(&confusion)
    );
    Ok(())
}

fn glyphs(digits: &dyn Source) -> Result<Vec<Glyph>, Box<dyn std::error::Error>> {
    let mut glyphs = Vec::new();
    for index in 0..digits.len() {
        let image = digits.read(index)?.image.shown().into_owned();
        // Cut at half of full ink, as the scenes do, and fitted to its hull, as a component is.
        let inked: Vec<usize> = (0..64).filter(|&at| image.pixels[at] > 127).collect();
        glyphs.push((
            reduce(&inked, 8).0,
            digits.class_of(index).unwrap_or_default(),
        ));
    }
    Ok(glyphs)
}

/// Which pixels are brighter than Otsu's threshold.
fn binary(image: &Image) -> Vec<bool> {
    let luma: Vec<usize> = image
        .pixels
        .chunks_exact(3)
        .map(|p| (77 * usize::from(p[0]) + 150 * usize::from(p[1]) + 29 * usize::from(p[2])) / 256)
        .collect();
    let mut histogram = [0.0; 256];
    luma.iter().for_each(|&value| histogram[value] += 1.0);
    let total = luma.len() as f64;
    let sum: f64 = histogram
        .iter()
        .enumerate()
        .map(|(value, count)| value as f64 * count)
        .sum();
    let (mut weight, mut below, mut best) = (0.0, 0.0, (0.0, 0));
    for (value, count) in histogram.iter().enumerate() {
        weight += count;
        below += value as f64 * count;
        if weight > 0.0 && weight < total {
            let difference = below / weight - (sum - below) / (total - weight);
            let variance = weight * (total - weight) * difference * difference;
            if variance > best.0 {
                best = (variance, value);
            }
        }
    }
    luma.iter().map(|&value| value > best.1).collect()
}

/// The connected components (8 neighbours) of one side of the threshold, as pixel indices.
fn components(binary: &[bool], side: bool, width: usize) -> Vec<Vec<usize>> {
    let height = binary.len() / width;
    let mut seen = vec![false; binary.len()];
    let mut all = Vec::new();
    for start in 0..binary.len() {
        if seen[start] || binary[start] != side {
            continue;
        }
        seen[start] = true;
        let mut pixels = vec![start];
        let mut next = 0;
        while let Some(&at) = pixels.get(next) {
            next += 1;
            let (x, y) = (at % width, at / width);
            for ny in y.saturating_sub(1)..(y + 2).min(height) {
                for nx in x.saturating_sub(1)..(x + 2).min(width) {
                    let neighbour = ny * width + nx;
                    if !seen[neighbour] && binary[neighbour] == side {
                        seen[neighbour] = true;
                        pixels.push(neighbour);
                    }
                }
            }
        }
        all.push(pixels);
    }
    all
}

/// The share of ink in each of 8x8 cells of the hull, with the hull.
fn reduce(pixels: &[usize], width: usize) -> ([f64; 64], [usize; 4]) {
    let (mut x1, mut y1, mut x2, mut y2) = (usize::MAX, usize::MAX, 0, 0);
    for &at in pixels {
        let (x, y) = (at % width, at / width);
        (x1, y1, x2, y2) = (x1.min(x), y1.min(y), x2.max(x + 1), y2.max(y + 1));
    }
    let mut cells = [0.0; 64];
    if pixels.is_empty() {
        return (cells, [0; 4]);
    }
    let (w, h) = ((x2 - x1) as f64, (y2 - y1) as f64);
    for &at in pixels {
        // A pixel covers a rectangle of cells; each cell gets its share.
        let (left, top) = (
            (at % width - x1) as f64 * 8.0 / w,
            (at / width - y1) as f64 * 8.0 / h,
        );
        let (right, bottom) = (left + 8.0 / w, top + 8.0 / h);
        for row in top as usize..(bottom.ceil() as usize).min(8) {
            for column in left as usize..(right.ceil() as usize).min(8) {
                let across = right.min(column as f64 + 1.0) - left.max(column as f64);
                let down = bottom.min(row as f64 + 1.0) - top.max(row as f64);
                cells[row * 8 + column] += across.max(0.0) * down.max(0.0);
            }
        }
    }
    (cells, [x1, y1, x2, y2])
}

/// What a component is taken for, if its longer side is that of a digit.
fn classify(pixels: &[usize], scene: usize, width: usize, glyphs: &[Glyph]) -> Option<Found> {
    if pixels.len() < 30 {
        return None;
    }
    let (cells, hull) = reduce(pixels, width);
    let longer = (hull[2] - hull[0]).max(hull[3] - hull[1]);
    if !(18..=60).contains(&longer) {
        return None;
    }
    let distance = |glyph: &Glyph| -> f64 {
        glyph
            .0
            .iter()
            .zip(&cells)
            .map(|(a, b)| (a - b) * (a - b))
            .sum()
    };
    let (distance, class) = glyphs
        .iter()
        .map(|glyph| (distance(glyph), glyph.1))
        .min_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(Found {
        scene,
        class,
        score: -distance,
        xyxy: hull.map(|edge| edge as f32),
    })
}

fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let both =
        (a[2].min(b[2]) - a[0].max(b[0])).max(0.0) * (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    both / (area(a) + area(b) - both)
}

/// Average precision and best F1 at IoU 0.5. `found` has the best first.
fn detection(found: &[Found], truth: &[Vec<BoxLabel>]) -> (f64, f64) {
    let mut taken: Vec<Vec<bool>> = truth.iter().map(|boxes| vec![false; boxes.len()]).collect();
    let hits: Vec<bool> = found
        .iter()
        .map(|one| {
            let candidates = truth[one.scene].iter().enumerate();
            let best = candidates
                .filter(|(number, label)| label.class == one.class && !taken[one.scene][*number])
                .map(|(number, label)| (iou(&one.xyxy, &label.xyxy), number))
                .filter(|(overlap, _)| *overlap >= 0.5)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            best.is_some_and(|(_, number)| {
                taken[one.scene][number] = true;
                true
            })
        })
        .collect();
    let total = truth.iter().map(Vec::len).sum::<usize>() as f64;
    let (mut right, mut f1) = (0.0, 0.0f64);
    for (number, hit) in hits.iter().enumerate() {
        right += f64::from(u8::from(*hit));
        f1 = f1.max(2.0 * right / (number as f64 + 1.0 + total));
    }
    let mut sum = 0.0;
    for class in 0..10 {
        let total = truth
            .iter()
            .flatten()
            .filter(|label| label.class == class)
            .count() as f64;
        let mut right = 0.0;
        let mut curve = Vec::new();
        for (seen, (_, hit)) in found
            .iter()
            .zip(&hits)
            .filter(|(one, _)| one.class == class)
            .enumerate()
        {
            right += f64::from(u8::from(*hit));
            curve.push((right / total, right / (seen as f64 + 1.0)));
        }
        let (mut best, mut area) = (0.0f64, 0.0);
        for at in (0..curve.len()).rev() {
            best = best.max(curve[at].1);
            let before = if at == 0 { 0.0 } else { curve[at - 1].0 };
            area += (curve[at].0 - before) * best;
        }
        sum += area;
    }
    (sum / 10.0, f1)
}

fn count(mask: &Mask, predicted: &[u8], confusion: &mut [[u64; 11]]) {
    for (&is, &said) in mask.classes.iter().zip(predicted) {
        confusion[usize::from(is)][usize::from(said)] += 1;
    }
}

fn mean_iou(confusion: &[[u64; 11]]) -> f64 {
    let of = |class: usize| {
        let is: u64 = confusion[class].iter().sum();
        let said: u64 = confusion.iter().map(|row| row[class]).sum();
        confusion[class][class] as f64 / (is + said - confusion[class][class]) as f64
    };
    (0..11).map(of).sum::<f64>() / 11.0
}
