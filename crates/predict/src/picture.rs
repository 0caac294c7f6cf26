//! Whether a picture fits a model: what a library's caller may hand in, said before anything is computed.

use firesight_data::augment::MAX_SIDE;
use firesight_data::sample::Picture;
use thiserror::Error;

/// A picture that a model cannot take.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PictureError {
    /// Width or height is 0.
    #[error("a picture of {width}x{height} has no pixels")]
    Empty {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// A side is longer than any step of a preparation makes one.
    #[error("a picture of {width}x{height}: sides of at most {most} pixels are possible{why}")]
    TooLarge {
        /// Width in pixels, as the model would see it.
        width: usize,
        /// Height in pixels, as the model would see it.
        height: usize,
        /// The longest side there may be.
        most: usize,
        /// Where the size comes from, if it is not the picture's own.
        why: &'static str,
    },
    /// Another number of channels.
    #[error("a picture of {has} channels for a model of {wants}; {}", of_channels(*.wants))]
    Channels {
        /// Channels of the picture.
        has: usize,
        /// Channels of the model's input.
        wants: usize,
    },
    /// Values that are infinite or not a number.
    #[error("a picture with values that are no finite numbers, {count} of them")]
    NotFinite {
        /// How many there are.
        count: usize,
    },
    /// Pixels that are not as many as the size says.
    #[error("a picture of {width}x{height}x{channels} with {values} values, not {}", width * height * channels)]
    Values {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
        /// Its channels.
        channels: usize,
        /// How many values it holds.
        values: usize,
    },
}

fn of_channels(wants: usize) -> String {
    match wants {
        1 => "a conversion to gray makes one".into(),
        3 => "a conversion to RGB makes one".into(),
        _ => format!("it was trained on pictures of {wants} channels"),
    }
}

/// Looks at a picture for a model of `channels` channels.
///
/// # Errors
/// The first [`PictureError`] that is found.
pub(crate) fn check(image: &Picture, channels: usize) -> Result<(), PictureError> {
    let ([width, height], has) = (image.size(), image.channels());
    if width == 0 || height == 0 {
        return Err(PictureError::Empty { width, height });
    }
    seen([height, width], "")?;
    if has != channels {
        let wants = channels;
        return Err(PictureError::Channels { has, wants });
    }
    // Sides and channels are small by now, so that their product fits.
    if image.values() != width * height * has {
        let (channels, values) = (has, image.values());
        return Err(PictureError::Values {
            width,
            height,
            channels,
            values,
        });
    }
    match image.not_finite() {
        0 => Ok(()),
        count => Err(PictureError::NotFinite { count }),
    }
}

/// Looks at a size, height and width, at which a picture would be seen.
///
/// # Errors
/// [`PictureError::TooLarge`].
pub(crate) fn seen([height, width]: [usize; 2], why: &'static str) -> Result<(), PictureError> {
    match height.max(width) > MAX_SIDE {
        true => Err(PictureError::TooLarge {
            width,
            height,
            most: MAX_SIDE,
            why,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use firesight_data::sample::Image;

    use super::*;

    fn image(width: usize, height: usize, channels: usize, values: usize) -> Picture {
        let image = Image {
            width,
            height,
            channels,
            pixels: vec![0u8; values],
        };
        image.into()
    }

    #[test]
    fn each_way_not_to_fit_has_its_name() {
        use PictureError as E;
        assert_eq!(check(&image(2, 3, 3, 18), 3), Ok(()));
        assert_eq!(check(&image(1, 1, 1, 1), 1), Ok(()));
        let empty = check(&image(0, 3, 3, 0), 3).unwrap_err();
        assert!(matches!(empty, E::Empty { .. }));
        assert!(matches!(
            check(&image(2, 3, 3, 17), 3),
            Err(E::Values { values: 17, .. })
        ));
        for channels in [0, 1, 2, 4, usize::MAX] {
            let error = check(&image(2, 3, channels, 18), 3).unwrap_err();
            assert!(matches!(error, E::Channels { wants: 3, .. }), "{error}");
        }
        let large = check(&image(usize::MAX, usize::MAX, 3, 0), 3).unwrap_err();
        assert!(matches!(large, E::TooLarge { .. }), "{large}");
    }
}
