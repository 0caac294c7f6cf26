"""Exports a trained run as ONNX with postprocessing and compares its answers in ONNX Runtime with those of `trainer predict`.

    pip install onnxruntime==1.32.0 numpy pillow
    python scripts/check_onnx_run.py target/release/trainer RUN PICTURE...

The pictures must have the size that the run's network sees, so that nothing is resized on either side. Classes, masks and
boxes must agree: probabilities and scores within 1e-4, corners within 0.01 pixels, of a mask's pixels all but those where two
classes are equally likely (0.1 % at most). The exit code is 1 where they do not.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from PIL import Image


def picture(path, channels):
    values = np.asarray(Image.open(path).convert("L" if channels == 1 else "RGB"), np.float32) / 255
    return values[None] if channels == 1 else values.transpose(2, 0, 1)


def main():
    trainer, run, *pictures = sys.argv[1:]
    trainer = str(pathlib.Path(trainer).resolve())
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/model.onnx"
        subprocess.run([trainer, "export", run, "--out", file, "--with", "postprocessing"], check=True, stdout=subprocess.DEVNULL)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        about = session.get_modelmeta().custom_metadata_map
        names = json.loads(about["classes"])
        mean, std = (np.array(json.loads(about[key]), np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
        inputs = np.stack([(picture(path, len(mean)) - mean) / std for path in pictures])
        expected = tuple(json.loads(about[key]) for key in ("channels", "height", "width"))
        assert inputs.shape[1:] == expected, f"the network sees {expected}, the pictures have {inputs.shape[1:]}"
        outputs = dict(zip([value.name for value in session.get_outputs()], session.run(None, {"input": inputs})))
        command = [trainer, "predict", run, *pictures, "--json"]
        if about["task"] != "classification":
            command += ["--out", f"{folder}/drawn"]
        else:
            command += ["--top", str(len(names))]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        worst = 0.0
        for at, answer in enumerate(told):
            if about["task"] == "classification":
                mine = dict(zip(names, outputs["probabilities"][at]))
                assert max(mine, key=mine.get) == answer["classes"][0], answer["file"]
                worst = max([worst, *(abs(mine[name] - score) for name, score in zip(answer["classes"], answer["scores"]))])
                assert worst <= 1e-4, f"{answer['file']}: probabilities differ by {worst}"
            elif about["task"] == "segmentation":
                mask = np.asarray(Image.open(answer["mask"]))
                different = float((mask != outputs["classes"][at, 0]).mean())
                worst = max(worst, different)
                assert worst <= 1e-3, f"{answer['file']}: {worst:.2%} of the pixels differ"
            else:
                count = int((outputs["labels"][at] >= 0).sum())
                assert count == len(answer["boxes"]), f"{answer['file']}: {count} boxes, not {len(answer['boxes'])}"
                mine = [names[label] for label in outputs["labels"][at, :count]]
                assert mine == [str(label) for label in answer["labels"]], answer["file"]
                for theirs, ours, limit in (("boxes", "boxes", 1e-2), ("scores", "scores", 1e-4)):
                    difference = np.abs(np.array(answer[theirs]) - outputs[ours][at, :count]).max(initial=0.0)
                    worst = max(worst, float(difference))
                    assert difference <= limit, f"{answer['file']}: {ours} differ by {difference}"
        print(f"{about['task']}, {about['model']}: {len(told)} pictures agree, largest difference {worst:.1e}")


main()
