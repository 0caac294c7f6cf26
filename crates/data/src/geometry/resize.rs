//! Resizing with the triangle filter, widened when shrinking.
//!
//! This is what torchvision calls bilinear with `antialias=True` and Pillow calls `BILINEAR`: each output pixel
//! is the mean of the source under a triangle whose half width is `max(1, source / target)` pixels. The work is
//! done by `fast_image_resize`, in 8-bit fixed point, horizontally and then vertically, as there.

use std::cell::RefCell;

use fast_image_resize::images::{CroppedImage, Image as Target, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::Window;
use crate::sample::Image;

thread_local! {
    /// Keeps the buffer between the horizontal and the vertical pass from call to call.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Resizes the part `window` of an image to `width x height` pixels and gives `part` of the result.
///
/// Pixels outside the window are not looked at, those inside it but outside the wanted part are.
pub(super) fn resize(
    image: &Image,
    window: Window,
    width: usize,
    height: usize,
    part: Window,
) -> Image {
    if window.width == width && window.height == height {
        return super::resample::cut(image, window.part(part));
    }
    let (x_scale, y_scale) = (
        window.width as f64 / width as f64,
        window.height as f64 / height as f64,
    );
    let kind = if image.channels == 1 {
        PixelType::U8
    } else {
        PixelType::U8x3
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false)
        .crop(
            part.x as f64 * x_scale,
            part.y as f64 * y_scale,
            part.width as f64 * x_scale,
            part.height as f64 * y_scale,
        );
    let mut target = Target::new(part.width as u32, part.height as u32, kind);
    let whole = ImageRef::new(image.width as u32, image.height as u32, &image.pixels, kind)
        .expect("an image holds width * height * channels values");
    let (x, y) = (window.x as u32, window.y as u32);
    let source = CroppedImage::new(&whole, x, y, window.width as u32, window.height as u32)
        .expect("a window lies inside its image");
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize(&source, &mut target, &options))
        .expect("source and target have the same pixel type and are not empty");
    Image {
        width: part.width,
        height: part.height,
        channels: image.channels,
        pixels: target.into_vec(),
    }
}
