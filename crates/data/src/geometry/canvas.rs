//! A sample under geometric operations that are composed and computed at once.

use super::resize::Resizable;
use super::{Filter, Geometry, Map, Window, resample, resize};
use crate::sample::{Image, Picture, Sample, Value, with_image};
use crate::target::Mask;

/// From how many source pixels per output pixel on bilinear interpolation gets a filter in front. Below it nearly
/// every source pixel is looked at anyway, and torchvision, whose affine maps never filter, is matched.
pub const PREFILTER: f64 = 1.25;

/// A box that was cut and has a side below this many pixels left is dropped.
const MINIMUM_SIDE: f64 = 1.0;

/// A sample and the geometric operations on it that are still to be computed.
#[derive(Debug)]
pub struct Canvas {
    sample: Sample,
    /// The part of the sample's image that the result may show.
    window: Window,
    /// From the sample's image to the result.
    map: Map,
    size: [usize; 2],
    fill: [u8; 3],
    /// The filter of the pending resizing, if the map holds one.
    filter: Filter,
    /// The result shows places outside the window.
    exposed: bool,
    /// The result ends inside the window, by a crop that the window could not follow.
    hidden: bool,
}

impl Canvas {
    /// A sample with nothing to be done.
    pub fn new(sample: Sample) -> Canvas {
        let size = sample.image.size();
        Canvas {
            window: Window::whole(size[0], size[1]),
            map: Map::IDENTITY,
            size,
            fill: [0; 3],
            filter: Filter::default(),
            exposed: false,
            hidden: false,
            sample,
        }
    }

    /// `[width, height]` of the result so far.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Adds an operation. Computes what is pending first where composing would show something else.
    pub fn push(&mut self, operation: &Geometry) {
        if *operation == Geometry::Transpose {
            self.flush();
            *self = Canvas::new(transposed(std::mem::take(&mut self.sample)));
            return;
        }
        let map = operation.map(self.size);
        let size = operation.size_after(self.size);
        match *operation {
            Geometry::FlipHorizontal | Geometry::FlipVertical | Geometry::Transpose => {}
            Geometry::Crop { x, y, fill, .. } => {
                let [w, h] = self.size.map(|v| v as i64);
                let (right, bottom) = (x + size[0] as i64, y + size[1] as i64);
                let pads = x < 0 || y < 0 || right > w || bottom > h;
                if pads {
                    self.expose(fill);
                }
                if self.map.is_exact() {
                    self.shrink_window([x.max(0), y.max(0), right.min(w), bottom.min(h)]);
                } else if x > 0 || y > 0 || right < w || bottom < h {
                    self.hidden = true;
                }
                self.exposed |= pads;
            }
            Geometry::Resize { .. } | Geometry::ResizeBicubic { .. } => {
                let filter = match operation {
                    Geometry::ResizeBicubic { .. } => Filter::Bicubic,
                    _ => Filter::Bilinear,
                };
                if filter != self.filter && !self.map.is_exact() {
                    self.flush();
                }
                let enlarges = size[0] > self.size[0] || size[1] > self.size[1];
                let shrunk = self.map.rows[0][0].abs() < 1.0 || self.map.rows[1][1].abs() < 1.0;
                // A padded border is filtered with the image, and what was made small stays coarse.
                if self.map.is_aligned() && (self.exposed || (enlarges && shrunk)) {
                    self.flush();
                }
                self.filter = filter;
            }
            Geometry::Warp { fill, .. } => {
                // A warp is bilinear.
                if self.filter == Filter::Bicubic {
                    self.flush();
                }
                self.expose(fill);
                self.exposed = true;
            }
        }
        self.map = self.map.then(&map);
        self.size = size;
    }

    /// Computes what is pending and gives the sample.
    pub fn finish(mut self) -> Sample {
        self.flush();
        self.sample
    }

    /// Computes what is pending and gives the image, for operations on its values.
    pub fn image_mut(&mut self) -> &mut Picture {
        self.flush();
        &mut self.sample.image
    }

    /// Makes ready for an operation that shows what lies outside the result so far as `fill`.
    fn expose(&mut self, fill: [u8; 3]) {
        if self.hidden || (self.exposed && self.fill != fill) {
            self.flush();
        }
        self.fill = fill;
    }

