//! The plan as data: what can be checked without a GPU.

use crate::common::valid::assert_valid;
use unnoise::config::UNetConfig;
use unnoise::gpu::{GpuError, plan_fits};
use unnoise::kernels::{Access, Call, Class};
use unnoise::model;
use unnoise::plan::graph::{Graph, Node, Op, Operand, TensorId};
use unnoise::plan::{self, Dispatch, External, Limits, Plan, PlanError, Role};
use unnoise::shape::Shape;

/// google/ddpm-cifar10-32's shape (35.7 M parameters), and smaller relatives of it.
fn cifar(channels: usize) -> UNetConfig {
    let text = include_str!("../fixtures/unets/cifar10-like/unet/config.json");
    let mut config = UNetConfig::from_json(text, "config.json").unwrap();
    config.block_out_channels = vec![channels, 2 * channels, 2 * channels, 2 * channels];
    config
}

fn compile(config: &UNetConfig, n: usize, side: usize, class: Class) -> Plan {
    let unet = model::build(config, n, side, side).unwrap();
    let externals: Vec<External> = unet
        .graph
        .inputs
        .iter()
        .map(|&tensor| External { tensor, role: Role::Input })
        .chain([External { tensor: unet.output, role: Role::State }])
        .collect();
    plan::compile(unet.graph, class, &externals).expect("a plan")
}

#[test]
fn cifar10_32_has_the_published_cost() {
    let config = cifar(128);
    let graph = model::build(&config, 1, 32, 32).unwrap().graph;
    let parameters: usize = graph.params.iter().map(|p| p.shape.iter().product::<usize>()).sum();
    assert_eq!(parameters, 35_746_307, "google/ddpm-cifar10-32");
    let plan = compile(&config, 1, 32, Class::Discrete);
    let gflop = plan.flops() as f64 / 1e9;
    assert!((12.3..12.7).contains(&gflop), "{gflop} GFLOP per evaluation");
}

#[test]
fn fusion_keeps_dispatches_few() {
    let config = cifar(128);
    let gpu = compile(&config, 1, 32, Class::Discrete);
    let software = compile(&config, 1, 32, Class::Software);
    println!("{gpu}");
    println!(
        "{} dispatches on GPUs, {} in software",
        gpu.dispatches.len(),
        software.dispatches.len()
    );
    // Small images take a second dispatch for the sum of a convolution.
    let sums = gpu.dispatches.iter().filter(|d| d.shader.name == "nn/conv2d_sum").count();
    assert!(gpu.dispatches.len() - sums <= 160, "{}", gpu.dispatches.len());
    assert!(sums <= 45, "{sums} of {}", gpu.dispatches.len());
    assert!(software.dispatches.len() <= 210, "{}", software.dispatches.len());
}

/// Replays a plan with a label in each buffer instead of data: every read must find what the
/// producing dispatch wrote, and nothing is read and written at once.
fn replay(plan: &Plan) {
    let mut last_writer: Vec<Option<usize>> = vec![None; plan.buffers.len()];
    for (i, dispatch) in plan.dispatches.iter().enumerate() {
        for b in &dispatch.bindings {
            let at = b.slice.buffer.0 as usize;
            let buffer = &plan.buffers[at];
            assert!(b.slice.offset + b.slice.bytes <= buffer.bytes, "{} overruns", dispatch.label);
            assert_eq!(b.slice.offset % 256, 0, "{} is misaligned", dispatch.label);
            if b.access == Access::Read && buffer.role == Role::Activation {
                assert!(last_writer[at].is_some(), "{} reads before anyone wrote", dispatch.label);
            }
            let same = dispatch.bindings.iter().filter(|o| o.slice.buffer == b.slice.buffer);
            if b.access == Access::Write {
                assert_eq!(same.count(), 1, "{} reads and writes one buffer", dispatch.label);
            }
        }
        for b in dispatch.bindings.iter().filter(|b| b.access == Access::Write) {
            last_writer[b.slice.buffer.0 as usize] = Some(i);
        }
    }
}

#[test]
fn plans_are_consistent_in_every_class() {
    for class in Class::ALL {
        for (n, side) in [(1, 32), (3, 16), (16, 8)] {
            replay(&compile(&cifar(32), n, side, class));
        }
    }
}

#[test]
fn cifar10_32_fits_webgpus_default_limits() {
    for class in Class::ALL {
        let plan = compile(&cifar(128), 1, 32, class);
        plan_fits(&plan, &Limits::WEBGPU_DEFAULT).unwrap();
        let weights = plan.bytes(Role::Weights);
        assert!((142_000_000..146_000_000).contains(&weights), "{weights} bytes of weights");
        let activations = plan.bytes(Role::Activation);
        assert!(activations < 16 << 20, "{activations} bytes of activations");
    }
}

