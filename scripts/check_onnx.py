"""Runs the ONNX files that `crates/onnx/examples/onnx_zoo.rs` writes in ONNX Runtime and compares.

    pip install onnx==1.23.2 onnxruntime==1.32.0 safetensors numpy
    cargo run --release -p firesight-onnx --example onnx_zoo -- OUT
    python scripts/check_onnx.py OUT [--table docs/onnx-zoo.md]

Each file must pass `onnx.checker` with shape inference, and each output must be within 1e-4 of its spread (largest minus
smallest value) of this program's, at every number of samples that the reference holds. Prints a line for each model; the
exit code is 1 where one differs.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

TOLERANCE = 1e-4


def compare(path):
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    reference = load_file(path.with_suffix("").with_suffix(".reference.safetensors"))
    worst = 0.0
    samples = sorted({key.split(".")[1] for key in reference if key.startswith("input.")})
    spreads = {}
    for key, value in reference.items():
        if key.startswith("output."):
            name = key.split(".", 2)[2]
            spreads[name] = max(spreads.get(name, 0.0), float(value.max() - value.min()))
    for count in samples:
        inputs = {value.name: reference[f"input.{count}.{value.name}"] for value in session.get_inputs()}
        names = [value.name for value in session.get_outputs()]
        for name, got in zip(names, session.run(names, inputs)):
            expected = reference[f"output.{count}.{name}"]
            assert got.shape == expected.shape, f"{name}: {got.shape}, not {expected.shape}"
            assert np.isfinite(expected).all() and spreads[name] > 0, f"{name}: nothing to compare with"
            worst = max(worst, float(np.abs(got - expected).max()) / spreads[name])
    return worst


def table(results):
    lines = ["| Task | Model | Operators | File, MB | Difference / spread |", "|---|---|---:|---:|---:|"]
    order = ["classification", "segmentation", "detection", "generation"]
    for name, row in sorted(results.items(), key=lambda item: (order.index(item[1]["task"]), item[0])):
        size = f"{row['bytes'] / 1e6:.1f}"
        lines.append(f"| {row['task']} | `{name}` | {row['operators']} | {size} | {row['outcome']} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--discard", action="store_true", help="remove each model when it is done; results stay")
    parser.add_argument("--table", type=pathlib.Path, help="write all results in the folder as a table")
    arguments = parser.parse_args()
    stored = arguments.folder / "results.json"
    results = json.loads(stored.read_text()) if stored.exists() else {}
    failed = 0
    for path in sorted(arguments.folder.glob("*.onnx")):
        model = onnx.load(str(path), load_external_data=False)
        about = {entry.key: entry.value for entry in model.metadata_props}
        try:
            worst = compare(path)
            right, words = worst <= TOLERANCE, f"{worst:.1e}"
        except Exception as error:
            right, words = False, str(error).splitlines()[0][:200]
        failed += not right
        print(f"{'ok  ' if right else 'FAIL'} {path.stem}: {words}", flush=True)
        parts = [path, path.with_name(path.name + ".data")]
        size = sum(part.stat().st_size for part in parts if part.exists())
        results[path.stem] = {"task": about["task"], "operators": len(model.graph.node), "bytes": size, "outcome": words}
        stored.write_text(json.dumps(results, indent=1))
        if arguments.discard:
            for part in [*parts, path.with_suffix(".reference.safetensors")]:
                part.unlink(missing_ok=True)
    print(f"{failed} differ by more than {TOLERANCE} of the spread")
    if arguments.table:
        arguments.table.write_text(table(results))
    sys.exit(bool(failed))


main()
