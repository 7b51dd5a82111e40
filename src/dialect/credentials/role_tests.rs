//! What is asked of whom, and what becomes of the answers: each giver as a server on loopback that
//! says what its documentation says.

use std::fs;
use std::time::{Duration, SystemTime};

use super::*;
use crate::dialect::scripted::{Act, Scripted, Seen, say};

const UNTIL: &str = "2033-05-18T03:33:20Z";

/// What [`UNTIL`] is.
fn until() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)
}

fn ok(body: &str) -> Vec<Act> {
    say(200, &[], body)
}

async fn asked(
    giver: Giver,
    variables: &[(&str, &str)],
    script: Vec<Vec<Act>>,
) -> (Result<Look, CredentialError>, Vec<Seen>) {
    let server = Scripted::start(script).await;
    let variables: Variables = variables.iter().copied().collect();
    let role = Role::new(giver, &variables, Door::to(server.address));
    let answer = role.ask().await;
    (answer, server.seen())
}

#[track_caller]
fn found(answer: Result<Look, CredentialError>) -> Credentials {
    match answer.unwrap() {
        Look::Found(credentials, None) => credentials,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn expected(credentials: &Credentials) {
    let token = Some("tok");
    let wanted = Credentials::new("ID", "sec").with_token(token);
    assert_eq!(*credentials, Credentials { expires: Some(until()), ..wanted });
}

fn lines(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
}

fn token_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "identity-token\n").unwrap();
    file
}

#[tokio::test]
async fn a_machine_of_tencent_cloud() {
    let body = r#"{"TmpSecretId":"ID","TmpSecretKey":"sec","ExpiredTime":2000000000,
        "Expiration":"2033-05-18T03:33:20Z","Token":"tok","Code":"Success"}"#;
    let (answer, seen) = asked(Giver::CosMachine, &[], vec![ok("my-role\n"), ok(body)]).await;
    expected(&found(answer));
    let folder = "/latest/meta-data/cam/security-credentials/";
    assert_eq!(lines(&seen), [format!("GET {folder}"), format!("GET {folder}my-role")]);
}

