//! Max pooling and the mean over a plane.

use super::buffer::Buffer;
use super::norm::Planes;
use super::parallel::{Output, Shared, for_each};

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
    let columns: Vec<_> = (0..shape.out[1]).map(|ox| shape.inside(1, ox)).collect();
    let work = shape.planes * plane_out * shape.kernel[0] * shape.kernel[1];
    for_each(shape.planes, work, |p| {
        let x = &x[p * plane_in..(p + 1) * plane_in];
        // SAFETY: a task takes one plane of the output, and of the places if there are any.
        let (y, mut places) = unsafe {
            let y = std::slice::from_raw_parts_mut(y.at(p * plane_out), plane_out);
            (
                y,
                with_places.then(|| place_out.plane(p * plane_out, plane_out)),
            )
        };
        for oy in 0..shape.out[0] {
            let rows = shape.inside(0, oy);
            for (ox, columns) in columns.iter().enumerate() {
                let (mut best, mut place) = (f32::NEG_INFINITY, usize::MAX);
                for ky in rows.clone() {
                    let iy = oy * shape.stride[0] + ky * shape.dilation[0] - shape.padding[0];
                    for kx in columns.clone() {
                        let ix = ox * shape.stride[1] + kx * shape.dilation[1] - shape.padding[1];
                        let value = x[iy * shape.size[1] + ix];
                        if value > best || value.is_nan() || place == usize::MAX {
                            (best, place) = (value, iy * shape.size[1] + ix);
                        }
                    }
                }
                y[oy * shape.out[1] + ox] = best;
                if let Some(places) = &mut places {
                    places[oy * shape.out[1] + ox] = place as u32;
                }
            }
        }
    });
    // SAFETY: every plane was written.
    (unsafe { output.finish() }, places)
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
