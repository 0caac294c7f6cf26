//! Pixels under a map: copied where it moves by whole pixels, bilinear for images and nearest for masks elsewhere.

use super::{Map, Window};
use crate::sample::{Image, Value};
use crate::target::Mask;

/// Fractional bits of a source coordinate.
const FRACTION: u32 = 32;
/// Bits of a bilinear weight: two of them and eight bits of a value fit 32.
const WEIGHT: u32 = 11;
const ONE: u32 = 1 << WEIGHT;

/// What the neighbors of a place have in common: upper left, upper right, lower left, lower right, with the weights of
/// the right and of the lower ones, as fractions of 2^32.
pub(super) trait Blend: Value {
    fn blend(corners: [Self; 4], weights: [u32; 2]) -> Self;
}

impl Blend for u8 {
    #[inline(always)]
    fn blend(corners: [u8; 4], [wx, wy]: [u32; 2]) -> u8 {
        let [wx, wy] = [wx, wy].map(|weight| weight >> (FRACTION - WEIGHT));
        let [a, b, c, d] = corners.map(u32::from);
        let (upper, lower) = (a * (ONE - wx) + b * wx, c * (ONE - wx) + d * wx);
        ((upper * (ONE - wy) + lower * wy + (1 << (2 * WEIGHT - 1))) >> (2 * WEIGHT)) as u8
    }
}

impl Blend for f32 {
    #[inline(always)]
    fn blend([a, b, c, d]: [f32; 4], weights: [u32; 2]) -> f32 {
        let [wx, wy] = weights.map(|weight| weight as f32 / (1u64 << FRACTION) as f32);
        let (upper, lower) = (a + (b - a) * wx, c + (d - c) * wx);
        upper + (lower - upper) * wy
    }
}

/// Copies a part of an image.
pub(super) fn cut<T: Value>(image: &Image<T>, window: Window) -> Image<T> {
    let (line, span) = (image.width * image.channels, window.width * image.channels);
    let mut pixels = Vec::with_capacity(window.height * span);
    for y in window.y..window.y + window.height {
        let start = y * line + window.x * image.channels;
        pixels.extend_from_slice(&image.pixels[start..start + span]);
    }
    Image {
        width: window.width,
        height: window.height,
        channels: image.channels,
        pixels,
    }
}

/// The columns of `source` (lines of `width` values of `C` bytes) as lines.
pub(super) fn transpose<const C: usize, T: Value>(source: &[T], width: usize) -> Vec<T> {
    let values = source.as_chunks::<C>().0;
    let columns = (0..width).flat_map(|x| values.iter().skip(x).step_by(width));
    columns.flatten().copied().collect()
}

/// Copies the window of `source` (lines of `width` values of `C` bytes) under a whole-pixel map; the rest is `fill`.
pub(super) fn copy<const C: usize, T: Value>(
    source: &[T],
    width: usize,
    window: Window,
    map: &Map,
    size: [usize; 2],
    fill: [T; C],
) -> Vec<T> {
    let (mirrored, upside_down) = (map.rows[0][0] < 0.0, map.rows[1][1] < 0.0);
    // The source pixel that stands at output 0, and the outputs that have a source pixel in the window.
    let origin = |flipped: bool, offset: f64| {
        if flipped {
            offset as i64 - 1
        } else {
            -(offset as i64)
        }
    };
    let (x0, y0) = (
        origin(mirrored, map.rows[0][2]),
        origin(upside_down, map.rows[1][2]),
    );
    let span = |flipped: bool, start: i64, low: usize, length: usize, out: usize| {
        let (low, high) = (low as i64, (low + length) as i64);
        let (from, to) = if flipped {
            (start - high + 1, start - low + 1)
        } else {
            (low - start, high - start)
        };
        let clamp = |v: i64| v.clamp(0, out as i64) as usize;
        (clamp(from), clamp(to).max(clamp(from)))
    };
    let (left, right) = span(mirrored, x0, window.x, window.width, size[0]);
    let (top, bottom) = span(upside_down, y0, window.y, window.height, size[1]);
    let blank = |pixels: &mut Vec<T>, count: usize| {
        (0..count).for_each(|_| pixels.extend_from_slice(&fill))
    };
    let mut pixels = Vec::with_capacity(size[0] * size[1] * C);
    for y in 0..size[1] {
        if !(top..bottom).contains(&y) || left == right {
            blank(&mut pixels, size[0]);
            continue;
        }
        let line = if upside_down {
            y0 - y as i64
        } else {
            y0 + y as i64
        } as usize
            * width;
        blank(&mut pixels, left);
        if mirrored {
            let first = line + (x0 - right as i64 + 1) as usize;
            let run = &source[first * C..(first + right - left) * C];
            let start = pixels.len();
            pixels.extend_from_slice(run);
            pixels[start..].as_chunks_mut::<C>().0.reverse();
        } else {
            let first = line + (x0 + left as i64) as usize;
            pixels.extend_from_slice(&source[first * C..(first + right - left) * C]);
        }
        blank(&mut pixels, size[0] - right);
    }
    pixels
}

