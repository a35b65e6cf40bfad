//! Time-based one-time passwords (RFC 6238) for logins with a second factor.

use super::crypto;
use ring::hmac;

/// Seconds of one step (RFC 6238 §5.2).
const STEP: u64 = 30;
/// Digits of a code; what every vendor uses.
const DIGITS: usize = 6;

/// The code for a base32 secret at a Unix time.
pub(super) fn code(secret: &str, now: u64) -> Result<String, String> {
    let cleaned: String = secret.chars().filter(|c| !c.is_whitespace() && *c != '-' && *c != '=').collect();
    let key = data_encoding::BASE32_NOPAD
        .decode(cleaned.to_ascii_uppercase().as_bytes())
        .map_err(|_| "the shared secret of the second factor is not base32".to_owned())?;
    Ok(truncated(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key, now / STEP, DIGITS))
}

/// RFC 4226 §5.3.
fn truncated(algorithm: hmac::Algorithm, key: &[u8], counter: u64, digits: usize) -> String {
    let mac = crypto::hmac(algorithm, key, &counter.to_be_bytes());
    let offset = usize::from(mac.last().copied().unwrap_or_default() & 0xf);
    let word = mac.iter().skip(offset).take(4).fold(0_u32, |word, octet| word << 8 | u32::from(*octet));
    let modulus = 10_u64.pow(u32::try_from(digits).unwrap_or(6));
    format!("{:0digits$}", u64::from(word & 0x7fff_ffff) % modulus)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B.
    #[test]
    fn the_vectors_of_rfc_6238_come_out() {
        let seeds: [(hmac::Algorithm, &[u8]); 3] = [
            (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"12345678901234567890"),
            (hmac::HMAC_SHA256, b"12345678901234567890123456789012"),
            (hmac::HMAC_SHA512, b"1234567890123456789012345678901234567890123456789012345678901234"),
        ];
        let vectors = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        for (time, codes) in vectors {
            for ((algorithm, key), code) in seeds.iter().zip(codes) {
                assert_eq!(truncated(*algorithm, key, time / STEP, 8), code, "{time}");
            }
        }
    }

    #[test]
    fn a_secret_is_taken_as_people_write_it() {
        let code_at_59 = "287082";
        assert_eq!(code("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 59).expect("a code"), code_at_59);
        assert_eq!(code("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", 59).expect("a code"), code_at_59);
        assert!(code("not base32!", 59).expect_err("nonsense").contains("base32"));
    }
}
