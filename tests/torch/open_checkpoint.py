"""Opens a checkpoint that unnoise trained in diffusers: its weights are the file's, every average opens, and both sample the same
pictures from the same noise.

    pip install torch diffusers safetensors numpy
    python open_checkpoint.py RUN_OR_MODEL [--unnoise target/release/unnoise] [--steps 20]
"""
import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel
from safetensors.numpy import load_file, save_file

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("model", type=pathlib.Path)
arguments.add_argument("--unnoise", default="unnoise")
arguments.add_argument("--steps", type=int, default=20)
args = arguments.parse_args()

folder = args.model
if (folder / "latest").exists():
    folder = folder / (folder / "latest").read_text().strip()
pipeline = DDPMPipeline.from_pretrained(folder)
unet = pipeline.unet.eval()
stored = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
loaded = {name: value.numpy() for name, value in unet.state_dict().items()}
assert stored.keys() == loaded.keys(), stored.keys() ^ loaded.keys()
assert all(np.array_equal(stored[name].astype(np.float32), loaded[name]) for name in stored)
for other in sorted(folder.glob("unet_*")):
    UNet2DModel.from_pretrained(other)
    print(f"{other.name}: opens")
scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
h, w = (unet.config.sample_size,) * 2 if isinstance(unet.config.sample_size, int) else unet.config.sample_size
x_t = np.random.default_rng(0).standard_normal((4, unet.config.in_channels, h, w)).astype(np.float32)

x = torch.from_numpy(x_t)
scheduler.set_timesteps(args.steps)
with torch.no_grad():
    for t in scheduler.timesteps:
        x = scheduler.step(unet(x, t).sample, t, x).prev_sample

with tempfile.TemporaryDirectory() as scratch:
    noise, out = f"{scratch}/x_T.safetensors", f"{scratch}/x_0.safetensors"
    save_file({"x_T": x_t}, noise)
    command = [args.unnoise, "sample", str(args.model), "--sampler", "ddim", "--steps", str(args.steps)]
    subprocess.run([*command, "--noise", noise, "--out", out], check=True, stdout=subprocess.DEVNULL)
    ours = load_file(out)["x_0"]

to_8_bits = lambda v: np.round((np.clip(v / 2 + 0.5, 0, 1)) * 255)
apart = np.abs(to_8_bits(ours) - to_8_bits(x.numpy()))
print(f"{folder}: {sum(p.numel() for p in unet.parameters()):,} parameters opened by diffusers")
print(f"x_0 apart: at most {np.abs(ours - x.numpy()).max():.1e}; of {apart.size} 8-bit values {int((apart > 0).sum())} differ, by at most {int(apart.max())}")
raise SystemExit(0 if (apart <= 1).mean() >= 0.999 and apart.max() <= 3 else 1)
