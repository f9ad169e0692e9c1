//! The gradient of a batch: the network, a loss, and their adjoint as one plan.

use crate::config::UNetConfig;
use crate::config::unet::TimeEmbedding;
use crate::error::Error;
use crate::generate::RequestError;
use crate::generate::{Labels, Model, inv_t_rows};
use crate::gpu::Executor;
use crate::kernels::Class;
use crate::kernels::sampler_step::STATE_WORDS;
use crate::kernels::train::items::Item;
use crate::kernels::train::loss::LossKind;
use crate::plan::graph::{Graph, Node, Op, TensorId};
use crate::plan::train_op::TrainOp;
use crate::plan::{self, External, Plan, Role, autodiff};
use crate::shape::{Shape, nchw_to_nhwc4};

/// What is minimised.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Objective {
    /// Of the difference between output and target.
    pub kind: LossKind,
    /// Of the sum over the items: 1 / n for a mean over one batch.
    pub factor: f32,
}

/// The graph of network, loss and their adjoint for `n` images of `h` x `w`, and the network's output.
///
/// Outside tensors: `sample`, `time`, \[`class`\], \[`inv_t`\] as [`crate::model::build`] has them, `state`,
/// `items` `[n][2]` vec4, `target`, `output`, `item_loss` `[n]` vec4. With `recompute` each block's
/// activations are made twice and not kept in between: less memory, more time, the same numbers.
///
/// # Errors
/// Sizes that the network cannot take.
pub fn gradient_graph(
    unet: &UNetConfig,
    [n, h, w]: [usize; 3],
    objective: Objective,
    recompute: bool,
) -> Result<(Graph, TensorId), Error> {
    unet.check_size(h, w)?;
    let crate::model::UNet { mut graph, output, .. } = crate::model::build(unet, n, h, w)?;
    graph.tensors[output.0 as usize].name = "output".to_owned();
    let state = graph.input("state", Shape::vector(1, STATE_WORDS));
    let items = graph.input("items", Shape::new(n, 1, 2, 4));
    let target = graph.input("target", Shape::new(n, h, w, unet.in_channels));
    let item_loss = graph.input("item_loss", Shape::vector(n, 4));

    let mut graph = plan::fuse_for_training(graph, state, items);
    let forward = graph.nodes.len();
    let d_output = graph.new_tensor("d_output", graph.shape(output));
    graph.nodes.push(Node {
        name: "loss".to_owned(),
        op: Op::Train(TrainOp::Loss { kind: objective.kind, factor: objective.factor }),
        inputs: [output, target, items, item_loss].map(Into::into).to_vec(),
        params: Vec::new(),
        output: d_output,
    });
    autodiff::differentiate(&mut graph, (output, d_output))
        .map_err(|error| Error::Internal(error.to_string()))?;

    if recompute {
        plan::recompute::recompute(&mut graph, forward);
    }
    Ok((graph, output))
}

/// The plan of a [`gradient_graph`]: pure data, for which no device is needed. Gradients are added to what
/// is in the buffers of [`Role::Gradient`].
///
/// # Errors
/// Sizes that the network cannot take.
pub fn gradient_plan(
    unet: &UNetConfig,
    class: Class,
    size: [usize; 3],
    objective: Objective,
    recompute: bool,
) -> Result<Plan, Error> {
    let (graph, output) = gradient_graph(unet, size, objective, recompute)?;
    let outside = graph.inputs.iter().copied().chain([output]);
    let externals: Vec<External> =
        outside.map(|tensor| External { tensor, role: Role::State }).collect();
    Ok(plan::compile_for_training(graph, class, &externals))
}

/// A batch as the network is given it.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// x_t, `[n, c, h, w]`.
    pub noisy: Vec<f32>,
    /// Shape of `noisy`.
    pub shape: [usize; 4],
    /// One per image.
    pub timesteps: Vec<f64>,
    /// What the network should say, `[n, c, h, w]`.
    pub target: Vec<f32>,
    /// For class-conditional models.
    pub labels: Option<Labels>,
}

