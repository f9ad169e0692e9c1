//! `unnoise sample`: turns noise into pictures.

use super::args::{Global, Sample};
use super::output::{self, Format};
use super::progress::{Progress, Talk, rate};
use super::recipe::Recipe;
use super::{interrupt, tensors};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use unnoise::generate::{Model, Noise, Request};
use unnoise::picture::Pictures;

/// How much of x_0 is held before it is written or converted to 8 bits.
const ROUND_BYTES: usize = 64 << 20;
/// Pixels between the pictures of a grid.
const GAP: usize = 2;

/// Runs the command.
pub async fn run(args: &Sample, global: &Global, talk: Talk) -> Result<()> {
    let overrides = args.scheduler.overrides();
    let folder = super::find_model(&args.model, talk)?;
    let checkpoint = super::open_found(&args.model, &folder, &overrides, talk)?;
    let name = checkpoint.name.clone().unwrap_or_else(|| "model".to_owned());
    let kind = args.sampler.unwrap_or(checkpoint.scheduler.kind);
    let sized = checkpoint.unet.sample_size.is_some();
    let channels = checkpoint.unet.in_channels;
    let mut request = request(args, channels)?;
    let outputs = Outputs::new(args, &name, channels)?;
    let gpu = super::open_gpu(global, talk).await?;
    let mut spinner = Progress::spinner(talk, "Loading the model");
    let model = Model::load(&gpu, checkpoint)?;
    let assumed = request.size.is_none() && !sized;
    let [height, width] = *request.size.get_or_insert_with(|| model.default_size());
    if assumed {
        spinner.clear();
        talk.say(format_args!(
            "note: config.json has no sample_size, so pictures of {height}x{width} are assumed (to change this: --size)"
        ));
    }
    let recipe = Recipe {
        model: name.clone(),
        kind,
        request: &request,
        size: [height, width],
        overrides,
        noise: args.noise.as_deref().map(file_name),
        class_vectors: args.class_vectors.as_deref().map(file_name),
    };

    // From here on, Ctrl-C waits until a file is complete or a submission has ended.
    let watch = interrupt::Watch::begin();
    let mut results = Results::new(&outputs, [channels, height, width]);
    let mut bar = None;
    let (mut began, mut sampled) = (Instant::now(), Duration::ZERO);
    let per_round = round(&request, channels * height * width);
    let mut first = 0;
    let mut steps_done = 0;
    while first < request.count {
        let count = per_round.min(request.count - first);
        let part = part(&request, first, count);
        let compiling = |done, of| spinner.message(format!("Compiling shaders {done}/{of}"));
        model.prepare(&part, &compiling).await?;
        let run = model.start(part).await?;
        spinner.clear();
        let per_batch = run.timesteps().len();
        let steps_of = |images: usize| images.div_ceil(run.batch()) * per_batch;
        let bar = bar.get_or_insert_with(|| {
            began = Instant::now();
            let rounds = request.count / per_round;
            let total = rounds * steps_of(per_round) + steps_of(request.count % per_round);
            Progress::bar(talk, total as u64, "steps")
        });
        loop {
            interrupt::check()?;
            let progress = run.advance().await?;
            if progress.done {
                break;
            }
            bar.set((steps_done + steps_of(progress.image) + progress.step) as u64);
        }
        steps_done += steps_of(count);
        bar.set(steps_done as u64);
        sampled = began.elapsed();
        results.add(run.x_0()?, first, &recipe)?;
        first += count;
    }
    drop(bar);
    let written = results.finish(&recipe)?;
    drop(watch);

    let rate = rate(steps_done as u64, sampled);
    talk.say(format_args!(
        "{} of {height}x{width}, {}, {}, seed {}: {:.1} s, {rate}",
        plural(request.count, "picture"),
        recipe.sampler(),
        plural(request.steps, "step"),
        request.seed,
        sampled.as_secs_f64(),
    ));
    written.iter().try_for_each(|path| super::print(path.display()))
}

