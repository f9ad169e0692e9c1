//! Training on one GPU: parameters, moments and averages in its memory, and the submission of steps.

use super::checkpoint::Tensor;
use super::optimizer;
use super::step::{StepOptions, StepPlan, tensors};
use crate::config::UNetConfig;
use crate::config::unet::TimeEmbedding;
use crate::error::Error;
use crate::gpu::pacer::NATIVE_TARGET_MS;
use crate::gpu::{Executor, Gpu, Loading, Pacer, ReadRing, Replay};
use crate::kernels::train::initial_state;
use crate::kernels::train::items::Item;
use crate::kernels::train::metrics::Row;
use crate::model::embedding;
use crate::plan::{BufferId, Slice};
use crate::shape::nhwc4_to_nchw;
use std::collections::HashMap;

/// All that is learned, under diffusers' names.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Learned {
    /// The parameters.
    pub weights: Vec<Tensor>,
    /// AdamW's first moments. Empty at the start, when they are zero.
    pub exp_avg: Vec<Tensor>,
    /// AdamW's second moments, likewise.
    pub exp_avg_sq: Vec<Tensor>,
    /// Moving averages of the parameters. Empty at the start, when they equal the parameters.
    pub averages: Vec<Vec<Tensor>>,
}

/// See the module.
pub struct Engine {
    gpu: Gpu,
    executor: Executor,
    step: StepPlan,
    options: StepOptions,
    ring: ReadRing,
    pacer: Option<Pacer>,
    /// The shape of every parameter.
    shapes: HashMap<String, Vec<usize>>,
    /// Parameters that only the CPU has: the frequencies of fourier embeddings, which are not trained.
    fixed: Vec<Tensor>,
}

/// The tables of some consecutive updates.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Updates {
    /// Number of the first update, from 0.
    pub first: u32,
    /// Keys the noise.
    pub seed: u64,
    /// The optimizer's row of each update.
    pub rows: Vec<optimizer::Row>,
    /// The items of all their micro-steps.
    pub items: Vec<Item>,
}

impl Engine {
    /// Creates the buffers, compiles the shaders and uploads what has been learned. The pictures must be written
    /// afterwards.
    ///
    /// # Errors
    /// What does not fit the device, parameters that are missing, GPU errors.
    pub async fn new(
        gpu: &Gpu,
        step: StepPlan,
        options: StepOptions,
        unet: &UNetConfig,
        learned: &Learned,
        progress: &mut dyn FnMut(Loading),
    ) -> Result<Self, Error> {
        let weights: HashMap<&str, &Tensor> = by_name(&learned.weights);
        let mut packed = |weight: &crate::plan::PackedWeight| pack(weight, &weights);
        let executor = Executor::new(gpu, step.plan.clone(), &mut packed, progress).await?;
        let pacer = Pacer::new(NATIVE_TARGET_MS, step.body.flops(&step.plan));
        let pacer = Some(pacer.parts(options.accumulation));
        let metrics = executor.plan().slice(tensors::METRICS)?;
        let ring = ReadRing::new(gpu, metrics.bytes, 2).await?;
        let bound: Vec<&String> = step.plan.weights.iter().flat_map(|w| &w.names).collect();
        let fixed = learned.weights.iter().filter(|t| !bound.contains(&&t.name)).cloned().collect();
        let shapes = learned.weights.iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
        let gpu = gpu.clone();
        let engine = Self { gpu, executor, step, options, ring, pacer, shapes, fixed };
        engine.write_learned(learned).await?;
        engine.write_time(unet, &weights)?;
        Ok(engine)
    }

    /// Bytes of GPU memory in use.
    pub fn bytes(&self) -> u64 {
        self.executor.bytes()
    }

    /// What runs the plan, for measurements.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Writes pictures, `[pictures][h][w][c]` bytes, from the first one on.
    ///
    /// # Errors
    /// More bytes than the plan has room for; see [`Gpu::check`].
    pub async fn write_data(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        for piece in 0.. {
            let name = format!("{} {piece}", tensors::DATA);
            let Some((_, slice)) = self.executor.plan().tensor(&name) else { break };
            let (now, later) = rest.split_at(rest.len().min(slice.bytes as usize));
            // The last word of the last piece may need padding.
            let (words, tail) = now.split_at(now.len() / 4 * 4);
            self.executor.upload(slice, words).await?;
            if !tail.is_empty() {
                let mut word = [0; 4];
                word[..tail.len()].copy_from_slice(tail);
                let offset = slice.offset + words.len() as u64;
                self.executor.write(Slice { offset, bytes: 4, ..slice }, &word)?;
            }
            rest = later;
        }
        match rest.len() {
            0 => Ok(()),
            more => Err(Error::Internal(format!("{more} bytes more than there are pictures"))),
        }
    }

