//! What a convolution reads for each of its outputs, and how a block of it is laid out as a matrix.
//!
//! Forward convolution, the gradient of its input (one such problem per phase of the stride) and
//! transposed convolution are all the same thing: output `(n, oy, ox)` is a sum over channels `c` and
//! taps `t` of `weight[c, t] * x[n, c, oy * stride + dy(t), ox * stride + dx(t)]`, where positions outside
//! of the image count as zero. Columns are the outputs, flattened over images; rows are `(c, t)`.

use crate::fast::parallel::with_scratch;
use crate::fast::simd::{Isa, MAX_LANES, Simd, isa, simd_dispatch};

/// Channels, taps and places of one convolution-like product.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Images.
    pub images: usize,
    /// Channels read (of one group).
    pub channels: usize,
    /// Rows and columns of an input image.
    pub size: [usize; 2],
    /// Elements from one input image to the next.
    pub image_stride: usize,
    /// Rows and columns of outputs.
    pub out: [usize; 2],
    /// Input rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Row and column of each tap, relative to the output's place times the stride.
    pub taps: Vec<[isize; 2]>,
    /// Output elements from one image to the next.
    pub out_image_stride: usize,
    /// Output elements from one row to the next.
    pub out_row_stride: usize,
    /// Output elements from one column to the next.
    pub out_col_stride: usize,
}

impl Window {
    /// Outputs of one channel of one image.
    pub(crate) fn places(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Outputs of one channel over all images.
    pub(crate) fn columns(&self) -> usize {
        self.images * self.places()
    }

    /// Rows of the matrix: channels times taps.
    pub(crate) fn depth(&self) -> usize {
        self.channels * self.taps.len()
    }

    /// Whether the outputs of a channel of an image lie one after the other.
    pub(crate) fn contiguous(&self) -> bool {
        self.out_col_stride == 1 && (self.out[0] == 1 || self.out_row_stride == self.out[1])
    }

    /// One tap on every pixel of the image: rows need not be told apart.
    pub(crate) fn flattened(mut self) -> Self {
        let plain = self.taps.len() == 1 && self.taps[0] == [0, 0] && self.stride == [1, 1];
        if plain && self.size == self.out && self.contiguous() {
            let places = self.places();
            self.size = [1, places];
            self.out = [1, places];
            self.out_row_stride = places;
        }
        self
    }

    /// Whether every tap of every output lies inside of the image, on consecutive columns: then it is
    /// read where it stands.
    fn inside(&self) -> bool {
        (self.stride[1] == 1 || self.out[1] == 1)
            && (0..2).all(|axis| {
                let last = ((self.out[axis] - 1) * self.stride[axis]) as isize;
                let range = self.taps.iter().map(|t| t[axis]);
                range
                    .clone()
                    .all(|d| d >= 0 && last + d < self.size[axis] as isize)
            })
    }
}

/// Taps along one axis, split by what remains after the stride: a strip keeps each phase apart, so that
/// neighbouring outputs read neighbouring elements.
#[derive(Debug, Default)]
struct Axis {
    /// The smallest tap.
    first: isize,
    /// Phases in use and how far beyond the outputs each reaches.
    phases: Vec<(usize, usize)>,
    /// Per tap: index into `phases`, and steps.
    taps: Vec<(usize, usize)>,
}

impl Axis {
    fn new(taps: impl Iterator<Item = isize> + Clone, stride: usize) -> Self {
        let first = taps.clone().min().unwrap_or(0);
        let mut axis = Axis {
            first,
            ..Self::default()
        };
        for tap in taps {
            let distance = (tap - first) as usize;
            let (phase, steps) = (distance % stride, distance / stride);
            let index = match axis.phases.iter().position(|p| p.0 == phase) {
                Some(index) => index,
                None => {
                    axis.phases.push((phase, 0));
                    axis.phases.len() - 1
                }
            };
            let reach = &mut axis.phases[index].1;
            *reach = (*reach).max(steps);
            axis.taps.push((index, steps));
        }
        axis
    }
}

/// A run of outputs of one row inside of one vector of columns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Piece {
    /// Where the run's first element is read for a tap of offset 0 in channel 0.
    source: usize,
    /// Where the run's first output is written in channel 0.
    pub out: usize,
    /// Lanes `lo..hi` of the vector.
    pub lo: u8,
    /// See `lo`.
    pub hi: u8,
}

