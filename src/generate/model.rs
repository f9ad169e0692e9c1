//! A checkpoint on a GPU.

use super::error::RequestError;
use super::session::{Key, Network, Session};
use crate::checkpoint::{Checkpoint, Note};
use crate::config::unet::{ClassEmbedding, TimeEmbedding};
use crate::config::{SchedulerConfig, UNetConfig};
use crate::error::Error;
use crate::gpu::Gpu;
use crate::model::{self, embedding};
use crate::plan::Plan;
use crate::plan::graph::Param;
use crate::shape::{Shape, nchw_to_nhwc4, nhwc4_to_nchw};
use crate::weights::Weights;
use std::cell::RefCell;
use std::rc::Rc;

/// A checkpoint that has been read and checked against its configuration, and can run on one GPU. Clones share
/// everything.
#[derive(Clone)]
pub struct Model {
    pub(crate) inner: Rc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) gpu: Gpu,
    pub(crate) unet: UNetConfig,
    pub(crate) weights: Weights,
    pub(super) scheduler: RefCell<SchedulerConfig>,
    /// The buffers and bind groups of the last run, kept because the next run often has the same shape.
    pub(super) idle: RefCell<Option<Session>>,
    parameters: u64,
    notes: Vec<Note>,
}

/// Class labels of a batch.
#[derive(Clone, PartialEq, Debug)]
pub enum Labels {
    /// One number per image: a row of the table, or the argument of a timestep embedding.
    Index(Vec<f64>),
    /// One vector of the embedding's width per image, for `class_embed_type: "identity"`.
    Vector(Vec<f32>),
}

impl Model {
    /// Checks the checkpoint's tensors against its configuration. Nothing is allocated on the GPU until a run starts.
    ///
    /// # Errors
    /// Missing, extra or wrongly shaped tensors; a configuration that contradicts itself.
    pub fn load(gpu: &Gpu, checkpoint: Checkpoint) -> Result<Self, Error> {
        let Checkpoint { unet, scheduler, weights, notes, .. } = checkpoint;
        let params = model::params(&unet)?;
        weights.check(&params)?;
        Ok(Self {
            inner: Rc::new(Inner {
                gpu: gpu.clone(),
                unet,
                weights,
                scheduler: RefCell::new(scheduler),
                idle: RefCell::new(None),
                parameters: params.iter().map(Param::len).sum(),
                notes,
            }),
        })
    }

    /// The network's configuration.
    pub fn config(&self) -> &UNetConfig {
        &self.inner.unet
    }

    /// The scheduler that future runs use.
    pub fn scheduler(&self) -> SchedulerConfig {
        self.inner.scheduler.borrow().clone()
    }

    /// Replaces the checkpoint's scheduler.
    pub fn set_scheduler(&self, scheduler: SchedulerConfig) {
        *self.inner.scheduler.borrow_mut() = scheduler;
    }

    /// What was assumed when the checkpoint was read.
    pub fn notes(&self) -> &[Note] {
        &self.inner.notes
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        self.inner.parameters
    }

    /// `[height, width]` of the config's sample_size, or the smallest size that the network takes.
    pub fn default_size(&self) -> [usize; 2] {
        let smallest = 1 << (self.inner.unet.block_out_channels.len() - 1);
        self.inner.unet.sample_size.unwrap_or([smallest.max(32); 2])
    }

    /// The plan of one evaluation of `n` images of `h` x `w`. It is pure data; nothing is allocated.
    ///
    /// # Errors
    /// Sizes that the network cannot take.
    pub fn plan(&self, n: usize, h: usize, w: usize) -> Result<Plan, Error> {
        self.network().plan(n, h, w)
    }

