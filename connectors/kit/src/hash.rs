//! Hashes as services spell them, turned into bytes.
//!
//! A value of the wrong length is no hash: the contract traps on one, and a service that sends one
//! has sent nothing to rely on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Algorithm, Hash};

/// A hash written in standard base64, as Microsoft writes QuickXorHash.
#[must_use]
pub fn from_base64(algorithm: Algorithm, text: &str) -> Option<Hash> {
    sized(algorithm, STANDARD.decode(text).ok()?)
}

/// A hash written in hexadecimal digits of either case.
#[must_use]
pub fn from_hex(algorithm: Algorithm, text: &str) -> Option<Hash> {
    sized(algorithm, hex::decode(text).ok()?)
}

/// Bytes in lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(value: &[u8]) -> String {
    hex::encode(value)
}

fn sized(algorithm: Algorithm, value: Vec<u8>) -> Option<Hash> {
    (value.len() == length_bytes(algorithm)).then_some(Hash { algorithm, value })
}

const fn length_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::BlockSha256 | Algorithm::Sha256 => 32,
        Algorithm::Quickxor | Algorithm::Sha1 => 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_the_length_of_its_algorithm() {
        let hello = from_base64(Algorithm::Quickxor, "aCgDG9jwBgAAAAAABQAAAAAAAAA=");
        assert_eq!(hello.map(|hash| hash.value[..4].to_vec()), Some(vec![0x68, 0x28, 0x03, 0x1b]));
        assert_eq!(from_base64(Algorithm::Quickxor, "aCgD"), None);
        assert_eq!(from_base64(Algorithm::Quickxor, "not base64"), None);
        let digits = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let empty = from_hex(Algorithm::BlockSha256, digits).unwrap();
        assert_eq!(to_hex(&empty.value), digits);
        assert_eq!(
            from_hex(Algorithm::Sha256, &digits.to_uppercase()).map(|hash| hash.value),
            Some(empty.value)
        );
        assert_eq!(from_hex(Algorithm::BlockSha256, "e3b0"), None);
    }
}