    /// Cuts the window to a rectangle of the result; the pending map copies whole pixels.
    fn shrink_window(&mut self, rectangle: [i64; 4]) {
        let back = self
            .map
            .inverse()
            .and_then(|back| back.hull(rectangle.map(|v| v as f64)));
        let Some([x1, y1, x2, y2]) = back else { return };
        let [wx1, wy1, wx2, wy2] = self.window.rectangle();
        let (x1, y1, x2, y2) = (x1.max(wx1), y1.max(wy1), x2.min(wx2), y2.min(wy2));
        let empty =
            rectangle[0] >= rectangle[2] || rectangle[1] >= rectangle[3] || x1 >= x2 || y1 >= y2;
        self.window = if empty {
            Window::whole(0, 0)
        } else {
            Window {
                x: x1 as usize,
                y: y1 as usize,
                width: (x2 - x1) as usize,
                height: (y2 - y1) as usize,
            }
        };
    }

    fn flush(&mut self) {
        let unchanged =
            self.map == Map::IDENTITY && self.size == self.sample.image.size() && !self.exposed;
        if !unchanged {
            let new = with_image!(&self.sample.image, image => self.warped(image).into());
            let target = std::mem::take(&mut self.sample.target);
            self.sample.target = target.carried(
                |xyxy| self.warp_box(xyxy),
                |mask, outside| self.warp_mask(&mask, outside),
            );
            self.sample.image = new;
        }
        *self = Canvas::new(std::mem::take(&mut self.sample));
    }

    fn warped<T: Resizable>(&self, image: &Image<T>) -> Image<T> {
        let fill = self.fill.map(T::of_byte);
        each_way(
            image,
            |image| self.warp_image::<1, T>(image, [fill[0]]),
            |image| self.warp_image::<3, T>(image, fill),
        )
    }

    fn warp_image<const C: usize, T: Resizable>(&self, image: &Image<T>, fill: [T; C]) -> Image<T> {
        let [width, height] = self.size;
        let filled = |pixels| Image {
            width,
            height,
            channels: C,
            pixels,
        };
        let blank = || filled(fill.repeat(width * height));
        if self.window.is_empty() {
            return blank();
        }
        if self.map.is_exact() {
            return filled(resample::copy(
                &image.pixels,
                image.width,
                self.window,
                &self.map,
                self.size,
                fill,
            ));
        }
        if let Some(image) = self.resize_image(image, fill) {
            return image;
        }
        let Some(back) = self.map.inverse() else {
            return blank();
        };
        // What shows nothing from outside ends in its edge pixels, not half in the fill.
        let outside = self.exposed.then_some(fill);
        let [shrink_x, shrink_y] = shrink(&back, self.size);
        if shrink_x <= PREFILTER && shrink_y <= PREFILTER {
            return filled(resample::bilinear(
                image,
                self.window,
                &back,
                self.size,
                outside,
            ));
        }
        let Window {
            x,
            y,
            width: w,
            height: h,
        } = self.window;
        let smaller = |length: usize, shrink: f64| {
            ((length as f64 / shrink.max(1.0)).round() as usize).max(1)
        };
        let (sw, sh) = (smaller(w, shrink_x), smaller(h, shrink_y));
        let part = Window::whole(sw, sh);
        let small = resize::resize(image, self.window, sw, sh, part, Filter::Bilinear);
        let back = back
            .then(&Map::translation(-(x as f64), -(y as f64)))
            .then(&Map::scaling(sw as f64 / w as f64, sh as f64 / h as f64));
        filled(resample::bilinear(
            &small,
            Window::whole(sw, sh),
            &back,
            self.size,
            outside,
        ))
    }

