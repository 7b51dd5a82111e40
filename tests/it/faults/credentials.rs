//! Keys that are exchanged while a file is being written: the file with the keys is replaced, the
//! service forgets the old ones, and nobody notices.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use partfs::dialect::{
    Connection, CredentialSource, DialectName, ObjectProperties, Search, Variables, connect,
};
use partfs::mock::MockConfig;
use tempfile::TempDir;

use crate::world::fs::World;
use crate::world::pattern;
use crate::world::served::{TIMING, serve};

const MIB: usize = 1 << 20;

/// Ten parts.
const FILE_BYTES: usize = 10 * MIB;

fn write(path: &Path, id: &str, secret: &str) {
    let new = path.with_extension("new");
    fs::write(&new, format!("access_key_id = {id}\nsecret_access_key = {secret}\n")).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn keys_are_exchanged_during_writes_and_nobody_notices() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys");
    let config = MockConfig::default();
    write(&path, &config.access_key_id, &config.secret_access_key);
    let server = serve(config.clone()).await;
    let search = Search {
        service: DialectName::Cos,
        variables: Variables::default(),
        credentials_file: Some(path.clone()),
        profile: None,
        instance_role: false,
    };
    let store = connect(Connection {
        dialect: DialectName::Cos,
        bucket: config.bucket,
        endpoint: Some(format!("http://{}", server.address())),
        region: None,
        path_style: None,
        signature_version: None,
        credentials: CredentialSource::Search(Box::new(search)),
        properties: ObjectProperties::default(),
        timing: TIMING,
    });
    let world = World::on(server.bucket(), store.unwrap(), MIB as u64, 64 << 10);
    for round in 0..3_u8 {
        let name = format!("f{round}");
        let content = pattern(round.into(), FILE_BYTES);
        let (before, after) = content.split_at(FILE_BYTES / 2);
        let (_, handle) = world.create(&name).await.unwrap();
        world.write_at(handle, 0, before).await.unwrap();
        let id = format!("key{round}");
        write(&path, &id, "another-secret");
        server.set_credentials(&id, "another-secret", None);
        world.write_at(handle, before.len() as u64, after).await.unwrap();
        world.close(handle).await.unwrap();
        assert!(world.object(&name).await.expect("an object") == content, "the bytes differ");
    }
    server.stop().await;
}
