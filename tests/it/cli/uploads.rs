//! `partfs uploads`: what it shows and what it aborts, of a bucket and of a mount of it.

use std::process::Command;
use std::sync::Arc;

use partfs::mock::{MockConfig, MockDialect, MockServer};
use partfs::store::{ObjectStore, PartNumber, PutOptions, Upload, UploadsRequest};
use tokio::runtime::Runtime;

use super::place::Place;
use super::{Ran, partfs, run};
use crate::world::key;
use crate::world::served::{TIMING, client, serve};

/// A server in this process, so that others' uploads can be begun.
struct Scene {
    runtime: Runtime,
    server: MockServer,
    store: Arc<dyn ObjectStore>,
    config: MockConfig,
}

impl Scene {
    fn new(dialect: MockDialect) -> Self {
        let runtime = Runtime::new().unwrap();
        let config = MockConfig { dialect, ..MockConfig::default() };
        let server = runtime.block_on(serve(config.clone()));
        let store = client(&server, &config, None, TIMING);
        Self { runtime, server, store, config }
    }

    fn begun(&self, name: &str, bytes: usize) -> Upload {
        self.runtime.block_on(async {
            let options = PutOptions::default();
            let upload = self.store.start_upload(&key(name), &options).await.unwrap().upload;
            let part = vec![1; bytes].into();
            self.store.put_part(&upload, PartNumber::FIRST, part).await.unwrap();
            upload
        })
    }

    fn left(&self) -> Vec<String> {
        let page = self.runtime.block_on(self.store.list_uploads(&UploadsRequest::default()));
        let uploads = page.unwrap().uploads.into_iter();
        uploads.map(|listed| listed.upload.key.as_str().to_owned()).collect()
    }

    fn url(&self) -> String {
        format!("cos://{}", self.config.bucket)
    }

    /// A command that may reach the bucket.
    fn reach<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .args(["--endpoint", &format!("http://{}", self.server.address())])
            .env("PARTFS_ACCESS_KEY_ID", &*self.config.access_key_id)
            .env("PARTFS_SECRET_ACCESS_KEY", &*self.config.secret_access_key);
        if let Some(token) = &self.config.session_token {
            command.env("PARTFS_SESSION_TOKEN", token);
        }
        command
    }

    fn uploads(&self, action: &str, target: &str, arguments: &[&str]) -> Ran {
        let mut command = partfs(["uploads", action, target]);
        command.args(arguments);
        if target.contains("://") {
            self.reach(&mut command);
        }
        run(&mut command)
    }
}

fn shows_and_aborts(scene: &Scene, target: &str) {
    assert_eq!(scene.uploads("list", target, &[]).stdout, "0 uploads hold 0 bytes\n");
    let one = scene.begun("a/one", 3000);
    let two = scene.begun("a/two", 5);
    let other = scene.begun("a/two", 7);
    scene.begun("three", 9);

    let ran = scene.uploads("list", target, &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", ran.stdout);
    assert!(
        lines.iter().any(|line| line.starts_with("20")
            && line.contains("     1 parts      2.9 KiB  ")
            && line.ends_with(&format!("  a/one@{}", one.id))),
        "{}",
        ran.stdout
    );
    assert_eq!(lines[4], "4 uploads hold 2.9 KiB");

    let ran = scene.uploads("list", target, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let found = json.as_array().unwrap().iter().find(|upload| upload["key"] == "a/one").unwrap();
    assert_eq!((&found["upload_id"], &found["bytes"]), (&one.id.as_str().into(), &3000.into()));
    assert!(found["initiated"].as_str().unwrap().starts_with("20"));

    assert_eq!(
        scene.uploads("list", target, &["--older-than", "1d"]).stdout,
        "0 uploads hold 0 bytes\n"
    );
    let ran = scene.uploads("abort", target, &["--older-than", "1d"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "they are young");
    let ran = scene.uploads("abort", target, &[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("which uploads?"), "{}", ran.stderr);
    assert_eq!(scene.left().len(), 4);

    let ran = scene.uploads("abort", target, &["none", "a"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("there is no such upload: none"), "{}", ran.stderr);
    assert_eq!(scene.left().len(), 4, "a is the beginning of keys, and no key");
    let named = format!("a/two@{}", two.id);
    let ran = scene.uploads("abort", target, &[&named, "three"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains(&format!("aborted {named}\n")), "{}", ran.stdout);
    assert_eq!(scene.left(), ["a/one", "a/two"]);
    let left = scene.uploads("list", target, &[]).stdout;
    assert!(left.contains(other.id.as_str()) && !left.contains(two.id.as_str()), "{left}");
    let ran = scene.uploads("abort", target, &["--older-than", "0s"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    assert_eq!(scene.left(), [] as [&str; 0]);
}

#[test]
fn of_a_bucket_they_are_shown_and_aborted() {
    let scene = Scene::new(MockDialect::Cos);
    shows_and_aborts(&scene, &scene.url());
    scene.begun("a/one", 10);
    scene.begun("b/one", 10);
    let ran = scene.uploads("list", &format!("{}/a", scene.url()), &[]);
    assert!(ran.stdout.ends_with("\n1 upload holds 10 bytes\n"), "{}", ran.stdout);
}

#[test]
fn of_a_mount_they_are_shown_and_aborted() {
    let Some(place) = Place::new() else { return };
    let scene = Scene::new(MockDialect::Cos);
    let mut mount = partfs(["mount", &scene.url()]);
    mount.arg(place.path());
    let ran = run(scene.reach(&mut mount));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    shows_and_aborts(&scene, place.path().to_str().unwrap());
}

#[test]
fn what_cannot_be_shown_is_said() {
    let scene = Scene::new(MockDialect::Cos);
    let ran = scene.uploads("list", "/nowhere", &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("/nowhere is not where partfs is mounted"), "{}", ran.stderr);
    let mut command = partfs(["uploads", "list", &scene.url()]);
    let ran = run(scene.reach(&mut command).env("PARTFS_SECRET_ACCESS_KEY", "wrong"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("secret"), "{}", ran.stderr);
}
