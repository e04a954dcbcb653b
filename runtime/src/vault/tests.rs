use super::*;
use crate::home::{KEY_FILE, tests::scratch};

const PURPOSES: [Purpose; 3] = [Purpose::Account, Purpose::Handle, Purpose::Artefact];

#[test]
fn what_is_sealed_opens_for_its_purpose_alone() {
    let (_folder, home) = scratch();
    let vault = Vault::open(&home).unwrap();
    let again = Vault::open(&home).unwrap();
    for purpose in PURPOSES {
        let sealed = vault.seal(purpose, b"name", b"token-value").unwrap();
        assert_eq!(sealed.len(), b"token-value".len() + SEAL_BYTES);
        assert!(!sealed.windows(5).any(|window| window == b"token"));
        assert_eq!(*again.unseal(purpose, b"name", &sealed).unwrap(), b"token-value");
        again.unseal(purpose, b"nam", &sealed).unwrap_err();
        for other in PURPOSES {
            assert_eq!(again.unseal(other, b"name", &sealed).is_ok(), other == purpose);
        }
        for end in 0..sealed.len() {
            vault.unseal(purpose, b"name", &sealed[..end]).unwrap_err();
            let mut altered = sealed.clone();
            altered[end] ^= 1;
            vault.unseal(purpose, b"name", &altered).unwrap_err();
        }
    }
    let (_folder, elsewhere) = scratch();
    let sealed = vault.seal(Purpose::Handle, b"", b"").unwrap();
    Vault::open(&elsewhere).unwrap().unseal(Purpose::Handle, b"", &sealed).unwrap_err();
}

