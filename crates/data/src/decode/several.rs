//! Whether a file holds more pictures than the one that is read: an animation, or the pages of a TIFF.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::AnimationDecoder;
use image::ImageFormat::{Gif, Png, Tiff, WebP};
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;

/// Whether a file holds more than one picture, of which the first is read. False where that cannot be told, as of a file
/// that is damaged.
pub fn holds_several(path: &Path) -> bool {
    let file = File::open(path).map(BufReader::new);
    file.is_ok_and(|file| several(file).unwrap_or(false))
}

fn several(mut file: impl BufRead + Seek) -> Option<bool> {
    match image::guess_format(file.fill_buf().ok()?).ok()? {
        Gif => Some(GifDecoder::new(file).ok()?.into_frames().take(2).count() == 2),
        Png => PngDecoder::new(file).ok()?.is_apng().ok(),
        WebP => Some(WebPDecoder::new(file).ok()?.has_animation()),
        Tiff => Some(tiff::decoder::Decoder::new(file).ok()?.more_images()),
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Delay, Frame, RgbaImage};
    use std::io::Cursor;

    fn gif(frames: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for _ in 0..frames {
            let delay = Delay::from_numer_denom_ms(10, 1);
            let frame = Frame::from_parts(RgbaImage::new(3, 2), 0, 0, delay);
            encoder.encode_frame(frame).unwrap();
        }
        drop(encoder);
        bytes
    }

    fn tiff(pages: usize) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
        for _ in 0..pages {
            let page = encoder.write_image::<tiff::encoder::colortype::Gray8>(3, 2, &[7; 6]);
            page.unwrap();
        }
        bytes.into_inner()
    }

    #[test]
    fn animations_and_pages_are_told_from_single_pictures() {
        for count in [1, 2, 3] {
            for bytes in [gif(count), tiff(count)] {
                assert_eq!(several(Cursor::new(bytes)), Some(count > 1));
            }
        }
        let mut png = Cursor::new(Vec::new());
        let picture = image::RgbImage::new(3, 2);
        picture.write_to(&mut png, Png).unwrap();
        assert_eq!(several(Cursor::new(png.get_ref())), Some(false));
        // A chunk that says there are two frames, behind the header's; its checksum is that of its bytes.
        let mut animated = png.into_inner();
        let control = b"acTL\0\0\0\x02\0\0\0\0";
        let mut chunk = vec![0, 0, 0, 8];
        chunk.extend(control);
        chunk.extend(crc(control).to_be_bytes());
        animated.splice(33..33, chunk);
        assert_eq!(several(Cursor::new(animated)), Some(true));
        assert_eq!(several(Cursor::new(b"no picture")), None);
    }

    /// PNG's checksum (ISO 3309), bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |sum: u32, _| match sum & 1 {
            1 => sum >> 1 ^ 0xedb8_8320,
            _ => sum >> 1,
        };
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), step)
        })
    }
}
