"""What this machine can do at best: multiplications and additions, reads by size.

    python benchmarks/roofline.py            a table for 1 thread and for all of torch's
    python benchmarks/roofline.py --json     one object for each number of threads

Arithmetic and reads are compiled loops (``charlm/model/native/probes.h``); torch's own product and
sum stand beside them.  Figures are medians over short measurements.
"""

import argparse
import json

import torch

from charlm.model import native
from charlm.model.limits import READ_SIZES, measure_limits, median_seconds

GIGA = 1e9


def by_torch(threads: int, rounds: int) -> dict[str, float]:
    """Rates of torch's own product and sum: FLOP and bytes per second."""
    torch.set_num_threads(threads)
    a = torch.ones(1024, 1024)
    rates = {"mm": 2 * 1024**3 / median_seconds(lambda: a @ a, rounds)}
    for size in READ_SIZES:
        matrix, vector = torch.ones(size // 2048, 512), torch.ones(512)
        rates[f"sum {size}"] = size / median_seconds(matrix.sum, rounds)
        rates[f"mv {size}"] = size / median_seconds(lambda m=matrix, v=vector: m @ v, rounds)
    return rates


def measure(threads: int, rounds: int) -> dict[str, float]:
    """GFLOP/s of products and GB/s of reads, ours and torch's."""
    limits = measure_limits(threads, rounds)
    rates = {"products": limits.products} | {f"read {n}": r for n, r in limits.reads.items()}
    return {name: rate / GIGA for name, rate in (rates | by_torch(threads, rounds)).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=51)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, torch.get_num_threads()])
    options = parser.parse_args()
    if not options.json:
        print(f"{native.status()}; GFLOP/s, GB/s by size")
    for threads in dict.fromkeys(options.threads):
        rates = measure(threads, options.rounds)
        if options.json:
            print(json.dumps({"threads": threads} | rates), flush=True)
            continue
        print(f"{threads} threads   products {rates['products']:.0f}, torch.mm {rates['mm']:.0f}")
        for size in READ_SIZES:
            read, added, product = (rates[f"{way} {size}"] for way in ("read", "sum", "mv"))
            print(
                f"  {size / 2**20:>6g} MiB   read {read:>6.1f}   torch.sum {added:>6.1f}"
                f"   torch.mv {product:>6.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