#[tokio::test]
async fn a_machine_of_tencent_cloud_that_has_nothing_to_give() {
    for (script, words) in [
        (vec![say(404, &[], "")], "the machine has no role"),
        (vec![ok("")], "the machine has no role"),
        (vec![ok("../evil")], "the machine has no role"),
        (vec![say(500, &[], "hush")], "status 500"),
        (vec![ok("r"), ok("{\"TmpSecretKey\": \"hush\"")], "not the JSON of credentials"),
        (vec![ok("r"), ok(r#"{"Code":"Failed","TmpSecretKey":"hush"}"#)], "it says Failed"),
        (vec![ok("r"), ok(r#"{"Code":"Success","TmpSecretKey":"hush"}"#)], "lacks a part"),
    ] {
        let (answer, _) = asked(Giver::CosMachine, &[], script).await;
        let error = answer.unwrap_err();
        assert!(matches!(error, CredentialError::Unavailable { .. }));
        let text = format!("{error} {error:?}");
        assert!(text.contains(words) && !text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn a_web_identity_of_tencent_cloud() {
    let file = token_file();
    let variables = [
        ("TKE_REGION", "ap-guangzhou"),
        ("TKE_PROVIDER_ID", "provider"),
        ("TKE_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap()),
        ("TKE_ROLE_ARN", "qcs::cam::uin/1:roleName/r"),
    ];
    let body = r#"{"Response":{"Expiration":"2033-05-18T03:33:20Z","ExpiredTime":2000000000,
        "Credentials":{"Token":"tok","TmpSecretId":"ID","TmpSecretKey":"sec"}}}"#;
    let (answer, seen) = asked(Giver::CosIdentity, &variables, vec![ok(body)]).await;
    expected(&found(answer));
    assert_eq!(lines(&seen), ["POST /"]);
    assert_eq!(seen[0].header("x-tc-action"), Some("AssumeRoleWithWebIdentity"));
    let sent: serde_json::Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!(sent["WebIdentityToken"], "identity-token");

    let (answer, _) = asked(Giver::CosIdentity, &variables[2..], Vec::new()).await;
    let error = answer.unwrap_err().to_string();
    assert!(error.ends_with("not all the variables that belong to it are set"), "{error}");
}

#[tokio::test]
async fn a_machine_of_alibaba_cloud() {
    let body = format!(
        r#"{{"Code":"Success","AccessKeyId":"ID","AccessKeySecret":"sec","SecurityToken":"tok","Expiration":"{UNTIL}"}}"#
    );
    let (answer, seen) =
        asked(Giver::OssMachine, &[], vec![ok("session"), ok("r"), ok(&body)]).await;
    expected(&found(answer));
    let folder = "/latest/meta-data/ram/security-credentials/";
    let wanted =
        ["PUT /latest/api/token".to_owned(), format!("GET {folder}"), format!("GET {folder}r")];
    assert_eq!(lines(&seen), wanted);
    assert_eq!(seen[2].header("x-aliyun-ecs-metadata-token"), Some("session"));

    let off = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
    let (answer, seen) = asked(Giver::OssMachine, &off, Vec::new()).await;
    assert!(matches!(answer, Ok(Look::Nothing(Some(_)))) && seen.is_empty());
}

#[tokio::test]
async fn an_identity_of_alibaba_cloud() {
    let file = token_file();
    let variables = [
        ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/r"),
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1:oidc-provider/p"),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", file.path().to_str().unwrap()),
    ];
    let body = format!(
        r#"{{"Credentials":{{"AccessKeyId":"ID","AccessKeySecret":"sec","SecurityToken":"tok","Expiration":"{UNTIL}"}}}}"#
    );
    let (answer, seen) = asked(Giver::OssIdentity, &variables, vec![ok(&body)]).await;
    expected(&found(answer));
    let target = &seen[0].target;
    for part in ["Action=AssumeRoleWithOIDC", "OIDCToken=identity-token", "RoleSessionName=partfs"]
    {
        assert!(target.contains(part), "{target}");
    }
}

#[tokio::test]
async fn a_machine_of_aws() {
    let body = format!(
        r#"{{"Code":"Success","AccessKeyId":"ID","SecretAccessKey":"sec","Token":"tok","Expiration":"{UNTIL}"}}"#
    );
    let (answer, seen) =
        asked(Giver::AwsMachine, &[], vec![ok("session"), ok("r"), ok(&body)]).await;
    expected(&found(answer));
    let folder = "/latest/meta-data/iam/security-credentials/";
    let wanted =
        ["PUT /latest/api/token".to_owned(), format!("GET {folder}"), format!("GET {folder}r")];
    assert_eq!(lines(&seen), wanted);
    assert_eq!(seen[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
    assert_eq!(seen[2].header("x-aws-ec2-metadata-token"), Some("session"));

    let off = [("AWS_EC2_METADATA_DISABLED", "true")];
    let (answer, seen) = asked(Giver::AwsMachine, &off, Vec::new()).await;
    assert!(matches!(answer, Ok(Look::Nothing(Some(_)))) && seen.is_empty());
}

#[tokio::test]
async fn a_container_of_aws() {
    let body = format!(
        r#"{{"AccessKeyId":"ID","SecretAccessKey":"sec","Token":"tok","Expiration":"{UNTIL}"}}"#
    );
    let file = token_file();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/creds"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path().to_str().unwrap()),
    ];
    let (answer, seen) = asked(Giver::AwsContainer, &variables, vec![ok(&body)]).await;
    expected(&found(answer));
    assert_eq!(lines(&seen), ["GET /v2/creds"]);
    assert_eq!(seen[0].header("authorization"), Some("identity-token"));
}

#[tokio::test]
async fn the_token_of_a_container_is_sent_in_the_clear_to_nobody_else() {
    for (url, allowed) in [
        ("http://169.254.170.23/v1/credentials", true),
        ("http://127.0.0.1/x", true),
        ("http://[::1]/x", true),
        ("https://example.org/x", true),
        ("http://example.org/x", false),
        ("http://169.254.169.254/x", false),
        ("ftp://localhost/x", false),
    ] {
        let variables: Variables =
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)].into_iter().collect();
        let role = Role::new(Giver::AwsContainer, &variables, Door::default());
        assert_eq!(role.check_container().is_ok(), allowed, "{url}");
    }
}

#[tokio::test]
async fn a_web_identity_of_aws() {
    let file = token_file();
    let path = file.path().to_str().unwrap();
    let variables =
        [("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", path)];
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>ID</AccessKeyId><SecretAccessKey>sec</SecretAccessKey>\
         <SessionToken>tok</SessionToken><Expiration>{UNTIL}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    let (answer, seen) = asked(Giver::AwsIdentity, &variables, vec![ok(&body)]).await;
    expected(&found(answer));
    assert_eq!(lines(&seen), ["POST /"]);
    let sent = String::from_utf8(seen[0].body.clone()).unwrap();
    assert!(sent.contains("WebIdentityToken=identity-token"), "{sent}");
    assert!(sent.contains("RoleSessionName=partfs"), "{sent}");
}

/// Whoever answers with what it was sent, or with half of what it should, tells nobody.
#[tokio::test]
async fn refusals_carry_no_secret() {
    let secret = "hush0123456789abcdefghijklmnopqrstuvwxyz";
    let file = token_file();
    fs::write(file.path(), secret).unwrap();
    let path = file.path().to_str().unwrap();
    let variables = [
        ("TKE_REGION", "r"),
        ("TKE_PROVIDER_ID", "p"),
        ("TKE_IDENTITY_TOKEN_FILE", path),
        ("TKE_ROLE_ARN", "a"),
        ("ALIBABA_CLOUD_ROLE_ARN", "a"),
        ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p"),
        ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", path),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", secret),
    ];
    let json = format!(r#"{{"Code":5,"SecretAccessKey":"{secret}","Credentials":"{secret}"}}"#);
    for giver in [
        Giver::CosIdentity,
        Giver::CosMachine,
        Giver::OssIdentity,
        Giver::OssMachine,
        Giver::AwsIdentity,
        Giver::AwsContainer,
        Giver::AwsMachine,
    ] {
        for (status, body) in
            [(403, format!("no: {secret}")), (500, json.clone()), (200, json.clone())]
        {
            let answers = vec![say(status, &[], &body); 3];
            let (answer, _) = asked(giver, &variables, answers).await;
            let error = answer.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hush"), "{giver:?} {status}: {text}");
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_the_server_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let role = Role::new(Giver::AwsMachine, &Variables::default(), Door::to(address));
    let error = role.ask().await.unwrap_err().to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