    /// The separable filter, where the map is aligned and takes the window to whole pixels.
    fn resize_image<const C: usize, T: Resizable>(
        &self,
        image: &Image<T>,
        fill: [T; C],
    ) -> Option<Image<T>> {
        if !self.map.is_aligned() {
            return None;
        }
        let whole = |v: f64| ((v - v.round()).abs() < 1e-6).then(|| v.round());
        let [x1, y1, x2, y2] = self.map.hull(self.window.rectangle())?;
        let [x1, y1, x2, y2] = [whole(x1)?, whole(y1)?, whole(x2)?, whole(y2)?];
        let (width, height) = ((x2 - x1) as usize, (y2 - y1) as usize);
        let [out_width, out_height] = self.size.map(|v| v as f64);
        // The part of the resized window that the result shows, before mirroring.
        let (left, right) = ((-x1).max(0.0), (out_width - x1).min(x2 - x1));
        let (top, bottom) = ((-y1).max(0.0), (out_height - y1).min(y2 - y1));
        if width == 0 || height == 0 || left >= right || top >= bottom {
            return None;
        }
        let (mirrored, upside_down) = (self.map.rows[0][0] < 0.0, self.map.rows[1][1] < 0.0);
        let unflipped = |flipped: bool, low: f64, high: f64, length: usize| {
            if flipped { length as f64 - high } else { low }
        };
        let part = Window {
            x: unflipped(mirrored, left, right, width) as usize,
            y: unflipped(upside_down, top, bottom, height) as usize,
            width: (right - left) as usize,
            height: (bottom - top) as usize,
        };
        let resized = resize::resize(image, self.window, width, height, part, self.filter);
        let flip = |flipped: bool, length: usize| {
            if flipped {
                (-1.0, length as f64)
            } else {
                (1.0, 0.0)
            }
        };
        let ((sx, tx), (sy, ty)) = (flip(mirrored, part.width), flip(upside_down, part.height));
        let place =
            Map::scaling(sx, sy).then(&Map::translation(tx + x1.max(0.0), ty + y1.max(0.0)));
        if place == Map::IDENTITY && self.size == [part.width, part.height] {
            return Some(resized);
        }
        let window = Window::whole(part.width, part.height);
        let pixels = resample::copy(&resized.pixels, part.width, window, &place, self.size, fill);
        Some(Image {
            width: self.size[0],
            height: self.size[1],
            channels: C,
            pixels,
        })
    }

    fn warp_mask(&self, mask: &Mask, outside: u8) -> Mask {
        let [width, height] = self.size;
        let classes = match self.map.inverse() {
            _ if self.window.is_empty() => vec![outside; width * height],
            None => vec![outside; width * height],
            Some(_) if self.map.is_exact() => resample::copy(
                &mask.classes,
                mask.width,
                self.window,
                &self.map,
                self.size,
                [outside],
            ),
            Some(back) => resample::nearest(mask, self.window, &back, self.size, outside),
        };
        Mask {
            width,
            height,
            classes,
        }
    }

    fn warp_box(&self, xyxy: [f32; 4]) -> Option<[f32; 4]> {
        let window = self.window.rectangle();
        let canvas = [0.0, 0.0, self.size[0] as f64, self.size[1] as f64];
        let whole = xyxy.map(f64::from);
        let visible = self.map.visible(clip(whole, window)?, canvas)?;
        // A cut side counts from one pixel on; a small box that is whole stays.
        let before = self.map.hull(whole).unwrap_or([
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
            f64::INFINITY,
            f64::INFINITY,
        ]);
        let is_sliver = |low: usize| {
            let (side, side_before) = (
                visible[low + 2] - visible[low],
                before[low + 2] - before[low],
            );
            side < MINIMUM_SIDE && side < side_before - 1e-3
        };
        let xyxy = visible.map(|v| v as f32);
        let area = xyxy[0] < xyxy[2] && xyxy[1] < xyxy[3];
        (area && !is_sliver(0) && !is_sliver(1)).then_some(xyxy)
    }
}

/// The common part of two rectangles; `None` without area.
fn clip(a: [f64; 4], b: [f64; 4]) -> Option<[f64; 4]> {
    let common = [
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ];
    (common[0] < common[2] && common[1] < common[3]).then_some(common)
}

/// How many source pixels a step of one output pixel passes, along the source's axes, at the output's center.
fn shrink(back: &Map, size: [usize; 2]) -> [f64; 2] {
    let (x, y) = (size[0] as f64 / 2.0, size[1] as f64 / 2.0);
    let [u, v, w] = back.rows.map(|[a, b, c]| a * x + b * y + c);
    if w.abs() < 1e-9 {
        return [1.0, 1.0];
    }
    let slope = |row: [f64; 3], value: f64| {
        let along = |k: usize| (row[k] - value / w * back.rows[2][k]) / w;
        along(0).hypot(along(1))
    };
    [slope(back.rows[0], u), slope(back.rows[1], v)]
}

