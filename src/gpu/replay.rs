//! Replays a loop body many times. The work is cut into short submissions, with two in flight so that the GPU never
//! waits for the CPU.

use super::clock::now_ms;
use super::executor::Executor;
use super::pacer::Pacer;
use super::transfer::Ticket;
use super::{Gpu, GpuError};
use crate::plan::Body;
use std::collections::VecDeque;
use std::ops::Range;

/// Submissions in flight: one runs while the next is queued. More would only delay a stop.
const IN_FLIGHT: usize = 2;

/// A replay in progress. Drop it to stop: only what is in flight still runs.
pub struct Replay {
    pacer: Pacer,
    body: Body,
    position: usize,
    end: usize,
    finished: usize,
    /// The oldest first.
    in_flight: VecDeque<InFlight>,
    last_done_ms: f64,
}

struct InFlight {
    ticket: Ticket,
    positions: Range<usize>,
    submitted_ms: f64,
}

/// Where a replay is, after a submission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Whole bodies submitted.
    pub submitted: usize,
    /// Whether the last submission ended at the end of a body. Only then does a copy made now see the state between
    /// two bodies.
    pub at_boundary: bool,
    /// Whole bodies that are known to have run.
    pub finished: usize,
}

impl Replay {
    /// Replays the dispatches `body` `times` times, at the pace that `pacer` learns. The pacer is made for the same
    /// body and kept between replays: see [`Replay::into_pacer`].
    ///
    /// # Errors
    /// [`GpuError::Plan`] if `pacer` is for another body.
    pub fn new(body: impl Into<Body>, times: usize, pacer: Pacer) -> Result<Self, GpuError> {
        let body = body.into();
        if pacer.body() != body.len() {
            return Err(GpuError::Plan { what: "a pacer for another loop body".into() });
        }
        let end = body.len() * times;
        let in_flight = VecDeque::with_capacity(IN_FLIGHT);
        Ok(Self { pacer, body, position: 0, end, finished: 0, in_flight, last_done_ms: 0.0 })
    }

    /// The pacer with what it has learned, for the next replay of this body.
    pub fn into_pacer(self) -> Pacer {
        self.pacer
    }

    /// Submits the next part as soon as fewer than two are in flight. None when everything is submitted.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn advance(&mut self, executor: &Executor) -> Result<Option<Progress>, GpuError> {
        if self.position >= self.end {
            return Ok(None);
        }
        while self.in_flight.len() >= IN_FLIGHT {
            self.retire(executor.gpu()).await?;
        }
        let stop = self.pacer.stop(self.position, self.end);
        let positions = self.position..stop;
        let submitted_ms = now_ms();
        let ticket = executor.submit_span(&self.body, positions.clone())?;
        self.in_flight.push_back(InFlight { ticket, positions, submitted_ms });
        self.position = stop;
        Ok(Some(self.progress()))
    }

    /// Waits for everything submitted.
    ///
    /// # Errors
    /// See [`Gpu::check`].
    pub async fn finish(&mut self, gpu: &Gpu) -> Result<Progress, GpuError> {
        while !self.in_flight.is_empty() {
            self.retire(gpu).await?;
        }
        Ok(self.progress())
    }

    /// The current progress.
    pub fn progress(&self) -> Progress {
        let body = self.body.len().max(1);
        Progress {
            submitted: self.position / body,
            at_boundary: self.position.is_multiple_of(body),
            finished: self.finished / body,
        }
    }

    /// Waits for the oldest submission and tells the pacer how long it ran.
    async fn retire(&mut self, gpu: &Gpu) -> Result<(), GpuError> {
        let Some(oldest) = self.in_flight.pop_front() else { return Ok(()) };
        gpu.wait(oldest.ticket).await?;
        // It began when it was submitted, or when the one before it finished.
        let (done, began) = (now_ms(), oldest.submitted_ms.max(self.last_done_ms));
        self.last_done_ms = done;
        self.finished = oldest.positions.end;
        self.pacer.observe(oldest.positions, done - began);
        Ok(())
    }
}
