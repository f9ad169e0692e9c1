"""Repeats a training run of unnoise in PyTorch and diffusers, draw for draw, and compares the loss curves.

    pip install torch diffusers safetensors numpy
    unnoise train --data cifar-16.npz … --out RUN             see docs/training.md for the whole command
    python train_parity.py RUN cifar-16.npz [--steps 1500] [--plot curves.svg]

The same pictures, timesteps, noise, flips and initial weights (draws.py), the same AdamW, learning rate and clipping, so
the two curves are one curve but for rounding: what is compared is the smoothed loss (mean of the last 100 steps).
"""
import argparse
import json
import math
import pathlib
import time
import tomllib

import draws
import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DModel


def learning_rate(config, step):
    base, warm, total = config["optimizer"]["lr"], config["lr"]["warmup_steps"], config["training"]["max_steps"]
    kind = config["lr"]["scheduler"]
    if kind == "constant":
        return base
    if step < warm:
        return base * step / warm
    progress = (step - warm) / max(1, total - warm)
    return base * {"constant_with_warmup": 1.0, "linear": 1 - progress, "cosine": 0.5 * (1 + math.cos(math.pi * progress))}[kind]


def initialise(net, seed):
    modules = dict(net.named_modules())
    for name, parameter in net.named_parameters():
        module = modules[name.rpartition(".")[0]]
        if isinstance(module, torch.nn.GroupNorm):
            continue  # 1 and 0
        fan_in = module.weight[0].numel()
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(draws.initial(name, tuple(parameter.shape), fan_in, seed)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=pathlib.Path)
    arguments.add_argument("data")
    arguments.add_argument("--steps", type=int)
    arguments.add_argument("--plot", type=pathlib.Path)
    args = arguments.parse_args()

    config = tomllib.loads((args.run / "config.toml").read_text())
    theirs = {row["step"]: row for row in map(json.loads, (args.run / "metrics.jsonl").read_text().splitlines())}
    checkpoint = (args.run / "latest").read_text().strip()
    network = json.loads((args.run / checkpoint / "unet/config.json").read_text())
    scheduler = DDPMScheduler.from_pretrained(args.run / checkpoint / "scheduler")
    training, optimizer = config["training"], config["optimizer"]
    seed, batch = training["seed"], training["batch_size"]
    if training["gradient_accumulation_steps"] != 1 or config["model"]["dropout"] > 0:
        raise SystemExit("runs with gradient accumulation or dropout are not repeated by this script")

    pictures = np.load(args.data)
    if args.data.endswith(".npz"):
        pictures = next(array for array in pictures.values() if array.ndim > 2)
    x_0 = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    net = UNet2DModel.from_config(network).train()
    initialise(net, seed)
    adamw = torch.optim.AdamW(
        net.parameters(), lr=optimizer["lr"], betas=(optimizer["beta1"], optimizer["beta2"]), eps=optimizer["eps"],
        weight_decay=optimizer["weight_decay"],
    )
    order = draws.Order(seed, len(x_0), batch)
    steps = min(args.steps or max(theirs), max(theirs))
    mine, began = [], time.time()
    for step in range(steps):
        clean = x_0[order.step(step)]
        if config["data"]["random_flip"]:
            mirrored = torch.from_numpy(draws.flips(seed, step, batch))
            clean = torch.where(mirrored[:, None, None, None], clean.flip(3), clean)
        t = torch.from_numpy(draws.timesteps(seed, step, batch, scheduler.config.num_train_timesteps))
        eps = torch.from_numpy(draws.noise(seed, step, batch, *clean.shape[1:]))
        noisy = scheduler.add_noise(clean, eps, t)
        for group in adamw.param_groups:
            group["lr"] = learning_rate(config, step)
        loss = torch.nn.functional.mse_loss(net(noisy, t).sample, eps)
        adamw.zero_grad()
        loss.backward()
        if optimizer["max_grad_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(net.parameters(), optimizer["max_grad_norm"])
        adamw.step()
        mine.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: torch {np.mean(mine[-100:]):.5f}  {(time.time() - began) / (step + 1):.2f} s/step", flush=True)

    logged = [step for step in range(1, steps + 1) if step in theirs and theirs[step]["loss"] is not None]
    ours = np.array([theirs[step]["loss"] for step in logged])
    other = np.array([mine[step - 1] for step in logged])
    window = max(1, 100 * len(logged) // steps)
    mean = lambda values: np.convolve(values, np.ones(window) / window, "valid")
    at, a, b = np.array(logged)[window - 1:], mean(ours), mean(other)
    apart = np.abs(a / b - 1)
    print(f"first step: unnoise {ours[0]:.7f}, torch {other[0]:.7f}")
    late = apart[at >= 500]
    print(f"smoothed losses apart: at most {apart.max():.4%}, from step 500 on {late.max() if len(late) else float('nan'):.4%}")
    if args.plot:
        plot(args.plot, at, a, b)


def plot(path, at, ours, other):
    """Both curves as a small SVG, log scale."""
    width, height, left, bottom = 720, 300, 60, 30
    low, high = math.log(min(ours.min(), other.min())), math.log(max(ours.max(), other.max()))
    x = lambda step: left + (step - at[0]) / (at[-1] - at[0]) * (width - left - 10)
    y = lambda loss: height - bottom - (math.log(loss) - low) / (high - low) * (height - bottom - 10)
    line = lambda values: " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(at[::4], values[::4]))
    ticks = "".join(
        f'<text x="8" y="{y(v) + 4:.0f}">{v:.3g}</text><path d="M{left} {y(v):.0f}H{width - 10}" stroke="#ddd"/>'
        for v in np.exp(np.linspace(low, high, 5))
    ) + "".join(f'<text x="{x(s) - 14:.0f}" y="{height - 8}">{s}</text>' for s in np.linspace(at[0], at[-1], 6).astype(int))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{ticks}'
        f'<polyline points="{line(other)}" fill="none" stroke="#0b6e8f" stroke-width="4" opacity=".5"/>'
        f'<polyline points="{line(ours)}" fill="none" stroke="#b8420f" stroke-width="1.5"/>'
        f'<text x="{width - 240}" y="24" fill="#0b6e8f">PyTorch (wide)</text>'
        f'<text x="{width - 120}" y="24" fill="#b8420f">unnoise (narrow)</text></svg>\n'
    )


main()
