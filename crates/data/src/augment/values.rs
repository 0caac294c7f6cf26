//! Operations on values, their parameters given: color, contrast, levels and sharpness.
//!
//! Definitions and rounding are those of torchvision's v2 functions on 8-bit images, which follow Pillow's: results
//! are cut off, not rounded, except where noted there. Pictures of numbers: [`floats`](super::floats).

use super::PixelOperation;
use crate::sample::{Image, Picture};

/// An operation on the values of an image. On a gray image the color operations do nothing; images of other channels
/// than gray and RGB they refuse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// Multiplies; 1 changes nothing.
    Brightness(f32),
    /// Blends with the mean gray; 1 changes nothing, 0 gives flat gray.
    Contrast(f32),
    /// Blends each pixel with its gray; 1 changes nothing, 0 gives gray.
    Saturation(f32),
    /// Turns the hue by this part of the color circle, from -0.5 to 0.5.
    Hue(f32),
    /// Red, green and blue all become the pixel's luma.
    Grayscale,
    /// 255 minus the value.
    Invert,
    /// Inverts the values from this one on.
    Solarize(f32),
    /// Keeps this many of the eight bits.
    Posterize(u32),
    /// Flattens each channel's histogram.
    Equalize,
    /// Stretches each channel to 0..=255.
    AutoContrast,
    /// Blends with a smoothed image; 1 changes nothing, 0 smooths, more sharpens. The border stays.
    Sharpness(f32),
}

impl PixelOperation for Values {
    fn lacks(&self, picture: &Picture) -> Option<String> {
        let colors = matches!(
            self,
            Values::Saturation(_) | Values::Hue(_) | Values::Grayscale
        );
        let channels = picture.channels();
        if colors && !matches!(channels, 1 | 3) {
            let name = self.name();
            return Some(format!(
                "{name} needs a gray or an RGB image, and this one has {channels} channels"
            ));
        }
        match picture {
            Picture::Bytes(_) => None,
            Picture::Floats(image) => self.lacks_of_floats(image),
        }
    }

    fn apply(&self, picture: &mut Picture) {
        match picture {
            Picture::Bytes(image) => self.change_bytes(image),
            Picture::Floats(image) => self.change_floats(image),
        }
    }
}

impl Values {
    /// What it is called in messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Values::Brightness(_) => "a change of brightness",
            Values::Contrast(_) => "a change of contrast",
            Values::Saturation(_) => "a change of saturation",
            Values::Hue(_) => "a change of hue",
            Values::Grayscale => "grayscale",
            Values::Invert => "inversion",
            Values::Solarize(_) => "solarization",
            Values::Posterize(_) => "posterization",
            Values::Equalize => "equalization",
            Values::AutoContrast => "auto-contrast",
            Values::Sharpness(_) => "a change of sharpness",
        }
    }

    /// Changes an image of bytes in place.
    fn change_bytes(&self, image: &mut Image) {
        match *self {
            Values::Brightness(factor) => levels(image, |v| cut(v * factor)),
            Values::Contrast(factor) => {
                let mean = mean_gray(image);
                levels(image, |v| cut(v * factor + mean * (1.0 - factor)));
            }
            Values::Saturation(factor) => each_color(image, |pixel| {
                let gray = luma(pixel).floor() * (1.0 - factor);
                pixel.map(|v| cut(f32::from(v) * factor + gray))
            }),
            Values::Hue(turn) => each_color(image, |pixel| turn_hue(pixel, turn)),
            Values::Grayscale => each_color(image, |pixel| [luma(pixel) as u8; 3]),
            Values::Invert => levels(image, |v| (255.0 - v) as u8),
            Values::Solarize(threshold) => levels(image, |v| {
                if v >= threshold {
                    (255.0 - v) as u8
                } else {
                    v as u8
                }
            }),
            Values::Posterize(bits) => {
                let mask = (0xff00u32 >> bits.min(8)) as u8;
                image.pixels.iter_mut().for_each(|v| *v &= mask);
            }
            Values::Equalize => by_channel(image, equalizer),
            Values::AutoContrast => by_channel(image, stretcher),
            Values::Sharpness(factor) => sharpen(image, factor),
        }
    }
}

