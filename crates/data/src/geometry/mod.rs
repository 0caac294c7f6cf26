//! Geometric operations on a whole sample: image, mask and boxes under one map.
//!
//! A [`Canvas`] holds a sample and the operations that have been asked for but not yet computed. Consecutive
//! operations are composed into one [`Map`] and carried out by one resampling, so that a rotation after a random
//! crop costs and blurs no more than either alone:
//! - flips and crops copy pixels, to the bit;
//! - resizing (with any crops and flips around it) runs the separable filter of [`resize`](mod@self), which is
//!   torchvision's antialiased one;
//! - everything else interpolates bilinearly. Where that would shrink by more than [`PREFILTER`], the image is
//!   first made smaller with the same separable filter, so that no source pixel is left out.
//!
//! Masks take the nearest pixel, by centres, and [`Mask::IGNORE`] outside; boxes take the hull of their mapped
//! corners, clipped to the image.

mod map;
mod resample;
mod resize;

pub use map::Map;

use crate::sample::{BoxLabel, Image, Label, Mask, Sample};

/// From how many source pixels per output pixel on bilinear interpolation gets a filter in front. Below it nearly
/// every source pixel is looked at anyway, and torchvision, whose affine maps never filter, is matched.
pub const PREFILTER: f64 = 1.25;

/// A box that was cut and has a side below this many pixels left is dropped.
const MINIMUM_SIDE: f64 = 1.0;

/// One geometric operation, its parameters drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Geometry {
    /// Left becomes right.
    FlipHorizontal,
    /// Top becomes bottom.
    FlipVertical,
    /// The part of the image from `(x, y)` on; what lies outside the image is filled.
    Crop {
        /// Left edge, in pixels; negative pads.
        x: i64,
        /// Upper edge, in pixels; negative pads.
        y: i64,
        /// Width of the result, at least 1.
        width: usize,
        /// Height of the result, at least 1.
        height: usize,
        /// What stands outside the image.
        fill: [u8; 3],
    },
    /// The whole image at another size.
    Resize {
        /// Width of the result, at least 1.
        width: usize,
        /// Height of the result, at least 1.
        height: usize,
    },
    /// The image moved by a map (from old to new coordinates), on a canvas of the same size.
    Warp {
        /// Where a point goes.
        map: Map,
        /// What stands outside the image.
        fill: [u8; 3],
    },
}

impl Geometry {
    /// The size of the result for an image of `[width, height]`.
    pub fn size_after(&self, size: [usize; 2]) -> [usize; 2] {
        match *self {
            Geometry::Crop { width, height, .. } | Geometry::Resize { width, height } => {
                [width.max(1), height.max(1)]
            }
            _ => size,
        }
    }

    /// The map from old to new coordinates for an image of `[width, height]`.
    pub fn map(&self, [width, height]: [usize; 2]) -> Map {
        let (w, h) = (width as f64, height as f64);
        match *self {
            Geometry::FlipHorizontal => Map::scaling(-1.0, 1.0).then(&Map::translation(w, 0.0)),
            Geometry::FlipVertical => Map::scaling(1.0, -1.0).then(&Map::translation(0.0, h)),
            Geometry::Crop { x, y, .. } => Map::translation(-x as f64, -y as f64),
            Geometry::Resize { width, height } => {
                Map::scaling(width.max(1) as f64 / w, height.max(1) as f64 / h)
            }
            Geometry::Warp { map, .. } => map,
        }
    }
}

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Window {
    fn whole(width: usize, height: usize) -> Window {
        Window {
            x: 0,
            y: 0,
            width,
            height,
        }
    }

    /// A part of this window, given relative to it.
    fn part(self, part: Window) -> Window {
        Window {
            x: self.x + part.x,
            y: self.y + part.y,
            ..part
        }
    }

    fn rectangle(self) -> [f64; 4] {
        [
            self.x as f64,
            self.y as f64,
            (self.x + self.width) as f64,
            (self.y + self.height) as f64,
        ]
    }

    fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }
}

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
    /// The result shows places outside the window.
    exposed: bool,
    /// The result ends inside the window, by a crop that the window could not follow.
    hidden: bool,
}

