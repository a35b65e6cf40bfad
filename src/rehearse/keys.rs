//! Keys of a rehearsal: really made, known to people by letters. Their digests are as random as digests are, but stand in
//! the order in which the keys were made, so that nothing depends on chance.

use crate::error::Result;
use crate::model::desired::KeyAlgorithm;
use crate::model::key::SpkiDigest;
use crate::model::private_key::PrivateKey;
use std::collections::BTreeMap;

/// All keys that were seen, with their names.
#[derive(Default)]
pub(super) struct KeyRing {
    /// Certificate and number within it, by digest.
    names: BTreeMap<SpkiDigest, (String, usize)>,
    made: BTreeMap<String, usize>,
    strangers: usize,
}

/// Keys made before the order of digests begins again. A certificate has three keys at most at a time.
const ORDERED: usize = 16;

impl KeyRing {
    /// Makes a key for a certificate.
    pub(super) fn make(&mut self, certificate: &str, algorithm: KeyAlgorithm) -> Result<PrivateKey> {
        let number = self.made.get(certificate).copied().unwrap_or_default();
        loop {
            let key = PrivateKey::generate(algorithm)?;
            if usize::from(key.spki().0[0]) / (256 / ORDERED) == number % ORDERED {
                self.name(certificate, key.spki());
                return Ok(key);
            }
        }
    }

    /// Gives a key the next letter of a certificate.
    pub(super) fn name(&mut self, certificate: &str, spki: SpkiDigest) {
        if self.names.contains_key(&spki) {
            return;
        }
        let number = self.made.entry(certificate.to_owned()).or_default();
        self.names.insert(spki, (certificate.to_owned(), *number));
        *number += 1;
    }

    /// A key that nobody announced.
    pub(super) fn seen(&mut self, spki: SpkiDigest) {
        if !self.names.contains_key(&spki) {
            self.names.insert(spki, (String::new(), self.strangers));
            self.strangers += 1;
        }
    }

    /// "A" to "Z", then "A1" and so on; a key of nobody is "?".
    pub(super) fn letter(&self, spki: SpkiDigest) -> String {
        match self.names.get(&spki) {
            Some((certificate, number)) if !certificate.is_empty() => letter(*number),
            _ => "?".into(),
        }
    }

    /// A text with letters instead of digests.
    pub(super) fn told(&self, text: &str) -> String {
        if text.len() < 64 {
            return text.to_owned();
        }
        let mut told = String::with_capacity(text.len());
        for (index, word) in text.split(' ').enumerate() {
            if index > 0 {
                told.push(' ');
            }
            let digits = word.get(..64).and_then(|digits| SpkiDigest::from_hex(digits).ok());
            match digits {
                Some(spki) => {
                    told.push_str(&self.letter(spki));
                    told.push_str(&word[64..]);
                }
                None => told.push_str(word),
            }
        }
        told
    }
}

fn letter(number: usize) -> String {
    let first = char::from(b'A' + (number % 26) as u8);
    match number / 26 {
        0 => first.to_string(),
        round => format!("{first}{round}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_get_letters_and_digests_in_the_order_of_their_making() {
        let mut ring = KeyRing::default();
        let made: Vec<_> = (0..4).map(|_| ring.make("mx", KeyAlgorithm::P256).unwrap().spki()).collect();
        assert!(made.is_sorted());
        let text = format!("from the key {} to {}: done", made[0], made[3]);
        assert_eq!(ring.told(&text), "from the key A to D: done");
        assert_eq!((letter(25), letter(26), letter(53)), ("Z".into(), "A1".into(), "B2".into()));
    }
}
