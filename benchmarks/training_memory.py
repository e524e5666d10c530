"""Peak memory of a rank in training, planned and measured, for every scheme over sequence lengths and degrees.

Started by scripts/bench training-memory. Runs `tsp compare --mode train` on a scaled-down reference of the TSP paper for
each length and degree, and arranges what it writes: one step is really run, and the bytes it touched are counted.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

MIB = 1 << 20


def run(options, degree, seq):
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "compare.json"
        command = [options.tsp, "compare", "--mode", "train", "--preset", options.preset, "--dtype", "bf16"]
        command += ["--degree", str(degree), "--seq", str(seq), "--repeat", "1", "--json", str(result)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads(result.read_text())["schemes"]


def show_totals(degree, runs):
    print(f"\nDegree {degree}: MiB of the rank that has most, planned (measured), and how many times tsp's")
    print(f"{'scheme':<14}" + "".join(f"{'S=' + str(seq):>28}" for seq in runs))
    for scheme in names(runs):
        cells = []
        for schemes in runs.values():
            row, tsp = find(schemes, scheme), find(schemes, "tsp")
            if row["status"] != "ok":
                cells.append(row["status"])
                continue
            planned, measured = row["plannedPeakBytes"] / MIB, row["measuredPeakBytes"] / MIB
            cells.append(f"{planned:.1f} ({measured:.1f})  {row['plannedPeakBytes'] / tsp['plannedPeakBytes']:.2f}x")
        print(f"{scheme:<14}" + "".join(f"{cell:>28}" for cell in cells))


def show_classes(degree, seq, schemes):
    classes = sorted({name for row in schemes for name in row.get("bytesByClass") or {}})
    print(f"\nDegree {degree}, S={seq}: planned MiB by class")
    print(f"{'scheme':<14}" + "".join(f"{name:>15}" for name in classes))
    for row in schemes:
        if row["status"] == "ok":
            cells = [row["bytesByClass"].get(name, 0) / MIB for name in classes]
            print(f"{row['scheme']:<14}" + "".join(f"{cell:>15.1f}" for cell in cells))


def names(runs):
    return [row["scheme"] for row in next(iter(runs.values()))]


def find(schemes, name):
    return next(row for row in schemes if row["scheme"] == name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tsp", required=True, help="scripts/tsp")
    parser.add_argument("--preset", default="tsp-34m")
    parser.add_argument("--degrees", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--seqs", type=int, nargs="+", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works")
    parser.add_argument("--json", help="where to write all of it")
    parser.add_argument("--fact", action="append", default=[], metavar="NAME=VALUE", help="goes into the JSON as it is")
    options = parser.parse_args()
    if options.quick:
        options.preset, options.degrees, options.seqs = "tiny", [2], [64, 128]
    print(f"{options.preset} in training, bf16, recompute selective, one sequence")
    results = []
    for degree in options.degrees:
        runs = {seq: run(options, degree, seq) for seq in options.seqs}
        show_totals(degree, runs)
        for seq in (options.seqs[0], options.seqs[-1]):
            show_classes(degree, seq, runs[seq])
        results += [{"degree": degree, "seq": seq, "schemes": schemes} for seq, schemes in runs.items()]
    if options.json:
        facts = dict(fact.split("=", 1) for fact in options.fact)
        head = {"schemaVersion": 1, "theme": "training-memory", **facts}
        Path(options.json).write_text(json.dumps({**head, "results": results}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
