"""Times diffusers' UNet2DModel in PyTorch on the CPU: one evaluation, or one training step (forward, mse, backward, AdamW).

    pip install torch diffusers safetensors
    python bench.py MODEL [--batch 16] [--train] [--seconds 5]

Prints one line of JSON with the names of `unnoise bench --json`: medians of milliseconds by the clock, and the process's CPU time.
"""
import argparse
import json
import pathlib
import statistics
import time

import torch
from diffusers import UNet2DModel


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", type=pathlib.Path)
    arguments.add_argument("--batch", type=int, default=1)
    arguments.add_argument("--train", action="store_true")
    arguments.add_argument("--seconds", type=float, default=5)
    args = arguments.parse_args()

    folder = args.model / "unet" if (args.model / "unet").is_dir() else args.model
    began = time.perf_counter()
    net = UNet2DModel.from_pretrained(folder, torch_dtype=torch.float32).train(args.train)
    size = net.config.sample_size
    shape = (args.batch, net.config.in_channels, size, size)
    sample, target = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    timesteps = torch.arange(args.batch) * 61 % 1000
    adamw = torch.optim.AdamW(net.parameters(), lr=6e-4, weight_decay=0.0)

    def evaluate():
        with torch.inference_mode():
            net(sample, timesteps).sample

    def step():
        adamw.zero_grad()
        torch.nn.functional.mse_loss(net(sample, timesteps).sample, target).backward()
        adamw.step()

    run = step if args.train else evaluate
    run()
    first = time.perf_counter() - began
    warm = time.perf_counter()
    for _ in range(20):
        run()
        if time.perf_counter() - warm > args.seconds:
            break

    laps, began, cpu = [], time.perf_counter(), time.process_time()
    while len(laps) < 3 or time.perf_counter() - began < args.seconds:
        lap = time.perf_counter()
        run()
        laps.append((time.perf_counter() - lap) * 1e3)
    cpu = (time.process_time() - cpu) * 1e3 / len(laps)
    print(json.dumps({
        "what": "step" if args.train else "evaluation", "torch": torch.__version__, "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in net.parameters()), "batch": args.batch, "ms": statistics.median(laps),
        "ms_best": min(laps), "runs": len(laps), "cpu_ms": cpu, "first_ms": first * 1e3,
    }))


main()
