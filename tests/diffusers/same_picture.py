"""A checkpoint of ours in diffusers: it opens, holds the same numbers, and draws the same picture.

    unnoise sample CHECKPOINT --sampler ddim --steps 50 --noise noise.safetensors --out ours.safetensors
    python same_picture.py CHECKPOINT noise.safetensors ours.safetensors

Makes noise.safetensors first where there is none (then call it again with what unnoise drew). Needs
torch, diffusers and safetensors. Exits with 1 where a picture differs by more than 1 of 255 in 0.1 % of
its values.
"""
import pathlib
import sys

import torch
from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel
from safetensors.torch import load_file, save_file

folder, noise_file, ours_file = map(pathlib.Path, sys.argv[1:])
pipeline = DDPMPipeline.from_pretrained(folder)
unet = pipeline.unet.eval()
print(f"{folder}: {type(unet).__name__}, {type(pipeline.scheduler).__name__}, "
      f"{sum(p.numel() for p in unet.parameters())} parameters")

stored = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
loaded = unet.state_dict()
assert stored.keys() == loaded.keys(), stored.keys() ^ loaded.keys()
assert all(torch.equal(stored[name].float(), loaded[name]) for name in stored)
for other in sorted(folder.glob("unet_*")):
    UNet2DModel.from_pretrained(other)
    print(f"{other.name}: opens")

if not noise_file.exists():
    side = unet.config.sample_size
    h, w = (side, side) if isinstance(side, int) else side
    x_T = torch.randn(4, unet.config.in_channels, h, w, generator=torch.Generator().manual_seed(0))
    save_file({"x_T": x_T}, noise_file)
    sys.exit(f"{noise_file} is made; draw from it with unnoise, and call this again")

scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
scheduler.set_timesteps(50)
x = load_file(noise_file)["x_T"]
with torch.no_grad():
    for t in scheduler.timesteps:
        x = scheduler.step(unet(x, t).sample, t, x, eta=0.0).prev_sample
ours = load_file(ours_file)["x_0"]


def bytes_of(x):
    return ((x / 2 + 0.5).clamp(0, 1) * 255).round()


apart = (bytes_of(x) - bytes_of(ours)).abs()
share = (apart > 1).float().mean().item()
print(f"x_0 at most {(x - ours).abs().max():.2e} apart; {share:.4%} of the bytes by more than 1")
sys.exit(share > 0.001)
