//! Pictures of generated images: grids, single images, and the animation of a training's course.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::error::{Context, bail};
use burn::tensor::Tensor;
use firesight_data::decode::{Decoding, decode_file};
use firesight_data::sample::Image;

/// Pixels between the images of a grid.
const GAP: usize = 2;
/// Sides below this are enlarged by whole factors, so that they can be seen.
const SEEN: usize = 48;
/// Pictures of an animation at most; of more, evenly many are left out.
const FRAMES: usize = 60;

/// The images of a tensor `[N, C, H, W]` with values from -1 to 1, rounded to 8 bits.
pub fn images(tensor: Tensor<4>) -> Vec<Image> {
    let [_, channels, height, width] = tensor.dims();
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    let area = height * width;
    let rows = values.chunks_exact(channels * area).map(|planes| {
        let mut pixels = Vec::with_capacity(planes.len());
        for at in 0..area {
            for channel in 0..channels {
                let value = planes[channel * area + at] * 127.5 + 127.5;
                pixels.push(value.round().clamp(0.0, 255.0) as u8);
            }
        }
        Image {
            width,
            height,
            channels,
            pixels,
        }
    });
    rows.collect()
}

/// The columns of a grid of `count` images that go through `classes` classes in turn: one for each class, as far as
/// that is legible, else about as many as rows.
pub fn columns(count: usize, classes: usize) -> usize {
    match classes {
        2..=20 => classes,
        _ => (count as f64).sqrt().ceil() as usize,
    }
}

/// Images of one size in rows of `columns`; without images, a single pixel.
pub fn grid(images: &[Image], columns: usize) -> Image {
    let Some(first) = images.first() else {
        return Image {
            width: 1,
            height: 1,
            channels: 1,
            pixels: vec![0],
        };
    };
    let factor = SEEN.div_ceil(first.width.max(first.height)).max(1);
    let columns = columns.clamp(1, images.len());
    let rows = images.len().div_ceil(columns);
    let (tile_width, tile_height) = (first.width * factor, first.height * factor);
    let channels = first.channels;
    let width = columns * (tile_width + GAP) + GAP;
    let height = rows * (tile_height + GAP) + GAP;
    let mut pixels = vec![24; width * height * channels];
    for (number, image) in images.iter().enumerate() {
        let left = GAP + number % columns * (tile_width + GAP);
        let top = GAP + number / columns * (tile_height + GAP);
        for y in 0..tile_height {
            for x in 0..tile_width {
                let from = (y / factor * first.width + x / factor) * channels;
                let to = ((top + y) * width + left + x) * channels;
                pixels[to..to + channels].copy_from_slice(&image.pixels[from..from + channels]);
            }
        }
    }
    Image {
        width,
        height,
        channels,
        pixels,
    }
}

/// The grids that a run folder's pictures hold, in the order of their steps.
pub fn frames(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("step-") && name.ends_with(".png")
        })
        .collect();
    paths.sort();
    paths
}

/// Writes an animated PNG of pictures of one size, four a second, the last one standing for two seconds.
///
/// # Errors
/// A picture that cannot be read or has another size, a file that cannot be written; each is named.
pub fn animate(paths: &[PathBuf], out: &Path) -> crate::Result<()> {
    let kept = paths.len().min(FRAMES);
    let chosen = (0..kept).map(|i| &paths[i * (paths.len() - 1) / (kept - 1).max(1)]);
    let mut frames = Vec::new();
    for path in chosen {
        frames.push(decode_file(path, &Decoding::default())?);
    }
    let Some(first) = frames.first() else {
        bail!("{}: there are no pictures to animate", out.display());
    };
    // A grid of gray images was decoded as RGB; one channel makes a third of the file.
    let gray = frames.iter().all(|frame| {
        frame.channels == 3
            && frame
                .pixels
                .chunks_exact(3)
                .all(|p| p[0] == p[1] && p[1] == p[2])
    });
    let what = || format!("{}", out.display());
    let file = BufWriter::new(File::create(out).with_context(what)?);
    let mut encoder = png::Encoder::new(file, first.width as u32, first.height as u32);
    encoder.set_color(match gray || first.channels == 1 {
        true => png::ColorType::Grayscale,
        false => png::ColorType::Rgb,
    });
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .set_animated(frames.len() as u32, 0)
        .with_context(what)?;
    encoder.set_frame_delay(1, 4).with_context(what)?;
    let mut writer = encoder.write_header().with_context(what)?;
    for (number, frame) in frames.iter().enumerate() {
        if number + 1 == frames.len() {
            writer.set_frame_delay(2, 1).with_context(what)?;
        }
        match gray {
            true => {
                let values: Vec<u8> = frame.pixels.iter().step_by(3).copied().collect();
                writer.write_image_data(&values)
            }
            false => writer.write_image_data(&frame.pixels),
        }
        .with_context(what)?;
    }
    writer.finish().with_context(what)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use firesight_data::draw::write_png;

    #[test]
    fn each_class_has_its_column() {
        assert_eq!(
            (columns(64, 10), columns(64, 0), columns(10, 1)),
            (10, 8, 4)
        );
        assert_eq!(columns(9, 1000), 3);
    }

    #[test]
    fn values_become_pixels_and_pixels_a_grid() {
        let values =
            Tensor::<1>::from_floats([-1.0, 0.0, 1.0, 2.0, -1.0, -1.0, 1.0, 1.0], &Device::flex());
        let images = images(values.reshape([2, 2, 1, 2]));
        assert_eq!(images[0].pixels, [0, 255, 128, 255]);
        assert_eq!(images[1].pixels, [0, 255, 0, 255]);
        let grid = grid(&images, 5);
        // Two images of 2x1, enlarged 24 times, with gaps of 2.
        assert_eq!(
            (grid.width, grid.height, grid.channels),
            (2 * 48 + 6, 24 + 4, 2)
        );
        let at = (2 * grid.width + 2) * 2;
        assert_eq!(grid.pixels[at..at + 2], [0, 255]);
        assert_eq!(grid.pixels[0], 24);
    }

    #[test]
    fn an_animation_has_every_picture() {
        let folder = tempfile::tempdir().unwrap();
        for step in 0..3u8 {
            let image = Image {
                width: 2,
                height: 1,
                channels: 1,
                pixels: vec![step, 9],
            };
            write_png(
                &image,
                &folder.path().join(format!("step-000000{step}.png")),
            )
            .unwrap();
        }
        let out = folder.path().join("training.png");
        animate(&frames(folder.path()), &out).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&out).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 3);
        for step in 0..3u8 {
            let mut values = [0; 2];
            reader.next_frame(&mut values).unwrap();
            assert_eq!(values, [step, 9]);
        }
    }
}
