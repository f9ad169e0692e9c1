//! diffusers' `UNet2DModel`: down and up blocks with and without attention, positional timesteps, SiLU. Fields have the
//! names of diffusers' modules, so that a parameter's path is its name in the checkpoint.

use crate::Result;
use crate::tensors::Tensors;
use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig, InterpolateMode};
use burn::nn::{GroupNorm, Linear, PaddingConfig2d};
use burn::tensor::activation::silu;
use burn::tensor::module::attention;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use std::path::Path;

#[derive(Module, Debug)]
pub struct UNet {
    conv_in: Conv2d,
    time_embedding: TimeEmbedding,
    down_blocks: Vec<Block>,
    mid_block: Block,
    up_blocks: Vec<Block>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    pub in_channels: usize,
    /// Height and width.
    pub sample_size: [usize; 2],
}

#[derive(Module, Debug)]
struct TimeEmbedding {
    linear_1: Linear,
    linear_2: Linear,
}

/// Down, mid and up blocks hold the same layers and go through them in different orders.
#[derive(Module, Debug)]
struct Block {
    resnets: Vec<Resnet>,
    attentions: Vec<Attention>,
    downsamplers: Vec<Resample>,
    upsamplers: Vec<Resample>,
}

#[derive(Module, Debug)]
struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

#[derive(Module, Debug)]
struct Attention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Vec<Linear>,
    heads: usize,
}

#[derive(Module, Debug)]
struct Resample {
    conv: Conv2d,
}

/// Reads the layers of a checkpoint.
struct Layers<'a> {
    tensors: &'a Tensors,
    device: &'a Device,
    groups: usize,
    eps: f64,
    /// `None`: one head.
    head_dim: Option<usize>,
}

impl UNet {
    /// Opens a checkpoint folder, or its `unet` folder.
    pub fn open(folder: &Path, device: &Device) -> Result<Self> {
        let inner = folder.join("unet");
        let folder = if inner.is_dir() { &inner } else { folder };
        let config: Value = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
        let tensors = Tensors::open(&folder.join("diffusion_pytorch_model.safetensors"))?;
        let number = |key: &str| config[key].as_u64().map(|value| value as usize);
        let need = |key: &str| number(key).ok_or_else(|| format!("config.json has no {key}"));
        for (key, value) in [
            ("time_embedding_type", "positional"),
            ("act_fn", "silu"),
            ("resnet_time_scale_shift", "default"),
        ] {
            if config[key].as_str().is_some_and(|is| is != value) {
                return Err(format!("{key} other than {value} is not supported").into());
            }
        }
        let layers = Layers {
            tensors: &tensors,
            device,
            groups: need("norm_num_groups")?,
            eps: config["norm_eps"].as_f64().ok_or("config.json has no norm_eps")?,
            head_dim: number("attention_head_dim"),
        };
        let blocks = config["down_block_types"].as_array().ok_or("no down_block_types")?.len();
        // diffusers pads at the right and the bottom only where its convolution does not pad.
        let down = match number("downsample_padding").unwrap_or(1) {
            0 => PaddingConfig2d::Explicit(0, 0, 1, 1),
            pad => PaddingConfig2d::Explicit(pad, pad, pad, pad),
        };
        let block = |prefix: String| layers.block(&prefix, &down);
        let size = need("sample_size")?;
        Ok(Self {
            conv_in: layers.conv("conv_in", 1, PaddingConfig2d::Explicit(1, 1, 1, 1))?,
            time_embedding: TimeEmbedding {
                linear_1: layers.linear("time_embedding.linear_1")?,
                linear_2: layers.linear("time_embedding.linear_2")?,
            },
            down_blocks: (0..blocks)
                .map(|i| block(format!("down_blocks.{i}")))
                .collect::<Result<_>>()?,
            mid_block: block("mid_block".to_owned())?,
            up_blocks: (0..blocks)
                .map(|i| block(format!("up_blocks.{i}")))
                .collect::<Result<_>>()?,
            conv_norm_out: layers.norm("conv_norm_out")?,
            conv_out: layers.conv("conv_out", 1, PaddingConfig2d::Explicit(1, 1, 1, 1))?,
            flip_sin_to_cos: config["flip_sin_to_cos"].as_bool().unwrap_or(true),
            freq_shift: config["freq_shift"].as_f64().unwrap_or(0.0),
            in_channels: need("in_channels")?,
            sample_size: [size, size],
        })
    }

