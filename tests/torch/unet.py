"""diffusers' UNet2DModel in plain PyTorch, for machines that have torch and not diffusers: the parts that DDPM's networks use
(plain and attention blocks, convolutions for resampling, a positional time embedding). Module names are diffusers', so that
its weights load as they are; what it does not know it refuses.

    python tests/torch/unet.py tests/fixtures/unets/cifar10-like     compares with the outputs that diffusers gave
"""
import json
import math
import pathlib
import struct
import sys

import torch
from torch import nn
from torch.nn import functional as F

DTYPES = {"F32": torch.float32, "F16": torch.float16, "F64": torch.float64, "I64": torch.int64, "I32": torch.int32}


def load(path):
    """The tensors of a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[8 + length + start : 8 + length + end]), dtype=DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def save(path, tensors):
    """Writes f32 and i64 tensors as a safetensors file."""
    names = {torch.float32: "F32", torch.int64: "I64"}
    header, parts, at = {}, [], 0
    for name, tensor in tensors.items():
        part = bytes(tensor.contiguous().view(torch.uint8).flatten().tolist()) if tensor.numel() else b""
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


class Resnet(nn.Module):
    def __init__(self, c_in, c_out, temb, groups, eps):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, c_in, eps), nn.Conv2d(c_in, c_out, 3, padding=1)
        self.time_emb_proj = nn.Linear(temb, c_out)
        self.norm2, self.conv2 = nn.GroupNorm(groups, c_out, eps), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else None

    def forward(self, x, temb):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time_emb_proj(F.silu(temb))[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    def __init__(self, channels, head_dim, groups, eps):
        super().__init__()
        self.heads = channels // head_dim if head_dim else 1
        self.group_norm = nn.GroupNorm(groups, channels, eps)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x):
        n, c, h, w = x.shape
        tokens = self.group_norm(x).flatten(2).transpose(1, 2)
        split = lambda t: t.view(n, h * w, self.heads, -1).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(*(split(m(tokens)) for m in (self.to_q, self.to_k, self.to_v)))
        out = self.to_out[0](mixed.transpose(1, 2).reshape(n, h * w, c))
        return x + out.transpose(1, 2).view(n, c, h, w)


class Downsample(nn.Module):
    def __init__(self, channels, padding):
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=padding)

    def forward(self, x):
        # Without padding of its own, one row and one column of zeros at the far sides.
        return self.conv(x if self.padding else F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Block(nn.Module):
    def __init__(self, resnets, attentions, down=None, up=None):
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        if attentions:
            self.attentions = nn.ModuleList(attentions)
        if down:
            self.downsamplers = nn.ModuleList([down])
        if up:
            self.upsamplers = nn.ModuleList([up])

    def attend(self, i, x):
        return self.attentions[i](x) if hasattr(self, "attentions") else x


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        known = {
            "DownBlock2D": False, "AttnDownBlock2D": True, "UpBlock2D": False, "AttnUpBlock2D": True,
        }
        refuse = {
            "time_embedding_type": "positional", "act_fn": "silu", "resnet_time_scale_shift": "default",
            "class_embed_type": None, "num_class_embeds": None, "center_input_sample": False, "mid_block_scale_factor": 1,
            "downsample_type": "conv", "upsample_type": "conv", "add_attention": True, "attn_norm_num_groups": None,
        }
        for key, value in refuse.items():
            assert config.get(key, value) == value, f"{key} is {config[key]}: only {value} is known here"
        widths, layers = config["block_out_channels"], config["layers_per_block"]
        groups, eps, head = config.get("norm_num_groups", 32), config.get("norm_eps", 1e-5), config.get("attention_head_dim", 8)
        self.freq_shift, self.flip = config.get("freq_shift", 0), config.get("flip_sin_to_cos", True)
        temb = 4 * widths[0]
        self.width = widths[0]
        self.time_embedding = nn.ModuleDict({"linear_1": nn.Linear(widths[0], temb), "linear_2": nn.Linear(temb, temb)})
        self.conv_in = nn.Conv2d(config["in_channels"], widths[0], 3, padding=1)
        resnet = lambda a, b: Resnet(a, b, temb, groups, eps)
        attention = lambda c: Attention(c, head, groups, eps)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        c = widths[0]
        for i, (kind, width) in enumerate(zip(config["down_block_types"], widths)):
            down = Downsample(width, config.get("downsample_padding", 1)) if i + 1 < len(widths) else None
            resnets = [resnet(c if j == 0 else width, width) for j in range(layers)]
            self.down_blocks.append(Block(resnets, [attention(width) for _ in resnets] if known[kind] else [], down=down))
            c = width
        self.mid_block = Block([resnet(c, c), resnet(c, c)], [attention(c)])
        back = list(reversed(widths))
        for i, (kind, width) in enumerate(zip(config["up_block_types"], back)):
            skip = back[min(i + 1, len(back) - 1)]
            resnets = []
            for j in range(layers + 1):
                skipped = skip if j == layers else width
                resnets.append(resnet((c if j == 0 else width) + skipped, width))
            up = Upsample(width) if i + 1 < len(back) else None
            self.up_blocks.append(Block(resnets, [attention(width) for _ in resnets] if known[kind] else [], up=up))
            c = width
        self.conv_norm_out = nn.GroupNorm(groups, widths[0], eps)
        self.conv_out = nn.Conv2d(widths[0], config["out_channels"], 3, padding=1)

    def embed(self, timesteps):
        half = self.width // 2
        exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=timesteps.device) / (half - self.freq_shift)
        angles = timesteps[:, None].float() * exponent.exp()[None]
        parts = (angles.cos(), angles.sin()) if self.flip else (angles.sin(), angles.cos())
        sinusoids = torch.cat(parts, 1).to(self.conv_in.weight.dtype)
        return self.time_embedding["linear_2"](F.silu(self.time_embedding["linear_1"](sinusoids)))

    def forward(self, x, timesteps):
        temb = self.embed(timesteps.expand(x.shape[0]))
        x = self.conv_in(x)
        skips = [x]
        for block in self.down_blocks:
            for i, resnet in enumerate(block.resnets):
                x = block.attend(i, resnet(x, temb))
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block.resnets[1](self.mid_block.attend(0, self.mid_block.resnets[0](x, temb)), temb)
        for block in self.up_blocks:
            for i, resnet in enumerate(block.resnets):
                x = block.attend(i, resnet(torch.cat((x, skips.pop()), 1), temb))
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x)
        assert not skips
        return self.conv_out(F.silu(self.conv_norm_out(x)))


def open_network(folder):
    """A model folder's network in f32, and its config."""
    folder = pathlib.Path(folder)
    folder = folder / "unet" if (folder / "unet").is_dir() else folder
    config = json.loads((folder / "config.json").read_text())
    net = UNet(config)
    weights = load(folder / "diffusion_pytorch_model.safetensors")
    net.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return net.eval(), config


if __name__ == "__main__":
    net, _ = open_network(sys.argv[1])
    expected = load(pathlib.Path(sys.argv[1]) / "io.safetensors")
    worst = 0.0
    for prefix in {name.rpartition(".")[0] for name in expected}:
        at = prefix + "." if prefix else ""
        with torch.no_grad():
            output = net(expected[f"{at}sample"].float(), expected[f"{at}timesteps"])
        worst = max(worst, (output - expected[f"{at}output"]).abs().max().item())
    print(f"at most {worst:.1e} from diffusers")
    raise SystemExit(0 if worst <= 1e-4 else 1)
