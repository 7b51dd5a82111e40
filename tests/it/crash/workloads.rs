//! What users do while the daemon dies: real programs, one step after the other, and what each of them
//! promises when it reports success.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::pattern;

/// A file's content; `None`: there is no file.
type Content = Option<Vec<u8>>;

/// What may be at each key: the last one that was confirmed, and what was tried since.
#[derive(Debug, Clone, Default)]
pub(super) struct Promises(BTreeMap<String, Vec<Content>>);

impl Promises {
    fn tried(&mut self, key: &str, content: Content) {
        self.0.entry(key.to_owned()).or_insert_with(|| vec![None]).push(content);
    }

    fn confirmed(&mut self, key: &str, content: Content) {
        self.0.insert(key.to_owned(), vec![content]);
    }

    /// All keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Where the bucket is in none of the states that it may be in.
    pub(super) fn broken(&self, object: impl Fn(&str) -> Content) -> Vec<String> {
        let mut broken = Vec::new();
        for (key, may) in &self.0 {
            let is = object(key);
            if !may.contains(&is) {
                let len = |content: &Content| content.as_ref().map(Vec::len);
                let may: Vec<_> = may.iter().map(len).collect();
                broken.push(format!("{key} has {:?} bytes, where one of {may:?} may be", len(&is)));
            }
        }
        broken
    }
}

/// What one step does to a key.
#[derive(Clone)]
struct Effect {
    key: String,
    content: Content,
}

/// A program and what it promises.
#[derive(Clone)]
pub(super) struct Step {
    /// For bash, with the mount as its folder and the sources in `$src`.
    script: String,
    effects: Vec<Effect>,
    /// Programs that run beside each other end as they like: each confirms for itself.
    apart: Vec<Step>,
}

fn step(script: String, effects: Vec<(&str, Content)>) -> Step {
    let effects =
        effects.into_iter().map(|(key, content)| Effect { key: key.to_owned(), content }).collect();
    Step { script, effects, apart: Vec::new() }
}

impl Step {
    /// Runs it, with all its effects tried before and confirmed after success.
    fn run(&self, root: &Path, sources: &Path, promises: &mut Promises) -> bool {
        for effect in self.all() {
            promises.tried(&effect.key, effect.content.clone());
        }
        let start = |script: &str| {
            let mut command = Command::new("bash");
            command.args(["-c", script]).current_dir("/").env("src", sources).env("dst", root);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let steps: Vec<&Step> =
            if self.apart.is_empty() { vec![self] } else { self.apart.iter().collect() };
        let running: Vec<_> = steps.iter().map(|step| start(&step.script)).collect();
        let mut all = true;
        for (mut child, step) in running.into_iter().zip(steps) {
            if child.wait().unwrap().success() {
                for effect in &step.effects {
                    promises.confirmed(&effect.key, effect.content.clone());
                }
            } else {
                all = false;
            }
        }
        all
    }

    fn all(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter().chain(self.apart.iter().flat_map(|step| &step.effects))
    }
}

/// A named sequence of steps.
#[derive(Clone)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// What the daemon finds: made and confirmed before it may die.
    before: Vec<Step>,
    steps: Vec<Step>,
    /// Whether doing it twice is doing it once.
    pub(super) again: bool,
    /// Where a daemon has died before, in the midst of the steps.
    pub(super) cut: Option<&'static str>,
}

impl Workload {
    /// What has to be there first. Panics when it fails.
    pub(super) fn prepare(&self, root: &Path, sources: &Path, promises: &mut Promises) {
        for step in &self.before {
            assert!(step.run(root, sources, promises), "{}: {}", self.name, step.script);
        }
    }

    /// Runs all steps, whatever becomes of them; whether all succeeded.
    pub(super) fn run(&self, root: &Path, sources: &Path, promises: &mut Promises) -> bool {
        let results: Vec<bool> =
            self.steps.iter().map(|step| step.run(root, sources, promises)).collect();
        results.into_iter().all(|ok| ok)
    }
}

