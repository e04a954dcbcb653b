use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::revocation::{List, RevokedDigest, RevokedKey};
use super::sign::PrivateKey;
use super::*;
use crate::home::{Name, tests::scratch};
use crate::registry::Digest;
use crate::secret::Secret;

/// A ticket without a signature, for what is done with tickets.
pub(crate) fn trusted(component: &[u8], id: &str) -> Ticket {
    let (_, public) = sign::generate().unwrap();
    Ticket::Trusted(Trusted {
        digest: Digest::of(component),
        publisher: name("wharf"),
        key: public.id(),
        bundle: b"bundle".to_vec(),
        id: id.to_owned(),
    })
}

const ARTEFACT: &[u8] = b"a component, as far as this room can tell";
const ID: &str = "dev.wharf.onedrive";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    moment("2026-06-01T00:00:00Z")
}

fn key() -> PrivateKey {
    PrivateKey::parse(&sign::generate().unwrap().0, None).unwrap()
}

/// A home that trusts `wharf` with a fresh key.
fn trusting() -> (tempfile::TempDir, Trust, PrivateKey) {
    let (folder, home) = scratch();
    let (trust, key) = (Trust::new(&home), key());
    let always = Window::default();
    trust.add(&name("wharf"), Some((key.public().unwrap(), always)), &["dev.wharf".to_owned()]).unwrap();
    (folder, trust, key)
}

fn refusal(trust: &Trust, bytes: &[u8], bundle: &[u8]) -> String {
    trust.verify(bytes, bundle, now()).unwrap_err().to_string()
}