#[test]
fn equal_texts_do_not_look_equal() {
    let (_folder, home) = scratch();
    let vault = Vault::open(&home).unwrap();
    let seal = || vault.seal(Purpose::Handle, b"", b"same").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn a_seal_is_what_others_call_xchacha20_poly1305() {
    use chacha20poly1305::{
        KeyInit, XChaCha20Poly1305, XNonce,
        aead::{Aead, Payload},
    };
    let (_folder, home) = scratch();
    let vault = Vault::open(&home).unwrap();
    let theirs = XChaCha20Poly1305::new(chacha20poly1305::Key::from_slice(&*vault.newest.handle.seal));
    for length in [0, 1, 15, 16, 17, 63, 64, 65, 1000] {
        let plaintext = vec![7; length];
        let sealed = vault.seal(Purpose::Handle, b"associated", &plaintext).unwrap();
        let (nonce, body) = sealed[1..].split_at(NONCE_BYTES);
        let payload = Payload { msg: body, aad: b"associated" };
        assert_eq!(theirs.decrypt(XNonce::from_slice(nonce), payload).unwrap(), plaintext);
    }
}

#[test]
fn a_mac_knows_its_parts() {
    let (_folder, home) = scratch();
    let vault = Vault::open(&home).unwrap();
    let mac = vault.mac(Purpose::Artefact, &[b"ab", b"c"]);
    let check = |purpose, parts: &[&[u8]], good| {
        assert_eq!(vault.verify(purpose, parts, &mac).is_ok(), good, "{parts:?}");
    };
    check(Purpose::Artefact, &[b"ab", b"c"], true);
    check(Purpose::Artefact, &[b"a", b"bc"], false);
    check(Purpose::Artefact, &[b"abc"], false);
    check(Purpose::Artefact, &[b"ab", b"c", b""], false);
    check(Purpose::Handle, &[b"ab", b"c"], false);
    vault.verify(Purpose::Artefact, &[b"ab", b"c"], &mac[..31]).unwrap_err();
    vault.verify(Purpose::Artefact, &[b"ab", b"c"], &[]).unwrap_err();
}

#[test]
fn processes_that_race_make_one_key() {
    for _ in 0..10 {
        let (_folder, home) = scratch();
        let sealed: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let home = Home::open(home.path()).unwrap();
                        Vault::open(&home).unwrap().seal(Purpose::Account, b"", b"x").unwrap()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let vault = Vault::open(&home).unwrap();
        for sealed in sealed {
            vault.unseal(Purpose::Account, b"", &sealed).unwrap();
        }
    }
}

#[test]
fn a_key_is_there_whole_or_not_at_all() {
    let (_folder, home) = scratch();
    crate::home::crash::at_every_step(
        || Vault::open(&home),
        |steps, _| {
            let key = home.root().read(KEY_FILE, 1024).unwrap();
            assert!(key.is_none_or(|key| key.len() == KEY_BYTES), "after {steps} steps");
            home.root().remove(KEY_FILE).unwrap();
        },
    );
    home.root().write(KEY_FILE, b"short").unwrap();
    assert!(matches!(Vault::open(&home), Err(Error::KeyDamaged(5))));
    assert_eq!(format!("{:?}", Vault::open(&scratch().1).unwrap()), "Vault(****)");
}

fn given(key: u8) -> Key {
    Key::given(&[key; KEY_BYTES], Source::Environment).unwrap()
}

fn with(key: Option<u8>, old: Option<u8>) -> Given {
    Given { key: key.map(given), old: old.map(given) }
}

#[test]
fn a_key_is_given_as_bytes_or_as_text_and_never_printed() {
    let key = Key::given(&[7; KEY_BYTES], Source::Credential).unwrap();
    for text in [hex::encode([7; KEY_BYTES]), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n".to_owned()] {
        let same = Key::given(text.as_bytes(), Source::Environment).unwrap();
        assert_eq!(same.fingerprint().unwrap(), key.fingerprint().unwrap());
    }
    assert_eq!(format!("{key:?}"), "Key(****)");
    assert_ne!(key.fingerprint().unwrap(), hex::encode([7; 8]));
    for text in ["", "sesame", &hex::encode([7; 31]), &hex::encode([7; 33])] {
        let error = Key::given(text.as_bytes(), Source::Environment).unwrap_err();
        let expected = "the environment variable `WHARF_VAULT_KEY` holds no key: 32 bytes, as hexadecimal digits or base64";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_home_keeps_to_the_key_that_it_was_sealed_with() {
    let (_folder, home) = scratch();
    let vault = Vault::open_with(&home, &with(Some(1), None)).unwrap();
    assert_eq!(vault.source(), Source::Environment);
    assert!(!home.root().has(KEY_FILE), "a key that is given is not written");
    let sealed = vault.seal(Purpose::Account, b"", b"x").unwrap();
    let again = Vault::open_with(&home, &with(Some(1), Some(9))).unwrap();
    again.unseal(Purpose::Account, b"", &sealed).unwrap();
    let refused = |given: &Given| {
        let error = Vault::open_with(&home, given).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        error
    };
    assert!(matches!(refused(&Given::default()), Error::KeyAbsent(_)));
    assert!(matches!(refused(&with(Some(2), None)), Error::OtherKey { .. }));
    assert!(matches!(refused(&with(Some(2), Some(1))), Error::NotAgreed { .. }));
    home.root().write("vault.json", b"{}").unwrap();
    assert!(matches!(refused(&with(Some(1), None)), Error::RecordDamaged));

    let (_folder, home) = scratch();
    assert_eq!(Vault::open(&home).unwrap().source(), Source::File);
    let error = Vault::open_with(&home, &with(Some(1), None)).unwrap_err();
    assert!(matches!(error, Error::NotAgreed { given: Source::Environment }), "{error}");
    Vault::open(&home).unwrap();
}

#[test]
fn a_key_is_not_changed_under_those_who_use_it() {
    let (_folder, home) = scratch();
    let vault = Vault::open(&home).unwrap();
    let error = Rotation::begin(&home, &Given::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the home is in use by process {}; its key cannot be changed under it", std::process::id())
    );
    drop(vault);
    let rotation = Rotation::begin(&home, &Given::default()).unwrap();
    assert!(home.try_lock(&Subject::Vault).unwrap().is_none(), "whoever comes now waits");
    rotation.finish(&home).unwrap();
    Vault::open(&home).unwrap();
}