/// To a byte, cutting the fraction off.
fn cut(value: f32) -> u8 {
    value as u8
}

/// torchvision's weights of red, green and blue in the gray of a color (ITU-R BT.601).
pub(super) const BT601: [f32; 3] = [0.2989, 0.587, 0.114];

/// The gray of a color.
fn luma([r, g, b]: [u8; 3]) -> f32 {
    f32::from(r) * BT601[0] + f32::from(g) * BT601[1] + f32::from(b) * BT601[2]
}

/// Changes every value by the same function.
fn levels(image: &mut Image, change: impl Fn(f32) -> u8) {
    let table = table(change);
    image
        .pixels
        .iter_mut()
        .for_each(|v| *v = table[usize::from(*v)]);
}

/// The results of a function for every byte. A loop: `array::from_fn` of this length takes minutes to compile.
fn table(change: impl Fn(f32) -> u8) -> [u8; 256] {
    let mut table = [0; 256];
    table
        .iter_mut()
        .enumerate()
        .for_each(|(v, slot)| *slot = change(v as f32));
    table
}

fn each_color(image: &mut Image, change: impl Fn([u8; 3]) -> [u8; 3]) {
    if image.channels == 3 {
        image
            .pixels
            .as_chunks_mut::<3>()
            .0
            .iter_mut()
            .for_each(|pixel| *pixel = change(*pixel));
    }
}

fn mean_gray(image: &Image) -> f32 {
    if image.channels != 3 {
        let sum: u64 = image.pixels.iter().map(|&v| u64::from(v)).sum();
        return (sum as f64 / image.pixels.len() as f64) as f32;
    }
    let pixels = image.pixels.as_chunks::<3>().0.iter();
    let sum: u64 = pixels.map(|&pixel| luma(pixel) as u64).sum();
    (sum as f64 / (image.width * image.height) as f64) as f32
}

/// Changes each channel by a table made from its histogram, if one is made.
fn by_channel(image: &mut Image, table: impl Fn(&[u32; 256]) -> Option<[u8; 256]>) {
    for c in 0..image.channels {
        let values = || (c..image.pixels.len()).step_by(image.channels);
        let mut histogram = [0u32; 256];
        values().for_each(|i| histogram[usize::from(image.pixels[i])] += 1);
        if let Some(table) = table(&histogram) {
            values().for_each(|i| image.pixels[i] = table[usize::from(image.pixels[i])]);
        }
    }
}

/// Pillow's scheme: the highest value present counts towards no step.
fn equalizer(histogram: &[u32; 256]) -> Option<[u8; 256]> {
    let highest = *histogram.iter().rfind(|&&count| count > 0)?;
    let step = (histogram.iter().sum::<u32>() - highest) / 255;
    let mut below = step / 2;
    let mut table = [0; 256];
    for (slot, count) in table.iter_mut().zip(histogram) {
        *slot = (below / step.max(1)).min(255) as u8;
        below += count;
    }
    (step > 0).then_some(table)
}

fn stretcher(histogram: &[u32; 256]) -> Option<[u8; 256]> {
    let lowest = histogram.iter().position(|&count| count > 0)? as f32;
    let highest = histogram.iter().rposition(|&count| count > 0)? as f32;
    let scale = (highest - lowest) * (1.0 / 255.0);
    (lowest < highest).then(|| table(|v| cut((v - lowest) / scale)))
}

fn turn_hue(pixel: [u8; 3], turn: f32) -> [u8; 3] {
    match turned_hue(pixel.map(|v| f32::from(v) / 255.0), turn) {
        // To bytes as torchvision's `to_dtype` does it.
        Some(color) => color.map(|v| cut(v.clamp(0.0, 1.0) * (256.0 - 1e-3))),
        None => pixel,
    }
}

