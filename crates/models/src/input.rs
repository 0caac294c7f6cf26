//! The images that a model is made for.

/// Channels and size of the images that a model is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Image channels: 1 for gray, 3 for RGB.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
}

impl InputSpec {
    /// A square RGB image.
    pub const fn rgb(side: usize) -> Self {
        Self {
            channels: 3,
            height: side,
            width: side,
        }
    }

    /// A square gray image.
    pub const fn gray(side: usize) -> Self {
        Self {
            channels: 1,
            height: side,
            width: side,
        }
    }
}
