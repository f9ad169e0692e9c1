"""Times the benchmarks' networks in PyTorch on a CUDA GPU, for `scripts/gpu-check.sh`: needs torch and nothing else.

    python tests/torch/gpu_bench.py --unnoise PATH [--seconds N] [--small]

First the outputs are compared with unnoise's; a network that differs is not timed. Then come an evaluation in f32 (TF32 off), TF32
and bf16, a training step (forward, mean squared error, backward, AdamW), and at the end, since each takes a minute to
compile, the evaluations of cifar10-32 compiled. Nothing is begun after --seconds. Prints a line of JSON for each: what, with,
ms (the median), ms_best, runs.
"""
import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from unet import load, open_network, save

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--unnoise", required=True)
arguments.add_argument("--seconds", type=float, default=600.0)
arguments.add_argument("--small", action="store_true")
args = arguments.parse_args()
began = time.monotonic()
device = "cuda" if torch.cuda.is_available() else "cpu"
# cuDNN tries its algorithms during the first runs and keeps the fastest, as anyone who measures would let it.
torch.backends.cudnn.benchmark = True


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def measure(run, seconds=1.0):
    for _ in range(2):
        run()
    wait()
    laps, start = [], time.perf_counter()
    while len(laps) < 3 or time.perf_counter() - start < seconds:
        lap = time.perf_counter()
        run()
        wait()
        laps.append((time.perf_counter() - lap) * 1e3)
    return {"ms": round(statistics.median(laps), 3), "ms_best": round(min(laps), 3), "runs": len(laps)}


def tell(what, how, run):
    if time.monotonic() - began > args.seconds:
        print(f"{what} {how}: no time was left", file=sys.stderr)
        return
    try:
        print(json.dumps({"what": what, "with": f"PyTorch {torch.__version__} {device} {how}", **measure(run)}), flush=True)
    except Exception as error:  # out of memory, no compiler on this machine: the others are still worth having
        print(f"{what} {how}: {str(error).splitlines()[0][:200]}", file=sys.stderr)
        if device == "cuda":
            torch.cuda.empty_cache()


def tf32(on):
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def inputs(config, batch):
    size = config["sample_size"]
    h, w = (size, size) if isinstance(size, int) else size
    sample = torch.randn(batch, config["in_channels"], h, w, generator=torch.Generator().manual_seed(0))
    return sample, torch.arange(batch) * 61 % 1000


def same(folder, net, config, scratch):
    """Whether unnoise and PyTorch in f32 give the same output: within 1e-4 of its largest value, as the tests ask."""
    sample, timesteps = inputs(config, 1)
    save(f"{scratch}/io.safetensors", {"sample": sample, "timesteps": timesteps})
    command = [args.unnoise, "predict", folder, "--input", f"{scratch}/io.safetensors", "--out", f"{scratch}/out.safetensors"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ours = load(f"{scratch}/out.safetensors")["output"]
    tf32(False)
    with torch.inference_mode():
        theirs = net(sample.to(device), timesteps.to(device)).cpu()
    apart = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    print(f"{folder}: outputs {apart:.1e} of the largest apart", file=sys.stderr)
    return apart <= 1e-4


WAYS = [("fp32", torch.float32, False), ("tf32", torch.float32, True), ("bf16", torch.bfloat16, True)]


def evaluations(name, net, config, batches, compiled=False):
    for batch in batches:
        sample, timesteps = (t.to(device) for t in inputs(config, batch))
        for how, dtype, fast in WAYS:
            tf32(fast)
            run = torch.compile(net) if compiled else net

            def evaluate():
                cast = torch.autocast(device, dtype) if dtype != torch.float32 else contextlib.nullcontext()
                with torch.inference_mode(), cast:
                    run(sample, timesteps)

            tell(f"{name} batch {batch}", f"{how} {'compiled' if compiled else 'eager'}", evaluate)


def training(name, net, config, batches):
    for batch in batches:
        sample, timesteps = (t.to(device) for t in inputs(config, batch))
        target = torch.randn_like(sample)
        adamw = torch.optim.AdamW(net.parameters(), lr=2e-4, fused=device == "cuda")

        def step():
            adamw.zero_grad()
            torch.nn.functional.mse_loss(net(sample, timesteps), target).backward()
            adamw.step()

        for how, fast in [("fp32", False), ("tf32", True)]:
            tf32(fast)
            tell(f"train {name} batch {batch}", f"{how} eager", step)


tf32(False)
with tempfile.TemporaryDirectory() as scratch:
    # 128 pictures of 256x256 keep a GPU busy for seconds each time.
    networks = [("emoji-16", "www/models/emoji-16", [1] if args.small else [1, 16, 128])]
    for name, batches in [] if args.small else [("cifar10-32", [1, 16, 128]), ("celebahq-256", [1, 16])]:
        folder = f"{scratch}/{name}"
        command = [args.unnoise, "bench", "--json", "--network", name, "--write-model", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        networks.append((name, folder, batches))
    cifar10 = None
    for name, folder, batches in networks:
        net, config = open_network(folder)
        net.to(device)
        if not same(folder, net, config, scratch):
            print(f"{name}: not timed, since the outputs differ", file=sys.stderr)
            continue
        evaluations(name, net, config, batches)
        if name == "cifar10-32":
            training("cifar10", net, config, [16, 128])
            cifar10 = net, config
    if cifar10 and device == "cuda":
        evaluations("cifar10-32", *cifar10, [128, 1], compiled=True)