    async fn write_learned(&self, learned: &Learned) -> Result<(), Error> {
        if !learned.exp_avg.is_empty() {
            self.write(self.step.exp_avg, &learned.exp_avg).await?;
            self.write(self.step.exp_avg_sq, &learned.exp_avg_sq).await?;
        }
        for (i, &average) in self.step.averages.iter().enumerate() {
            self.write(average, learned.averages.get(i).unwrap_or(&learned.weights)).await?;
        }
        Ok(())
    }

    /// Writes a value for every parameter.
    async fn write(&self, first: BufferId, values: &[Tensor]) -> Result<(), Error> {
        let values = by_name(values);
        let plan = self.executor.plan();
        for (weight, slice) in plan.weights.iter().zip(plan.mirrored(first)) {
            self.executor.upload(slice, bytemuck::cast_slice(&pack(weight, &values)?)).await?;
        }
        Ok(())
    }

    /// The time embedding of every timestep.
    fn write_time(&self, unet: &UNetConfig, weights: &HashMap<&str, &Tensor>) -> Result<(), Error> {
        let frequencies = || {
            let found = weights.get("time_proj.weight");
            found.map(|t| t.values.as_slice()).ok_or_else(|| missing("time_proj.weight"))
        };
        let (mut time, mut inv_t) = (Vec::new(), Vec::new());
        for t in 0..self.options.num_train_timesteps {
            let t = t as f64;
            let row = match unet.time_embedding_type {
                TimeEmbedding::Positional => embedding::positional(unet, t),
                // t = 0 is never drawn for these.
                TimeEmbedding::Fourier => embedding::fourier(frequencies()?, t.max(1.0)),
                TimeEmbedding::Learned => return Ok(()),
            };
            time.extend(row);
            time.resize(time.len().next_multiple_of(4), 0.0);
            inv_t.extend([(1.0 / t.max(1.0)) as f32, 0.0, 0.0, 0.0]);
        }
        for (name, rows) in [(tensors::TIME, time), (tensors::INV_T, inv_t)] {
            if let Some((_, slice)) = self.executor.plan().tensor(name) {
                self.executor.write(slice, bytemuck::cast_slice(&rows))?;
            }
        }
        Ok(())
    }

    /// Uploads tables, submits their updates and returns once the last of them is submitted. `stop` is asked between
    /// submissions; true ends the loop after the current update. Returns the number of updates submitted.
    ///
    /// # Errors
    /// More rows than the tables hold, or a number of items that does not match the rows; see [`Gpu::check`].
    pub async fn run(
        &mut self,
        updates: &Updates,
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<usize, Error> {
        let o = &self.options;
        let (rows, micro) = (updates.rows.len(), updates.rows.len() * o.accumulation);
        if rows > o.capacity || updates.items.len() != micro * o.n {
            return Err(Error::Internal(format!(
                "{rows} updates with {} items; the tables hold {} updates of {} items",
                updates.items.len(),
                o.capacity,
                o.n * o.accumulation
            )));
        }
        let items: Vec<_> = updates.items.iter().flat_map(|i| i.to_words()).collect();
        let table: Vec<_> = updates.rows.iter().flat_map(|r| r.to_words()).collect();
        self.write_start(tensors::ITEMS, bytemuck::cast_slice(&items))?;
        self.write_start(tensors::OPTIMIZER, bytemuck::cast_slice(&table))?;
        let first_micro = updates.first.wrapping_mul(o.accumulation as u32);
        let states = [
            (tensors::UPDATES, initial_state(rows as u32, updates.seed, updates.first)),
            (tensors::MICRO_STEPS, initial_state(micro as u32, updates.seed, first_micro)),
        ];
        for (name, state) in states {
            self.write_start(name, bytemuck::cast_slice(&state))?;
        }

        let pacer = self.pacer.take();
        let Some(pacer) = pacer else {
            return Err(Error::Internal("a training loop is already under way".to_owned()));
        };
        let mut replay = Replay::new(self.step.body.clone(), rows, pacer)?;
        let mut submitted = 0;
        while let Some(progress) = replay.advance(&self.executor).await? {
            submitted = progress.submitted;
            if progress.at_boundary && stop() {
                break;
            }
        }
        replay.finish(&self.gpu).await?;
        self.pacer = Some(replay.into_pacer());
        Ok(submitted)
    }

    /// The metrics of the updates `first..first + count`, which must be done. At most as many as the tables hold.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn metrics(&mut self, first: u32, count: usize) -> Result<Vec<Row>, Error> {
        let metrics = self.executor.plan().slice(tensors::METRICS)?;
        self.ring.start(&self.executor, metrics, 0)?;
        let Some((_, bytes)) = self.ring.wait().await? else {
            return Err(Error::Internal("the metrics were not read back".to_owned()));
        };
        let words: Vec<u32> =
            bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let rows: Vec<&[u32]> = words.chunks_exact(Row::WORDS).collect();
        // The row of an update is its number modulo the ring's length.
        let row = |i: usize| rows[(first.wrapping_add(i as u32)) as usize % rows.len()];
        Ok((0..count).filter_map(|i| row(i).try_into().ok().map(Row::from_words)).collect())
    }

