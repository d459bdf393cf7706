//! Password hashes as RabbitMQ keeps them: base64 of a 4-byte salt and the digest of salt and password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

const SALT_BYTES: usize = 4;

/// The name of the algorithm for new passwords.
pub(crate) const SHA256: &str = "rabbit_password_hashing_sha256";
const SHA512: &str = "rabbit_password_hashing_sha512";

/// The salted digest of a password.
#[derive(Clone)]
pub(crate) struct Hash {
    algorithm: Algorithm,
    salt: [u8; SALT_BYTES],
    digest: Vec<u8>,
}

impl std::fmt::Debug for Hash {
    /// Says nothing of the digest: logs are read by many.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hash").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Sha256,
    Sha512,
}

/// The text is not a hash of an algorithm known here.
#[derive(Debug, thiserror::Error)]
#[error("'{algorithm}' with this text")]
pub(crate) struct UnknownHash {
    algorithm: String,
}

impl Hash {
    /// The hash of a new password, with a fresh salt.
    pub(crate) fn new(password: &[u8]) -> Hash {
        let salt = rand::random();
        let digest = Algorithm::Sha256.digest(salt, password);
        Hash { algorithm: Algorithm::Sha256, salt, digest }
    }

    /// Reads a hash as RabbitMQ's definitions have it.
    pub(crate) fn parse(algorithm: &str, base64: &str) -> Result<Hash, UnknownHash> {
        let unknown = || UnknownHash { algorithm: algorithm.to_owned() };
        let known = match algorithm {
            SHA256 => Algorithm::Sha256,
            SHA512 => Algorithm::Sha512,
            _ => return Err(unknown()),
        };
        let bytes = STANDARD.decode(base64).map_err(|_| unknown())?;
        let (salt, digest) = bytes.split_first_chunk().ok_or_else(unknown)?;
        if digest.len() != known.digest_bytes() {
            return Err(unknown());
        }
        Ok(Hash { algorithm: known, salt: *salt, digest: digest.to_vec() })
    }

    /// The hash as RabbitMQ's definitions have it.
    pub(crate) fn to_base64(&self) -> String {
        STANDARD.encode([&self.salt[..], &self.digest].concat())
    }

    /// Whether this is the password. Takes the same time however much of it is right.
    pub(crate) fn accepts(&self, password: &[u8]) -> bool {
        let digest = self.algorithm.digest(self.salt, password);
        let differences = digest.iter().zip(&self.digest).fold(0, |all, (a, b)| all | (a ^ b));
        differences == 0
    }
}

impl Algorithm {
    fn digest(self, salt: [u8; SALT_BYTES], password: &[u8]) -> Vec<u8> {
        let salted = [&salt, password].concat();
        match self {
            Algorithm::Sha256 => Sha256::digest(salted).to_vec(),
            Algorithm::Sha512 => Sha512::digest(salted).to_vec(),
        }
    }

    const fn digest_bytes(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_written_by_rabbitmq_is_accepted() {
        // The worked example of RabbitMQ's documentation on passwords: salt 908DC60A, password test12.
        let hash = Hash::parse(SHA256, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR").unwrap();
        assert!(hash.accepts(b"test12"));
        assert!(!hash.accepts(b"test13"));
    }

    #[test]
    fn a_new_hash_accepts_its_password_and_survives_its_text() {
        let hash = Hash::new(b"secret");
        let again = Hash::parse(SHA256, &hash.to_base64()).unwrap();
        assert!(again.accepts(b"secret"));
        assert!(!again.accepts(b"Secret"));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for (algorithm, text) in
            [("md5", "kI3GCqW5"), (SHA256, "kI3GCqW5"), (SHA256, "?"), (SHA512, "")]
        {
            assert!(Hash::parse(algorithm, text).is_err(), "{algorithm} {text}");
        }
    }
}
