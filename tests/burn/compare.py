"""Compares unnoise with burn and with PyTorch: outputs, loss and gradients first, then times, interleaved. See README.md.

    python compare.py MODEL --unnoise UNNOISE --burn UNNOISE_BURN [--preset emoji-tiny] [--rounds 5] [--batch 1 16]

MODEL is a checkpoint folder, or `cifar10-32`: a network of that shape with random weights, written to the temporary folder.
Fails when something that should be equal is not, before anything is timed.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import torch
from diffusers import UNet2DModel
from safetensors.numpy import load_file, save_file

TORCH = pathlib.Path(__file__).parent.parent / "torch/bench.py"
CIFAR10_32 = {
    "sample_size": 32, "freq_shift": 1, "flip_sin_to_cos": False, "block_out_channels": [128, 256, 256, 256],
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 2, "downsample_padding": 0, "attention_head_dim": None, "norm_num_groups": 32, "norm_eps": 1e-6,
}
# An output's largest difference; a loss's and a gradient's relative one, the latter of norms.
OUTPUT, GRADIENT = 1e-4, 1e-3
# What is added to all logits of a softmax has no gradient but rounding.
ZERO = 1e-9


def run(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}")
    return done.stdout


def outputs(args, net, work):
    """Largest differences from PyTorch's f64 and between the two, of a batch of four."""
    rng = np.random.default_rng(0)
    shape = (4, net.config.in_channels, net.config.sample_size, net.config.sample_size)
    sample, target = rng.standard_normal((2, *shape), dtype=np.float32)
    timesteps = np.array([0, 17, 500, 999], dtype=np.int64)
    save_file({"sample": sample, "timesteps": timesteps}, work / "io.safetensors")
    save_file({"noisy": sample, "timesteps": timesteps, "target": target}, work / "batch.safetensors")
    net = net.double()
    output = net(torch.from_numpy(sample).double(), torch.from_numpy(timesteps)).sample
    loss = torch.nn.functional.mse_loss(output, torch.from_numpy(target).double())
    loss.backward()
    reference = {name: p.grad.numpy() for name, p in net.named_parameters()}
    output, loss = output.detach().numpy(), loss.item()

    run(args.unnoise, "predict", args.model, "--input", work / "io.safetensors", "--out", work / "unnoise.safetensors")
    run(args.burn, "predict", args.model, work / "io.safetensors", work / "burn.safetensors")
    ours, theirs = (load_file(work / f"{name}.safetensors")["output"] for name in ("unnoise", "burn"))
    apart = lambda a, b: float(np.abs(a - b).max())
    between = apart(ours, theirs)
    print(f"output (up to {np.abs(output).max():.2f}): unnoise and burn {between:.1e} apart; from PyTorch's f64 unnoise "
          f"{apart(ours, output):.1e}, burn {apart(theirs, output):.1e}")
    if not between <= OUTPUT:
        sys.exit(f"outputs are more than {OUTPUT} apart")
    if args.no_train:
        return

    run(args.unnoise, "gradients", args.model, "--batch", work / "batch.safetensors", "--out", work / "unnoise.safetensors")
    run(args.burn, "gradients", args.model, work / "batch.safetensors", work / "burn.safetensors")
    ours, theirs = (load_file(work / f"{name}.safetensors") for name in ("unnoise", "burn"))
    if not set(ours) == set(theirs) == {*reference, "loss"}:
        sys.exit("gradients of different parameters")
    losses = [float(side.pop("loss")[0]) for side in (ours, theirs)]
    off = lambda a, b: float(np.linalg.norm(a - b) / np.linalg.norm(b))
    named = [name for name, values in reference.items() if np.linalg.norm(values) > ZERO]
    worst = lambda a, b: max(off(a[name], b[name]) for name in named)
    between = worst(theirs, ours)
    print(f"loss: unnoise {losses[0]:.7f}, burn {losses[1]:.7f}, PyTorch's f64 {loss:.7f}")
    print(f"gradients of {len(named)} parameters (of {len(reference)}, the others have none), worst relative norm: unnoise and burn "
          f"{between:.1e} apart; from PyTorch's f64 unnoise {worst(ours, reference):.1e}, burn {worst(theirs, reference):.1e}")
    if not max(between, abs(losses[1] / losses[0] - 1)) <= GRADIENT:
        sys.exit(f"losses or gradients are more than {GRADIENT} apart")


def times(args):
    cases = [(f"evaluation, batch {n}", n, False) for n in args.batch]
    cases += [] if args.no_train else [("training step, batch 16", 16, True)]
    found = {}
    for turn in range(args.rounds):
        for name, batch, train in cases:
            ours = ["--train", "--preset", args.preset] if train else [args.model]
            commands = {
                "unnoise": [args.unnoise, "bench", *ours, "--batch", batch, "--json"],
                "burn": [args.burn, "bench-train" if train else "bench", args.model, batch, args.seconds],
                "PyTorch": [
                    sys.executable, TORCH, args.model, "--batch", batch, "--seconds", args.seconds, *["--train"] * train,
                ],
            }
            for who, command in commands.items():
                line = json.loads(run(*command).splitlines()[-1])
                found.setdefault((name, who), []).append(line)
                print(f"{turn + 1}/{args.rounds} {name}, {who}: {json.dumps(line)}", flush=True)
    print("\n| | unnoise: ms (CPU ms) | burn | PyTorch CPU | burn / unnoise, CPU time | PyTorch / unnoise, CPU time |")
    print("|---|---|---|---|---|---|")
    for name, _, _ in cases:
        cells = []
        for who in ("unnoise", "burn", "PyTorch"):
            wall, cpu = ([line[key] for line in found[name, who]] for key in ("ms", "cpu_ms"))
            cells.append(f"{statistics.median(wall):.4g} ({statistics.median(cpu):.4g}; {min(cpu):.4g} to {max(cpu):.4g})")
        for who in ("burn", "PyTorch"):
            ratios = [a["cpu_ms"] / b["cpu_ms"] for a, b in zip(found[name, who], found[name, "unnoise"])]
            cells.append(f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})")
        print(f"| {name} | {' | '.join(cells)} |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", type=pathlib.Path)
    arguments.add_argument("--unnoise", required=True)
    arguments.add_argument("--burn", required=True)
    arguments.add_argument("--preset", default="emoji-tiny", help="the preset whose network MODEL has, for training steps")
    arguments.add_argument("--no-train", action="store_true")
    arguments.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=5)
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if str(args.model) == "cifar10-32":
            torch.manual_seed(0)
            args.model = work / "model"
            UNet2DModel(**CIFAR10_32).save_pretrained(args.model / "unet")
        folder = args.model / "unet" if (args.model / "unet").is_dir() else args.model
        outputs(args, UNet2DModel.from_pretrained(folder, torch_dtype=torch.float32), work)
        times(args)


main()