/// Rows become columns, in image, masks and boxes.
fn transposed(sample: Sample) -> Sample {
    let target = sample.target.carried(
        |[x1, y1, x2, y2]| Some([y1, x1, y2, x2]),
        |mask, _| Mask {
            width: mask.height,
            height: mask.width,
            classes: resample::transpose::<1, u8>(&mask.classes, mask.width),
        },
    );
    fn turned<const C: usize, T: Value>(image: &Image<T>) -> Image<T> {
        Image {
            width: image.height,
            height: image.width,
            channels: C,
            pixels: resample::transpose::<C, T>(&image.pixels, image.width),
        }
    }
    let image =
        with_image!(&sample.image, image => each_way(image, turned::<1, _>, turned::<3, _>).into());
    Sample { image, target }
}

/// A gray image by one function, an RGB one by another, and any other channel by channel by the first.
fn each_way<T: Value>(
    image: &Image<T>,
    gray: impl Fn(&Image<T>) -> Image<T>,
    rgb: impl Fn(&Image<T>) -> Image<T>,
) -> Image<T> {
    match image.channels {
        1 => gray(image),
        3 => rgb(image),
        count => {
            let planes: Vec<Image<T>> = (0..count).map(|c| gray(&image.plane(c))).collect();
            Image::from_planes(&planes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, below, stream};
    use crate::target::{BoxLabel, Target};

    /// A sample with a rectangle that stands in its image, its mask and as its box.
    fn rectangle(width: usize, height: usize, [x1, y1, x2, y2]: [usize; 4]) -> Sample {
        let inside = |i: usize| (x1..x2).contains(&(i % width)) && (y1..y2).contains(&(i / width));
        let value = |i: usize| if inside(i) { 255u8 } else { 0 };
        let pixels = (0..width * height).flat_map(|i| [value(i); 3]).collect();
        let classes = (0..width * height).map(|i| u8::from(inside(i))).collect();
        let xyxy = [x1, y1, x2, y2].map(|v| v as f32);
        let boxes = vec![BoxLabel {
            xyxy,
            class: 3,
            crowd: true,
            ..BoxLabel::default()
        }];
        let image = Image {
            width,
            height,
            channels: 3,
            pixels,
        };
        Sample {
            image: image.into(),
            target: Target {
                boxes: Some(boxes),
                mask: Some(Mask {
                    width,
                    height,
                    classes,
                }),
                classes: None,
            },
        }
    }

    fn noise(width: usize, height: usize, channels: usize, seed: u64) -> Image {
        let mut rng = stream(seed, 0, 0, Domain::Once);
        let pixels = (0..width * height * channels)
            .map(|_| below(&mut rng, 256) as u8)
            .collect();
        Image {
            width,
            height,
            channels,
            pixels,
        }
    }

    fn run(sample: &Sample, operations: &[Geometry]) -> Sample {
        let mut canvas = Canvas::new(sample.clone());
        operations
            .iter()
            .for_each(|operation| canvas.push(operation));
        canvas.finish()
    }

    fn bytes(sample: Sample) -> Image {
        sample.image.bytes().unwrap().clone()
    }

    /// The same, computing each operation by itself.
    fn run_apart(sample: &Sample, operations: &[Geometry]) -> Sample {
        operations.iter().fold(sample.clone(), |sample, operation| {
            run(&sample, &[*operation])
        })
    }

    fn apart(a: &Image, b: &Image) -> u8 {
        assert_eq!(
            (a.width, a.height, a.channels),
            (b.width, b.height, b.channels)
        );
        a.pixels
            .iter()
            .zip(&b.pixels)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap_or(0)
    }

    const FILL: [u8; 3] = [9, 8, 7];

    #[test]
    fn a_flip_twice_is_the_identity() {
        let sample = rectangle(13, 7, [2, 1, 9, 5]);
        for flip in [
            Geometry::FlipHorizontal,
            Geometry::FlipVertical,
            Geometry::Transpose,
        ] {
            assert_ne!(run(&sample, &[flip]), sample);
            assert_eq!(run(&sample, &[flip, flip]), sample);
            assert_eq!(run_apart(&sample, &[flip, flip]), sample);
        }
    }

    #[test]
    fn whole_pixel_operations_composed_are_the_same_bits_as_one_after_the_other() {
        let crop = |x, y, width, height| Geometry::Crop {
            x,
            y,
            width,
            height,
            fill: FILL,
        };
        let operations = [
            crop(3, 1, 9, 8),
            Geometry::FlipHorizontal,
            crop(-2, 1, 10, 9),
            Geometry::FlipVertical,
            crop(1, -1, 12, 6),
            crop(2, 0, 5, 5),
        ];
        for channels in [1, 3] {
            let image = noise(16, 11, channels, 5);
            let mask = Mask {
                width: 16,
                height: 11,
                classes: noise(16, 11, 1, 6).pixels,
            };
            let sample = Sample {
                image: image.into(),
                target: Target::of_mask(mask),
            };
            for count in 1..=operations.len() {
                assert_eq!(
                    run(&sample, &operations[..count]),
                    run_apart(&sample, &operations[..count]),
                    "{count}"
                );
            }
        }
        let outside = run(&rectangle(5, 5, [1, 1, 3, 3]), &[crop(10, 10, 2, 2)]);
        assert_eq!(outside.image.bytes().unwrap().pixels, FILL.repeat(4));
        let boxes = outside.target.boxes.unwrap();
        let mask = outside.target.mask.unwrap();
        assert!(boxes.is_empty() && mask.classes == [Mask::IGNORE; 4]);
    }

    #[test]
    fn crops_and_flips_around_a_resize_are_one_resize() {
        let sample = Sample {
            image: noise(60, 40, 3, 1).into(),
            target: Target::default(),
        };
        let crop = |x, y, width, height| Geometry::Crop {
            x,
            y,
            width,
            height,
            fill: FILL,
        };
        let cases: [&[Geometry]; 4] = [
            &[
                crop(5, 6, 41, 29),
                Geometry::Resize {
                    width: 16,
                    height: 16,
                },
                Geometry::FlipHorizontal,
            ],
            &[
                Geometry::FlipHorizontal,
                crop(5, 6, 41, 29),
                Geometry::Resize {
                    width: 80,
                    height: 33,
                },
            ],
            &[
                Geometry::Resize {
                    width: 30,
                    height: 20,
                },
                crop(7, 3, 12, 12),
                Geometry::FlipVertical,
            ],
            &[
                Geometry::Resize {
                    width: 30,
                    height: 20,
                },
                crop(-1, -6, 32, 32),
            ],
        ];
        for operations in cases {
            let worst = apart(
                &bytes(run(&sample, operations)),
                &bytes(run_apart(&sample, operations)),
            );
            assert!(worst <= 1, "{operations:?}: {worst}");
        }
    }

    #[test]
    fn a_crop_hides_and_a_later_warp_does_not_show_it_again() {
        let white = Image {
            width: 20,
            height: 20,
            channels: 1,
            pixels: vec![255; 400],
        };
        let sample = Sample {
            image: white.into(),
            target: Target::default(),
        };
        let crop = Geometry::Crop {
            x: 6,
            y: 6,
            width: 8,
            height: 8,
            fill: [0; 3],
        };
        let turn = Geometry::Warp {
            map: Map::rotation(20.0).about(10.0, 10.0),
            fill: [0; 3],
        };
        let shrink = Geometry::Warp {
            map: Map::scaling(0.5, 0.5).about(4.0, 4.0),
            fill: [0; 3],
        };
        for operations in [&[crop, shrink][..], &[turn, crop, shrink]] {
            let image = bytes(run(&sample, operations));
            assert_eq!(
                (image.width, image.pixels[0], image.pixels[8 * 4 + 4]),
                (8, 0, 255),
                "{operations:?}"
            );
            let sum: u32 = image.pixels.iter().map(|&v| u32::from(v)).sum();
            assert!(
                sum.abs_diff(16 * 255) < 400,
                "{operations:?}: 4x4 pixels are white, not {}",
                sum as f32 / 255.0
            );
        }
    }

    #[test]
    fn shrinking_warps_see_every_pixel() {
        // One white pixel in 64 is lost on most grids of bilinear samples alone.
        let mut image = Image {
            width: 64,
            height: 64,
            channels: 1,
            pixels: vec![0; 4096],
        };
        (0..4096)
            .filter(|i| i % 64 % 8 == 3 && i / 64 % 8 == 5)
            .for_each(|i| image.pixels[i] = 255);
        let map = Map::scaling(0.125, 0.125)
            .then(&Map::rotation(7.0))
            .about(32.0, 32.0);
        let warped = bytes(run(
            &Sample {
                image: image.into(),
                target: Target::default(),
            },
            &[Geometry::Warp { map, fill: [0; 3] }],
        ));
        let sum: u32 = warped.pixels.iter().map(|&v| u32::from(v)).sum();
        assert!(
            (180..330).contains(&sum),
            "64 white pixels over 64 are one, not {}",
            sum as f32 / 255.0
        );
    }

    #[test]
    fn a_resize_of_a_cropped_resize_has_no_dark_edge() {
        let white = Image {
            width: 100,
            height: 100,
            channels: 3,
            pixels: vec![255; 30_000],
        };
        let operations = [
            Geometry::Resize {
                width: 50,
                height: 50,
            },
            Geometry::Crop {
                x: 0,
                y: 0,
                width: 30,
                height: 30,
                fill: [0; 3],
            },
            Geometry::Resize {
                width: 77,
                height: 71,
            },
        ];
        let image = bytes(run(
            &Sample {
                image: white.into(),
                target: Target::default(),
            },
            &operations,
        ));
        assert!(image.width == 77 && image.pixels.iter().all(|&v| v == 255));
    }

    #[test]
    fn slivers_go_and_small_boxes_stay() {
        let mut sample = rectangle(20, 20, [4, 4, 8, 8]);
        let label = |xyxy| BoxLabel {
            xyxy,
            class: 0,
            ..BoxLabel::default()
        };
        sample.target = Target::of_boxes(vec![
            label([5.0, 5.0, 5.5, 5.5]),
            label([0.0, 0.0, 4.5, 10.0]),
            label([0.0; 4]),
        ]);
        let crop = Geometry::Crop {
            x: 4,
            y: 4,
            width: 10,
            height: 10,
            fill: [0; 3],
        };
        assert_eq!(
            run(&sample, &[crop]).target,
            Target::of_boxes(vec![label([1.0, 1.0, 1.5, 1.5])])
        );
    }

    #[test]
    fn each_of_many_channels_goes_where_a_gray_image_would() {
        let five = noise(40, 30, 5, 3);
        let sample = |image| Sample {
            image,
            target: Target::default(),
        };
        let map = Map::rotation(20.0).about(20.0, 15.0);
        let cases: [&[Geometry]; 4] = [
            &[Geometry::FlipHorizontal, Geometry::Transpose],
            &[Geometry::Resize {
                width: 17,
                height: 23,
            }],
            &[Geometry::ResizeBicubic {
                width: 50,
                height: 31,
            }],
            &[
                Geometry::Warp { map, fill: FILL },
                Geometry::Crop {
                    x: -3,
                    y: 4,
                    width: 39,
                    height: 20,
                    fill: FILL,
                },
            ],
        ];
        for operations in cases {
            let whole = bytes(run(&sample(five.clone().into()), operations));
            assert_eq!(whole.channels, 5);
            for channel in 0..5 {
                let alone = bytes(run(&sample(five.plane(channel).into()), operations));
                assert_eq!(whole.plane(channel), alone, "{operations:?}");
            }
            // Numbers go where bytes go, and are not rounded on the way.
            let mut floats = Image {
                width: five.width,
                height: five.height,
                channels: 5,
                pixels: five.pixels.iter().map(|v| f32::of_byte(*v)).collect(),
            };
            // Of the cubic, bytes are cut off between the passes.
            let cubic = matches!(operations, [Geometry::ResizeBicubic { .. }]);
            let counts: &[usize] = if cubic { &[] } else { &[5, 1] };
            for &channels in counts {
                if channels == 1 {
                    floats = floats.plane(0);
                }
                let moved = Sample {
                    image: floats.clone().into(),
                    target: Target::default(),
                };
                let Picture::Floats(moved) = run(&moved, operations).image else {
                    panic!("floats stay floats");
                };
                assert_eq!([moved.width, moved.height], [whole.width, whole.height]);
                for channel in 0..channels {
                    let (found, expected) = (moved.plane(channel), whole.plane(channel));
                    let apart = found.pixels.iter().zip(&expected.pixels);
                    let apart = apart.map(|(a, b)| (a * 255.0 - f32::from(*b)).abs());
                    let worst = apart.fold(0.0, f32::max);
                    assert!(worst < 2.0, "{operations:?}, {channels} channels: {worst}");
                }
            }
        }
    }
}
