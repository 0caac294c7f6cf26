//! Text in a bitmap font of eight by eight pixels.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};

use crate::sample::Image;

/// Width of a letter in pixels, the space behind it included.
pub(super) const LETTER_WIDTH: usize = 8;
/// Height of a letter in pixels.
pub(super) const LETTER_HEIGHT: usize = 8;

/// Draws a text into an RGB image from `(x, y)` on, unknown letters as a question mark, on `ground` if one is given;
/// what does not fit is cut off.
pub(super) fn draw_text(
    image: &mut Image,
    x: usize,
    y: usize,
    text: &str,
    color: [u8; 3],
    ground: Option<[u8; 3]>,
) {
    for (i, letter) in text.chars().enumerate() {
        let left = x + i * LETTER_WIDTH;
        if left >= image.width {
            return;
        }
        let rows = BASIC_FONTS
            .get(letter)
            .or_else(|| LATIN_FONTS.get(letter))
            .or_else(|| BASIC_FONTS.get('?'))
            .unwrap_or_default();
        // One pixel around, so that the ground is a little larger than the text.
        for row in 0..LETTER_HEIGHT + 2 {
            for column in 0..LETTER_WIDTH + 2 {
                let (Some(px), Some(py)) =
                    ((left + column).checked_sub(1), (y + row).checked_sub(1))
                else {
                    continue;
                };
                let inside =
                    (1..=LETTER_HEIGHT).contains(&row) && (1..=LETTER_WIDTH).contains(&column);
                let set = inside && rows[row - 1] >> (column - 1) & 1 == 1;
                let value = if set { Some(color) } else { ground };
                if let Some(value) = value
                    && px < image.width
                    && py < image.height
                {
                    let at = (py * image.width + px) * 3;
                    image.pixels[at..at + 3].copy_from_slice(&value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_drawn_and_cut_at_the_edge() {
        let black = || Image {
            width: 30,
            height: 12,
            channels: 3,
            pixels: vec![0; 1080],
        };
        let drawn = |text| {
            let mut image = black();
            draw_text(&mut image, 1, 2, text, [255; 3], None);
            image.pixels
        };
        assert!(drawn("ABC defghij 0123").contains(&255));
        let letters = ["A", "a", "ä", "?"].map(drawn);
        assert!((1..4).all(|i| letters[i] != letters[i - 1]));
        assert_eq!(drawn("\u{4e2d}"), drawn("?"));
        let mut image = black();
        draw_text(&mut image, 29, 11, "X", [255; 3], Some([1; 3]));
        assert_eq!(
            image.pixels[(11 * 30 + 28) * 3..][..3],
            [1; 3],
            "the ground"
        );
    }
}