    /// `sample` is `[n, c, h, w]`; one timestep for each picture, or one for all.
    pub fn forward(&self, sample: Tensor<4>, timesteps: &[f32]) -> Tensor<4> {
        let n = sample.dims()[0];
        let embedding = self.positions(n, timesteps, &sample.device());
        let embedding = silu(self.time_embedding.linear_1.forward(embedding));
        // Every resnet begins with the same SiLU of it.
        let embedding = silu(self.time_embedding.linear_2.forward(embedding));

        let mut x = self.conv_in.forward(sample);
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            for (i, resnet) in block.resnets.iter().enumerate() {
                x = resnet.forward(x, &embedding);
                if let Some(attention) = block.attentions.get(i) {
                    x = attention.forward(x);
                }
                skips.push(x.clone());
            }
            for downsampler in &block.downsamplers {
                x = downsampler.conv.forward(x);
                skips.push(x.clone());
            }
        }

        x = self.mid_block.resnets[0].forward(x, &embedding);
        for (i, resnet) in self.mid_block.resnets.iter().enumerate().skip(1) {
            if let Some(attention) = self.mid_block.attentions.get(i - 1) {
                x = attention.forward(x);
            }
            x = resnet.forward(x, &embedding);
        }

        let double = Interpolate2dConfig::new()
            .with_scale_factor(Some([2.0, 2.0]))
            .with_mode(InterpolateMode::Nearest)
            .init();
        for block in &self.up_blocks {
            for (i, resnet) in block.resnets.iter().enumerate() {
                let skip = skips.pop().expect("as many skips as resnets above");
                x = resnet.forward(Tensor::cat(vec![x, skip], 1), &embedding);
                if let Some(attention) = block.attentions.get(i) {
                    x = attention.forward(x);
                }
            }
            for upsampler in &block.upsamplers {
                x = upsampler.up(x, &double);
            }
        }
        self.conv_out.forward(silu(self.conv_norm_out.forward(x)))
    }

    /// Sines and cosines of the timesteps, `[n, c]`: a few dozen numbers, computed on the CPU.
    fn positions(&self, n: usize, timesteps: &[f32], device: &Device) -> Tensor<2> {
        let channels = self.conv_in.weight.dims()[0];
        let half = channels / 2;
        let mut values = Vec::with_capacity(n * channels);
        for i in 0..n {
            let t = f64::from(timesteps[i % timesteps.len()]);
            let angle = |k: usize| {
                t * (-(10_000f64.ln()) * k as f64 / (half as f64 - self.freq_shift)).exp()
            };
            let sines = (0..half).map(|k| angle(k).sin() as f32);
            let cosines = (0..half).map(|k| angle(k).cos() as f32);
            if self.flip_sin_to_cos {
                values.extend(cosines.chain(sines));
            } else {
                values.extend(sines.chain(cosines));
            }
        }
        Tensor::from_data(TensorData::new(values, [n, channels]), device)
    }
}

impl Resnet {
    /// `embedding` is after its SiLU.
    fn forward(&self, x: Tensor<4>, embedding: &Tensor<2>) -> Tensor<4> {
        let time = self.time_emb_proj.forward(embedding.clone());
        let [n, c] = time.dims();
        let hidden = self.conv1.forward(silu(self.norm1.forward(x.clone())));
        let hidden = hidden + time.reshape([n, c, 1, 1]);
        let hidden = self.conv2.forward(silu(self.norm2.forward(hidden)));
        match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x) + hidden,
            None => x + hidden,
        }
    }
}

impl Attention {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        let tokens = self.group_norm.forward(x.clone()).reshape([n, c, h * w]).swap_dims(1, 2);
        let heads = |linear: &Linear| {
            let projected = linear.forward(tokens.clone());
            projected.reshape([n, h * w, self.heads, c / self.heads]).swap_dims(1, 2)
        };
        let [q, k, v] = [&self.to_q, &self.to_k, &self.to_v].map(heads);
        let mixed = attention(q, k, v, None, None, Default::default());
        let mixed = self.to_out[0].forward(mixed.swap_dims(1, 2).reshape([n, h * w, c]));
        mixed.swap_dims(1, 2).reshape([n, c, h, w]) + x
    }
}

impl Resample {
    fn up(&self, x: Tensor<4>, double: &Interpolate2d) -> Tensor<4> {
        self.conv.forward(double.forward(x))
    }
}

