//! What all writers of a mount share, and the two accounts of memory.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use tokio::sync::Semaphore;

use crate::budget::{Budget, Permit, Spare};
use crate::clock::Clock;
use crate::store::{ChecksumKind, ObjectStore, Payload, PayloadData};
use crate::write::flight::{Flight, Tasks};
use crate::write::keep::Keep;
use crate::write::leftovers::Leftovers;
use crate::write::part::{Block, BlockPool};
use crate::write::plan::Plan;
use crate::write::room::Room;
use crate::write::under_way::UnderWay;
use crate::write::{WriteConfig, WriteStats};

/// Ranges of an object that are fetched at a time.
pub(super) const FETCHES: usize = 4;

/// Most memory that is set aside for bytes between disk and store.
const TRANSIT_BYTES: u64 = 16 << 20;

/// Pieces of a body from a file that a connection holds at once.
const PIECES: u64 = 4;

/// The state of a mount's writers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) config: WriteConfig,
    pub(super) plan: Plan,
    /// The largest part that is filled in memory; a larger one goes through a file.
    pub(super) memory_part_bytes: u64,
    pub(super) pool: Arc<BlockPool>,
    /// Memory that is being sent.
    pub(super) flight: Arc<Flight>,
    /// Memory that was sent and is still good to have.
    pub(super) keep: Arc<Keep>,
    /// Bytes in files that are being sent: no memory comes back when they have landed.
    pub(super) file_flight: Arc<Flight>,
    pub(super) tasks: Tasks,
    /// Uploads that were opened and are neither completed nor cleaned up.
    pub(super) under_way: UnderWay,
    /// Parts, PUTs and appends that the store has confirmed.
    pub(super) confirmed: AtomicU64,
    /// Where uploads are written down.
    pub(super) leftovers: Option<Arc<Leftovers>>,
    budget: Budget,
    requests: Semaphore,
    requests_max: usize,
    /// Memory for bytes on their way between files and the store. Only requests hold it, so it
    /// always comes back: files on disk move even when idle writers hold all the rest.
    transit: Budget,
    _transit_share: Option<Permit>,
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        budget: Budget,
        mut config: WriteConfig,
        clock: &Arc<dyn Clock>,
        runtime: tokio::runtime::Handle,
    ) -> Arc<Self> {
        config.block_bytes = config.block_bytes.max(1);
        // A quarter, so that one part can be filled while others are on their way.
        let memory_part_bytes = budget.limit_bytes() / 4;
        let plan = Plan::new(config.part_bytes, memory_part_bytes, store.limits());
        let transit = Budget::new(TRANSIT_BYTES.min(budget.limit_bytes() / 8));
        // A budget of a few blocks is exceeded by one rather than halved.
        let share = (transit.limit_bytes() <= budget.limit_bytes() / 2)
            .then(|| budget.try_take(transit.limit_bytes()))
            .flatten();
        let flight = Arc::<Flight>::default();
        let keep = Keep::new(budget.limit_bytes() / 2, Arc::clone(&flight));
        let spare: Weak<dyn Spare> = Arc::<Keep>::downgrade(&keep);
        // Whoever else fills this budget with things to spare was first: nothing is kept here then.
        let keep = match budget.set_spare(spare) {
            true => keep,
            false => Keep::new(0, Arc::clone(&flight)),
        };
        let leftovers =
            config.journal.clone().map(|journal| Leftovers::open(journal, Arc::clone(clock)));
        let requests_max = config.max_requests.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            pool: BlockPool::new(&budget, config.block_bytes),
            store,
            plan,
            memory_part_bytes,
            flight,
            keep,
            file_flight: Arc::default(),
            tasks: Tasks::new(runtime),
            under_way: UnderWay::default(),
            confirmed: AtomicU64::new(0),
            leftovers,
            budget,
            requests: Semaphore::new(requests_max),
            requests_max,
            transit,
            _transit_share: share,
            config,
        })
    }

    /// Which CRC-64 is computed as bytes arrive, and goes with them: the one that the service checks. Where
    /// it checks none it is still compared when the bytes are read to be sent ([`Payload::md5`]).
    pub(super) fn checksum_kind(&self) -> Option<ChecksumKind> {
        self.store.limits().checksum.or(Some(ChecksumKind::Crc64Xz))
    }

    /// Waits for one of the mount's requests with a body.
    pub(super) async fn request(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // Never closed, so never `None`; the caller only holds it.
        self.requests.acquire().await.ok()
    }

    /// Waits for the memory that sending `payload` takes beside its own: none for one in memory.
    pub(super) async fn sending(&self, payload: &Payload) -> Option<Permit> {
        match payload.data() {
            PayloadData::Chunks(_) => None,
            PayloadData::Source(_) => {
                let most = PIECES * Payload::PIECE_BYTES as u64;
                Some(self.transit(payload.len().min(most)).await)
            }
        }
    }

    /// Waits for memory between store and disk. A demand above all there is is cut to that.
    pub(super) async fn transit(&self, bytes: u64) -> Permit {
        self.transit.take(bytes).await
    }

    /// Largest object that is fetched into memory by one request.
    pub(super) fn fetch_whole_bytes(&self) -> u64 {
        self.transit.limit_bytes().min(self.plan.first_part_bytes())
    }

    /// Most bytes that are fetched by one request when an object is brought to disk.
    pub(super) fn fetch_bytes(&self) -> u64 {
        (self.transit.limit_bytes() / FETCHES as u64).max(1)
    }

    /// Whether at least half of the memory is free: then bytes may be kept that nobody needs now.
    pub(super) fn has_plenty(&self) -> bool {
        self.budget.free_bytes() >= self.budget.limit_bytes() / 2
    }

    /// A block, if memory is free now or kept by parts that can go.
    pub(super) fn try_block(&self, capacity: usize) -> Option<Block> {
        let permit = self.room().try_take(capacity as u64)?;
        Some(self.pool.block(capacity, permit))
    }

    /// A block; waits while memory is on its way back. `None`: nothing is in flight, nothing is kept
    /// and nothing is free, so waiting could last for ever.
    pub(super) async fn block(&self, capacity: usize) -> Option<Block> {
        let permit = self.room().take(capacity as u64).await?;
        Some(self.pool.block(capacity, permit))
    }

    fn room(&self) -> Room<'_, Keep> {
        Room { budget: &self.budget, flight: &self.flight, keep: &self.keep }
    }

    pub(super) fn stats(&self) -> WriteStats {
        WriteStats {
            bytes_in_flight: self.flight.bytes() + self.file_flight.bytes(),
            requests_in_flight: self.requests_max - self.requests.available_permits(),
            uploads_open: self.under_way.count(),
            leftovers: self.leftovers.as_ref().map_or(0, |leftovers| leftovers.count()),
        }
    }
}