/// The columns `from..to` of a window's matrix, ready to be packed.
#[derive(Default)]
pub(crate) struct Block {
    pieces: Vec<Piece>,
    /// Per vector, the end of its pieces.
    ends: Vec<usize>,
    /// Offset of each tap from a piece's source.
    offsets: Vec<usize>,
    /// Elements between channels where pieces are read.
    channel_stride: usize,
    strip: Option<Strip>,
}

/// The rows that a block reads, copied with their padding.
struct Strip {
    rows: Axis,
    cols: Axis,
    /// Per image of the block: number, first output row, output rows.
    images: Vec<(usize, usize, usize)>,
    /// Most output rows any image of the block has.
    most: usize,
    pitch: usize,
    image_rows: usize,
}

impl Block {
    /// Lays out the columns `from..to`.
    pub(crate) fn new(window: &Window, from: usize, to: usize) -> Self {
        let lanes = isa().lanes();
        let places = window.places();
        let [_, out_cols] = window.out;
        let direct = window.inside();
        let mut block = Block::default();

        let images = (from / places..=(to - 1) / places).map(|n| {
            let (lo, hi) = (
                from.max(n * places) - n * places,
                to.min((n + 1) * places) - n * places,
            );
            (n, lo / out_cols, (hi - 1) / out_cols - lo / out_cols + 1)
        });
        let strip = if direct {
            let row = window.size[1];
            let tap = |t: &[isize; 2]| t[0] as usize * row + t[1] as usize;
            block.offsets = window.taps.iter().map(tap).collect();
            block.channel_stride = window.size[0] * row;
            None
        } else {
            let rows = Axis::new(window.taps.iter().map(|t| t[0]), window.stride[0]);
            let cols = Axis::new(window.taps.iter().map(|t| t[1]), window.stride[1]);
            let images: Vec<_> = images.collect();
            let most = images.iter().map(|i| i.2).max().unwrap_or(0);
            let width = |reach: usize| out_cols + reach;
            let starts = |axis: &Axis, extent: usize| -> Vec<usize> {
                axis.phases
                    .iter()
                    .scan(0, |sum, phase| {
                        let start = *sum;
                        *sum += extent + phase.1;
                        Some(start)
                    })
                    .collect()
            };
            let (row_starts, col_starts) = (starts(&rows, most), starts(&cols, out_cols));
            let pitch = cols.phases.iter().map(|p| width(p.1)).sum::<usize>();
            let image_rows = rows.phases.iter().map(|p| most + p.1).sum::<usize>();
            block.offsets = std::iter::zip(&rows.taps, &cols.taps)
                .map(|(r, c)| (row_starts[r.0] + r.1) * pitch + col_starts[c.0] + c.1)
                .collect();
            block.channel_stride = images.len() * image_rows * pitch;
            Some(Strip {
                rows,
                cols,
                images,
                most,
                pitch,
                image_rows,
            })
        };

        let mut column = from;
        while column < to {
            let vector_end = to.min(column + lanes - (column - from) % lanes);
            let (n, place) = (column / places, column % places);
            let (oy, ox) = (place / out_cols, place % out_cols);
            let count = (vector_end - column).min(out_cols - ox);
            let source = match &strip {
                None => {
                    n * window.image_stride
                        + oy * window.stride[0] * window.size[1]
                        + ox * window.stride[1]
                }
                Some(strip) => {
                    let image = n - from / places;
                    let row = oy - strip.images[image].1;
                    (image * strip.image_rows + row) * strip.pitch + ox
                }
            };
            let lo = (column - from) % lanes;
            block.pieces.push(Piece {
                source,
                out: n * window.out_image_stride
                    + oy * window.out_row_stride
                    + ox * window.out_col_stride,
                lo: lo as u8,
                hi: (lo + count) as u8,
            });
            column += count;
            if column == vector_end {
                block.ends.push(block.pieces.len());
            }
        }
        block.strip = strip;
        block
    }

