//! Training plans as data: what can be checked without a GPU, for the presets' networks and for variations of them with
//! every kind of block.

use crate::common::valid::assert_valid;
use std::collections::{HashMap, HashSet};
use unnoise::config::UNetConfig;
use unnoise::gpu::plan_fits;
use unnoise::kernels::{Access, Call, Class};
use unnoise::plan::graph::{Graph, Node, Op, Operand, TensorId};
use unnoise::plan::train_op::TrainOp;
use unnoise::plan::{External, Limits, Plan, PlanError, Role, autodiff, compile_for_training};
use unnoise::shape::Shape;
use unnoise::train::config::{Config, Layer};
use unnoise::train::gradient::{gradient_graph, gradient_plan};
use unnoise::train::objective::Objective;
use unnoise::train::presets;
use unnoise::train::recipe::Recipe;
use unnoise::train::step::StepPlan;

/// A network in training: its name, settings, classes and side of its pictures.
struct Case {
    what: String,
    config: Config,
    classes: Option<usize>,
    side: usize,
}

/// All presets with a batch that fits WebGPU's default limits, and variations of one of them.
fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for &name in presets::NAMES {
        let mut config = presets::find(name).expect(name);
        let side = if config.model.block_out_channels.len() > 4 { 256 } else { 32 };
        config.training.batch_size = config.training.batch_size.min(if side > 64 { 2 } else { 16 });
        all.push(Case { what: name.to_owned(), config, classes: None, side });
    }
    let relatives: [(&[&str], Option<usize>); 5] = [
        (&["model.resnet_time_scale_shift = 'scale_shift'", "model.dropout = 0.1"], Some(10)),
        (&["model.downsample_type = 'resnet'", "model.upsample_type = 'resnet'"], None),
        (&["model.time_embedding_type = 'fourier'", "model.act_fn = 'mish'"], None),
        (&["model.time_embedding_type = 'learned'", "model.add_attention = false"], Some(3)),
        (&["training.gradient_accumulation_steps = 3", "model.act_fn = 'gelu'"], None),
    ];
    for (settings, classes) in relatives {
        let layers: Vec<Layer> = settings.iter().map(|s| Layer::set(s).expect(s)).collect();
        let config = Config::resolve(Some("emoji-tiny"), None, &layers, "emoji-tiny");
        let config = config.expect("settings");
        all.push(Case { what: settings.join(", "), config, classes, side: 16 });
    }
    all
}

impl Case {
    fn unet(&self) -> UNetConfig {
        self.config.unet(3, Some([self.side; 2]), self.classes).expect(&self.what)
    }

    /// The plan of a whole step.
    fn step(&self, class: Class, recompute: bool) -> Plan {
        let (unet, scheduler) = (self.unet(), self.config.scheduler().expect(&self.what));
        let recipe = Recipe::new(&self.config, &unet, &scheduler, 1000).expect(&self.what);
        let mut options = recipe.step_options(&self.config, [self.side; 2], 1000, 64);
        options.recompute = recompute;
        StepPlan::new(&unet, class, &options).expect(&self.what).plan
    }

    fn gradients(&self, class: Class, recompute: bool) -> (Graph, TensorId, Plan) {
        let size = [self.config.training.batch_size, self.side, self.side];
        let objective = Objective::mse(3, 1.0);
        let unet = self.unet();
        let (graph, output) =
            gradient_graph(&unet, class, size, &objective, recompute).expect(&self.what);
        let plan = gradient_plan(&unet, class, size, &objective, recompute).expect(&self.what);
        (graph, output, plan)
    }
}

#[test]
fn steps_fit_webgpus_default_limits_in_every_class() {
    for case in cases() {
        for (class, recompute) in Class::ALL.into_iter().zip([false, true].into_iter().cycle()) {
            let plan = case.step(class, recompute);
            plan_fits(&plan, &Limits::WEBGPU_DEFAULT)
                .unwrap_or_else(|e| panic!("{} {class:?}: {e}", case.what));
            // Every weight has a gradient, two moments and its averages, laid out as it is.
            let [weights, gradients, optimizer] =
                [Role::Weights, Role::Gradient, Role::Optimizer].map(|role| plan.bytes(role));
            assert_eq!(gradients, weights, "{}", case.what);
            assert!(optimizer >= 2 * weights && optimizer % weights == 0, "{}", case.what);
        }
    }
}

#[test]
fn every_shader_variant_is_valid_wgsl() {
    let mut seen = HashSet::new();
    for case in cases() {
        for class in Class::ALL {
            for d in case.step(class, false).dispatches {
                if seen.insert(format!("{:?}", d.shader)) {
                    let (shader, params, grid) = (d.shader, d.params, d.grid);
                    assert_valid(&Call { shader, params, grid, flops: d.flops });
                }
            }
        }
    }
    println!("{} variants", seen.len());
    assert!(seen.len() > 60, "{} variants", seen.len());
}