/// A color from 0 to 1 with its hue turned; `None` for a gray, which has none.
pub(super) fn turned_hue([r, g, b]: [f32; 3], turn: f32) -> Option<[f32; 3]> {
    let (low, high) = (r.min(g).min(b), r.max(g).max(b));
    if low == high {
        return None;
    }
    let range = high - low;
    let saturation = range / high;
    let [rc, gc, bc] = [r, g, b].map(|v| (high - v) / range);
    let sixths = if high == r {
        bc - gc
    } else if high == g {
        rc + 2.0 - bc
    } else {
        gc + 4.0 - rc
    };
    let hue = ((sixths / 6.0 + 1.0) % 1.0 + turn).rem_euclid(1.0) * 6.0;
    let (sector, fraction) = (hue.floor(), hue - hue.floor());
    let p = high * (1.0 - saturation);
    let q = high * (1.0 - saturation * fraction);
    let t = high * (1.0 - saturation * (1.0 - fraction));
    Some(match sector as i32 % 6 {
        0 => [high, t, p],
        1 => [q, high, p],
        2 => [p, high, t],
        3 => [p, q, high],
        4 => [t, p, high],
        _ => [high, p, q],
    })
}

fn sharpen(image: &mut Image, factor: f32) {
    let Image {
        width,
        height,
        channels,
        ref pixels,
    } = *image;
    if width <= 2 || height <= 2 {
        return;
    }
    let line = width * channels;
    let mut output = pixels.clone();
    for y in 1..height - 1 {
        for i in y * line + channels..(y + 1) * line - channels {
            let around = |at: usize| {
                u32::from(pixels[at - channels])
                    + u32::from(pixels[at])
                    + u32::from(pixels[at + channels])
            };
            let sum = around(i - line) + around(i) + around(i + line) + 4 * u32::from(pixels[i]);
            let (own, smooth) = (f32::from(pixels[i]), (sum as f32 / 13.0).round_ties_even());
            output[i] = cut(own + (smooth - own) * (1.0 - factor));
        }
    }
    image.pixels = output;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo() -> Image {
        let pixels = (0..12 * 9 * 3).map(|i| (i * 37 % 251) as u8).collect();
        Image {
            width: 12,
            height: 9,
            channels: 3,
            pixels,
        }
    }

    fn after(values: Values) -> Image {
        let mut image = photo();
        values.change_bytes(&mut image);
        image
    }

    #[test]
    fn neutral_parameters_change_nothing() {
        for values in [
            Values::Brightness(1.0),
            Values::Contrast(1.0),
            Values::Saturation(1.0),
            Values::Posterize(8),
            Values::Sharpness(1.0),
            Values::Solarize(256.0),
        ] {
            assert_eq!(after(values), photo(), "{values:?}");
        }
        let turned = after(Values::Hue(0.0));
        let apart = turned
            .pixels
            .iter()
            .zip(&photo().pixels)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(apart <= Some(1), "a hue of 0 moved values by {apart:?}");
    }

    #[test]
    fn extremes() {
        assert!(
            after(Values::Brightness(0.0))
                .pixels
                .iter()
                .all(|&v| v == 0)
        );
        let flat = after(Values::Contrast(0.0));
        assert!(flat.pixels.iter().all(|&v| v == flat.pixels[0]));
        assert!(after(Values::Posterize(0)).pixels.iter().all(|&v| v == 0));
        assert!(
            after(Values::Posterize(1))
                .pixels
                .iter()
                .all(|&v| v == 0 || v == 128)
        );
        let mut twice = after(Values::Invert);
        Values::Invert.change_bytes(&mut twice);
        assert_eq!(twice, photo());
        let gray = after(Values::Grayscale);
        assert!(gray.pixels.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
        let stretched = after(Values::AutoContrast);
        // The largest value is cut down to a whole number, as torchvision does: 254.99 gives 254.
        let (low, high) = (stretched.pixels.iter().min(), stretched.pixels.iter().max());
        assert!(low == Some(&0) && high >= Some(&254), "{low:?} {high:?}");
    }

    #[test]
    fn gray_images_and_flat_images_pass() {
        let gray = Image {
            width: 4,
            height: 4,
            channels: 1,
            pixels: vec![77; 16],
        };
        for values in [
            Values::Hue(0.3),
            Values::Saturation(0.1),
            Values::Grayscale,
            Values::Equalize,
            Values::AutoContrast,
        ] {
            let mut image = gray.clone();
            values.change_bytes(&mut image);
            assert_eq!(image, gray, "{values:?}");
        }
    }
}