#[test]
fn what_cannot_fit_is_said_before_anything_is_allocated() {
    // 1,024 pictures of 64 x 64 need score matrices far above 128 MiB.
    let plan = compile(&cifar(128), 1024, 64, Class::Discrete);
    match plan_fits(&plan, &Limits::WEBGPU_DEFAULT) {
        Err(GpuError::TooLarge { need, have, .. }) => assert!(need > have && have >= 128 << 20),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_plan_prints_a_line_per_dispatch() {
    let plan = compile(&cifar(32), 1, 32, Class::Discrete);
    let text = plan.to_string();
    assert_eq!(text.lines().count(), plan.dispatches.len());
    assert!(text.contains("down_blocks.1.attentions.0.attention"), "{text}");
}

#[test]
fn every_shader_variant_of_every_class_is_valid_wgsl() {
    let mut seen = Vec::new();
    for class in Class::ALL {
        for side in [8, 32] {
            for dispatch in compile(&cifar(32), 2, side, class).dispatches {
                if seen.contains(&dispatch.shader) {
                    continue;
                }
                seen.push(dispatch.shader.clone());
                let Dispatch { shader, params, grid, flops, .. } = dispatch;
                assert_valid(&Call { shader, params, grid, flops });
            }
        }
    }
    assert!(seen.len() > 8, "{} variants", seen.len());
}

#[test]
fn large_images_take_other_kernels() {
    // 128x128 with attention over 64x64 tokens of one head of 64 channels.
    let config = cifar(32);
    let names = |class, side| {
        let plan = compile(&config, 1, side, class);
        replay(&plan);
        plan.dispatches.iter().map(|d| d.shader.name).collect::<Vec<_>>()
    };
    let uses = |names: &[&str], name| names.contains(&name);
    let gpu = names(Class::Discrete, 128);
    assert!(uses(&gpu, "nn/group_norm_partial") && uses(&gpu, "nn/attention"));
    // The mid block's 16x16 tokens stay with the three kernels.
    assert!(uses(&gpu, "nn/attention_scores"));
    let software = names(Class::Software, 128);
    assert!(!uses(&software, "nn/group_norm_partial") && !uses(&software, "nn/attention"));
    let small = names(Class::Discrete, 32);
    assert!(!uses(&small, "nn/group_norm_partial") && !uses(&small, "nn/attention"));
}

/// A graph with an input of eight channels and a vector for it.
fn small() -> (Graph, TensorId, TensorId) {
    let mut graph = Graph::default();
    let x = graph.input("x", Shape::new(1, 4, 4, 8));
    let v = graph.input("v", Shape::vector(1, 16));
    (graph, x, v)
}

/// Adds a node with these operands, whose output has the shape of `x`.
fn node(graph: &mut Graph, name: &str, op: Op, inputs: &[Operand], x: TensorId) -> TensorId {
    let output = graph.new_tensor(name, graph.shape(x));
    let (name, inputs) = (name.to_owned(), inputs.to_vec());
    graph.nodes.push(Node { name, op, inputs, params: Vec::new(), output });
    output
}

/// Why a graph cannot be planned.
fn fault(graph: Graph) -> PlanError {
    let external = |&tensor: &TensorId| External { tensor, role: Role::Input };
    let externals: Vec<External> = graph.inputs.iter().map(external).collect();
    plan::compile(graph, Class::Discrete, &externals).expect_err("no plan")
}

/// Graphs that `model` never writes. Each is refused, also in release builds, with a message that names what is wrong.
#[test]
fn what_cannot_be_planned_is_named() {
    // A scale-shift is part of a norm.
    let (mut graph, x, v) = small();
    graph.with_vector("shift", Op::ScaleShift, x, v);
    assert_eq!(
        fault(graph),
        PlanError::NotFused { node: "shift".to_owned(), op: "ScaleShift".to_owned() }
    );

    let (mut graph, x, _) = small();
    node(&mut graph, "sum", Op::Add, &[x.into()], x);
    let text = fault(graph).to_string();
    assert_eq!(text, "sum has 1 operands and 0 parameters, which Add does not take");

    // With few exceptions, kernels read whole operands.
    let (mut graph, x, v) = small();
    let second = Operand { tensor: v, offset: 8 };
    node(&mut graph, "vector", Op::AddChannel, &[x.into(), second], x);
    let external = |&tensor: &TensorId| External { tensor, role: Role::Input };
    let externals: Vec<External> = graph.inputs.iter().map(external).collect();
    assert!(plan::compile(graph, Class::Discrete, &externals).is_ok(), "a slice of a vector");
    let (mut graph, x, _) = small();
    node(&mut graph, "sum", Op::Add, &[x.into(), Operand { tensor: x, offset: 4 }], x);
    let slice =
        |channel| PlanError::Slice { node: "sum".to_owned(), tensor: "x".to_owned(), channel };
    assert_eq!(fault(graph), slice(4));
    let (mut graph, x, _) = small();
    let three = graph.input("three", Shape::new(1, 4, 4, 3));
    let op = Op::AffineAct { two_sources: true, affine: false, act: None };
    node(&mut graph, "sum", op, &[three.into(), x.into()], x);
    assert_eq!(fault(graph), slice(3), "a second source after three channels");

    let (mut graph, x, _) = small();
    let lost = graph.new_tensor("lost", graph.shape(x));
    node(&mut graph, "sum", Op::Add, &[x.into(), lost.into()], x);
    let not_written =
        |node: &str| PlanError::NotWritten { node: node.to_owned(), tensor: "lost".to_owned() };
    assert_eq!(fault(graph), not_written("sum"));
    let (mut graph, x, _) = small();
    let lost = graph.new_tensor("lost", graph.shape(x));
    graph.outputs.push(lost);
    assert_eq!(fault(graph), not_written("the caller"));

    let (mut graph, x, _) = small();
    let sum = node(&mut graph, "sum", Op::Add, &[x.into(), x.into()], x);
    graph.nodes[0].inputs[1] = sum.into();
    graph.inputs.push(sum);
    let text = fault(graph).to_string();
    assert_eq!(text, "sum writes to sum, which it also reads");
}
