//! Boxes with their names drawn into a picture, legible at any size.
//!
//! ```
//! use firesight_data::Image;
//! use firesight_data::draw::{BoxColor, DrawnBox, draw_boxes};
//!
//! let image = Image { width: 100, height: 50, channels: 1, pixels: vec![7; 5000] };
//! let xyxy = [20.0, 30.0, 60.0, 45.0];
//! let found = DrawnBox { xyxy, text: "cat 93%".into(), color: BoxColor::Right };
//! let (picture, factor) = draw_boxes(&image, &[found]);
//! assert_eq!((picture.width, picture.height, factor), (400, 200, 4));
//! assert_eq!(picture.pixels[(120 * 400 + 80) * 3..][..3], [60, 220, 90]); // the upper left corner
//! ```

use super::text::{LETTER_HEIGHT, LETTER_WIDTH, draw_text};
use super::{class_color, enlarge, outline, plain, rgb};
use crate::sample::Image;
use crate::target::Target;

/// A box to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnBox {
    /// `x1 y1 x2 y2` in pixels of the picture.
    pub xyxy: [f32; 4],
    /// What stands above it; nothing for an empty text.
    pub text: String,
    /// Its color: that of a class, or one of the few below.
    pub color: BoxColor,
}

/// The color of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxColor {
    /// A color for each class.
    Class(usize),
    /// Right: green.
    Right,
    /// Wrong: red.
    Wrong,
    /// There and not found: yellow.
    Missed,
}

/// A picture whose longer side is shorter than this is enlarged by a whole factor, so that names can be read.
const LEGIBLE: usize = 400;

/// The picture as RGB with the boxes drawn, the first on top; a small one is enlarged. The second value is the
/// factor.
pub fn draw_boxes(image: &Image, boxes: &[DrawnBox]) -> (Image, usize) {
    let longer = image.width.max(image.height).max(1);
    let factor = (LEGIBLE / longer).max(1);
    let (mut image, _) = enlarge(rgb(image), Target::default(), factor);
    let longer = longer * factor;
    let (line, letters) = ((longer / 300).max(1), (longer / 500).max(1));
    for drawn in boxes.iter().rev() {
        let color = match drawn.color {
            BoxColor::Class(class) => class_color(class),
            BoxColor::Right => [60, 220, 90],
            BoxColor::Wrong => [255, 70, 60],
            BoxColor::Missed => [255, 215, 0],
        };
        let most = [image.width, image.height];
        let edge =
            |i: usize| ((drawn.xyxy[i] * factor as f32).round().max(0.0) as usize).min(most[i % 2]);
        let [x1, y1, x2, y2] = [edge(0), edge(1), edge(2), edge(3)];
        for ring in 0..line {
            outline(
                &mut image,
                [
                    x1 + ring,
                    y1 + ring,
                    x2.saturating_sub(ring),
                    y2.saturating_sub(ring),
                ],
                color,
            );
        }
        label(&mut image, [x1, y1], &drawn.text, color, letters);
    }
    (image, factor)
}

/// A text on black above a point, or below it where the picture ends; `scale` pixels to each of the letters'.
fn label(image: &mut Image, [x, y]: [usize; 2], text: &str, color: [u8; 3], scale: usize) {
    if text.is_empty() {
        return;
    }
    let (width, height) = (text.chars().count() * LETTER_WIDTH + 1, LETTER_HEIGHT + 2);
    let mut plate = plain(width, height, [0; 3]);
    draw_text(&mut plate, 1, 1, text, color, Some([0; 3]));
    let top = match y.checked_sub(height * scale) {
        Some(top) => top,
        None => y,
    };
    let left = x.min(image.width.saturating_sub(width * scale));
    for row in 0..height * scale {
        for column in 0..width * scale {
            let (px, py) = (left + column, top + row);
            if px < image.width && py < image.height {
                let from = (row / scale * width + column / scale) * 3;
                let to = (py * image.width + px) * 3;
                image.pixels[to..to + 3].copy_from_slice(&plate.pixels[from..from + 3]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, height: usize) -> Image {
        Image {
            width,
            height,
            channels: 1,
            pixels: vec![7; width * height],
        }
    }

    fn drawn(xyxy: [f32; 4], text: &str) -> DrawnBox {
        DrawnBox {
            xyxy,
            text: text.into(),
            color: BoxColor::Right,
        }
    }

    #[test]
    fn frames_and_names_stand_where_they_belong() {
        let (picture, factor) =
            draw_boxes(&gray(100, 50), &[drawn([20.0, 30.0, 60.0, 45.0], "ab 93%")]);
        assert_eq!(
            (factor, picture.width, picture.height, picture.channels),
            (4, 400, 200, 3)
        );
        let at = |x: usize, y: usize| &picture.pixels[(y * 400 + x) * 3..][..3];
        assert_eq!(at(80, 120), [60, 220, 90]);
        assert_eq!(at(239, 179), [60, 220, 90]);
        assert_eq!(at(160, 150), [7, 7, 7]);
        // The plate of the name stands above the box.
        assert_eq!(at(80, 112), [0, 0, 0]);
        assert!((112..120).any(|y| (80..120).any(|x| at(x, y) == [60, 220, 90])));
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let boxes = [
            drawn([-50.0, -9.0, 900.0, 900.0], "a long name at the edge"),
            drawn([99.0, 49.0, 99.0, 49.0], "x"),
        ];
        let (picture, _) = draw_boxes(&gray(100, 50), &boxes);
        assert_eq!(picture.pixels.len(), 400 * 200 * 3);
        let (large, factor) = draw_boxes(&gray(2000, 10), &[drawn([5.0, 1.0, 1990.0, 9.0], "x")]);
        assert_eq!((factor, large.width), (1, 2000));
    }
}