/// Asserts that each dispatch finds in the slots that it reads what the graph says: the last dispatch that wrote there
/// must belong to the same node, or to the node that makes one of its operands. If a slot were reused before it was
/// read, it would hold something else.
fn follow(what: &str, graph: &Graph, plan: &Plan) {
    let mut makers: HashMap<TensorId, &str> = HashMap::new();
    for node in &graph.nodes {
        makers.insert(node.output, &node.name);
    }
    let mut may_read: HashMap<&str, HashSet<&str>> = HashMap::new();
    for node in &graph.nodes {
        let read = may_read.entry(&node.name).or_default();
        read.insert(&node.name);
        read.extend(node.inputs.iter().filter_map(|i| makers.get(&i.tensor).copied()));
    }
    let mut writers: Vec<Option<&str>> = vec![None; plan.buffers.len()];
    let mut checked = 0;
    for dispatch in &plan.dispatches {
        let label = dispatch.label.as_str();
        for b in dispatch.bindings.iter().filter(|b| b.access == Access::Read) {
            let at = b.slice.buffer.0 as usize;
            if plan.buffers[at].role == Role::Activation {
                let writer = writers[at].unwrap_or_else(|| panic!("{what}: {label} reads nothing"));
                assert!(
                    may_read[label].contains(writer),
                    "{what}: {label} reads what {writer} wrote"
                );
                checked += 1;
            }
        }
        for b in dispatch.bindings.iter().filter(|b| b.access == Access::Write) {
            writers[b.slice.buffer.0 as usize] = Some(label);
        }
    }
    assert!(checked > graph.nodes.len() / 2, "{what}: only {checked} reads of slots");
}

#[test]
fn no_two_live_tensors_share_a_place() {
    for case in cases() {
        for class in [Class::Software, Class::Discrete] {
            for recompute in [false, true] {
                let (graph, _, plan) = case.gradients(class, recompute);
                follow(&format!("{} {class:?} {recompute}", case.what), &graph, &plan);
            }
        }
    }
}

#[test]
fn every_parameter_has_a_gradient() {
    for case in cases() {
        let (graph, _, plan) = case.gradients(Class::Discrete, false);
        let trained: HashSet<&String> = plan.weights.iter().flat_map(|w| &w.names).collect();
        // Only the CPU has the frequencies of fourier embeddings.
        let fixed = |name: &str| name == "time_proj.weight" && !trained.contains(&name.to_owned());
        for param in graph.params.iter().filter(|p| !fixed(&p.name)) {
            assert!(trained.contains(&param.name), "{}: {}", case.what, param.name);
        }
        // One kernel writes a weight's gradient, or two that share its reduction: none is left out.
        let written: HashSet<_> = plan
            .dispatches
            .iter()
            .flat_map(|d| d.bindings.iter().filter(|b| b.access == Access::Write))
            .map(|b| b.slice)
            .collect();
        for (weight, gradient) in plan.weights.iter().zip(plan.gradients()) {
            assert!(written.contains(&gradient), "{}: {:?}", case.what, weight.names);
        }
    }
}

/// Two convolutions, and the gradient of their output.
fn two_convolutions() -> (Graph, TensorId, TensorId) {
    let mut graph = Graph::default();
    let x = graph.input("x", Shape::new(1, 4, 4, 8));
    let y = graph.conv3x3("first", x, 8);
    let z = graph.conv3x3("second", y, 8);
    let d_z = graph.input("d_z", graph.shape(z));
    (graph, z, d_z)
}

fn plan(graph: Graph) -> Result<Plan, PlanError> {
    let external = |&tensor: &TensorId| External { tensor, role: Role::State };
    let externals: Vec<External> = graph.inputs.iter().map(external).collect();
    compile_for_training(graph, Class::Discrete, &externals)
}

/// A plan that would train something other than it says is refused, also in release builds, with a message that names
/// what is wrong.
#[test]
fn what_cannot_be_trained_is_named() {
    let (mut graph, z, d_z) = two_convolutions();
    autodiff::differentiate(&mut graph, (z, d_z)).expect("an adjoint");
    assert!(plan(graph.clone()).is_ok());

    // A weight without a gradient.
    let mut fewer = graph.clone();
    fewer.nodes.retain(|node| node.name != "d_first.weight");
    assert_eq!(
        plan(fewer).expect_err("no plan"),
        PlanError::NoGradient { weight: "first.weight".to_owned() }
    );

    // The gradient of a weight that no operation uses.
    let (mut other, ..) = two_convolutions();
    let stray = other.param("third", "bias", &[8]);
    let sums = other.input("sums", Shape::vector(1, 8));
    let output = other.new_tensor("d_third.bias", Shape::vector(1, 8));
    let op = Op::Train(TrainOp::BatchSum);
    let (name, inputs, params) = ("d_third.bias".to_owned(), vec![sums.into()], vec![stray]);
    other.nodes.push(Node { name, op, inputs, params, output });
    assert_eq!(
        plan(other).expect_err("no plan"),
        PlanError::UnknownWeight {
            node: "d_third.bias".to_owned(),
            weight: "third.bias".to_owned()
        }
    );

    // An operation without an adjoint: activations are rewritten before.
    let (mut graph, z, _) = two_convolutions();
    let relu = Op::Act(unnoise::config::unet::Activation::Relu);
    let act = graph.unary("act", relu, z);
    let d_act = graph.input("d_act", graph.shape(act));
    let error = autodiff::differentiate(&mut graph, (act, d_act)).expect_err("no adjoint");
    assert_eq!(error.to_string(), "act cannot be trained: Act(Relu) has no adjoint here");

    // Half of a vector is used, and the gradient of the other half would be whatever was in memory.
    let mut graph = Graph::default();
    let (x, t) = (graph.input("x", Shape::new(1, 4, 4, 8)), graph.input("t", Shape::vector(1, 8)));
    let vector = graph.linear("vector", t, 16);
    let half = Operand { tensor: vector, offset: 8 };
    let output = graph.new_tensor("sum", graph.shape(x));
    let (name, op, inputs) = ("sum".to_owned(), Op::AddChannel, vec![x.into(), half]);
    graph.nodes.push(Node { name, op, inputs, params: Vec::new(), output });
    let d_output = graph.input("d_sum", graph.shape(output));
    let error = autodiff::differentiate(&mut graph, (output, d_output)).expect_err("a gap");
    assert_eq!(error, PlanError::Gap { tensor: "vector".to_owned(), need: 16, have: 8 });
}