    /// Evaluates the network once. `sample` is `[n, c, h, w]` (given by `shape`), with one timestep per image or one
    /// for all. Returns `[n, out_channels, h, w]`.
    ///
    /// # Errors
    /// Lengths that do not match, labels that are missing or that the model does not take, GPU errors.
    pub async fn predict(
        &self,
        sample: &[f32],
        shape: [usize; 4],
        timesteps: &[f64],
        labels: Option<&Labels>,
    ) -> Result<Vec<f32>, Error> {
        let [n, c, h, w] = shape;
        let inner = &self.inner;
        if n == 0 || c != inner.unet.in_channels || sample.len() != n * c * h * w {
            let (values, channels) = (sample.len(), inner.unet.in_channels);
            return Err(RequestError::Images { name: "sample", shape, values, channels }.into());
        }
        let timesteps: Vec<f64> = match timesteps {
            [t] => vec![*t; n],
            many if many.len() == n => many.to_vec(),
            many => {
                return Err(RequestError::Timesteps { have: many.len(), images: n }.into());
            }
        };
        let session = self.session(Key::network(n, h, w), &|_, _| ()).await?;
        let outcome = async {
            session.write("sample", &nchw_to_nhwc4(sample, Shape::new(n, h, w, c)))?;
            session.write("time", &self.time_rows(&timesteps)?)?;
            if inner.unet.time_embedding_type == TimeEmbedding::Fourier {
                session.write("inv_t", &inv_t_rows(&timesteps))?;
            }
            if let Some(rows) = self.class_rows(labels, n)? {
                session.write("class", &rows)?;
            }
            let output = session.run_network().await?;
            Ok(nhwc4_to_nchw(&output, Shape::new(n, h, w, inner.unet.out_channels)))
        };
        let outcome = outcome.await;
        self.put_back(session);
        outcome
    }

    /// Labels for `n` images from plain numbers, as this model takes them: vectors, or one number for each image or
    /// for all.
    ///
    /// # Errors
    /// [`RequestError::LabelCount`].
    pub fn labels(&self, values: &[f32], n: usize) -> Result<Labels, RequestError> {
        match (self.inner.unet.class_embedding, values) {
            (Some(ClassEmbedding::Identity), _) => Ok(Labels::Vector(values.to_vec())),
            (_, [label]) => Ok(Labels::Index(vec![f64::from(*label); n])),
            _ if values.len() == n => Ok(Labels::Index(wide(values))),
            _ => Err(RequestError::LabelCount { have: values.len(), images: n }),
        }
    }

