//! The gradient of a batch: the network, a loss, and their adjoint as one plan.

use super::objective::{Objective, Operands};
use crate::config::UNetConfig;
use crate::config::unet::TimeEmbedding;
use crate::error::Error;
use crate::generate::{Labels, Model, RequestError, inv_t_rows};
use crate::gpu::Executor;
use crate::kernels::Class;
use crate::kernels::sampler_step::STATE_WORDS;
use crate::kernels::train::items::Item;
use crate::plan::graph::{Graph, TensorId};
use crate::plan::{self, External, PackedWeight, Plan, Role, autodiff};
use crate::shape::{Shape, nchw_to_nhwc4};

/// The graph of network, loss and their adjoint for `n` images of `h` x `w`, and the network's output.
///
/// Tensors that the caller writes or reads: `sample`, `time`, \[`class`\], \[`inv_t`\] as [`crate::model::build`] has
/// them, `state`, `items` `[n][2]` vec4, `target`, `output`, `item_loss` `[n]` vec4. With `recompute` the activations
/// of each block are computed again in the backward pass instead of kept: less memory, more time, the same numbers.
///
/// # Errors
/// Sizes that the network cannot take.
pub fn gradient_graph(
    unet: &UNetConfig,
    class: Class,
    [n, h, w]: [usize; 3],
    objective: &Objective,
    recompute: bool,
) -> Result<(Graph, TensorId), Error> {
    unet.check_size(h, w)?;
    let crate::model::UNet { mut graph, output, .. } = crate::model::build(unet, n, h, w)?;
    graph.tensors[output.0 as usize].name = "output".to_owned();
    let state = graph.input("state", Shape::vector(1, STATE_WORDS));
    let items = graph.input("items", Shape::new(n, 1, 2, 4));
    let target = graph.input("target", Shape::new(n, h, w, objective.channels));
    let item_loss = graph.input("item_loss", Shape::vector(n, 4));

    let mut graph = plan::fuse_for_training(graph, state, items);
    let forward = graph.nodes.len();
    let operands = Operands { output, target, items, item_loss };
    let d_output = objective.append(&mut graph, class, operands);
    autodiff::differentiate(&mut graph, (output, d_output))?;
    if recompute {
        plan::recompute::recompute(&mut graph, forward);
    }
    Ok((graph, output))
}

/// The plan of a [`gradient_graph`]. It is pure data and needs no device. Gradients are added to the contents of the
/// buffers of [`Role::Gradient`].
///
/// # Errors
/// Sizes that the network cannot take.
pub fn gradient_plan(
    unet: &UNetConfig,
    class: Class,
    size: [usize; 3],
    objective: &Objective,
    recompute: bool,
) -> Result<Plan, Error> {
    let (graph, output) = gradient_graph(unet, class, size, objective, recompute)?;
    let outside = graph.inputs.iter().copied().chain([output]);
    let externals: Vec<External> =
        outside.map(|tensor| External { tensor, role: Role::State }).collect();
    Ok(plan::compile_for_training(graph, class, &externals)?)
}

/// A batch as the network takes it.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// x_t, `[n, c, h, w]`.
    pub noisy: Vec<f32>,
    /// Shape of `noisy`.
    pub shape: [usize; 4],
    /// One per image.
    pub timesteps: Vec<f64>,
    /// What the network should predict: `[n, c, h, w]`, or `[n, out_channels, h, w]` with the channels of a learned
    /// variance. The loss is the mean over all of it.
    pub target: Vec<f32>,
    /// For class-conditional models.
    pub labels: Option<Labels>,
}

/// The gradient of a parameter, with diffusers' name and PyTorch's shape.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamGradient {
    /// For example `conv_in.weight`.
    pub name: String,
    /// `[c_out, c_in, k, k]`, `[out, in]`, `[c]`.
    pub shape: Vec<usize>,
    /// In C order.
    pub values: Vec<f32>,
}

/// The mean squared error of a batch, and its gradient for every parameter. Dropout is off, since nobody else can make
/// its noise.
///
/// # Errors
/// Lengths that do not match, labels that the model does not take or lacks, plans that do not fit the device, GPU
/// errors.
pub async fn gradients(model: &Model, batch: &Batch) -> Result<(f32, Vec<ParamGradient>), Error> {
    let inner = &model.inner;
    let [n, c, h, w] = batch.shape;
    let channels = target_channels(model, batch)?;
    let objective = Objective::mse(channels, 1.0 / n as f32);
    let unet = UNetConfig { dropout: 0.0, ..inner.unet.clone() };
    let plan = gradient_plan(&unet, inner.gpu.class(), [n, h, w], &objective, false)?;
    let mut weights = |weight: &PackedWeight| model.network().packed(weight);
    let executor = Executor::new(&inner.gpu, plan, &mut weights, &mut |_| ()).await?;
    let plan = executor.plan();

    let write = |name: &str, data: &[u8]| -> Result<(), Error> {
        Ok(executor.write(plan.slice(name)?, data)?)
    };
    let floats = |name: &str, data: &[f32]| write(name, bytemuck::cast_slice(data));
    let shape = Shape::new(n, h, w, c);
    floats("sample", &nchw_to_nhwc4(&batch.noisy, shape))?;
    floats("target", &nchw_to_nhwc4(&batch.target, shape.with_c(channels)))?;
    floats("time", &model.time_rows(&batch.timesteps)?)?;
    if inner.unet.time_embedding_type == TimeEmbedding::Fourier {
        floats("inv_t", &inv_t_rows(&batch.timesteps))?;
    }
    if let Some(rows) = model.class_rows(batch.labels.as_ref(), n)? {
        floats("class", &rows)?;
    }
    let item = Item { weight: 1.0, ..Item::default() };
    write("items", bytemuck::cast_slice(&vec![item.to_words(); n]))?;

    executor.submit(0..plan.dispatches.len())?;
    let losses = executor.read(plan.slice("item_loss")?).await?;
    let loss = losses.chunks_exact(4).map(|l| f64::from(l[1])).sum::<f64>() / n as f64;
    let mut all = Vec::new();
    for (weight, slice) in plan.weights.iter().zip(plan.gradients()) {
        let parts = weight.packing.unpack(&executor.read(slice).await?);
        for (name, values) in weight.names.iter().zip(parts) {
            // `packed` has found them all.
            let shape = inner.weights.shape(name).unwrap_or_default().to_vec();
            all.push(ParamGradient { name: name.clone(), shape, values });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((loss as f32, all))
}

/// Checks the lengths of a batch. Returns the channels of its target.
fn target_channels(model: &Model, batch: &Batch) -> Result<usize, Error> {
    let unet = model.config();
    let [n, c, h, w] = batch.shape;
    let pixels = n * h * w;
    if n == 0 || c != unet.in_channels || batch.noisy.len() != pixels * c {
        let (shape, values, channels) = (batch.shape, batch.noisy.len(), unet.in_channels);
        return Err(RequestError::Images { name: "noisy", shape, values, channels }.into());
    }
    if batch.timesteps.len() != n {
        return Err(RequestError::Timesteps { have: batch.timesteps.len(), images: n }.into());
    }
    // A network may predict fewer channels than it reads; a learned variance doubles them.
    let all = unet.out_channels;
    let channels = [c.min(all), all].into_iter().find(|c| batch.target.len() == pixels * c);
    channels.ok_or_else(|| {
        let values = batch.target.len();
        let channels = if c >= all { all.to_string() } else { format!("{c} or {all}") };
        RequestError::Target { values, images: n, height: h, width: w, channels }.into()
    })
}