/// The request that the flags describe, with the shape from the noise file if there is one.
fn request(args: &Sample, channels: usize) -> Result<Request> {
    let mut request = Request {
        sampler: args.sampler,
        steps: args.steps,
        eta: args.eta,
        seed: args.seed,
        count: args.count.unwrap_or(Request::default().count),
        batch: args.batch,
        size: args.size,
        class: args.class,
        use_clipped_model_output: args.scheduler.use_clipped_model_output,
        previous_timestep: args.scheduler.previous_timestep,
        ..Request::default()
    };
    if let Some(path) = &args.class_vectors {
        request.class_vectors = tensors::read_vectors(path)?;
        if args.count.is_none() && request.class_vectors.len() > 1 {
            request.count = request.class_vectors.len();
        }
    }
    if let Some(path) = &args.noise {
        let (noise, [n, c, h, w]) = tensors::read_noise(path)?;
        let shown = path.display();
        ensure!(c == channels, "x_T in {shown} has {c} channels; the model takes {channels}");
        let count = args.count.unwrap_or(n);
        ensure!(count == n, "-n asks for {count} pictures, and x_T in {shown} has {n}");
        let size = args.size.unwrap_or([h, w]);
        ensure!(size == [h, w], "--size is {}x{}, and x_T in {shown} {h}x{w}", size[0], size[1]);
        (request.count, request.size, request.noise) = (n, Some([h, w]), Some(noise));
    }
    Ok(request)
}

/// Pictures per run: whole batches, but few enough to bound the memory.
fn round(request: &Request, values: usize) -> usize {
    let most = (ROUND_BYTES / (values * 4).max(1)).max(1);
    match request.batch {
        Some(batch) => most.next_multiple_of(batch),
        None => most,
    }
}

/// Pictures `first..first + count` of a request.
fn part(request: &Request, first: usize, count: usize) -> Request {
    let noise = request.noise.as_ref().map(|noise| {
        let len = noise.x_t.len() / request.count;
        let range = first * len..(first + count) * len;
        let variance = noise.variance.as_ref().map(|variance| {
            let steps = variance.chunks_exact(noise.x_t.len());
            steps.flat_map(|step| &step[range.clone()]).copied().collect()
        });
        Noise { x_t: noise.x_t[range.clone()].to_vec(), variance }
    });
    let class_vectors = match &request.class_vectors[..] {
        each if each.len() == request.count => each[first..first + count].to_vec(),
        one => one.to_vec(),
    };
    Request { first_image: first as u32, count, noise, class_vectors, ..request.clone() }
}

/// Where results go. This is checked before any work is done.
struct Outputs {
    files: Vec<(PathBuf, Format)>,
    folder: Option<PathBuf>,
    scale: usize,
}

impl Outputs {
    fn new(args: &Sample, model: &str, channels: usize) -> Result<Self> {
        let mut files = args.out.clone();
        if files.is_empty() && args.out_dir.is_none() {
            files.push(format!("{model}-{}.png", args.seed).into());
        }
        let format = |path: PathBuf| Format::of(&path).map(|format| (path, format));
        let files: Vec<_> = files.into_iter().filter_map(format).collect();
        let pictures =
            args.out_dir.is_some() || files.iter().any(|(_, format)| *format == Format::Png);
        ensure!(
            !pictures || channels <= 4,
            "{channels} channels have no colours: choose an --out that ends in .npz or .safetensors"
        );
        let folder = args.out_dir.clone();
        let probe = folder.as_ref().map(|folder| numbered(folder, 0));
        for path in files.iter().map(|(path, _)| path).chain(&probe) {
            output::check_writable(path)?;
        }
        Ok(Self { files, folder, scale: args.scale.into() })
    }

    fn wants(&self, formats: &[Format]) -> bool {
        self.files.iter().any(|(_, format)| formats.contains(format))
    }
}

/// Results that have not been written to a file yet.
struct Results<'a> {
    outputs: &'a Outputs,
    /// `[c, h, w]`.
    shape: [usize; 3],
    pictures: Pictures,
    x_0: Vec<f32>,
    count: usize,
}