    /// Vectors of columns.
    pub(crate) fn vectors(&self) -> usize {
        self.ends.len()
    }

    /// The pieces of vector `v`.
    pub(crate) fn pieces(&self, v: usize) -> &[Piece] {
        let start = if v == 0 { 0 } else { self.ends[v - 1] };
        &self.pieces[start..self.ends[v]]
    }

    /// Packs channels `channels` (of the group whose first channel's first element is `x[0]`): vector `v`
    /// of row `(c - channels.start) * taps + t` goes to `dst[at(v) + row * pitch(v)]`, where
    /// `(at(v), pitch(v)) = place(v)`. Lanes beyond the block's last column are zero.
    pub(crate) fn pack(
        &self,
        window: &Window,
        x: &[f32],
        channels: std::ops::Range<usize>,
        place: impl Fn(usize) -> (usize, usize),
        dst: &mut [f32],
    ) {
        let plane = window.size[0] * window.size[1];
        let count = channels.len();
        match &self.strip {
            None => self.pack_from(
                &x[channels.start * plane..],
                count,
                &self.offsets,
                place,
                dst,
            ),
            Some(strip) => with_scratch(count * self.channel_stride, |scratch| {
                strip.fill(window, &x[channels.start * plane..], count, scratch);
                self.pack_from(scratch, count, &self.offsets, place, dst);
            }),
        }
    }

    /// Packs `rows` rows of the outputs' own layout, `y[row * row_stride + piece.out]`.
    pub(crate) fn pack_outputs(
        &self,
        y: &[f32],
        row_stride: usize,
        rows: usize,
        pitch: usize,
        dst: &mut [f32],
    ) {
        let lanes = isa().lanes();
        for v in 0..self.vectors() {
            assert!(v * lanes + (rows - 1) * pitch + lanes <= dst.len());
            let pieces = self.pieces(v).iter().map(|p| Piece {
                source: p.out,
                ..*p
            });
            let mut few = [Piece::default(); MAX_LANES];
            let count = pieces.len();
            for (place, piece) in few.iter_mut().zip(pieces) {
                let last = piece.source + (rows - 1) * row_stride;
                assert!(last + (piece.hi - piece.lo) as usize <= y.len());
                *place = piece;
            }
            // SAFETY: the assertions above: every piece of every row lies in `y`, and the last row's
            // vector in `dst`.
            unsafe {
                let to = dst.as_mut_ptr().add(v * lanes);
                pack_vector(y, row_stride, rows, &[0], &few[..count], to, pitch);
            }
        }
    }

    fn pack_from(
        &self,
        source: &[f32],
        channels: usize,
        offsets: &[usize],
        place: impl Fn(usize) -> (usize, usize),
        dst: &mut [f32],
    ) {
        let lanes = isa().lanes();
        let rows = channels * offsets.len();
        let reach = (channels - 1) * self.channel_stride + offsets.iter().max().unwrap_or(&0);
        for v in 0..self.vectors() {
            let (at, pitch) = place(v);
            assert!(at + (rows - 1) * pitch + lanes <= dst.len());
            let pieces = self.pieces(v);
            for piece in pieces {
                assert!(piece.source + reach + (piece.hi - piece.lo) as usize <= source.len());
            }
            // SAFETY: the assertions above: the last tap of the last channel of every piece lies in
            // `source`, and the last row's vector in `dst`.
            unsafe {
                let to = dst.as_mut_ptr().add(at);
                pack_vector(
                    source,
                    self.channel_stride,
                    channels,
                    offsets,
                    pieces,
                    to,
                    pitch,
                );
            }
        }
    }
}

