//! Many files at once with the memory of the smallest mount: nobody waits for ever, and all of it
//! comes back.

use super::fake_tests::{FakeStore, limits};
use super::writer_tests::{World, bytes};
use super::*;

/// Seven eighths of 1 MiB, in blocks of 64 KiB, for parts of 1 MiB.
fn smallest(part_min_bytes: u64) -> World {
    World::with(896 << 10, FakeStore::new(limits(part_min_bytes, 10_000)), |config| {
        config.part_bytes = 1 << 20;
        config.block_bytes = 64 << 10;
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_files_larger_than_all_memory_are_written_at_once() {
    // The smallest parts of OSS, COS and S3: in memory, above a quarter of it, above all of it.
    for part_min_bytes in [100 << 10, 1 << 20, 5 << 20] {
        let world = smallest(part_min_bytes);
        let free = world.budget.free_bytes();
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..20usize {
            let key = Key::new(format!("f{index}")).unwrap();
            let file = world.writers.create(key.clone(), Base::Empty, PutOptions::default());
            tasks.spawn(async move {
                // One is larger than two of the largest parts.
                let len = if index == 0 { 11 << 20 } else { (1 << 20) + 100_000 * (index % 5) };
                let data = bytes(len);
                for piece in data.chunks(64 << 10) {
                    let at = file.size();
                    let taken = file.try_write(at, piece).unwrap();
                    file.write(at + taken as u64, &piece[taken..]).await.unwrap();
                }
                file.write(5, b"header").await.unwrap();
                file.commit(PutOptions::default()).await.unwrap();
                (key, data)
            });
        }
        while let Some(done) = tasks.join_next().await {
            let (key, mut data) = done.unwrap();
            data[5..11].copy_from_slice(b"header");
            assert!(world.store.object(&key) == Some(data), "{key} with {part_min_bytes}");
        }
        world.writers.idle().await;
        assert_eq!(world.budget.free_bytes(), free, "{part_min_bytes}");
    }
}