impl Layers<'_> {
    fn block(&self, prefix: &str, down: &PaddingConfig2d) -> Result<Block> {
        let same = PaddingConfig2d::Explicit(1, 1, 1, 1);
        Ok(Block {
            resnets: self.list(&format!("{prefix}.resnets"), "conv1", |name| self.resnet(name))?,
            attentions: self
                .list(&format!("{prefix}.attentions"), "to_q", |name| self.attention(name))?,
            downsamplers: self.list(&format!("{prefix}.downsamplers"), "conv", |name| {
                Ok(Resample { conv: self.conv(&format!("{name}.conv"), 2, down.clone())? })
            })?,
            upsamplers: self.list(&format!("{prefix}.upsamplers"), "conv", |name| {
                Ok(Resample { conv: self.conv(&format!("{name}.conv"), 1, same.clone())? })
            })?,
        })
    }

    /// Every `prefix.0`, `prefix.1`, … that has a `member`.
    fn list<T>(
        &self,
        prefix: &str,
        member: &str,
        layer: impl Fn(&str) -> Result<T>,
    ) -> Result<Vec<T>> {
        (0..)
            .map(|i| format!("{prefix}.{i}"))
            .take_while(|name| self.tensors.contains(&format!("{name}.{member}.weight")))
            .map(|name| layer(&name))
            .collect()
    }

    fn resnet(&self, name: &str) -> Result<Resnet> {
        let same = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let shortcut = format!("{name}.conv_shortcut");
        Ok(Resnet {
            norm1: self.norm(&format!("{name}.norm1"))?,
            conv1: self.conv(&format!("{name}.conv1"), 1, same.clone())?,
            time_emb_proj: self.linear(&format!("{name}.time_emb_proj"))?,
            norm2: self.norm(&format!("{name}.norm2"))?,
            conv2: self.conv(&format!("{name}.conv2"), 1, same)?,
            conv_shortcut: match self.tensors.contains(&format!("{shortcut}.weight")) {
                true => Some(self.conv(&shortcut, 1, PaddingConfig2d::Valid)?),
                false => None,
            },
        })
    }

    fn attention(&self, name: &str) -> Result<Attention> {
        let group_norm = self.norm(&format!("{name}.group_norm"))?;
        let channels = group_norm.num_channels;
        Ok(Attention {
            group_norm,
            to_q: self.linear(&format!("{name}.to_q"))?,
            to_k: self.linear(&format!("{name}.to_k"))?,
            to_v: self.linear(&format!("{name}.to_v"))?,
            to_out: vec![self.linear(&format!("{name}.to_out.0"))?],
            heads: channels / self.head_dim.unwrap_or(channels),
        })
    }

    fn conv(&self, name: &str, stride: usize, padding: PaddingConfig2d) -> Result<Conv2d> {
        let weight = self.param::<4>(&format!("{name}.weight"))?;
        let [_, _, kh, kw] = weight.dims();
        Ok(Conv2d {
            weight,
            bias: Some(self.param(&format!("{name}.bias"))?),
            stride: [stride; 2],
            kernel_size: [kh, kw],
            dilation: [1, 1],
            groups: 1,
            padding,
        })
    }

    fn linear(&self, name: &str) -> Result<Linear> {
        let (shape, values) = self.tensors.values(&format!("{name}.weight"))?;
        let [rows, columns] = shape[..] else {
            return Err(format!("{name}.weight is not a matrix").into());
        };
        let transposed = (0..rows * columns)
            .map(|i| values[i % rows * columns + i / rows])
            .collect::<Vec<f32>>();
        let data = TensorData::new(transposed, [columns, rows]);
        Ok(Linear {
            weight: Param::from_data(data, self.device),
            bias: Some(self.param(&format!("{name}.bias"))?),
        })
    }

    fn norm(&self, name: &str) -> Result<GroupNorm> {
        let gamma = self.param::<1>(&format!("{name}.weight"))?;
        let [num_channels] = gamma.dims();
        Ok(GroupNorm {
            gamma: Some(gamma),
            beta: Some(self.param(&format!("{name}.bias"))?),
            num_groups: self.groups,
            num_channels,
            epsilon: self.eps,
            affine: true,
        })
    }

    fn param<const D: usize>(&self, name: &str) -> Result<Param<Tensor<D>>> {
        let (shape, values) = self.tensors.values(name)?;
        if shape.len() != D {
            return Err(format!("{name} has {} dimensions, not {D}", shape.len()).into());
        }
        Ok(Param::from_data(TensorData::new(values, shape), self.device))
    }
}