impl Strip {
    /// Copies the rows of `channels` channels, zero where they leave the image.
    fn fill(&self, window: &Window, x: &[f32], channels: usize, strip: &mut [f32]) {
        let runs = self.cols.phases.iter().map(|&(phase, reach)| {
            let first = self.cols.first + phase as isize;
            Run::new(
                window.size[1],
                first,
                window.stride[1],
                window.out[1] + reach,
            )
        });
        let runs: Vec<Run> = runs.collect();
        // SAFETY: no pointers are passed.
        unsafe { copy_rows(self, window, x, channels, &runs, strip) };
    }
}

/// Which elements of a row a phase of a strip holds.
#[derive(Clone, Copy)]
struct Run {
    /// Elements, zeros included.
    len: usize,
    /// Those inside of the row.
    lo: usize,
    hi: usize,
    /// The column of element `lo`.
    start: usize,
}

impl Run {
    /// Elements `first + u * stride` of a row of `width`, for `u` below `len`.
    fn new(width: usize, first: isize, stride: usize, len: usize) -> Self {
        let lo = if first < 0 {
            first.unsigned_abs().div_ceil(stride).min(len)
        } else {
            0
        };
        let room = width as isize - first;
        let hi = if room <= 0 {
            lo
        } else {
            (room as usize).div_ceil(stride).min(len).max(lo)
        };
        let start = if lo == hi {
            0
        } else {
            (first + (lo * stride) as isize) as usize
        };
        Run { len, lo, hi, start }
    }
}

simd_dispatch! {
    /// # Safety
    /// None beyond the instruction set.
    fn copy_rows(
        strip: &Strip,
        window: &Window,
        x: &[f32],
        channels: usize,
        runs: &[Run],
        to: &mut [f32],
    ) = copy_rows_with
}

/// Compiled for each usual stride.
#[inline(always)]
unsafe fn copy_rows_with<S: Simd>(
    strip: &Strip,
    window: &Window,
    x: &[f32],
    channels: usize,
    runs: &[Run],
    to: &mut [f32],
) {
    // SAFETY: the contract of a set's functions.
    unsafe {
        match window.stride[1] {
            1 => copy_rows_by::<S, 1>(strip, window, x, channels, runs, to),
            2 => copy_rows_by::<S, 2>(strip, window, x, channels, runs, to),
            4 => copy_rows_by::<S, 4>(strip, window, x, channels, runs, to),
            _ => copy_rows_by::<S, 0>(strip, window, x, channels, runs, to),
        }
    }
}