#[test]
fn what_is_signed_is_trusted_and_only_that() {
    let (_folder, trust, key) = trusting();
    let bundle = key.sign(ARTEFACT).unwrap();
    let verified = trust.verify(ARTEFACT, &bundle, now()).unwrap();
    let ticket = Ticket::Trusted(verified.admit(ID).unwrap());
    assert_eq!(ticket.publisher(), Some(&name("wharf")));
    assert_eq!(ticket.digest(), &Digest::of(ARTEFACT));
    assert_eq!(ticket.bundle(), Some(bundle.as_slice()));
    assert!(ticket.is_for(ID) && !ticket.is_for("dev.wharf.dropbox"));
    for at in 0..ARTEFACT.len() {
        let mut changed = ARTEFACT.to_vec();
        changed[at] ^= 1;
        let error = refusal(&trust, &changed, &bundle);
        assert!(error.starts_with("its bundle is for sha256:"), "{error}");
    }
    // Whatever bit of a bundle is turned, it is not accepted, unless it says the same.
    for at in 0..bundle.len() {
        let mut changed = bundle.clone();
        changed[at] ^= 1;
        if let Ok(verified) = trust.verify(ARTEFACT, &changed, now()) {
            // Only the hint that names a key may be unreadable: then each key is asked.
            let text = String::from_utf8(changed).unwrap();
            assert!(text.contains(r#""hint":""#) && verified.key() == &key.public().unwrap().id(), "{text}");
        }
    }
}

#[test]
fn both_kinds_of_key_sign_and_verify() {
    let ecdsa = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQ05O9KjhHdrr+nen
BP+Z/RaqbJc33CLLYnmMqneFJyGhRANCAASS0TGCh/+RSF4R1i3235Md8G2lJoZI
3Fe0J7tZ/6MUVFb9r33q23bd3iaZL+p0dKKwx5Skxz5bDJwhPaS++iyh
-----END PRIVATE KEY-----
";
    let ed25519 = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
    for (text, algorithm) in [(ecdsa, key::Algorithm::EcdsaP256), (ed25519, key::Algorithm::Ed25519)] {
        let key = PrivateKey::parse(&Secret::new(text.to_owned()), None).unwrap();
        let public = key.public().unwrap();
        assert_eq!(public.algorithm(), algorithm);
        assert_eq!(PublicKey::parse(public.to_pem().as_bytes()).unwrap(), public);
        let (_folder, home) = scratch();
        let trust = Trust::new(&home);
        trust.add(&name("a"), Some((public, Window::default())), &["dev.wharf".to_owned()]).unwrap();
        trust.verify(ARTEFACT, &key.sign(ARTEFACT).unwrap(), now()).unwrap();
        // Another home reads the same file.
        assert_eq!(Trust::new(&home).publishers().unwrap(), trust.publishers().unwrap());
    }
}

#[test]
fn a_key_that_is_none_says_what_it_is() {
    let parse = |text: &str| PrivateKey::parse(&Secret::new(text.to_owned()), None).unwrap_err().to_string();
    let (private, public) = sign::generate().unwrap();
    assert_eq!(parse("hello"), "holds no key in PEM");
    assert_eq!(parse(&public.to_pem()), "holds a public key, which cannot sign");
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(
        parse(rsa),
        "holds `RSA PRIVATE KEY`, and not `PRIVATE KEY` or `ENCRYPTED SIGSTORE PRIVATE KEY`"
    );
    let damaged = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(parse(damaged), "holds a key that is neither Ed25519 nor ECDSA P-256");
    let read = |text: &str| PublicKey::parse(text.as_bytes()).unwrap_err();
    assert_eq!(read(private.expose()), key::Error::Private);
    assert_eq!(read("hello"), key::Error::NotPem);
    assert_eq!(read(&"a".repeat(key::KEY_FILE_BYTES_MAX + 1)), key::Error::NotPem);
    assert_eq!(read("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key::Error::NotPublic);
    assert_eq!(read("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), key::Error::Unsupported);
    assert_eq!(format!("{:?}", key()), "PrivateKey(****)");
}

/// An encrypted key of cosign 2.5, of the password `correct horse`.
const COSIGN_KEY: &str = include_str!("tests/cosign.key");
const COSIGN_PUBLIC: &str = include_str!("tests/cosign.pub");

#[test]
fn an_encrypted_key_opens_with_its_password() {
    let text = Secret::new(COSIGN_KEY.to_owned());
    assert!(PrivateKey::is_encrypted(&text));
    let open = |password: &str| PrivateKey::parse(&text, Some(&Secret::new(password.to_owned())));
    let key = open("correct horse").unwrap();
    assert_eq!(key.public().unwrap(), PublicKey::parse(COSIGN_PUBLIC.as_bytes()).unwrap());
    assert_eq!(open("wrong horse").unwrap_err(), sign::Error::PasswordWrong);
    assert_eq!(PrivateKey::parse(&text, None).unwrap_err(), sign::Error::PasswordMissing);
    let older = COSIGN_KEY.replace("SIGSTORE", "COSIGN");
    PrivateKey::parse(&Secret::new(older), Some(&Secret::new("correct horse".to_owned()))).unwrap();
}

#[test]
fn a_key_that_would_take_all_memory_is_refused() {
    let parsed = pem::parse(COSIGN_KEY).unwrap();
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut value: Value = serde_json::from_slice(parsed.contents()).unwrap();
        change(&mut value);
        let text = pem::encode(&pem::Pem::new(parsed.tag(), value.to_string()));
        let password = Secret::new("correct horse".to_owned());
        let error = PrivateKey::parse(&Secret::new(text), Some(&password)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|value| value["kdf"]["params"]["N"] = json!(1_u64 << 40), "N 1099511627776, r 8, p 1");
    check(&|value| value["kdf"]["params"]["N"] = json!(65_537), "N 65537");
    check(&|value| value["kdf"]["params"]["N"] = json!(0), "N 0");
    check(&|value| value["kdf"]["params"]["r"] = json!(u32::MAX), "r 4294967295");
    check(&|value| value["kdf"]["params"]["p"] = json!(1000), "p 1000");
    check(&|value| value["kdf"]["name"] = json!("argon2"), "not scrypt");
    check(&|value| value["cipher"]["nonce"] = json!("AAAA"), "a nonce of another length");
    check(&|value| value["extra"] = json!(1), "unknown field");
}

/// A bundle with a statement, signed by `key`, after `change` was made to the statement and to the file.
fn statement(
    key: &PrivateKey,
    change_statement: impl FnOnce(&mut Value),
    change_file: impl FnOnce(&mut Value),
) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    let mut statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "subject": [{ "name": "x", "digest": { "sha256": Digest::of(ARTEFACT).as_str() } }],
        "predicate": {},
    });
    change_statement(&mut statement);
    let (kind, payload) = ("application/vnd.in-toto+json", statement.to_string());
    let signed = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let bundle: Value = serde_json::from_slice(&key.sign(signed.as_bytes()).unwrap()).unwrap();
    let mut file = json!({
        "mediaType": bundle["mediaType"],
        "verificationMaterial": bundle["verificationMaterial"],
        "dsseEnvelope": {
            "payload": BASE64.encode(payload),
            "payloadType": kind,
            "signatures": [{ "sig": bundle["messageSignature"]["signature"], "keyid": "" }],
        },
    });
    change_file(&mut file);
    file.to_string().into_bytes()
}

#[test]
fn a_statement_vouches_for_one_artefact_in_one_way() {
    let (_folder, trust, key) = trusting();
    trust.verify(ARTEFACT, &statement(&key, |_| {}, |_| {}), now()).unwrap().admit(ID).unwrap();
    let check = |statement: Vec<u8>, expected: &str| {
        let error = refusal(&trust, ARTEFACT, &statement);
        assert!(error.starts_with("its bundle ") && error.contains(expected), "{error}");
    };
    let other = Digest::of(b"other");
    let two = |value: &mut Value| {
        let second = json!({ "name": "y", "digest": { "sha256": other.as_str() } });
        value["subject"].as_array_mut().unwrap().push(second);
    };
    check(statement(&key, two, |_| {}), "is about 2 subjects, and must be about one");
    check(statement(&key, |value| value["subject"] = json!([]), |_| {}), "is about 0 subjects");
    let elsewhere = |value: &mut Value| value["subject"][0]["digest"]["sha256"] = json!(other.as_str());
    check(statement(&key, elsewhere, |_| {}), "is for sha256:");
    let weaker = |value: &mut Value| value["subject"][0]["digest"]["sha1"] = json!("00");
    check(statement(&key, weaker, |_| {}), "does not name its subject by one sha256");
    let provenance = |value: &mut Value| value["predicateType"] = json!("https://slsa.dev/provenance/v1");
    check(statement(&key, provenance, |_| {}), "says `https://slsa.dev/provenance/v1`, and not");
    let kind = |value: &mut Value| value["_type"] = json!("https://example.com/x");
    check(statement(&key, kind, |_| {}), "which is not in-toto's");
    let carried = |value: &mut Value| value["dsseEnvelope"]["payloadType"] = json!("text/plain");
    check(statement(&key, |_| {}, carried), "carries `text/plain`, and not `application/vnd.in-toto+json`");
    let twice = |value: &mut Value| {
        let signature = value["dsseEnvelope"]["signatures"][0].clone();
        value["dsseEnvelope"]["signatures"].as_array_mut().unwrap().push(signature);
    };
    check(statement(&key, |_| {}, twice), "holds 2 signatures, and may hold one");
    let none = |value: &mut Value| value["dsseEnvelope"]["signatures"] = json!([]);
    check(statement(&key, |_| {}, none), "holds 0 signatures");
    // Nothing of a statement counts before its signature: another's words are not even read.
    let stranger = statement(&super::tests::key(), two, |_| {});
    assert!(refusal(&trust, ARTEFACT, &stranger).contains("no trusted publisher has"));
}

#[test]
fn a_bundle_of_another_form_is_refused() {
    let (_folder, trust, key) = trusting();
    let good: Value = serde_json::from_slice(&key.sign(ARTEFACT).unwrap()).unwrap();
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut value = good.clone();
        change(&mut value);
        let error = refusal(&trust, ARTEFACT, value.to_string().as_bytes());
        assert!(error.contains(expected), "{error}");
    };
    check(&|value| value["surprise"] = json!(1), "unknown field `surprise`");
    check(
        &|value| value["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.1"),
        "version=0.1",
    );
    check(&|value| value["verificationMaterial"]["certificate"] = json!({}), "signed with a certificate");
    check(&|value| value["verificationMaterial"] = json!({}), "names no public key");
    check(&|value| value["messageSignature"]["messageDigest"]["algorithm"] = json!("SHA2_512"), "`SHA2_512`");
    check(
        &|value| value["messageSignature"]["messageDigest"] = json!({"algorithm": "SHA2_256"}),
        "half a digest",
    );
    check(&|value| value["messageSignature"]["signature"] = json!("%"), "its signature is not base64");
    check(&|value| drop(value.as_object_mut().unwrap().remove("messageSignature")), "holds no signature");
    let both: Value = serde_json::from_slice(&statement(&key, |_| {}, |_| {})).unwrap();
    check(&|value| value["dsseEnvelope"] = both["dsseEnvelope"].clone(), "holds two signatures");
    let log = |value: &mut Value| value["verificationMaterial"]["tlogEntries"] = json!([{}]);
    let mut logged = good.clone();
    log(&mut logged);
    trust.verify(ARTEFACT, logged.to_string().as_bytes(), now()).unwrap();
    let twice = good.to_string().replacen('{', r#"{"mediaType":"x","#, 1);
    assert!(refusal(&trust, ARTEFACT, twice.as_bytes()).contains("malformed"));
    let large = vec![b' '; usize::try_from(BUNDLE_BYTES_MAX).unwrap() + 1];
    assert_eq!(refusal(&trust, ARTEFACT, &large), "its bundle is larger than 262144 bytes");
    assert!(refusal(&trust, ARTEFACT, b"").contains("malformed"));
    assert!(refusal(&trust, ARTEFACT, "[".repeat(100_000).as_bytes()).contains("malformed"));
}

#[test]
fn without_a_digest_only_ed25519_will_do() {
    let without = |key: &PrivateKey| {
        let mut value: Value = serde_json::from_slice(&key.sign(ARTEFACT).unwrap()).unwrap();
        value["messageSignature"]["messageDigest"] = json!({});
        value.to_string()
    };
    let (_folder, trust, key) = trusting();
    trust.verify(ARTEFACT, without(&key).as_bytes(), now()).unwrap();
    assert!(refusal(&trust, b"other", without(&key).as_bytes()).contains("did not sign these bytes"));
    let password = Secret::new("correct horse".to_owned());
    let ecdsa = PrivateKey::parse(&Secret::new(COSIGN_KEY.to_owned()), Some(&password)).unwrap();
    trust.add(&name("wharf"), Some((ecdsa.public().unwrap(), Window::default())), &[]).unwrap();
    trust.verify(ARTEFACT, &ecdsa.sign(ARTEFACT).unwrap(), now()).unwrap();
    assert!(refusal(&trust, ARTEFACT, without(&ecdsa).as_bytes()).contains("did not sign these bytes"));
}

#[test]
fn keys_have_a_time_and_are_replaced_in_it() {
    let (_folder, trust, first) = trusting();
    let second = key();
    let window = Window {
        not_before: Some(moment("2026-07-01T00:00:00Z")),
        not_after: Some(moment("2027-07-01T00:00:00Z")),
    };
    trust.add(&name("wharf"), Some((second.public().unwrap(), window)), &[]).unwrap();
    let bundle = second.sign(ARTEFACT).unwrap();
    let id = second.public().unwrap().id();
    let at = |when: &str| {
        trust.verify(ARTEFACT, &bundle, moment(when)).map(|_| ()).map_err(|error| error.to_string())
    };
    let short = id.short();
    let early = format!("key `{short}` of publisher `wharf` is good from 2026-07-01T00:00:00Z on");
    assert_eq!(at("2026-06-30T23:59:59Z").unwrap_err(), early);
    at("2026-07-01T00:00:00Z").unwrap();
    at("2027-06-30T23:59:59Z").unwrap();
    let late = format!("key `{short}` of publisher `wharf` was good until 2027-07-01T00:00:00Z");
    assert_eq!(at("2027-07-01T00:00:00Z").unwrap_err(), late);
    trust.verify(ARTEFACT, &first.sign(ARTEFACT).unwrap(), now()).unwrap();
    // What one key signed is good while the other is taken back.
    let revoked = trust.revoke(&first.public().unwrap().id().as_str()[..8], "replaced").unwrap();
    assert_eq!(revoked.keys, [first.public().unwrap().id()]);
    assert!(
        refusal(&trust, ARTEFACT, &first.sign(ARTEFACT).unwrap())
            .ends_with("was revoked by the operator: replaced")
    );
    at("2026-08-01T00:00:00Z").unwrap();
    assert!(trust.revoke(first.public().unwrap().id().as_str(), "again").unwrap().keys.is_empty());
    assert_eq!(trust.revoke("wharf", "all").unwrap().keys, [id]);
}

#[test]
fn ids_belong_to_one_publisher() {
    let (_folder, trust, key) = trusting();
    let bundle = key.sign(ARTEFACT).unwrap();
    let admit = |id: &str| trust.verify(ARTEFACT, &bundle, now()).unwrap().admit(id);
    admit("dev.wharf").unwrap();
    for id in ["dev.wharfs.onedrive", "dev", "com.dev.wharf", "dev.wharf-evil", "xdev.wharf.onedrive", ""] {
        let error = admit(id).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("publisher `wharf` may sign ids of `dev.wharf`, and this one is `{id}`")
        );
    }
    let other = |prefix: &str| {
        let key = (super::tests::key().public().unwrap(), Window::default());
        trust.add(&name("other"), Some(key), &[prefix.to_owned()]).map(drop)
    };
    for prefix in ["dev.wharf", "dev.wharf.onedrive"] {
        let error = other(prefix).unwrap_err();
        assert_eq!(error.to_string(), "ids of `dev.wharf` are publisher `wharf`'s already");
    }
    for prefix in ["com", "", "a..b", "Com.acme", "com.acme.*", "com.ac\u{430}me"] {
        let error = other(prefix).unwrap_err().to_string();
        assert!(error.contains("which is no beginning of ids"), "{prefix}: {error}");
    }
    let error =
        trust.add(&name("other"), Some((key.public().unwrap(), Window::default())), &["com.acme".to_owned()]);
    assert!(matches!(error, Err(Error::KeyTaken { .. })));
    assert!(matches!(trust.add(&name("other"), None, &["com.acme".to_owned()]), Err(Error::Entry { .. })));
    other("com.acme").unwrap();
    assert_eq!(trust.publishers().unwrap().len(), 2);
}

#[test]
fn what_an_operator_misspelt_is_told() {
    let (_folder, home) = scratch();
    let trust = Trust::new(&home);
    let public = key().public().unwrap().to_pem();
    let check = |text: &str, expected: &str| {
        home.root().write("trust.toml", text.as_bytes()).unwrap();
        let error = trust.publishers().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        trust.verify(ARTEFACT, &key().sign(ARTEFACT).unwrap(), now()).unwrap_err();
    };
    let key = format!("[[publisher.key]]\npublic = \"\"\"\n{public}\"\"\"\n");
    let publisher = "[[publisher]]\nname = \"a\"\nid_prefixes = [\"com.a\"]\n";
    check("[[publisher]]\nnam = \"a\"\n", "unknown field `nam`");
    check(&format!("{publisher}{key}revoke = \"x\"\n"), "unknown field `revoke`");
    check(publisher, "publisher `a` has no key");
    check(&format!("{publisher}{key}{key}"), "twice");
    check(&format!("{publisher}{key}{publisher}{key}"), "is there twice");
    check(&format!("{publisher}{key}not_after = \"soon\"\n"), "line");
    check(&format!("{publisher}{key}id = \"{}\"\n", "0".repeat(64)), "has a key whose `id` is not");
    let bounds = "not_before = \"2027-01-01T00:00:00Z\"\nnot_after = \"2026-01-01T00:00:00Z\"\n";
    check(&format!("{publisher}{key}{bounds}"), "ends before it begins");
    check("[[publisher]]\nname = \"a\"\nid_prefixes = []\n", "has no prefix of ids");
    home.root().write("trust.toml", format!("{publisher}{key}").as_bytes()).unwrap();
    assert_eq!(trust.publishers().unwrap().len(), 1);
}

/// A list and its bundle.
fn list(key: &PrivateKey, number: u64, change: impl FnOnce(&mut List)) -> (Vec<u8>, Vec<u8>) {
    let mut list = List::new(number, now(), now().checked_add(240.hours()).unwrap());
    change(&mut list);
    let text = list.to_text().unwrap();
    let bundle = key.sign(&text).unwrap();
    (text, bundle)
}

#[test]
fn a_publisher_takes_back_what_is_theirs() {
    let (_folder, trust, key) = trusting();
    let second = super::tests::key();
    trust.add(&name("wharf"), Some((second.public().unwrap(), Window::default())), &[]).unwrap();
    let stranger = super::tests::key();
    let acme = (stranger.public().unwrap(), Window::default());
    trust.add(&name("acme"), Some(acme), &["com.acme".to_owned()]).unwrap();
    let bundle = second.sign(ARTEFACT).unwrap();
    let verify = |when| trust.verify(ARTEFACT, &bundle, when).map(|_| ()).map_err(|error| error.to_string());
    let takes_back = |list: &mut List| {
        list.keys.push(RevokedKey { id: second.public().unwrap().id(), reason: "stolen".to_owned() });
        list.digests.push(RevokedDigest { digest: Digest::of(ARTEFACT), reason: "leaks".to_owned() });
    };
    // A stranger's list says nothing about these.
    let (text, signature) = list(&stranger, 1, takes_back);
    trust.update(&text, &signature, now()).unwrap();
    verify(now()).unwrap();
    let only_digest = |list: &mut List| {
        takes_back(list);
        list.keys.clear();
    };
    let (text, signature) = list(&key, 7, only_digest);
    assert_eq!(trust.update(&text, &signature, now()).unwrap().list.number, 7);
    let error = verify(now()).unwrap_err();
    assert!(
        error.starts_with("publisher `wharf` revoked sha256:") && error.ends_with("by its list 7: leaks"),
        "{error}"
    );
    let (text, signature) = list(&key, 8, takes_back);
    trust.update(&text, &signature, now()).unwrap();
    assert!(verify(now()).unwrap_err().ends_with("was revoked by its list 8: stolen"));
    // What a list took back cannot bring itself into force again.
    let (text, signature) = list(&second, 9, |_| {});
    assert!(matches!(trust.update(&text, &signature, now()), Err(Error::KeyRevoked { .. })));
    // The same again is no change; an older or another one of the same number is refused.
    let (text, signature) = list(&key, 8, takes_back);
    trust.update(&text, &signature, now()).unwrap();
    let (text, signature) = list(&key, 7, |_| {});
    let error = trust.update(&text, &signature, now()).unwrap_err().to_string();
    assert_eq!(error, "the revocation list of publisher `wharf` has the number 7, and 8 is known already");
    let (text, signature) = list(&key, 8, |_| {});
    assert!(matches!(trust.update(&text, &signature, now()), Err(Error::ListTwice { number: 8, .. })));
    // A newer one decides alone.
    let (text, signature) = list(&key, 10, |_| {});
    trust.update(&text, &signature, now()).unwrap();
    verify(now()).unwrap();
    // When it has expired, nobody knows what was taken back since.
    let later = now().checked_add(241.hours()).unwrap();
    assert!(
        verify(later)
            .unwrap_err()
            .starts_with("revocation list 10 of publisher `wharf` expired on 2026-06-11")
    );
    let (text, signature) = list(&key, 11, |_| {});
    assert!(matches!(trust.update(&text, &signature, later), Err(Error::ListExpired { .. })));
    trust.remove(&name("wharf"), &["dev.wharf.onedrive".to_owned()]).unwrap_err();
    trust.remove(&name("wharf"), &[]).unwrap();
    assert!(trust.lists().unwrap().iter().all(|list| list.publisher == name("acme")));
}

#[test]
fn a_list_that_is_none_is_refused() {
    let (_folder, trust, key) = trusting();
    let check = |text: &str, expected: &str| {
        let bundle = key.sign(text.as_bytes()).unwrap();
        let error = trust.update(text.as_bytes(), &bundle, now()).unwrap_err().to_string();
        assert!(error.starts_with("the revocation list ") && error.contains(expected), "{error}");
        assert!(trust.lists().unwrap().is_empty());
    };
    let good = r#"{"format":1,"number":1,"issued":"2026-05-01T00:00:00Z","expires":"2026-07-01T00:00:00Z"}"#;
    check("", "malformed");
    check("[]", "malformed");
    check(&good.replace("\"format\":1", "\"format\":2"), "has the format 2");
    check(&good.replace('{', r#"{"extra":1,"#), "unknown field `extra`");
    check(&good.replace("2026-07", "2026-04"), "expires before it is issued");
    let reason = |reason: &str| {
        let entry = json!({ "digest": Digest::of(b"").to_string(), "reason": reason });
        good.replace('{', &format!(r#"{{"digests":[{entry}],"#))
    };
    check(&reason("a\u{1b}[2Jb"), "not one line");
    check(&reason(" "), "not one line");
    check(&reason(&"a".repeat(300)), "not one line");
    let unsigned = trust.update(good.as_bytes(), &key.sign(b"other").unwrap(), now()).unwrap_err();
    assert!(matches!(unsigned, Error::Bundle(bundle::Error::OtherDigest { .. })));
    trust.update(good.as_bytes(), &key.sign(good.as_bytes()).unwrap(), now()).unwrap();
}

mod robustness {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever bytes come in place of a bundle, they are refused and nothing panics.
        #[test]
        fn no_bytes_are_a_bundle(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            bundle::Bundle::parse(&bytes).unwrap_err();
        }

        /// Nor do damaged bundles and keys harm.
        #[test]
        fn damage_is_refused(at in 0_usize..400, byte in any::<u8>()) {
            let mut text = statement(&key(), |_| {}, |_| {});
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            let _ = bundle::Bundle::parse(&text);
            let mut text = COSIGN_PUBLIC.as_bytes().to_vec();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            let _ = PublicKey::parse(&text);
        }
    }
}
