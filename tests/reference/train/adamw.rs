//! Twin of `shaders/optim/adamw.wgsl`, written from torch's documentation of AdamW rather than from the
//! table that the shader reads.

use unnoise::train::config::Optimizer;

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub p: f64,
    pub m: f64,
    pub v: f64,
    pub ema: f64,
}

impl Parameter {
    /// The k-th step, from 1, with a gradient that is already clipped.
    pub fn step(&mut self, adamw: &Optimizer, lr: f64, k: i32, g: f64, ema_decay: f64) {
        self.p -= lr * adamw.weight_decay * self.p;
        self.m = adamw.beta1 * self.m + (1.0 - adamw.beta1) * g;
        self.v = adamw.beta2 * self.v + (1.0 - adamw.beta2) * g * g;
        let m_hat = self.m / (1.0 - adamw.beta1.powi(k));
        let v_hat = self.v / (1.0 - adamw.beta2.powi(k));
        self.p -= lr * m_hat / (v_hat.sqrt() + adamw.eps);
        self.ema = ema_decay * self.ema + (1.0 - ema_decay) * self.p;
    }
}