/// `STEP` is the stride along columns, 0 where it is the window's own.
#[inline(always)]
unsafe fn copy_rows_by<S: Simd, const STEP: usize>(
    strip: &Strip,
    window: &Window,
    x: &[f32],
    channels: usize,
    runs: &[Run],
    to: &mut [f32],
) {
    let [height, width] = window.size;
    let stride_y = window.stride[0];
    let step = if STEP == 0 { window.stride[1] } else { STEP };
    // Every phase in its order: a row is split into all of them at once.
    let phases = strip.cols.phases.iter().map(|phase| phase.0);
    let whole = STEP > 1 && S::LANES > 4 && phases.eq(0..STEP);
    // SAFETY: the contract of a set's functions.
    let masks = whole.then(|| unsafe { Masks::<S, STEP>::of(width, strip.cols.first, runs) });
    let mut lines = to.chunks_exact_mut(strip.pitch);
    for c in 0..channels {
        for &(n, oy, _) in &strip.images {
            let plane = &x[n * window.image_stride + c * height * width..][..height * width];
            // The next channel's part lies on another page, where the processor's own guess ends.
            let next = plane
                .as_ptr()
                .wrapping_add(height * width + oy * stride_y * width);
            for line in 0..(strip.most * stride_y * width).div_ceil(16) {
                S::prefetch(next.wrapping_add(line * 16));
            }
            for &(phase_y, reach_y) in &strip.rows.phases {
                for j in 0..strip.most + reach_y {
                    let line = lines.next().expect("a strip holds its rows");
                    let iy = strip.rows.first + (phase_y + (oy + j) * stride_y) as isize;
                    let Some(y) = usize::try_from(iy).ok().filter(|y| *y < height) else {
                        line.fill(0.0);
                        continue;
                    };
                    let row = &plane[y * width..(y + 1) * width];
                    if let Some(masks) = &masks {
                        // SAFETY: the line holds the runs one after the other, and the row `width` elements.
                        unsafe { split_row(row.as_ptr(), masks, line.as_mut_ptr()) };
                        continue;
                    }
                    let mut rest = line;
                    for run in runs {
                        let (target, later) = rest.split_at_mut(run.len);
                        rest = later;
                        target[..run.lo].fill(0.0);
                        target[run.hi..].fill(0.0);
                        let inside = &mut target[run.lo..run.hi];
                        let source = &row[run.start..];
                        if step == 1 {
                            inside.copy_from_slice(&source[..inside.len()]);
                            continue;
                        }
                        // All but the last are followed by a whole step.
                        let (mut at, last) = (source.chunks_exact(step), inside.len());
                        let mut filled = 0;
                        for (target, from) in inside.iter_mut().zip(&mut at) {
                            *target = from[0];
                            filled += 1;
                        }
                        if filled < last {
                            inside[filled] = at.remainder()[0];
                        }
                    }
                }
            }
        }
    }
}

/// Which lanes of a row are read, and which of its parts are written, for a vector of each part.
#[derive(Clone, Copy)]
struct Masks<S: Simd, const STEP: usize> {
    /// The first column read, before the row where negative.
    first: isize,
    read: [S::M; STEP],
    /// Where each part begins in the line.
    to: [usize; STEP],
    write: [S::M; STEP],
}

impl<S: Simd, const STEP: usize> Masks<S, STEP> {
    /// All vectors of a row of `width` elements whose part `p` holds the columns `first + p + u * STEP`.
    ///
    /// # Safety
    /// The instruction set's alone.
    #[inline(always)]
    unsafe fn of(width: usize, first: isize, runs: &[Run]) -> Vec<Self> {
        let lanes = S::LANES as isize;
        let longest = runs.iter().map(|run| run.len).max().unwrap_or(0);
        let block = |done: usize| {
            let first = first + (done * STEP) as isize;
            let read = std::array::from_fn(|j| {
                let at = first + j as isize * lanes;
                let lo = (-at).clamp(0, lanes);
                let hi = (width as isize - at).clamp(lo, lanes);
                // SAFETY: this function's contract.
                unsafe { S::mask(lo as usize, hi as usize) }
            });
            let before = |p: usize| runs[..p].iter().map(|run| run.len).sum::<usize>();
            let write = std::array::from_fn(|p| {
                let count = runs[p].len.saturating_sub(done).min(S::LANES);
                // SAFETY: as above.
                unsafe { S::mask(0, count) }
            });
            Self {
                first,
                read,
                to: std::array::from_fn(|p| before(p) + done),
                write,
            }
        };
        (0..longest).step_by(S::LANES).map(block).collect()
    }
}

