//! Pictures of augmented batches with their targets drawn: what the model is really shown.
//!
//! Small images are enlarged by whole factors and stay blocky, large ones are reduced. Pixels marked
//! [`Mask::IGNORE`] are striped.

use crate::batch::Batch;
use crate::normalize::Normalize;
use crate::sample::Image;
use crate::target::{Mask, Target};

use super::text::{LETTER_HEIGHT, draw_text};
use super::{GROUND, LARGEST_FACTOR, WHITE, class_color, enlarge, outline, plain, rgb, sized};

/// Images are enlarged or reduced to about this many pixels on their longer side.
const TILE: usize = 192;
/// Pixels between tiles.
const GAP: usize = 4;

/// Draws up to `count` images of the batches, in order, in rows; `normalize` is what the batches were made with.
///
/// Returns an RGB image; without images, one of a single pixel.
pub fn sheet(batches: &[Batch], normalize: &Normalize, classes: &[String], count: usize) -> Image {
    let of = |batch: &Batch| {
        (0..batch.targets.len())
            .map(|i| tile(batch, i, normalize, classes))
            .collect::<Vec<_>>()
    };
    let tiles: Vec<Image> = batches.iter().flat_map(of).take(count).collect();
    let columns = (tiles.len() as f64).sqrt().ceil() as usize;
    let widest = tiles.iter().map(|tile| tile.width).max().unwrap_or(1);
    let highest = tiles.iter().map(|tile| tile.height).max().unwrap_or(1);
    let (width, height) = if tiles.is_empty() {
        (1, 1)
    } else {
        (
            columns * (widest + GAP) + GAP,
            tiles.len().div_ceil(columns) * (highest + GAP) + GAP,
        )
    };
    let mut picture = plain(width, height, GROUND);
    for (i, tile) in tiles.iter().enumerate() {
        let (x, y) = (
            GAP + i % columns * (widest + GAP),
            GAP + i / columns * (highest + GAP),
        );
        for (row, line) in tile.pixels.chunks_exact(tile.width * 3).enumerate() {
            let start = ((y + row) * width + x) * 3;
            picture.pixels[start..start + line.len()].copy_from_slice(line);
        }
    }
    picture
}

/// Width in pixels from which on a picture's caption is written in larger letters.
const CAPTION_WIDTH: usize = 200;

/// An RGB copy of an image with lines of text below it, in letters that grow with the picture; a small image is
/// enlarged by a whole factor first, so that the text fits.
pub fn captioned(image: &Image, lines: &[String]) -> Image {
    let factor = (TILE / image.width.max(image.height)).clamp(1, LARGEST_FACTOR);
    let (mut picture, _) = enlarge(rgb(image), Target::default(), factor);
    let letters = (picture.width / CAPTION_WIDTH).max(1);
    let (width, height) = (
        picture.width.div_ceil(letters),
        lines.len() * (LETTER_HEIGHT + 3) + 3,
    );
    let mut strip = plain(width, height, GROUND);
    for (number, line) in lines.iter().enumerate() {
        let top = 3 + number * (LETTER_HEIGHT + 3);
        draw_text(&mut strip, 2, top, line, WHITE, None);
    }
    let (strip, _) = enlarge(strip, Target::default(), letters);
    for row in strip.pixels.chunks_exact(strip.width * 3) {
        picture.pixels.extend(&row[..picture.width * 3]);
    }
    picture.height += strip.height;
    picture
}

/// One image of a batch with its label drawn and its caption below.
fn tile(batch: &Batch, at: usize, normalize: &Normalize, classes: &[String]) -> Image {
    let name = |class: usize| {
        classes
            .get(class)
            .cloned()
            .unwrap_or_else(|| format!("class {class}"))
    };
    let picture = denormalized(batch, at, normalize);
    let target = batch.targets[at].clone();
    let (mut image, target) = sized(picture, target, TILE);
    if let Some(mask) = &target.mask {
        tint(&mut image, mask);
    }
    for label in target.objects() {
        let [x1, y1, x2, y2] = label.xyxy.map(|v| v.round().max(0.0) as usize);
        outline(&mut image, [x1, y1, x2, y2], class_color(label.class));
        let above = y1.saturating_sub(LETTER_HEIGHT + 2);
        draw_text(
            &mut image,
            x1 + 1,
            above,
            &name(label.class),
            class_color(label.class),
            Some([0; 3]),
        );
    }
    let known = &batch.targets[at];
    let caption = match (known.class(), batch.mixes.get(at), &known.boxes) {
        (Some(class), Some(mix), _) => {
            let other = batch.targets[mix.partner].class();
            let other = other.map(name).unwrap_or_default();
            format!("{} {:.0}% {other}", name(class), mix.weight * 100.0)
        }
        (Some(class), None, _) => name(class),
        (None, _, Some(boxes)) => format!("{} boxes", boxes.len()),
        (None, _, None) => String::new(),
    };
    let caption = if caption.is_empty() {
        format!("#{}", batch.indices[at])
    } else {
        caption
    };
    let strip = LETTER_HEIGHT + 4;
    image.width = image.width.max(1);
    image.pixels.extend(GROUND.repeat(image.width * strip));
    image.height += strip;
    let top = image.height - strip + 2;
    draw_text(&mut image, 1, top, &caption, WHITE, None);
    image
}

