//! The order of the places, in a home and an environment that a test makes up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

/// A home, and what the user says beside it.
struct World {
    home: TempDir,
    variables: Vec<(String, String)>,
    search: Search,
}

impl World {
    fn new(service: DialectName) -> Self {
        let search = Search {
            service,
            variables: Variables::default(),
            credentials_file: None,
            profile: None,
            // Nobody asks the network of the machine that runs the tests.
            instance_role: false,
        };
        let home = TempDir::new().unwrap();
        let variables = vec![("HOME".to_owned(), home.path().to_str().unwrap().to_owned())];
        Self { home, variables, search }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn own_file(mut self, id: &str) -> Self {
        self = self.file("keys", &format!("access_key_id = {id}\nsecret_access_key = s\n"));
        self.search.credentials_file = Some(self.home.path().join("keys"));
        self
    }

    fn search(&self) -> Search {
        Search { variables: self.variables.iter().cloned().collect(), ..self.search.clone() }
    }

    /// The key id that is found.
    async fn id(&self) -> Result<String, String> {
        let found = first(&self.search().places(&Door::default())).await;
        assert_eq!(self.search().check().map_err(|e| e.to_string()).err(), error_of(&found));
        match found {
            Ok((_, Look::Found(credentials, _))) => Ok(credentials.access_key_id),
            Ok(_) => panic!("found nothing"),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn error_of(found: &Result<(Place, Look), CredentialError>) -> Option<String> {
    found.as_ref().err().map(|error| error.to_string())
}

/// Sets up each place in turn, the last one first: each is preferred to what was there before it.
#[tokio::test]
async fn each_service_has_its_order() {
    let cos_conf = "[common]\nsecret_id=ID\nsecret_key=s\n";
    let cos_yaml = "cos:\n  base:\n    secretid: ID\n    secretkey: s\n";
    let ini = "[default]\naccess_key_id=ID\naccess_key_secret=s\n";
    let json = r#"{"profiles":[{"name":"default","access_key_id":"ID","access_key_secret":"s"}]}"#;
    let ossutil = "[Credentials]\naccessKeyID=ID\naccessKeySecret=s\n";
    let aws = "[default]\naws_access_key_id=ID\naws_secret_access_key=s\n";
    let qingstor = "access_key_id: ID\nsecret_access_key: s\n";
    type Files<'a> = &'a [(&'a str, &'a str)];
    type Pairs<'a> = &'a [[&'a str; 2]];
    let services: [(DialectName, Files<'_>, Pairs<'_>); 4] = [
        (
            DialectName::Cos,
            &[(".cos.yaml", cos_yaml), (".cos.conf", cos_conf)],
            &[
                ["TKE_SECRET_ID", "TKE_SECRET_KEY"],
                ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"],
            ],
        ),
        (
            DialectName::Oss,
            &[
                (".aliyun/config.json", json),
                (".aliyun/credentials.ini", ini),
                (".alibabacloud/credentials.ini", ini),
                (".oss/credentials", ini),
                (".ossutilconfig", ossutil),
            ],
            &[
                ["ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
                ["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"],
            ],
        ),
        (
            DialectName::Qingstor,
            &[(".qingstor/config.yaml", qingstor)],
            &[["QINGSTOR_ACCESS_KEY_ID", "QINGSTOR_SECRET_ACCESS_KEY"]],
        ),
        (
            DialectName::S3,
            &[(".aws/config", aws), (".aws/credentials", aws)],
            &[["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]],
        ),
    ];
    for (service, files, pairs) in services {
        let mut world = World::new(service);
        for (number, (name, text)) in files.iter().enumerate() {
            let id = format!("AKIDfile{number}");
            world = world.file(
                name,
                &text.replace("ID\n", &format!("{id}\n")).replace("\"ID\"", &format!("\"{id}\"")),
            );
            assert_eq!(world.id().await, Ok(id), "{service:?} {name}");
        }
        world = world.own_file("own");
        assert_eq!(world.id().await, Ok("own".to_owned()), "{service:?}");
        for [id, secret] in
            pairs.iter().chain(&[["PARTFS_ACCESS_KEY_ID", "PARTFS_SECRET_ACCESS_KEY"]])
        {
            world = world.set(id, id).set(secret, "s");
            assert_eq!(world.id().await, Ok((*id).to_owned()), "{service:?}");
        }
    }
}

#[tokio::test]
async fn half_a_pair_is_a_mistake_even_where_more_would_follow() {
    for (set, unset) in [
        ("PARTFS_ACCESS_KEY_ID", "PARTFS_SECRET_ACCESS_KEY"),
        ("TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SECRET_ID"),
    ] {
        let world = World::new(DialectName::Cos).own_file("own").set(set, "hush");
        assert_eq!(world.id().await, Err(format!("{set} is set but {unset} is not")));
    }
}

#[tokio::test]
async fn what_is_there_and_unusable_ends_the_search() {
    let tools = "[common]\nsecret_id=AKIDtool\nsecret_key=s\n";
    let mut world = World::new(DialectName::Cos).file(".cos.conf", tools);
    world.search.credentials_file = Some(world.home.path().join("none"));
    let message = world.id().await.unwrap_err();
    assert!(
        message.starts_with("credentials_file ") && message.ends_with("no such file"),
        "{message}"
    );

    let world = World::new(DialectName::Cos).file(".cos.conf", "[common]\nhush\n");
    let world = world.file(".cos.yaml", "cos:\n  base:\n    secretid: AKIDx\n    secretkey: s\n");
    let message = world.id().await.unwrap_err();
    assert!(message.contains(".cos.conf: line 2: ") && !message.contains("hush"), "{message}");

    let world = World::new(DialectName::Cos)
        .set("PARTFS_ACCESS_KEY_ID", "a b")
        .set("PARTFS_SECRET_ACCESS_KEY", "s");
    assert!(world.id().await.unwrap_err().contains("characters that no key has"));
}

#[tokio::test]
async fn without_any_all_places_are_named() {
    for (service, places) in [
        (DialectName::Cos, &["TENCENTCLOUD_SECRET_ID", ".cos.conf", ".cos.yaml"][..]),
        (
            DialectName::Oss,
            &["OSS_ACCESS_KEY_ID", ".ossutilconfig", ".oss/credentials", "config.json"],
        ),
        (DialectName::Qingstor, &["QINGSTOR_ACCESS_KEY_ID", ".qingstor/config.yaml"]),
        (DialectName::S3, &["AWS_ACCESS_KEY_ID", "profile default in ", ".aws/config"]),
    ] {
        let found = first(&World::new(service).search().places(&Door::default())).await;
        let message = found.unwrap_err().to_string();
        assert!(message.starts_with("no credentials found. They are looked for in PARTFS_ACC"));
        for place in places.iter().chain(&["credentials_file"]) {
            assert!(message.contains(place), "{service:?}: {place} is not in {message}");
        }
    }
}

#[test]
fn a_role_that_could_be_asked_is_not_missed_before_it_is_asked() {
    let mut world = World::new(DialectName::Oss);
    world.search.instance_role = true;
    assert_eq!(world.search().check(), Ok(()));
    let mut world = World::new(DialectName::Qingstor);
    world.search.instance_role = true;
    assert!(world.search().check().is_err(), "QingStor has no roles");
}

#[tokio::test]
async fn a_named_profile_is_preferred_to_the_variables() {
    let aws = "[ci]\naws_access_key_id=AKIAci\naws_secret_access_key=s\n";
    let mut world = World::new(DialectName::S3).file(".aws/credentials", aws);
    world = world.set("AWS_ACCESS_KEY_ID", "env").set("AWS_SECRET_ACCESS_KEY", "s");
    assert_eq!(world.id().await, Ok("env".to_owned()));
    world = world.set("AWS_PROFILE", "ci");
    assert_eq!(world.id().await, Ok("env".to_owned()), "as AWS's tools do");
    world.search.profile = Some("ci".to_owned());
    assert_eq!(world.id().await, Ok("AKIAci".to_owned()));
}

#[test]
fn nothing_shows_a_secret() {
    let world = World::new(DialectName::S3).set("AWS_SECRET_ACCESS_KEY", "hush").own_file("own");
    let text = format!("{:?} {:#?}", world.search(), world.search().places(&Door::default()));
    assert!(text.contains("AWS_SECRET_ACCESS_KEY") && !text.contains("hush"), "{text}");
}

#[test]
fn files_that_may_be_read_later_are_named_before_they_are_there() {
    let world = World::new(DialectName::S3)
        .set("AWS_WEB_IDENTITY_TOKEN_FILE", "/tokens/aws")
        .set("TKE_IDENTITY_TOKEN_FILE", "/tokens/tke")
        .own_file("own");
    let home = world.home.path().to_owned();
    let below = |names: &[&str]| names.iter().map(|name| home.join(name)).collect::<Vec<_>>();
    let mut expected = vec![PathBuf::from("/tokens/aws")];
    expected.extend(below(&[".aws/credentials", ".aws/config", "keys"]));
    assert_eq!(world.search().files(), expected);

    // The folder of this one is the whole home.
    let world =
        World { search: Search { service: DialectName::Cos, ..world.search.clone() }, ..world };
    assert_eq!(world.search().files(), [PathBuf::from("/tokens/tke"), home.join("keys")]);
    let world = world.file(".cos.conf", "");
    let expected = [PathBuf::from("/tokens/tke"), home.join(".cos.conf"), home.join("keys")];
    assert_eq!(world.search().files(), expected);
}