    /// Reads back everything that is learned.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn learned(&self) -> Result<Learned, Error> {
        let mut averages = Vec::new();
        for i in 0..self.step.averages.len() {
            averages.push(self.average(i).await?);
        }
        Ok(Learned {
            weights: self.read(BufferId(0), true).await?,
            exp_avg: self.read(self.step.exp_avg, false).await?,
            exp_avg_sq: self.read(self.step.exp_avg_sq, false).await?,
            averages,
        })
    }

    /// The batch of one of the updates that ran last, in the form that `unnoise gradients` takes: `noisy`, `target`,
    /// `timesteps` and, for class-conditional networks, `class_labels`. This runs the update again, so the weights must
    /// not be kept afterwards.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn batch(&mut self, updates: &Updates, index: usize) -> Result<Vec<Tensor>, Error> {
        let (n, accumulation) = (self.options.n, self.options.accumulation);
        let items = index * n * accumulation..(index + 1) * n * accumulation;
        let (Some(&row), Some(items)) = (updates.rows.get(index), updates.items.get(items)) else {
            return Err(Error::Internal(format!("there is no update {index} among these")));
        };
        let mut only = Updates {
            first: updates.first.wrapping_add(index as u32),
            seed: updates.seed,
            rows: vec![row],
            items: items.to_vec(),
        };
        let each = |what: fn(&Item) -> f32| only.items.iter().map(what).collect::<Vec<_>>();
        let mut all = Vec::new();
        let labels =
            self.executor.plan().tensor("class").map(|_| ("class_labels", each(|i| i.class)));
        for (name, values) in [Some(("timesteps", each(|i| i.t))), labels].into_iter().flatten() {
            all.push(Tensor { name: name.to_owned(), shape: vec![values.len()], values });
        }
        let mut pictures = [("noisy", "sample"), ("target", "target")].map(|(name, of)| {
            (of, Tensor { name: name.to_owned(), shape: Vec::new(), values: Vec::new() })
        });
        for _ in 0..accumulation {
            // The GPU keeps only the batch of the last micro-step, so each takes its turn to be the last.
            only.items.rotate_left(n);
            self.run(&only, &mut || false).await?;
            for (of, tensor) in &mut pictures {
                if let Some((shape, slice)) = self.executor.plan().tensor(of) {
                    let values = nhwc4_to_nchw(&self.executor.read(slice).await?, shape);
                    tensor.shape = vec![shape.n * accumulation, shape.c, shape.h, shape.w];
                    tensor.values.extend(values);
                }
            }
        }
        all.extend(pictures.map(|(_, tensor)| tensor));
        Ok(all)
    }

    /// A moving average of the parameters, or the parameters if there is none.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn average(&self, index: usize) -> Result<Vec<Tensor>, Error> {
        let first = self.step.averages.get(index).copied().unwrap_or(BufferId(0));
        self.read(first, true).await
    }

    async fn read(&self, first: BufferId, with_fixed: bool) -> Result<Vec<Tensor>, Error> {
        let plan = self.executor.plan();
        let mut all = if with_fixed { self.fixed.clone() } else { Vec::new() };
        for (weight, slice) in plan.weights.iter().zip(plan.mirrored(first)) {
            let parts = weight.packing.unpack(&self.executor.read(slice).await?);
            for (name, values) in weight.names.iter().zip(parts) {
                let shape = self.shapes.get(name).ok_or_else(|| missing(name))?;
                all.push(Tensor { name: name.clone(), shape: shape.clone(), values });
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Overwrites the beginning of a tensor.
    fn write_start(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let whole = self.executor.plan().slice(name)?;
        Ok(self.executor.write(Slice { bytes: bytes.len() as u64, ..whole }, bytes)?)
    }
}

fn by_name(tensors: &[Tensor]) -> HashMap<&str, &Tensor> {
    tensors.iter().map(|t| (t.name.as_str(), t)).collect()
}

fn missing(parameter: &str) -> Error {
    Error::Internal(format!("there is no value for the parameter {parameter}"))
}

fn pack(
    weight: &crate::plan::PackedWeight,
    values: &HashMap<&str, &Tensor>,
) -> Result<Vec<f32>, Error> {
    let part = |name: &String| values.get(name.as_str()).ok_or_else(|| missing(name));
    let parts: Vec<&[f32]> = weight
        .names
        .iter()
        .map(|n| Ok(part(n)?.values.as_slice()))
        .collect::<Result<_, Error>>()?;
    let lens: Vec<usize> = parts.iter().map(|p| p.len()).collect();
    if lens != weight.packing.part_lens() {
        let names = weight.names.join(" + ");
        return Err(Error::Internal(format!(
            "{names}: values of another shape than the network's"
        )));
    }
    Ok(weight.packing.pack(&parts))
}