/// All of them; what they copy is put into `sources`. `part` is the size of the first parts.
pub(super) fn all(sources: &Path, part: usize) -> Vec<Workload> {
    let source = |name: &str, seed: u64, len: usize| {
        let bytes = pattern(seed, len);
        fs::write(sources.join(name), &bytes).unwrap();
        bytes
    };
    let copy = |name: &str, key: &str, bytes: &[u8]| {
        step(format!("cp $src/{name} $dst/{key}"), vec![(key, Some(bytes.to_vec()))])
    };
    let workload = |name, before: Vec<Step>, steps: Vec<Step>| Workload {
        name,
        before,
        steps,
        again: name != "append",
        cut: None,
    };

    let (tiny, page) = (source("tiny", 1, 1), source("page", 2, 4096));
    let one: Vec<_> = [part - 1, part, part + 1]
        .into_iter()
        .enumerate()
        .map(|(n, len)| (format!("one{n}"), source(&format!("one{n}"), 3 + n as u64, len)))
        .collect();
    let (three, other) = (source("three", 10, 3 * part + 7), source("other", 11, 3 * part + 7));
    let patch = source("patch", 12, 4096);
    let mut edited = three.clone();
    edited[part + 500..part + 500 + 4096].copy_from_slice(&patch);
    let mut appended = three.clone();
    appended.extend_from_slice(&patch);

    let many: Vec<Step> = (0..16)
        .map(|n| {
            let len = [4096, part + 1][n % 2];
            let (name, key) = (format!("many{n}"), format!("many-{n}"));
            let bytes = source(&name, 20 + n as u64, len);
            copy(&name, &key, &bytes)
        })
        .collect();
    let three_copied = || copy("three", "f", &three);
    vec![
        workload(
            "tiny",
            vec![],
            vec![
                step("cp /dev/null $dst/empty".into(), vec![("empty", Some(vec![]))]),
                copy("tiny", "tiny", &tiny),
                copy("page", "page", &page),
            ],
        ),
        workload(
            "one part",
            vec![],
            one.iter().map(|(name, bytes)| copy(name, name, bytes)).collect(),
        ),
        workload("three parts", vec![], vec![three_copied()]),
        Workload {
            cut: Some("flush.lastpart_acked"),
            ..workload("three parts, cut off", vec![], vec![three_copied()])
        },
        Workload {
            cut: Some("flush.lastpart_acked"),
            ..workload(
                "another file, cut off",
                vec![],
                vec![three_copied(), copy("other", "f", &other)],
            )
        },
        workload("overwrite", vec![three_copied()], vec![copy("other", "f", &other)]),
        workload(
            "append",
            vec![three_copied()],
            vec![step(
                "dd if=$src/patch of=$dst/f oflag=append conv=notrunc,fsync bs=64k".into(),
                vec![("f", Some(appended))],
            )],
        ),
        workload(
            "edit",
            vec![three_copied()],
            vec![step(
                format!(
                    "dd if=$src/patch of=$dst/f conv=notrunc bs=4096 oflag=seek_bytes seek={}",
                    part + 500
                ),
                vec![("f", Some(edited))],
            )],
        ),
        workload(
            "sixteen at once",
            vec![],
            vec![Step { script: String::new(), effects: vec![], apart: many }],
        ),
        workload(
            "rename into place",
            vec![three_copied()],
            vec![
                copy("other", "new", &other),
                step("mv $dst/new $dst/f".into(), vec![("f", Some(other.clone())), ("new", None)]),
            ],
        ),
        workload(
            "remove",
            vec![three_copied(), copy("page", "page", &page)],
            vec![
                step("rm -f $dst/f".into(), vec![("f", None)]),
                step("rm -f $dst/page".into(), vec![("page", None)]),
            ],
        ),
    ]
}
