//! The files of the services' own tools, as those write them.

use std::fs;

use tempfile::TempDir;

use super::*;

fn keys(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials::new(id, secret).with_token(token)
}

fn found(parsed: Parsed) -> Credentials {
    parsed.unwrap().unwrap()
}

fn flaw(parsed: Parsed) -> String {
    let text = parsed.unwrap_err().to_string();
    assert!(!text.contains("hush"), "{text}");
    text
}

#[test]
fn coscmd_writes_one_section() {
    let text = "[common]\nsecret_id = AKIDx\nsecret_key = hush\nbucket = b-1\nregion = r\n\
                max_thread = 5\nschema = https\nanonymous = False\n";
    assert_eq!(found(coscmd(text)), keys("AKIDx", "hush", None));
    let with_token = format!("{text}token = t\n");
    assert_eq!(found(coscmd(&with_token)), keys("AKIDx", "hush", Some("t")));
    assert_eq!(
        flaw(coscmd("[common]\nsecret_key = hush\n")),
        "line 2: a secret without its key id"
    );
    assert!(coscmd("[other]\nsecret_id = x\n").unwrap().is_err());
}

#[test]
fn coscli_writes_yaml_and_may_encrypt() {
    let text = "cos:\n  base:\n    secretid: AKIDx\n    secretkey: hush\n    sessiontoken: \"\"\n    \
                protocol: https\n    mode: SecretKey\n    cvmrolename: \"\"\n  buckets:\n  - name: b-1\n    \
                alias: b\n    region: r\n";
    assert_eq!(found(coscli(text)), keys("AKIDx", "hush", None));
    let token = text.replace("sessiontoken: \"\"", "sessiontoken: t");
    assert_eq!(found(coscli(&token)), keys("AKIDx", "hush", Some("t")));
    let encrypted = flaw(coscli(&text.replace("AKIDx", "hush2bd8a7")));
    assert!(encrypted.starts_with("line 3: coscli has encrypted its keys"), "{encrypted}");
    let role = text.replace("mode: SecretKey", "mode: CvmRole");
    assert!(coscli(&role).unwrap().unwrap_err().contains("role of the machine"));
}

#[test]
fn ossutil_has_many_spellings() {
    for (id, secret) in [
        ("accessKeyID", "accessKeySecret"),
        ("access_key_id", "access_key_secret"),
        ("accessid", "accessKeySecret"),
    ] {
        let text = format!(
            "[Credentials]\nlanguage=EN\nendpoint=e\n{id}=LTAIx\n{secret}=hush\n[Bucket-Endpoint]\nb=e\n"
        );
        assert_eq!(found(ossutil(&text)), keys("LTAIx", "hush", None));
        let with_token = text.replace("language=EN", "stsToken=t\nmode=StsToken");
        assert_eq!(found(ossutil(&with_token)), keys("LTAIx", "hush", Some("t")));
    }
    assert!(ossutil("[Credentials]\nmode=EcsRamRole\n").unwrap().is_err());
    assert!(flaw(ossutil("[Credentials]\nmode=RamRoleArn\n")).starts_with("line 2: partfs knows"));
}

#[test]
fn alibaba_profiles() {
    let text = "[default]\ntype = access_key\naccess_key_id = LTAIx\naccess_key_secret = hush\n\
                [ci]\ntype = sts\naccess_key_id = STS.y\naccess_key_secret = hush2\nsecurity_token = t\n\
                [arn]\ntype = ram_role_arn\n";
    assert_eq!(found(alibaba_ini(text, None)), keys("LTAIx", "hush", None));
    assert_eq!(found(alibaba_ini(text, Some("ci"))), keys("STS.y", "hush2", Some("t")));
    assert_eq!(flaw(alibaba_ini(text, Some("no"))), "it has no profile no");
    assert!(flaw(alibaba_ini(text, Some("arn"))).starts_with("line 11: "));
    assert!(alibaba_ini("", None).unwrap().is_err());
}

#[test]
fn the_aliyun_program_writes_json() {
    let text = r#"{"current":"b","profiles":[
        {"name":"a","mode":"AK","access_key_id":"LTAIa","access_key_secret":"hush"},
        {"name":"b","mode":"StsToken","access_key_id":"STS.b","access_key_secret":"hush","sts_token":"t"},
        {"name":"c","mode":"ChainableRamRoleArn"},
        {"name":"d","mode":"EcsRamRole"},
        {"name":"e","mode":"AK","access_key_id":"LTAIe"}]}"#;
    assert_eq!(found(alibaba_json(text, None)), keys("STS.b", "hush", Some("t")));
    assert_eq!(found(alibaba_json(text, Some("a"))), keys("LTAIa", "hush", None));
    assert!(flaw(alibaba_json(text, Some("c"))).contains("profile c"));
    assert!(alibaba_json(text, Some("d")).unwrap().is_err());
    assert!(flaw(alibaba_json(text, Some("e"))).contains("half a pair"));
    assert!(flaw(alibaba_json("{\n\"profiles\": \"hush\"}", None)).starts_with("line 2: "));
}

#[test]
fn qingstor_is_flat_yaml() {
    let text = "access_key_id: 'QYx'\nsecret_access_key: 'hush'\nhost: 'qingstor.com'\nport: 443\n\
                enable_virtual_host_style: false\n";
    assert_eq!(found(qingstor(text)), keys("QYx", "hush", None));
    assert_eq!(flaw(qingstor("secret_access_key: hush\n")), "line 1: a secret without its key id");
    assert!(qingstor("host: 'x'\n").unwrap().is_err());
}

#[test]
fn absent_files_are_passed_over_unless_they_are_named() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("config.yaml");
    let usual = || ToolFile::usual(path.clone(), Format::QingStor);
    let named = || ToolFile::named(path.clone(), Format::QingStor, "QINGSTOR_CONFIG_PATH");
    assert!(matches!(usual().look(), Ok(Look::Nothing(None))));
    let message = named().look().unwrap_err().to_string();
    let shown = path.display();
    assert_eq!(message, format!("{shown} (named by QINGSTOR_CONFIG_PATH): there is no such file"));

    fs::write(&path, "host: x\n").unwrap();
    assert!(matches!(usual().look(), Ok(Look::Nothing(Some(_)))));
    assert!(named().look().unwrap_err().to_string().ends_with("it has no keys"));

    fs::write(&path, "a: b\n\tsecret_access_key: hush\n").unwrap();
    let message = usual().look().unwrap_err().to_string();
    assert_eq!(message, format!("{shown}: line 2: a tab cannot be indentation"));

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(usual().look().unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn a_file_that_others_can_read_is_used_and_warned_of_once() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(".cos.conf");
    fs::write(&path, "[common]\nsecret_id=AKIDx\nsecret_key=hush\n").unwrap();
    let place = ToolFile::usual(path.clone(), Format::CosCmd);
    for (mode, warned) in [(0o600, false), (0o644, true), (0o644, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(place.look(), Ok(Look::Found(..))));
        assert_eq!(place.warned.0.load(Ordering::Relaxed), warned, "{mode:o}");
    }
}
