use super::*;
use crate::home::tests::scratch;

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
    let theirs = XChaCha20Poly1305::new(chacha20poly1305::Key::from_slice(&*vault.handle.seal));
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