impl Canvas {
    /// A sample with nothing to be done.
    pub fn new(sample: Sample) -> Canvas {
        let size = [sample.image.width, sample.image.height];
        Canvas {
            window: Window::whole(size[0], size[1]),
            map: Map::IDENTITY,
            size,
            fill: [0; 3],
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
        let map = operation.map(self.size);
        let size = operation.size_after(self.size);
        match *operation {
            Geometry::FlipHorizontal | Geometry::FlipVertical => {}
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
            Geometry::Resize { .. } => {
                let enlarges = size[0] > self.size[0] || size[1] > self.size[1];
                let shrunk = self.map.rows[0][0].abs() < 1.0 || self.map.rows[1][1].abs() < 1.0;
                // A padded border is filtered with the image, and what was made small stays coarse.
                if self.map.is_aligned() && (self.exposed || (enlarges && shrunk)) {
                    self.flush();
                }
            }
            Geometry::Warp { fill, .. } => {
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
    pub fn image_mut(&mut self) -> &mut Image {
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
        let image = &self.sample.image;
        let unchanged =
            self.map == Map::IDENTITY && self.size == [image.width, image.height] && !self.exposed;
        if !unchanged {
            let new = match image.channels {
                1 => self.warp_image::<1>([self.fill[0]]),
                _ => self.warp_image::<3>(self.fill),
            };
            let label = std::mem::take(&mut self.sample.label);
            self.sample.label = match label {
                Label::Boxes(boxes) => Label::Boxes(self.warp_boxes(boxes)),
                Label::Mask(mask) => Label::Mask(self.warp_mask(mask)),
                Label::BoxesAndMask(boxes, mask) => {
                    Label::BoxesAndMask(self.warp_boxes(boxes), self.warp_mask(mask))
                }
                other => other,
            };
            self.sample.image = new;
        }
        let none = Image {
            width: 0,
            height: 0,
            channels: 1,
            pixels: Vec::new(),
        };
        let sample = std::mem::replace(
            &mut self.sample,
            Sample {
                image: none,
                label: Label::None,
            },
        );
        *self = Canvas::new(sample);
    }

    fn warp_image<const C: usize>(&self, fill: [u8; C]) -> Image {
        let image = &self.sample.image;
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
        if let Some(image) = self.resize_image(fill) {
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
        let small = resize::resize(image, self.window, sw, sh, Window::whole(sw, sh));
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
    fn resize_image<const C: usize>(&self, fill: [u8; C]) -> Option<Image> {
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
        let resized = resize::resize(&self.sample.image, self.window, width, height, part);
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

    fn warp_mask(&self, mask: Mask) -> Mask {
        let [width, height] = self.size;
        let classes = match self.map.inverse() {
            _ if self.window.is_empty() => vec![Mask::IGNORE; width * height],
            None => vec![Mask::IGNORE; width * height],
            Some(_) if self.map.is_exact() => resample::copy(
                &mask.classes,
                mask.width,
                self.window,
                &self.map,
                self.size,
                [Mask::IGNORE],
            ),
            Some(back) => resample::nearest(&mask, self.window, &back, self.size),
        };
        Mask {
            width,
            height,
            classes,
        }
    }

    fn warp_boxes(&self, boxes: Vec<BoxLabel>) -> Vec<BoxLabel> {
        let window = self.window.rectangle();
        let canvas = [0.0, 0.0, self.size[0] as f64, self.size[1] as f64];
        let warp = |label: BoxLabel| {
            let whole = label.xyxy.map(f64::from);
            let whole_mapped = self.map.hull(whole);
            let clipped = clip(self.map.hull(clip(whole, window)?)?, canvas)?;
            let cut = |low: usize| {
                let before = whole_mapped.map_or(f64::INFINITY, |b| b[low + 2] - b[low]);
                let after = clipped[low + 2] - clipped[low];
                after < MINIMUM_SIDE && after < before - 1e-3
            };
            let xyxy = clipped.map(|v| v as f32);
            let area = xyxy[0] < xyxy[2] && xyxy[1] < xyxy[3];
            (area && !cut(0) && !cut(1)).then_some(BoxLabel { xyxy, ..label })
        };
        boxes.into_iter().filter_map(warp).collect()
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

/// How many source pixels a step of one output pixel passes, along the source's axes, at the output's centre.
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
