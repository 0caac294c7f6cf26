//! Max pooling and the mean over a plane.

use super::buffer::Buffer;
use super::norm::Planes;
use super::parallel::{Output, Shared, for_each, with_scratch};
use super::simd::{MAX_LANES, Simd, simd_dispatch};

/// The numbers of a pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolShape {
    /// Planes: images times channels.
    pub planes: usize,
    pub size: [usize; 2],
    pub out: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Places before the image that never win.
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

impl PoolShape {
    /// Kernel indices of one axis that lie inside of the image for output `o`.
    fn inside(&self, axis: usize, o: usize) -> std::ops::Range<usize> {
        let start = (o * self.stride[axis]) as isize - self.padding[axis] as isize;
        let dilation = self.dilation[axis];
        let lo = if start < 0 {
            start.unsigned_abs().div_ceil(dilation)
        } else {
            0
        };
        let room = self.size[axis] as isize - start;
        let hi = if room <= 0 {
            0
        } else {
            (room as usize).div_ceil(dilation)
        };
        let hi = hi.min(self.kernel[axis]);
        lo.min(hi)..hi
    }
}

impl PoolShape {
    /// Columns of a padded row that blocks of windows may read.
    fn padded_width(&self) -> usize {
        let windows = self.out[1].next_multiple_of(MAX_LANES);
        let reach = (self.kernel[1] - 1) * self.dilation[1];
        let read = (windows - 1) * self.stride[1] + reach + 1;
        read.max(self.padding[1] + self.size[1])
    }

    /// The place of a window whose values are all minus infinity: its first. None where it lies in the padding.
    fn lowest(&self, oy: usize, ox: usize) -> u32 {
        let (ky, kx) = (self.inside(0, oy), self.inside(1, ox));
        if ky.is_empty() || kx.is_empty() {
            return u32::MAX;
        }
        let iy = oy * self.stride[0] + ky.start * self.dilation[0] - self.padding[0];
        let ix = ox * self.stride[1] + kx.start * self.dilation[1] - self.padding[1];
        let place = iy * self.size[1] + ix;
        place as u32
    }
}

/// The maximum of each window and, if `with_places`, its place in the plane: the first of equal ones,
/// the last NaN where there is any, as in Burn.
pub(crate) fn max_forward(shape: &PoolShape, x: &[f32], with_places: bool) -> (Buffer, Vec<u32>) {
    let (plane_in, plane_out) = (shape.size[0] * shape.size[1], shape.out[0] * shape.out[1]);
    assert_eq!(x.len(), shape.planes * plane_in);
    let mut output = Output::new(shape.planes * plane_out);
    let mut places = vec![
        0u32;
        if with_places {
            shape.planes * plane_out
        } else {
            0
        }
    ];
    let y = output.shared();
    let place_out = SharedPlaces(places.as_mut_ptr());
    let work = shape.planes * plane_out * shape.kernel[0] * shape.kernel[1];
    let pitch = shape.padded_width();
    for_each(shape.planes, work, |p| {
        let x = &x[p * plane_in..(p + 1) * plane_in];
        // SAFETY: a task takes one plane of the output, and of the places if there are any.
        let (y, places) = unsafe {
            let y = std::slice::from_raw_parts_mut(y.at(p * plane_out), plane_out);
            (
                y,
                with_places.then(|| place_out.plane(p * plane_out, plane_out)),
            )
        };
        with_scratch(shape.size[0] * pitch, |padded| {
            let left = shape.padding[1];
            for (row, padded) in x
                .chunks_exact(shape.size[1])
                .zip(padded.chunks_exact_mut(pitch))
            {
                let (before, rest) = padded.split_at_mut(left);
                let (inside, after) = rest.split_at_mut(row.len());
                before.fill(f32::NEG_INFINITY);
                inside.copy_from_slice(row);
                after.fill(f32::NEG_INFINITY);
            }
            // SAFETY: no pointers are passed.
            unsafe { max_plane(shape, padded, pitch, y, places) };
        });
    });
    // SAFETY: every plane was written.
    (unsafe { output.finish() }, places)
}

simd_dispatch! {
    /// # Safety
    /// None beyond the instruction set.
    fn max_plane(
        shape: &PoolShape,
        padded: &[f32],
        pitch: usize,
        y: &mut [f32],
        places: Option<&mut [u32]>,
    ) = max_plane_with
}

/// Compiled for the usual strides, so that the compiler turns steps into shuffles.
#[inline(always)]
unsafe fn max_plane_with<S: Simd>(
    shape: &PoolShape,
    padded: &[f32],
    pitch: usize,
    y: &mut [f32],
    places: Option<&mut [u32]>,
) {
    match shape.stride[1] {
        1 => max_plane_by::<1>(shape, padded, pitch, y, places),
        2 => max_plane_by::<2>(shape, padded, pitch, y, places),
        _ => max_plane_by::<0>(shape, padded, pitch, y, places),
    }
}