/// Walks the source coordinates of the centers of the output's pixels, in fixed point with [`FRACTION`] bits.
///
/// `back` maps the output to the source. Points beyond the horizon are given as far outside.
fn walk(back: &Map, size: [usize; 2], mut visit: impl FnMut(i64, i64)) {
    const FAR: f64 = (1u64 << 30) as f64;
    let fixed = |v: f64| (v.clamp(-FAR, FAR) * (1u64 << FRACTION) as f64) as i64;
    let [width, height] = size;
    for y in 0..height {
        let cy = y as f64 + 0.5;
        if back.is_affine() {
            let [[a, b, c], [d, e, f], _] = back.rows;
            let (mut u, mut v) = (fixed(a * 0.5 + b * cy + c), fixed(d * 0.5 + e * cy + f));
            let (du, dv) = (fixed(a), fixed(d));
            for _ in 0..width {
                visit(u, v);
                u += du;
                v += dv;
            }
        } else {
            for x in 0..width {
                let [u, v] = back.apply(x as f64 + 0.5, cy).unwrap_or([-FAR, -FAR]);
                visit(fixed(u), fixed(v));
            }
        }
    }
}

/// Bilinear interpolation in the window of `image`; what lies outside counts as `fill`, or as the nearest pixel of
/// the window without one.
pub(super) fn bilinear<const C: usize, T: Blend>(
    image: &Image<T>,
    window: Window,
    back: &Map,
    size: [usize; 2],
    fill: Option<[T; C]>,
) -> Vec<T> {
    const HALF: i64 = 1 << (FRACTION - 1);
    let (pixels, _) = image.pixels.as_chunks::<C>();
    let (left, top) = (window.x as i64, window.y as i64);
    let (right, bottom) = (left + window.width as i64, top + window.height as i64);
    let mut output = Vec::with_capacity(size[0] * size[1] * C);
    walk(back, size, |u, v| {
        let (u, v) = (u - HALF, v - HALF);
        let (x, y) = (u >> FRACTION, v >> FRACTION);
        if let Some(fill) = fill
            && (x < left - 1 || y < top - 1 || x >= right || y >= bottom)
        {
            output.extend_from_slice(&fill);
            return;
        }
        let corner = |x: i64, y: i64| {
            let (inside_x, inside_y) = (x.clamp(left, right - 1), y.clamp(top, bottom - 1));
            match fill {
                Some(fill) if (x, y) != (inside_x, inside_y) => fill,
                _ => pixels[inside_y as usize * image.width + inside_x as usize],
            }
        };
        let corners = if x >= left && y >= top && x + 1 < right && y + 1 < bottom {
            let first = y as usize * image.width + x as usize;
            let second = first + image.width;
            [
                pixels[first],
                pixels[first + 1],
                pixels[second],
                pixels[second + 1],
            ]
        } else {
            [
                corner(x, y),
                corner(x + 1, y),
                corner(x, y + 1),
                corner(x + 1, y + 1),
            ]
        };
        let mut value = [T::default(); C];
        for (c, value) in value.iter_mut().enumerate() {
            *value = T::blend(corners.map(|corner| corner[c]), [u as u32, v as u32]);
        }
        output.extend_from_slice(&value);
    });
    output
}

/// The nearest pixel in the window of a mask, and `outside` beyond it.
pub(super) fn nearest(
    mask: &Mask,
    window: Window,
    back: &Map,
    size: [usize; 2],
    outside: u8,
) -> Vec<u8> {
    let (left, top) = (window.x as i64, window.y as i64);
    let (right, bottom) = (left + window.width as i64, top + window.height as i64);
    let mut output = Vec::with_capacity(size[0] * size[1]);
    walk(back, size, |u, v| {
        let (x, y) = (u >> FRACTION, v >> FRACTION);
        let inside = x >= left && x < right && y >= top && y < bottom;
        output.push(if inside {
            mask.classes[y as usize * mask.width + x as usize]
        } else {
            outside
        });
    });
    output
}