/// The image of a batch at a place, back to bytes, as RGB.
pub fn denormalized(batch: &Batch, at: usize, normalize: &Normalize) -> Image {
    let [_, channels, height, width] = batch.shape;
    let plane = width * height;
    let values = &batch.images[at * channels * plane..][..channels * plane];
    let of = |list: &[f32], c: usize| list.get(c).or(list.first()).copied().unwrap_or(0.0);
    let byte = |pixel: usize, c: usize| {
        let value = values[c * plane + pixel] * of(&normalize.std, c) + of(&normalize.mean, c);
        (value * 255.0).round() as u8
    };
    let pixels = (0..plane)
        .flat_map(|pixel| [0, 1, 2].map(|c: usize| byte(pixel, c.min(channels - 1))))
        .collect();
    Image {
        width,
        height,
        channels: 3,
        pixels,
    }
}

/// Lays the colors of the classes over the image; class 0, the background of most masks, stays clear.
fn tint(image: &mut Image, mask: &Mask) {
    let (pixels, _) = image.pixels.as_chunks_mut::<3>();
    for (i, (pixel, &class)) in pixels.iter_mut().zip(&mask.classes).enumerate() {
        let over = match class {
            0 => continue,
            Mask::IGNORE if (i % mask.width + i / mask.width) % 6 < 3 => [128; 3],
            Mask::IGNORE => continue,
            class => class_color(usize::from(class)),
        };
        pixel
            .iter_mut()
            .zip(over)
            .for_each(|(v, over)| *v = ((u16::from(*v) + u16::from(over)) / 2) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::super::write_png;
    use super::*;
    use crate::batch::Mix;
    use crate::target::BoxLabel;

    fn batch(targets: Vec<Target>) -> Batch {
        let count = targets.len();
        Batch {
            images: vec![0.5; count * 3 * 16 * 20],
            shape: [count, 3, 16, 20],
            targets,
            indices: (0..count).collect(),
            sizes: vec![[20, 16]; count],
            number: 0,
            mixes: Vec::new(),
        }
    }

    #[test]
    fn every_kind_of_label_is_drawn() {
        let mask = Mask {
            width: 20,
            height: 16,
            classes: (0..320).map(|i| [0, 1, 255][i % 3]).collect(),
        };
        let label = BoxLabel {
            xyxy: [3.0, 2.0, 15.0, 12.0],
            class: 1,
            ..BoxLabel::default()
        };
        let labels = vec![
            Target::default(),
            Target::of_class(1),
            Target::of_class(9),
            Target::of_boxes(vec![label.clone()]),
            Target::of_mask(mask.clone()),
            Target {
                mask: Some(mask),
                ..Target::of_boxes(vec![label])
            },
        ];
        let classes = ["background".to_string(), "Katze".to_string()];
        let mut batch = batch(labels);
        let all = |batch: &Batch| {
            sheet(
                std::slice::from_ref(batch),
                &Normalize::default(),
                &classes,
                99,
            )
        };
        let picture = all(&batch);
        // Three columns of images enlarged nine times, with captions.
        assert_eq!(picture.width, 3 * (20 * 9 + GAP) + GAP);
        assert_eq!(picture.height, 2 * (16 * 9 + LETTER_HEIGHT + 4 + GAP) + GAP);
        let edge =
            ((GAP + 16 * 9 + LETTER_HEIGHT + 4 + GAP + 2 * 9) * picture.width + GAP + 3 * 9 + 40)
                * 3;
        assert_eq!(
            picture.pixels[edge..edge + 3],
            class_color(1),
            "the upper edge of the box"
        );
        batch.mixes = vec![
            Mix {
                partner: 1,
                weight: 0.25
            };
            6
        ];
        assert_ne!(
            all(&batch),
            picture,
            "the share of a mix stands in the caption"
        );
        assert_eq!(sheet(&[], &Normalize::default(), &[], 9).width, 1);
    }

    #[test]
    fn a_caption_stands_below_the_whole_picture() {
        for (width, height, channels, factor, letters) in
            [(8, 8, 1, 12, 1), (640, 480, 3, 1, 3), (1, 1, 3, 12, 1)]
        {
            let image = Image {
                width,
                height,
                channels,
                pixels: vec![77; width * height * channels],
            };
            let picture = captioned(&image, &["7 98.1 %".to_owned(), "1 1.2 %".to_owned()]);
            let strip = (2 * (LETTER_HEIGHT + 3) + 3) * letters;
            let size = (width * factor, height * factor + strip);
            assert_eq!((picture.width, picture.height), size);
            assert_eq!(picture.pixels.len(), size.0 * size.1 * 3);
            let (above, below) = picture
                .pixels
                .split_at(width * factor * height * factor * 3);
            assert!(above.iter().all(|&v| v == 77) && below.starts_with(&GROUND));
            assert!(width < 8 || below.as_chunks::<3>().0.contains(&WHITE));
        }
    }

    #[test]
    fn large_images_are_reduced_and_files_read_back() {
        let mut large = batch(vec![Target::of_class(0)]);
        large.shape = [1, 1, 300, 700];
        large.images = vec![0.25; 210_000];
        let picture = sheet(&[large], &Normalize::default(), &[], 4);
        assert_eq!(picture.width, TILE + 2 * GAP);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("preview.png");
        write_png(&picture, &path).unwrap();
        let read = image::open(&path).unwrap().to_rgb8();
        assert_eq!(
            (read.width() as usize, read.into_raw()),
            (picture.width, picture.pixels.clone())
        );
        assert!(write_png(&picture, &folder.path().join("none/preview.png")).is_err());
    }
}