/// A parameter's gradient under its diffusers name, as PyTorch shapes it.
#[derive(Clone, PartialEq, Debug)]
pub struct ParamGradient {
    /// For example `conv_in.weight`.
    pub name: String,
    /// `[c_out, c_in, k, k]`, `[out, in]`, `[c]`.
    pub shape: Vec<usize>,
    /// In C order.
    pub values: Vec<f32>,
}

/// The mean squared error of a batch and its gradient with respect to every parameter; without dropout,
/// whose noise nobody else can make.
///
/// # Errors
/// Lengths that do not match, labels that the model does not take or misses, what does not fit the
/// device, GPU errors.
pub async fn gradients(model: &Model, batch: &Batch) -> Result<(f32, Vec<ParamGradient>), Error> {
    let inner = &model.inner;
    let [n, c, h, w] = batch.shape;
    check(model, batch)?;
    let objective = Objective { kind: LossKind::Squared, factor: 1.0 / n as f32 };
    let unet = UNetConfig { dropout: 0.0, ..inner.unet.clone() };
    let plan = gradient_plan(&unet, inner.gpu.class(), [n, h, w], objective, false)?;
    let mut weights = |weight: &plan::PackedWeight| inner.packed(weight);
    let executor = Executor::new(&inner.gpu, plan, &mut weights, &mut |_| ()).await?;

    let write = |name: &str, data: &[u8]| -> Result<(), Error> {
        match executor.plan().tensor(name) {
            Some((_, slice)) => Ok(executor.write(slice, data)?),
            None => Ok(()),
        }
    };
    let shape = Shape::new(n, h, w, c);
    let floats = |name: &str, data: &[f32]| write(name, bytemuck::cast_slice(data));
    floats("sample", &nchw_to_nhwc4(&batch.noisy, shape))?;
    floats("target", &nchw_to_nhwc4(&batch.target, shape))?;
    floats("time", &model.time_rows(&batch.timesteps)?)?;
    if inner.unet.time_embedding_type == TimeEmbedding::Fourier {
        floats("inv_t", &inv_t_rows(&batch.timesteps))?;
    }
    if let Some(rows) = model.class_rows(batch.labels.as_ref(), n)? {
        floats("class", &rows)?;
    }
    let item = Item { weight: 1.0, ..Item::default() };
    write("items", bytemuck::cast_slice(&vec![item.to_words(); n]))?;

    executor.submit(0..executor.plan().dispatches.len())?;
    let losses = match executor.plan().tensor("item_loss") {
        Some((_, slice)) => executor.read(slice).await?,
        None => Vec::new(),
    };
    let loss = losses.chunks_exact(4).map(|l| f64::from(l[1])).sum::<f64>() / n as f64;
    let mut all = Vec::new();
    for (weight, slice) in executor.plan().weights.iter().zip(executor.plan().gradients()) {
        let parts = weight.packing.unpack(&executor.read(slice).await?);
        for (name, values) in weight.names.iter().zip(parts) {
            let shape = inner.weights.shape(name).unwrap_or_default().to_vec();
            all.push(ParamGradient { name: name.clone(), shape, values });
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((loss as f32, all))
}

fn check(model: &Model, batch: &Batch) -> Result<(), Error> {
    let unet = model.config();
    let [n, c, h, w] = batch.shape;
    let values = n * c * h * w;
    if n == 0 || c != unet.in_channels || batch.noisy.len() != values {
        let (shape, values, channels) = (batch.shape, batch.noisy.len(), unet.in_channels);
        return Err(RequestError::Images { name: "noisy", shape, values, channels }.into());
    }
    if batch.target.len() != values {
        let (name, have, need) = ("target", batch.target.len(), values);
        let need_for = "values as many as noisy has".to_owned();
        return Err(RequestError::Values { name, have, need, need_for }.into());
    }
    if batch.timesteps.len() != n {
        return Err(RequestError::Timesteps { have: batch.timesteps.len(), images: n }.into());
    }
    Ok(())
}
