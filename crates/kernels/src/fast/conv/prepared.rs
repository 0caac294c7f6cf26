//! Weights of a forward convolution, packed or transformed once for many calls, with the batch
//! normalisation behind the convolution folded into them.

use super::super::buffer::Buffer;
use super::winograd::{self, Tile};
use super::{ConvShape, forward_layout};

/// How a forward convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// Each channel for itself.
    Depthwise,
    /// Product of packed weights and packed columns.
    Direct,
    /// Winograd's.
    Winograd(Tile),
}

impl ConvShape {
    /// The way that prepared weights are prepared for.
    pub(crate) fn way(&self) -> Way {
        if self.is_depthwise() {
            return Way::Depthwise;
        }
        let tile = self.forward_problem().and_then(|p| p.tile(true));
        tile.map_or(Way::Direct, Way::Winograd)
    }
}

/// Weights in the order in which a way reads them. They fit the instruction set that was in use when they
/// were made.
pub(crate) struct Prepared {
    way: Way,
    data: Buffer,
    fold: Option<Fold>,
}

/// What follows a convolution per output channel: `y * scale + shift`, with the convolution's own bias
/// already in the shift.
pub(crate) struct Fold {
    /// Factor of each output channel.
    pub scale: Vec<f32>,
    /// Added to it.
    pub shift: Vec<f32>,
}

impl Fold {
    fn weights(&self, weights: &[f32]) -> Buffer {
        let mut folded = Buffer::zeros(weights.len());
        let length = weights.len() / self.scale.len();
        let rows = folded.chunks_exact_mut(length);
        for ((row, weights), scale) in rows.zip(weights.chunks_exact(length)).zip(&self.scale) {
            for (folded, weight) in row.iter_mut().zip(weights) {
                *folded = weight * scale;
            }
        }
        folded
    }
}

impl Prepared {
    /// Prepares `weights` for convolutions of this shape, with what follows them.
    pub(crate) fn new(shape: &ConvShape, weights: &[f32], fold: Option<Fold>) -> Self {
        assert_eq!(weights.len(), shape.lengths()[1], "{shape:?}");
        let way = shape.way();
        let folded = fold.as_ref().map(|fold| fold.weights(weights));
        let weights = folded.as_deref().unwrap_or(weights);
        let length = match way {
            Way::Depthwise | Way::Direct => weights.len(),
            Way::Winograd(tile) => weights.len() / 9 * tile.frequencies(),
        };
        let mut data = Buffer::zeros(length);
        let taps: Vec<usize> = (0..shape.taps()).collect();
        for (group, data) in data.chunks_exact_mut(length / shape.groups).enumerate() {
            let layout = forward_layout(shape, group, weights, &taps);
            match way {
                Way::Depthwise => data.copy_from_slice(layout.weights),
                Way::Direct => {
                    layout.pack(data);
                }
                Way::Winograd(tile) => winograd::transform_weights(&layout, tile, data),
            }
        }
        Prepared { way, data, fold }
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    /// The part of one of `groups`.
    pub(super) fn group(&self, group: usize, groups: usize) -> &[f32] {
        let length = self.data.len() / groups;
        &self.data[group * length..(group + 1) * length]
    }

    /// The bias that folding gave.
    pub(super) fn bias(&self) -> Option<&[f32]> {
        self.fold.as_ref().map(|fold| &fold.shift[..])
    }

    /// The weights with what was folded into them, `None` where nothing was.
    pub(super) fn folded(&self, weights: &[f32]) -> Option<Buffer> {
        self.fold.as_ref().map(|fold| fold.weights(weights))
    }
}
