//! What can be wrong with a request: settings that the model cannot take, or that contradict each other.

/// A request that cannot be met. One with other settings can.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No pictures, or none at a time, were requested.
    #[error("{what} is 0; it must be at least 1")]
    Zero {
        /// The setting.
        what: &'static str,
    },
    /// A setting has a type or value that it cannot have.
    #[error("{key} is {found}; it must be {expected}")]
    Setting {
        /// Its name in the request.
        key: &'static str,
        /// What was asked for.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// The request is not JSON (in the page).
    #[error("a request must be JSON: {detail}")]
    Json {
        /// The parser's words.
        detail: String,
    },
    /// The network takes more than x_t, and sampling has nothing else to give it.
    #[error(
        "this network takes {in_channels} channels and gives {out_channels}; sampling needs as many outputs as inputs, or \
         twice as many for learned variances. The other inputs are a condition that unnoise does not know. \
         `unnoise predict` runs the network"
    )]
    Concatenated {
        /// Channels of its input.
        in_channels: usize,
        /// Channels of its output.
        out_channels: usize,
    },
    /// The images do not have the shape that the model takes.
    #[error(
        "`{name}` has shape {shape:?} and {values} values; the model takes [N,{channels},H,W], N at least 1"
    )]
    Images {
        /// The tensor.
        name: &'static str,
        /// The shape given, `[n, c, h, w]`.
        shape: [usize; 4],
        /// How many values were given.
        values: usize,
        /// Channels that the model takes.
        channels: usize,
    },
    /// A tensor's length does not match its shape.
    #[error("`{name}` has {have} values; {need_for} need {need}")]
    Values {
        /// The tensor.
        name: &'static str,
        /// How many values were given.
        have: usize,
        /// How many there should be.
        need: usize,
        /// What the values are for: "16 pictures of 3 channels, 32x32".
        need_for: String,
    },
    /// The target has neither the sample's number of channels nor that of the network's output.
    #[error(
        "`target` has {values} values, which for {images} images of {height}x{width} is not {channels} channels"
    )]
    Target {
        /// How many values were given.
        values: usize,
        /// Images given.
        images: usize,
        /// Their height.
        height: usize,
        /// Their width.
        width: usize,
        /// Channels that it may have.
        channels: String,
    },
    /// Neither one timestep nor one per image.
    #[error("{have} timesteps for {images} images; give one for all, or one for each")]
    Timesteps {
        /// Timesteps given.
        have: usize,
        /// Images given.
        images: usize,
    },
    /// The model's time embedding cannot take this timestep.
    #[error("timestep {t}: this model's {kind} time embedding takes {expected}")]
    Timestep {
        /// The timestep.
        t: f64,
        /// `fourier` or `learned`.
        kind: &'static str,
        /// The timesteps that it takes.
        expected: String,
    },
    /// Class labels for a model that has no classes.
    #[error("this model takes no class labels; leave them out")]
    NoClasses,
    /// No class labels for a model that needs them.
    #[error("this model is class-conditional: give class labels, which are {expected}")]
    LabelsMissing {
        /// What they are.
        expected: String,
    },
    /// Labels of the wrong kind for this model.
    #[error("this model's class labels are {expected}, not {found}")]
    LabelKind {
        /// What they are.
        expected: String,
        /// What was given.
        found: &'static str,
    },
    /// Neither one label nor one per image.
    #[error("{have} class labels for {images} images; give one for all, or one for each")]
    LabelCount {
        /// Labels given.
        have: usize,
        /// Images asked for.
        images: usize,
    },
    /// A class that does not exist.
    #[error("class label {label}: this model has classes 0 to {last}")]
    Label {
        /// The label.
        label: f64,
        /// The last class.
        last: usize,
    },
    /// Results were requested before they existed.
    #[error("x_0 exists when the run is done")]
    NotDone,
}