/// Splits the elements of a row by their place modulo `STEP`, 2 or 4, zero outside of the row.
///
/// # Safety
/// The masks are those of the row's width and of the line's runs.
#[inline(always)]
unsafe fn split_row<S: Simd, const STEP: usize>(
    row: *const f32,
    masks: &[Masks<S, STEP>],
    line: *mut f32,
) {
    for m in masks {
        // SAFETY: the masks keep reads inside of the row and writes inside of the runs; pointers beyond are
        // formed by wrapping arithmetic alone.
        unsafe {
            let load = |j: usize| {
                let at = m.first + (j * S::LANES) as isize;
                S::load_mask(row.wrapping_offset(at), m.read[j])
            };
            let store = |p: usize, v: S::V| {
                S::store_mask(line.wrapping_add(m.to[p]), v, m.write[p]);
            };
            if STEP == 2 {
                let [a, b] = S::deinterleave2([load(0), load(1)]);
                store(0, a);
                store(1, b);
            } else {
                let [a, b, c, d] = S::deinterleave4([load(0), load(1), load(2), load(3)]);
                store(0, a);
                store(1, b);
                store(2, c);
                store(3, d);
            }
        }
    }
}

simd_dispatch! {
    /// Packs one vector of columns for every channel and tap.
    ///
    /// # Safety
    /// For each piece, channel and tap the run lies in `source`; the vector of each row lies in `to`.
    fn pack_vector(
        source: &[f32],
        channel_stride: usize,
        channels: usize,
        offsets: &[usize],
        pieces: &[Piece],
        to: *mut f32,
        pitch: usize,
    ) = pack_vector_with
}

#[inline(always)]
unsafe fn pack_vector_with<S: Simd>(
    source: &[f32],
    channel_stride: usize,
    channels: usize,
    offsets: &[usize],
    pieces: &[Piece],
    to: *mut f32,
    pitch: usize,
) {
    let start = source.as_ptr();
    let step = pitch * offsets.len();
    // SAFETY: the contract above bounds every access; pointers to lane 0 of a piece that starts at a
    // later lane are formed by wrapping arithmetic and only active lanes are read.
    unsafe {
        let lane0 = |p: &Piece| start.wrapping_add(p.source).wrapping_sub(p.lo as usize);
        match pieces {
            [only] if only.lo == 0 && only.hi as usize == S::LANES => {
                for (t, offset) in offsets.iter().enumerate() {
                    let (mut from, mut to) = (start.add(only.source + offset), to.add(t * pitch));
                    for _ in 0..channels {
                        S::store(to, S::load(from));
                        from = from.wrapping_add(channel_stride);
                        to = to.wrapping_add(step);
                    }
                }
            }
            [a, b] => {
                let masks = [
                    S::mask(a.lo as usize, a.hi as usize),
                    S::mask(b.lo as usize, b.hi as usize),
                ];
                let (pa, pb) = (lane0(a), lane0(b));
                for (t, offset) in offsets.iter().enumerate() {
                    let (mut pa, mut pb) = (pa.wrapping_add(*offset), pb.wrapping_add(*offset));
                    let mut to = to.add(t * pitch);
                    for _ in 0..channels {
                        S::store(
                            to,
                            S::add(S::load_mask(pa, masks[0]), S::load_mask(pb, masks[1])),
                        );
                        pa = pa.wrapping_add(channel_stride);
                        pb = pb.wrapping_add(channel_stride);
                        to = to.wrapping_add(step);
                    }
                }
            }
            _ => {
                for (t, offset) in offsets.iter().enumerate() {
                    let mut to = to.add(t * pitch);
                    for c in 0..channels {
                        let mut v = S::splat(0.0);
                        for piece in pieces {
                            let mask = S::mask(piece.lo as usize, piece.hi as usize);
                            let from = lane0(piece).wrapping_add(offset + c * channel_stride);
                            v = S::add(v, S::load_mask(from, mask));
                        }
                        S::store(to, v);
                        to = to.wrapping_add(step);
                    }
                }
            }
        }
    }
}

/// Rows that one call of the inner product takes at most, with this instruction set.
pub(crate) fn tile_rows(isa: Isa) -> usize {
    if isa.wide_file() { 8 } else { 4 }
}
