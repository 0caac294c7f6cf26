//! Writes sample run folders and their reports, to look at the pages without training:
//! `cargo run -p firesight-report --example sample_run -- FOLDER`.

mod generate;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("name the folder to write")?);
    let digits = out.join("digits-lenet-1");
    generate::classifier(&digits, &generate::Plan::digits())?;
    let faster = generate::Plan {
        rate: 0.02,
        seed: 7,
        ..generate::Plan::digits()
    };
    generate::classifier(&out.join("digits-lenet-2"), &faster)?;
    let many = generate::Plan {
        classes: 100,
        images: 45_000,
        ..generate::Plan::digits()
    };
    generate::classifier(&out.join("cifar100-resnet20-1"), &many)?;
    generate::unfinished(&out.join("digits-lenet-3"))?;
    generate::detector(&out.join("scenes-retinanet-1"))?;
    let mut runs = Vec::new();
    for name in [
        "digits-lenet-1",
        "digits-lenet-2",
        "cifar100-resnet20-1",
        "digits-lenet-3",
        "scenes-retinanet-1",
    ] {
        let run = out.join(name);
        println!("{}", firesight_report::write(&run)?.display());
        runs.push(run);
    }
    let compared = firesight_report::compare(
        &[runs[0].clone(), runs[1].clone(), runs[3].clone()],
        &out.join("compare.html"),
    )?;
    println!("{}\n\n{}", compared.path.display(), compared.text);
    Ok(())
}