impl<'a> Results<'a> {
    fn new(outputs: &'a Outputs, shape: [usize; 3]) -> Self {
        let [c, h, w] = shape;
        let pictures = Pictures { n: 0, h, w, c, data: Vec::new() };
        Self { outputs, shape, pictures, x_0: Vec::new(), count: 0 }
    }

    /// Takes x_0 of the pictures from `first` on.
    fn add(&mut self, mut x_0: Vec<f32>, first: usize, recipe: &Recipe) -> Result<()> {
        let [c, h, w] = self.shape;
        let n = x_0.len() / (c * h * w);
        let mut pictures = Pictures::from_x_0(&x_0, [n, c, h, w])?;
        self.count += n;
        if let Some(folder) = &self.outputs.folder {
            for i in 0..n {
                interrupt::check()?;
                let path = numbered(folder, first + i);
                let picture = pictures.one(i).enlarge(self.outputs.scale);
                write_png(&path, &picture, recipe, Some(first + i))?;
            }
        }
        if self.outputs.wants(&[Format::Png, Format::Npz]) {
            self.pictures.n += n;
            self.pictures.data.append(&mut pictures.data);
        }
        if self.outputs.wants(&[Format::Safetensors]) {
            self.x_0.append(&mut x_0);
        }
        Ok(())
    }

    /// Writes everything and returns the paths.
    fn finish(self, recipe: &Recipe) -> Result<Vec<PathBuf>> {
        let [c, h, w] = self.shape;
        for (path, format) in &self.outputs.files {
            match format {
                Format::Png => {
                    let columns = self.pictures.n.isqrt();
                    let columns = columns + usize::from(columns * columns < self.pictures.n);
                    let grid = self.pictures.enlarge(self.outputs.scale).grid(columns, GAP);
                    write_png(path, &grid, recipe, None)?;
                }
                Format::Npz => output::write_npz(path, &self.pictures)?,
                Format::Safetensors => {
                    let shape = [self.count, c, h, w];
                    tensors::write(path, &[("x_0", &shape, &self.x_0)])?;
                }
            }
        }
        let files = self.outputs.files.iter().map(|(path, _)| path);
        Ok(files.chain(&self.outputs.folder).cloned().collect())
    }
}

fn write_png(path: &Path, picture: &Pictures, recipe: &Recipe, image: Option<usize>) -> Result<()> {
    let (parameters, json) = (recipe.parameters(image), recipe.json(image));
    let bytes = picture
        .png(&[("parameters", &parameters), ("unnoise", &json)])
        .with_context(|| format!("cannot make {}", path.display()))?;
    output::write(path, &bytes)
}

fn numbered(folder: &Path, i: usize) -> PathBuf {
    folder.join(format!("{i:05}.png"))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn plural(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_their_noise_along() {
        // 3 pictures of 2 values, 2 steps.
        let x_t: Vec<f32> = (0..6).map(|v| v as f32).collect();
        let variance: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let noise = Some(Noise { x_t, variance: Some(variance) });
        let class_vectors = vec![vec![0.0], vec![1.0], vec![2.0]];
        let request = Request { count: 3, noise, class_vectors, ..Request::default() };
        let last = part(&request, 2, 1);
        assert_eq!(last.class_vectors, [[2.0]]);
        assert_eq!((last.first_image, last.count), (2, 1));
        let noise = last.noise.expect("noise");
        assert_eq!(noise.x_t, [4.0, 5.0]);
        assert_eq!(noise.variance.expect("variance"), [4.0, 5.0, 10.0, 11.0]);
        assert_eq!(part(&request, 0, 3), request);
        let one = Request { count: 3, class_vectors: vec![vec![5.0]], ..Request::default() };
        assert_eq!(part(&one, 2, 1).class_vectors, [[5.0]]);
    }

    #[test]
    fn rounds_are_whole_batches() {
        let request = |batch| Request { batch, ..Request::default() };
        assert_eq!(round(&request(None), 1 << 20), 16);
        assert_eq!(round(&request(Some(5)), 1 << 20), 20);
        assert_eq!(round(&request(None), usize::MAX / 8), 1);
    }
}
