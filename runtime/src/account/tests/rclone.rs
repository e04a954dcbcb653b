use super::*;

const CONFIG: &str = "# a comment
[work]
type = onedrive
client_id = id
client_secret = sesame-secret
token = {\"access_token\":\"sesame-access\",\"refresh_token\":\"r\",\"expiry\":\"2020-01-01T00:00:00Z\"}
drive_id = b!x-1
drive_type = business
region = global

; another
[ bucket ]
type=s3
secret_access_key = a=b=c
";

#[test]
fn ini_and_json_say_the_same() {
    let ini = parse(CONFIG).unwrap();
    assert_eq!(
        ini.iter().map(|remote| (&*remote.name, &*remote.kind)).collect::<Vec<_>>(),
        [("work", "onedrive"), ("bucket", "s3"),]
    );
    let credentials = ini[0].credentials().unwrap();
    assert_eq!((&*credentials.client_id, ini[0].drive_id()), ("id", Some("b!x-1")));
    assert_eq!(credentials.client_secret.as_ref().unwrap().expose(), "sesame-secret");
    assert_eq!(credentials.token.access.expose(), "sesame-access");
    assert_eq!(ini[1].get("secret_access_key").unwrap().expose(), "a=b=c");
    assert!(!format!("{ini:?} {credentials:?}").contains("sesame"));
    let json = serde_json::json!({"work": {
        "type": "onedrive", "client_id": "id", "client_secret": "sesame-secret", "drive_id": "b!x-1",
        "drive_type": "business", "region": "global", "expert": true,
        "token": r#"{"access_token":"sesame-access","refresh_token":"r","expiry":"2020-01-01T00:00:00Z"}"#,
    }});
    let json = parse(&json.to_string()).unwrap();
    assert_eq!(json[0].credentials().unwrap().token, credentials.token);
}

#[test]
fn what_cannot_be_taken_over_says_why_without_repeating_it() {
    let check = |text: &str, expected: &str| {
        let error = match parse(text) {
            Err(error) => error,
            Ok(remotes) => remotes[0].credentials().unwrap_err(),
        };
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert!(!error.to_string().contains("sesame"), "{error}");
    };
    check("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nsesame", "is encrypted");
    check("[work]\nsesame", "line 2 is neither");
    check("token = sesame", "line 1 is neither");
    check("{\"work\": \"sesame\"}", "not what `rclone config dump` prints");
    check("[work]\ntype = dropbox", "it has no token");
    check("[work]\ntoken = sesame\nclient_id = id", "not a token as rclone keeps it");
    check("[work]\ntoken = {\"access_token\":\"sesame\"}", "as rclone itself");
    check(&CONFIG.replace("= global", "= cn"), "its `region` is set");
    check(&CONFIG.replace("region", "token_url"), "its `token_url` is set");
    check(&CONFIG.replace("region", "tenant"), "its `tenant` is set");
    assert_eq!(parse("").unwrap(), []);
}
