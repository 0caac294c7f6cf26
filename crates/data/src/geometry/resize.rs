//! Resizing with the triangle filter or the cubic one, widened when shrinking.
//!
//! This is what torchvision calls bilinear and bicubic with `antialias=True` and Pillow calls `BILINEAR` and
//! `BICUBIC`: each output pixel is the mean of the source under a triangle whose half width is
//! `max(1, source / target)` pixels, or under a cubic of twice that width. The work is
//! done by `fast_image_resize`, in 8-bit fixed point, horizontally and then vertically, as there.

use std::cell::RefCell;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3, U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::resample::Blend;
use super::{Filter, Window};
use crate::sample::Image;

/// Values that are resized, and what `fast_image_resize` calls them.
pub(super) trait Resizable: Blend {
    type Gray: PixelTrait;
    type Rgb: PixelTrait;
}

impl Resizable for u8 {
    type Gray = U8;
    type Rgb = U8x3;
}

impl Resizable for f32 {
    type Gray = F32;
    type Rgb = F32x3;
}

thread_local! {
    /// Keeps the buffer between the horizontal and the vertical pass from call to call.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Resizes the part `window` of an image to `width x height` pixels and gives `part` of the result.
///
/// Pixels outside the window are not looked at, those inside it but outside the wanted part are.
pub(super) fn resize<T: Resizable>(
    image: &Image<T>,
    window: Window,
    width: usize,
    height: usize,
    part: Window,
    filter: Filter,
) -> Image<T> {
    if window.width == width && window.height == height {
        return super::resample::cut(image, window.part(part));
    }
    if filter == Filter::Bicubic && window.width != width && window.height != height {
        // The cubic overshoots, and between the passes values are cut to bytes: which pass comes first shows. Pillow
        // and torchvision go sideways first; `fast_image_resize` would begin with the columns.
        let rows = Window {
            y: 0,
            height: window.height,
            ..part
        };
        let narrow = resize(image, window, width, window.height, rows, filter);
        let whole = Window::whole(narrow.width, narrow.height);
        let part = Window { x: 0, ..part };
        return resize(&narrow, whole, part.width, height, part, filter);
    }
    // Where the wanted part begins in the window and how long it is; rounding must not carry it over the edge.
    let span = |start: usize, length: usize, source: usize, target: usize| {
        let scale = source as f64 / target as f64;
        let (start, length) = (start as f64 * scale, length as f64 * scale);
        let over = start + length - source as f64;
        (
            start,
            if over > 0.0 {
                length - 2.0 * over
            } else {
                length
            },
        )
    };
    let (left, span_x) = span(part.x, part.width, window.width, width);
    let (top, span_y) = span(part.y, part.height, window.height, height);
    let filter = match filter {
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false)
        .crop(left, top, span_x, span_y);
    let mut pixels = vec![T::default(); part.width * part.height * image.channels];
    match image.channels {
        1 => convolve::<T::Gray, T>(image, window, part, &mut pixels, &options),
        _ => convolve::<T::Rgb, T>(image, window, part, &mut pixels, &options),
    }
    Image {
        width: part.width,
        height: part.height,
        channels: image.channels,
        pixels,
    }
}

/// Resizes into `target`; typed, so that the filters of the two kinds of pixel that there are get compiled alone.
fn convolve<P: PixelTrait, T: Resizable>(
    image: &Image<T>,
    window: Window,
    part: Window,
    target: &mut [T],
    options: &ResizeOptions,
) {
    let (width, height) = (image.width as u32, image.height as u32);
    let whole = TypedImageRef::<P>::from_buffer(width, height, bytemuck::cast_slice(&image.pixels))
        .expect("an image holds width * height * channels values");
    let (x, y) = (window.x as u32, window.y as u32);
    let source = TypedCroppedImage::new(whole, x, y, window.width as u32, window.height as u32)
        .expect("a window lies inside its image");
    let mut target = TypedImage::<P>::from_buffer(
        part.width as u32,
        part.height as u32,
        bytemuck::cast_slice_mut(target),
    )
    .expect("the target holds width * height * channels values");
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize_typed(&source, &mut target, options))
        .expect("source and target are not empty");
}

#[cfg(test)]
mod tests {
    use super::super::resample::cut;
    use super::*;
    use crate::random::{Domain, below, stream};

    #[test]
    fn a_part_is_the_part_of_the_whole() {
        let mut rng = stream(4, 0, 0, Domain::Once);
        let pixels = (0..67 * 53 * 3)
            .map(|_| below(&mut rng, 256) as u8)
            .collect();
        let image = Image {
            width: 67,
            height: 53,
            channels: 3,
            pixels,
        };
        for _ in 0..3000 {
            let mut within = |width: usize, height: usize| {
                let (x, y) = (below(&mut rng, width), below(&mut rng, height));
                Window {
                    x,
                    y,
                    width: 1 + below(&mut rng, width - x),
                    height: 1 + below(&mut rng, height - y),
                }
            };
            let window = within(67, 53);
            let (width, height) = (1 + window.x * 2, 1 + window.y * 2);
            let part = within(width, height);
            // Where a part begins moves the weights in their last bits, so a byte between the passes may differ by 1.
            // The triangle's second pass keeps that at 1; the weights of the cubic add up to 1.25 without their
            // signs, and after rounding that is 2.
            for (filter, bound) in [(Filter::Bilinear, 1), (Filter::Bicubic, 2)] {
                let all = Window::whole(width, height);
                let whole = resize(&image, window, width, height, all, filter);
                let found = resize(&image, window, width, height, part, filter);
                let expected = cut(&whole, part);
                let pixels = found.pixels.iter().zip(&expected.pixels);
                let apart = pixels.map(|(a, b)| a.abs_diff(*b)).max();
                assert!(
                    apart <= Some(bound),
                    "{filter:?} {window:?} to {width}x{height}, {part:?}: {apart:?}"
                );
            }
        }
    }
}
