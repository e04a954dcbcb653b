//! The recovery key, as bytes and as what a person writes down.
//!
//! As text it is Crockford's base32 in groups of four: no letter is taken for another one or for a digit,
//! case does not matter, and the last 24 bits are a checksum, so a slip of the pen is told as one. The text
//! is shown once; what is shown later is a fingerprint, which opens nothing.

use std::fmt;

use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::Error;
use crate::{
    secret::Secret,
    vault::{self, KEY_BYTES, Sealer},
};

/// Crockford's: without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Bits of a character.
const CHARACTER_BITS: u32 = 5;
/// Bytes of the checksum: a slip goes unnoticed once in sixteen million times, and 35 bytes fill 56 characters.
const CHECKSUM_BYTES: usize = 3;
/// Characters of the text, without what is between the groups.
const CHARACTERS: usize = (KEY_BYTES + CHECKSUM_BYTES) * 8 / 5;
/// Characters of a group: as many as a person keeps in mind from the screen to the paper.
const GROUP: usize = 4;
/// Digits of a fingerprint, as many as the vault's has.
const FINGERPRINT_DIGITS: usize = 16;
/// What keys are derived for from it.
const SALT: &[u8] = b"wharf recovery 1";

/// The key that exports are sealed with. It cannot print, except once, by [`text`](Self::text).
#[derive(Clone)]
pub struct RecoveryKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryKey(****)")
    }
}

impl RecoveryKey {
    pub(super) fn generate() -> Result<Self, vault::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new().fill(key.as_mut()).map_err(|_| vault::Error::Sealing)?;
        Ok(Self(key))
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; KEY_BYTES]>::try_from(bytes).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Read it as a person wrote it down: in any case, with anything white or `-` between the characters,
    /// `O` for zero and `I` or `L` for one.
    ///
    /// # Errors
    /// [`Error::NotAKey`], which does not repeat it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + CHECKSUM_BYTES));
        let (mut pending, mut bits, mut count) = (0_u32, 0_u32, 0_usize);
        for character in text.chars().filter(|one| *one != '-' && !one.is_whitespace()) {
            let value = value(character).ok_or(Error::NotAKey("it has a character that no key has"))?;
            count = count.saturating_add(1);
            if count > CHARACTERS {
                break;
            }
            pending = (pending << CHARACTER_BITS) | value;
            bits += CHARACTER_BITS;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from((pending >> bits) & 0xff).unwrap_or_default());
                pending &= (1 << bits) - 1;
            }
        }
        if count != CHARACTERS {
            return Err(Error::NotAKey("it has not 56 characters, in 14 groups of 4"));
        }
        let (key, sum) = bytes.split_at_checked(KEY_BYTES).ok_or(Error::NotAKey("it is too short"))?;
        if sum != checksum(key) {
            return Err(Error::NotAKey("a character of it is another than was shown"));
        }
        Self::of_bytes(key).ok_or(Error::NotAKey("it is too short"))
    }

    /// What a person writes down.
    #[must_use]
    pub fn text(&self) -> Secret {
        // Room from the start: growing would leave copies behind.
        let mut text = String::with_capacity(CHARACTERS + CHARACTERS / GROUP);
        let (mut pending, mut bits, mut count) = (0_u32, 0_u32, 0_usize);
        for byte in self.0.iter().copied().chain(checksum(&*self.0)) {
            pending = (pending << 8) | u32::from(byte);
            bits += 8;
            while bits >= CHARACTER_BITS {
                bits -= CHARACTER_BITS;
                let place = usize::try_from((pending >> bits) & 31).unwrap_or_default();
                if count > 0 && count.is_multiple_of(GROUP) {
                    text.push('-');
                }
                count += 1;
                text.push(ALPHABET.get(place).copied().map_or('0', char::from));
            }
            pending &= (1 << bits) - 1;
        }
        Secret::new(text)
    }

    /// What it is called. Nothing can be opened with this.
    ///
    /// # Errors
    /// Never in practice: the lengths are ones that can be derived.
    pub fn fingerprint(&self) -> Result<String, vault::Error> {
        let mut digits = self.sealer()?.mac(&[b"fingerprint"]);
        digits.truncate(FINGERPRINT_DIGITS);
        Ok(digits)
    }

    pub(super) fn sealer(&self) -> Result<Sealer, vault::Error> {
        Sealer::new(SALT, &self.0)
    }
}

fn value(character: char) -> Option<u32> {
    let character = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET.iter().position(|known| char::from(*known) == character)?;
    u32::try_from(place).ok()
}

fn checksum(key: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"wharf recovery key 1");
    context.update(key);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_the_key() {
        for byte in [0, 1, 0x55, 0xff] {
            let key = RecoveryKey(Zeroizing::new([byte; KEY_BYTES]));
            let text = key.text().expose().to_owned();
            assert_eq!(text.len(), 56 + 13, "{text}");
            for written in [text.clone(), text.to_lowercase(), text.replace('-', " "), format!("\n{text}\n")]
            {
                assert_eq!(RecoveryKey::parse(&written).unwrap().bytes(), key.bytes(), "{written}");
            }
            let sloppy = text.replace('0', "o").replace('1', "l");
            assert_eq!(RecoveryKey::parse(&sloppy).unwrap().bytes(), key.bytes(), "{sloppy}");
        }
        let key = RecoveryKey::generate().unwrap();
        assert_eq!(RecoveryKey::parse(key.text().expose()).unwrap().bytes(), key.bytes());
        assert_ne!(key.fingerprint().unwrap(), RecoveryKey::generate().unwrap().fingerprint().unwrap());
        assert_eq!(format!("{key:?}"), "RecoveryKey(****)");
    }

    #[test]
    fn a_slip_is_told_as_one() {
        let text = RecoveryKey(Zeroizing::new([3; KEY_BYTES])).text().expose().to_owned();
        let check = |text: &str, expected: &str| {
            let error = RecoveryKey::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        for place in 0..text.len() {
            let old = text.as_bytes()[place];
            if old != b'-' {
                let other = if old == b'Z' { "Y" } else { "Z" };
                let mut slip = text.clone();
                slip.replace_range(place..=place, other);
                check(&slip, "another than was shown");
            }
        }
        check("", "14 groups");
        check(&text[5..], "14 groups");
        check(&format!("{text}-0000"), "14 groups");
        check(&text.replace('0', "U"), "no key has");
        check(&text.replace('0', "ä"), "no key has");
    }
}