    /// What a session of this model is made from.
    pub(crate) fn network(&self) -> Network<'_> {
        let Inner { gpu, unet, weights, .. } = &*self.inner;
        Network { gpu, unet, weights }
    }

    /// A session for this shape: the idle one, or a new one with its weights.
    pub(super) async fn session(
        &self,
        key: Key,
        progress: &dyn Fn(usize, usize),
    ) -> Result<Session, Error> {
        let idle = self.inner.idle.borrow_mut().take();
        match idle {
            Some(session) if session.key == key && session.pacer.borrow().is_some() => Ok(session),
            idle => Session::new(self.network(), key, idle, progress).await,
        }
    }

    /// Keeps a session for the next run.
    pub(super) fn put_back(&self, session: Session) {
        *self.inner.idle.borrow_mut() = Some(session);
    }

    /// The input `time`, with a row per timestep.
    pub(crate) fn time_rows(&self, timesteps: &[f64]) -> Result<Vec<f32>, Error> {
        let unet = &self.inner.unet;
        let frequencies = match unet.time_embedding_type {
            TimeEmbedding::Fourier => self.inner.weights.read("time_proj.weight")?,
            _ => Vec::new(),
        };
        let mut rows = Vec::new();
        for &t in timesteps {
            match unet.time_embedding_type {
                TimeEmbedding::Positional => push_row(&mut rows, &embedding::positional(unet, t)),
                // The embedding takes its logarithm, and the output is divided by it.
                TimeEmbedding::Fourier if t <= 0.0 => {
                    let (kind, expected) = ("fourier", "timesteps above 0".to_owned());
                    return Err(RequestError::Timestep { t, kind, expected }.into());
                }
                TimeEmbedding::Fourier => {
                    push_row(&mut rows, &embedding::fourier(&frequencies, t));
                }
                TimeEmbedding::Learned => {
                    let count = unet.num_train_timesteps.unwrap_or(0);
                    if t < 0.0 || t >= count as f64 || t.fract() != 0.0 {
                        let last = count.saturating_sub(1);
                        let (kind, expected) =
                            ("learned", format!("whole numbers from 0 to {last}"));
                        return Err(RequestError::Timestep { t, kind, expected }.into());
                    }
                    push_row(&mut rows, &[t as f32]);
                }
            }
        }
        Ok(rows)
    }

    /// The input `class`, with a row per image. None if the model takes no labels.
    pub(crate) fn class_rows(
        &self,
        labels: Option<&Labels>,
        n: usize,
    ) -> Result<Option<Vec<f32>>, Error> {
        let unet = &self.inner.unet;
        let Some(kind) = unet.class_embedding else {
            return match labels {
                None => Ok(None),
                Some(_) => Err(RequestError::NoClasses.into()),
            };
        };
        let Some(labels) = labels else {
            return Err(RequestError::LabelsMissing { expected: self.label_kind(kind) }.into());
        };
        let mut rows = Vec::new();
        match (kind, labels) {
            (ClassEmbedding::Table(_) | ClassEmbedding::Timestep, Labels::Index(index))
                if index.len() != n =>
            {
                return Err(RequestError::LabelCount { have: index.len(), images: n }.into());
            }
            (ClassEmbedding::Table(count), Labels::Index(index)) => {
                for &label in index {
                    if label < 0.0 || label >= count as f64 || label.fract() != 0.0 {
                        return Err(RequestError::Label { label, last: count - 1 }.into());
                    }
                    push_row(&mut rows, &[label as f32]);
                }
            }
            (ClassEmbedding::Timestep, Labels::Index(index)) => {
                rows = self.label_projection(index)?;
            }
            (ClassEmbedding::Identity, Labels::Vector(values)) => {
                let width = unet.time_embed_dim();
                if values.len() != n * width {
                    let (have, need) = (values.len(), n * width);
                    let need_for = format!("{n} vectors of {width}, one for each image,");
                    let name = "class_labels";
                    return Err(RequestError::Values { name, have, need, need_for }.into());
                }
                values.chunks_exact(width).for_each(|row| push_row(&mut rows, row));
            }
            (_, labels) => {
                let found = match labels {
                    Labels::Index(_) => "numbers",
                    Labels::Vector(_) => "vectors",
                };
                return Err(
                    RequestError::LabelKind { expected: self.label_kind(kind), found }.into()
                );
            }
        }
        Ok(Some(rows))
    }

    /// Describes this model's class labels.
    fn label_kind(&self, kind: ClassEmbedding) -> String {
        match kind {
            ClassEmbedding::Table(rows) => format!("whole numbers from 0 to {}", rows - 1),
            ClassEmbedding::Timestep => "numbers".to_owned(),
            ClassEmbedding::Identity => {
                let width = self.inner.unet.time_embed_dim();
                format!("vectors of {width} numbers (class_embed_type identity)")
            }
        }
    }

    /// `time_proj(labels)`: the same projection as for timesteps.
    fn label_projection(&self, labels: &[f64]) -> Result<Vec<f32>, Error> {
        if self.inner.unet.time_embedding_type != TimeEmbedding::Learned {
            return self.time_rows(labels);
        }
        let width = embedding::width(&self.inner.unet);
        let table = self.inner.weights.read("time_proj.weight")?;
        let mut rows = Vec::new();
        for &label in labels {
            let last = (table.len() / width).saturating_sub(1);
            if !(0.0..=last as f64).contains(&label) || label.fract() != 0.0 {
                return Err(RequestError::Label { label, last }.into());
            }
            let at = label as usize * width;
            push_row(&mut rows, &table[at..at + width]);
        }
        Ok(rows)
    }
}

/// The same numbers as f64.
fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// The input `inv_t` of fourier models, with a row per timestep.
pub(crate) fn inv_t_rows(timesteps: &[f64]) -> Vec<f32> {
    timesteps.iter().flat_map(|t| [(1.0 / t) as f32, 0.0, 0.0, 0.0]).collect()
}

/// Appends a row, padded to whole vec4s.
fn push_row(rows: &mut Vec<f32>, row: &[f32]) {
    rows.extend_from_slice(row);
    rows.resize(rows.len().next_multiple_of(4), 0.0);
}
