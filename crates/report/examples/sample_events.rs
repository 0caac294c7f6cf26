//! Writes the event files that `scripts/check_tensorboard.py` checks: a session that is killed in
//! the middle of a record after step 6, and one resumed after step 4.

use std::{io::Write, path::PathBuf};

use firesight_report::events::EventWriter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("name the folder to write")?);
    std::fs::create_dir_all(&out)?;
    let mut events = EventWriter::create(&out)?;
    events.text(
        "recipe",
        0,
        "seed = 42\n# *stars* and <b>tags</b>\n[data]\nsource = { digits = {} }\n",
    )?;
    for step in 1..=6 {
        events.scalar("train/loss", step, 1.0 / step as f64)?;
        if step == 4 {
            events.image("preview/epoch 1", step, &picture()?)?;
        }
    }
    std::fs::OpenOptions::new()
        .append(true)
        .open(events.path())?
        .write_all(&[42, 0, 0])?;

    let mut events = EventWriter::resume(&out, 4)?;
    for step in 5..=8 {
        events.scalar("train/loss", step, 10.0 / step as f64)?;
    }
    Ok(())
}

/// 3 by 2 pixels as a PNG file.
fn picture() -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
    encoder.set_color(png::ColorType::Rgb);
    let pixels: Vec<u8> = (0..6).flat_map(|i| [40 * i, 255 - 40 * i, 7]).collect();
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(bytes)
}
