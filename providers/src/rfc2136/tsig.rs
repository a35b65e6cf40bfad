//! TSIG (RFC 8945): signs what goes out and judges what comes back. Nothing is an answer before its MAC, bound to the
//! MAC of the request, has been verified.

use super::outcome::Failure;
use super::{Algorithm, Clock};
use crate::Error;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm, TsigError};
use hickory_proto::rr::{Name, TSigner};
use zeroize::Zeroizing;

/// Seconds that two clocks may differ, the value RFC 8945 §10 recommends.
const FUDGE: u16 = 300;

/// A TSIG key with the clock that dates its signatures.
pub(super) struct Key {
    signer: TSigner,
    clock: Clock,
}

/// A signed message, ready to send, with what is needed to recognise its answer.
pub(super) struct Signed {
    /// The message as it travels, without the length prefix of TCP.
    pub(super) wire: Vec<u8>,
    /// Its message ID.
    pub(super) id: u16,
    /// UPDATE or QUERY.
    pub(super) op_code: OpCode,
    mac: Vec<u8>,
    time: u64,
    signer: TSigner,
    clock: Clock,
}

impl Key {
    /// The key bytes are copied into hickory-proto's signer, which does not wipe them; our copy is wiped.
    pub(super) fn new(
        name: &Name,
        algorithm: Algorithm,
        secret: &Zeroizing<Vec<u8>>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let algorithm = match algorithm {
            Algorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
            Algorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
            Algorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
        };
        let signer = TSigner::new(secret.to_vec(), algorithm, name.to_lowercase(), FUDGE)
            .map_err(|e| Error::new(crate::Class::Internal, format!("cannot use the TSIG key: {e}")))?;
        Ok(Key { signer, clock })
    }

    /// The key's name, without final dot.
    pub(super) fn name(&self) -> String {
        super::outcome::plain(self.signer.signer_name())
    }

    /// "hmac-sha256"
    pub(super) fn algorithm(&self) -> &'static str {
        match self.signer.algorithm() {
            TsigAlgorithm::HmacSha384 => "hmac-sha384",
            TsigAlgorithm::HmacSha512 => "hmac-sha512",
            _ => "hmac-sha256",
        }
    }

    /// Signs `message` under a fresh random ID; a message is signed anew each time it is sent.
    pub(super) fn sign(&self, message: &Message) -> Result<Signed, Failure> {
        let mut message = message.clone();
        message.metadata.id = Message::query().metadata.id;
        let time = (self.clock)();
        message.finalize(&self.signer, time).map_err(|e| Failure::Internal(format!("cannot sign: {e}")))?;
        let wire = message.to_vec().map_err(|e| Failure::Internal(format!("cannot encode: {e}")))?;
        // hickory-proto drops what does not fit and sets TC (third octet, RFC 1035 §4.1.1); half an update must not go out.
        if wire.get(2).is_none_or(|flags| flags & 0x02 != 0) {
            return Err(Failure::Internal("the message is larger than 64 KiB".into()));
        }
        let mac = message.signature().map(|record| record.data.mac.clone()).unwrap_or_default();
        let (signer, clock) = (self.signer.clone(), self.clock.clone());
        Ok(Signed { wire, id: message.id, op_code: message.op_code, mac, time, signer, clock })
    }
}

impl Signed {
    /// Judges the bytes of one message that claims to answer this one.
    ///
    /// Errors: [`Failure::Forged`] when nothing authenticates it, [`Failure::Hint`] for the unsigned errors that RFC
    /// 8945 §5.2 makes servers send, [`Failure::ClockSkew`] for a signed BADTIME.
    pub(super) fn open(&self, raw: &[u8]) -> Result<Message, Failure> {
        let answer =
            Message::from_vec(raw).map_err(|e| Failure::Forged(format!("it cannot be parsed: {e}")))?;
        if answer.id != self.id
            || answer.message_type != MessageType::Response
            || answer.op_code != self.op_code
        {
            return Err(Failure::Forged("it does not answer our message".into()));
        }
        let Some(tsig) = answer.signature().map(|record| record.data.clone()) else {
            return Err(unsigned(answer.response_code, None));
        };
        if tsig.mac.is_empty() {
            return Err(unsigned(answer.response_code, tsig.error));
        }
        self.verify(raw, &tsig)?;
        if tsig.error == Some(TsigError::BadTime) {
            return Err(Failure::ClockSkew { ours: self.time, servers: time_in(&tsig.other) });
        }
        if !within(tsig.time, tsig.fudge, (self.clock)()) {
            return Err(Failure::Forged("it is dated too far from our clock".into()));
        }
        Ok(answer)
    }

    /// RFC 8945 §5.3: key, algorithm and MAC; the MAC covers the MAC of the request.
    fn verify(&self, raw: &[u8], tsig: &TSIG) -> Result<(), Failure> {
        // hickory-proto computes time ± fudge without a check for underflow.
        if tsig.time < u64::from(tsig.fudge) || tsig.oid != self.id {
            return Err(Failure::Forged("its TSIG record makes no sense".into()));
        }
        self.signer
            .verify_message_byte(raw, Some(&self.mac), true)
            .map(drop)
            .map_err(|e| Failure::Forged(format!("its signature does not verify: {e}")))
    }
}

fn unsigned(rcode: ResponseCode, tsig: Option<TsigError>) -> Failure {
    match rcode {
        ResponseCode::NoError => Failure::Forged("it claims success without a signature".into()),
        rcode => Failure::Hint { rcode, tsig },
    }
}

fn within(signed_at: u64, fudge: u16, now: u64) -> bool {
    signed_at.abs_diff(now) <= u64::from(fudge.min(FUDGE))
}

/// The 48-bit time in a BADTIME answer's other data (RFC 8945 §5.2.3).
fn time_in(other: &[u8]) -> Option<u64> {
    (other.len() == 6).then(|| other.iter().fold(0, |time, octet| time << 8 | u64::from(*octet)))
}