/// Sixteen windows at a time, one tap after the other. `STEP` is the stride along columns, 0 where it is the
/// shape's own.
#[inline(always)]
fn max_plane_by<const STEP: usize>(
    shape: &PoolShape,
    padded: &[f32],
    pitch: usize,
    y: &mut [f32],
    mut places: Option<&mut [u32]>,
) {
    const BLOCK: usize = MAX_LANES;
    let step = if STEP == 0 { shape.stride[1] } else { STEP };
    let width = shape.out[1];
    for oy in 0..shape.out[0] {
        let rows = shape.inside(0, oy);
        let mut ox = 0;
        while ox < width {
            let (mut best, mut place) = ([f32::NEG_INFINITY; BLOCK], [u32::MAX; BLOCK]);
            for ky in rows.clone() {
                let iy = oy * shape.stride[0] + ky * shape.dilation[0] - shape.padding[0];
                for kx in 0..shape.kernel[1] {
                    let column = ox * step + kx * shape.dilation[1];
                    let values = &padded[iy * pitch + column..][..(BLOCK - 1) * step + 1];
                    // Wraps for the padding's, which never win.
                    let first = (iy * shape.size[1] + column).wrapping_sub(shape.padding[1]) as u32;
                    for lane in 0..BLOCK {
                        let value = values[lane * step];
                        let wins = (value > best[lane]) | value.is_nan();
                        best[lane] = if wins { value } else { best[lane] };
                        let number = first.wrapping_add((lane * step) as u32);
                        place[lane] = if wins { number } else { place[lane] };
                    }
                }
            }
            let count = BLOCK.min(width - ox);
            let at = oy * width + ox;
            y[at..at + count].copy_from_slice(&best[..count]);
            if let Some(places) = &mut places {
                places[at..at + count].copy_from_slice(&place[..count]);
                for (lane, place) in places[at..at + count].iter_mut().enumerate() {
                    if *place == u32::MAX {
                        *place = shape.lowest(oy, ox + lane);
                    }
                }
            }
            ox += count;
        }
    }
}

/// The gradient of [`max_forward`]'s input.
pub(crate) fn max_backward(shape: &PoolShape, places: &[u32], dy: &[f32]) -> Buffer {
    let (plane_in, plane_out) = (shape.size[0] * shape.size[1], shape.out[0] * shape.out[1]);
    assert_eq!([places.len(), dy.len()], [shape.planes * plane_out; 2]);
    let mut output = Output::new(shape.planes * plane_in);
    let dx = output.shared();
    for_each(shape.planes, shape.planes * plane_in, |p| {
        // SAFETY: a task takes one plane; it is filled before it is used as `f32`.
        let dx = unsafe {
            dx.at(p * plane_in).write_bytes(0, plane_in);
            std::slice::from_raw_parts_mut(dx.at(p * plane_in), plane_in)
        };
        let range = p * plane_out..(p + 1) * plane_out;
        for (place, dy) in places[range.clone()].iter().zip(&dy[range]) {
            // A window wholly in the padding has no place.
            if let Some(dx) = dx.get_mut(*place as usize) {
                *dx += dy;
            }
        }
    });
    // SAFETY: every plane was written.
    unsafe { output.finish() }
}

/// The mean of each plane.
pub(crate) fn mean_forward(planes: Planes, x: &[f32]) -> Buffer {
    assert_eq!(x.len(), planes.len());
    let count = planes.images * planes.channels;
    let mut means = Buffer::zeros(count);
    let out = Shared::from(&mut means[..]);
    const GROUP: usize = 32;
    for_each(count.div_ceil(GROUP), x.len(), |group| {
        for p in group * GROUP..count.min((group + 1) * GROUP) {
            let plane = &x[p * planes.places..(p + 1) * planes.places];
            // SAFETY: each plane's mean is written by one task.
            unsafe { *out.at(p) = super::reduce::sum(plane) / planes.places as f32 };
        }
    });
    means
}

/// The gradient of [`mean_forward`]'s input.
pub(crate) fn mean_backward(planes: Planes, dy: &[f32]) -> Buffer {
    let mut output = Output::new(planes.len());
    let dx = output.shared();
    for_each(dy.len(), planes.len(), |p| {
        let value = dy[p] / planes.places as f32;
        for i in 0..planes.places {
            // SAFETY: a task takes one plane.
            unsafe { *dx.at(p * planes.places + i) = value };
        }
    });
    // SAFETY: every plane was written.
    unsafe { output.finish() }
}

/// Places that tasks write at planes of their own.
#[derive(Clone, Copy)]
struct SharedPlaces(*mut u32);

// SAFETY: a plain address; its one use takes a plane per task.
unsafe impl Send for SharedPlaces {}
// SAFETY: as above.
unsafe impl Sync for SharedPlaces {}

impl SharedPlaces {
    /// # Safety
    /// The range lies in the buffer, and no one else holds it.
    unsafe fn plane<'a>(self, start: usize, len: usize) -> &'a mut [u32] {
        // SAFETY: this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}
