//! What all writers of a mount share, and the two ways to get memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use crate::budget::{Budget, Permit};
use crate::store::{ChecksumKind, ObjectStore};
use crate::write::flight::{Flight, FlightGuard, Tasks};
use crate::write::part::{Block, BlockPool};
use crate::write::plan::Plan;
use crate::write::{WriteConfig, WriteStats};

/// The state of a mount's writers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) config: WriteConfig,
    pub(super) plan: Plan,
    pub(super) pool: Arc<BlockPool>,
    pub(super) flight: Arc<Flight>,
    pub(super) tasks: Tasks,
    pub(super) uploads_open: AtomicUsize,
    budget: Budget,
    requests: Semaphore,
    requests_max: usize,
    lane: Arc<Mutex<Lane>>,
    lane_bytes: u64,
}

/// Memory set aside for bytes on their way between the temporary file and the store. One request at a
/// time holds it, and only while it is being sent, so it always comes back: with it a file on disk
/// moves even when idle writers hold all the rest.
///
/// A part larger than the lane (only in files above 10,000 first parts, 78 GiB by default, or where
/// the budget is less than two parts) passes through it all the same: one part at most is then held
/// beyond the budget.
#[derive(Debug)]
struct Lane {
    _permit: Option<Permit>,
}

/// The right to hold bytes on their way from or to the temporary file.
#[derive(Debug)]
pub(super) struct Transit {
    _right: Right,
    _guard: FlightGuard,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
enum Right {
    Budget(Permit),
    Lane(OwnedMutexGuard<Lane>),
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        budget: Budget,
        mut config: WriteConfig,
        runtime: tokio::runtime::Handle,
    ) -> Arc<Self> {
        config.block_bytes = config.block_bytes.max(1);
        let limits = store.limits();
        // A quarter, so that one part can be filled while others are on their way.
        let plan = Plan::new(config.part_bytes, budget.limit_bytes() / 4, limits);
        let lane_bytes =
            plan.first_part_bytes().min(budget.limit_bytes() / 8).max(plan.part_min_bytes());
        let permit =
            (lane_bytes <= budget.limit_bytes() / 2).then(|| budget.try_take(lane_bytes)).flatten();
        let requests_max = config.max_requests.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            pool: BlockPool::new(budget.clone(), config.block_bytes),
            store,
            plan,
            flight: Arc::default(),
            tasks: Tasks::new(runtime),
            uploads_open: AtomicUsize::new(0),
            budget,
            requests: Semaphore::new(requests_max),
            requests_max,
            lane: Arc::new(Mutex::new(Lane { _permit: permit })),
            lane_bytes,
            config,
        })
    }

    /// Which CRC-64 the service checks.
    pub(super) fn checksum_kind(&self) -> Option<ChecksumKind> {
        self.store.limits().checksum
    }

    /// Waits for one of the mount's requests with a body.
    pub(super) async fn request(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // Never closed, so never `None`; the caller only holds it.
        self.requests.acquire().await.ok()
    }

    /// Most bytes that are fetched by one request when an object is brought to disk.
    pub(super) fn fetch_bytes(&self) -> u64 {
        const FETCH_BYTES: u64 = 8 << 20;
        self.lane_bytes.clamp(1, FETCH_BYTES)
    }

    /// Whether at least half of the memory is free: then bytes may be kept that nobody needs now.
    pub(super) fn has_plenty(&self) -> bool {
        self.budget.free_bytes() >= self.budget.limit_bytes() / 2
    }

    /// A block; waits while memory is on its way back. `None`: nothing is in flight and nothing is
    /// free, so waiting could last for ever.
    pub(super) async fn block(&self, capacity: usize) -> Option<Block> {
        if let Some(block) = self.pool.try_block(capacity) {
            return Some(block);
        }
        tokio::select! {
            biased;
            permit = self.budget.take(capacity as u64) => Some(self.pool.block(capacity, permit)),
            () = self.flight.all_landed() => self.pool.try_block(capacity),
        }
    }

    /// The right to `bytes` of memory between disk and store: from the budget, or the lane.
    pub(super) async fn transit(&self, bytes: u64) -> Transit {
        // Counted only once it is held: a wait is not something that others may wait for.
        let right = match self.budget.try_take(bytes) {
            Some(permit) => Right::Budget(permit),
            None => tokio::select! {
                permit = self.budget.take(bytes) => Right::Budget(permit),
                lane = Arc::clone(&self.lane).lock_owned() => Right::Lane(lane),
            },
        };
        Transit { _right: right, _guard: self.flight.enter(bytes) }
    }

    pub(super) fn stats(&self) -> WriteStats {
        WriteStats {
            bytes_in_flight: self.flight.bytes(),
            requests_in_flight: self.requests_max - self.requests.available_permits(),
            uploads_open: self.uploads_open.load(Ordering::Acquire),
        }
    }
}
