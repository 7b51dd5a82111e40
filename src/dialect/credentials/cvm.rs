//! The role of a machine of Tencent Cloud, from its metadata service (what COS's Go SDK and coscli
//! do). The signing crate has nothing for it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode};

use super::network::{Door, masked};
use super::{Credentials, Secret};

/// The folder of the role's name, and of the credentials below it.
const ROLES: &str = "http://metadata.tencentyun.com/latest/meta-data/cam/security-credentials/";

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Answer {
    code: String,
    tmp_secret_id: String,
    tmp_secret_key: String,
    token: String,
    /// Seconds since 1970.
    expired_time: u64,
}

/// The credentials of the one role that the machine has.
pub(super) async fn credentials(door: &Door) -> Result<Credentials, String> {
    let roles = get(door, ROLES).await?;
    let roles = String::from_utf8_lossy(&roles);
    let role = roles.lines().next().unwrap_or_default().trim();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+=,".contains(&byte);
    if role.is_empty() || !role.bytes().all(good) {
        return Err("the machine has no role".to_owned());
    }
    let body = get(door, &format!("{ROLES}{role}")).await?;
    // The words of the parser may repeat values.
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| "the answer is not the JSON of credentials".to_owned())?;
    if answer.code != "Success" {
        return Err(format!("it says {}", masked(&answer.code)));
    }
    let complete = [&answer.tmp_secret_id, &answer.tmp_secret_key, &answer.token];
    if complete.iter().any(|text| text.is_empty()) || answer.expired_time == 0 {
        return Err("the answer lacks a part of the credentials".to_owned());
    }
    Ok(Credentials {
        access_key_id: answer.tmp_secret_id,
        secret_access_key: Secret::new(answer.tmp_secret_key),
        session_token: Some(Secret::new(answer.token)),
        expires: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(answer.expired_time)),
    })
}

async fn get(door: &Door, url: &str) -> Result<Bytes, String> {
    let request = Request::get(url).body(Bytes::new()).map_err(|error| error.to_string())?;
    let response = door.send(request).await?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        StatusCode::NOT_FOUND => Err("the machine has no role".to_owned()),
        status => Err(format!("status {}", status.as_u16())),
    }
}
