//! Password hashes: Argon2id for passwords that are set here, and RabbitMQ's, which definitions bring along.

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};

use crate::limits::{ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX};

/// The names of the algorithms, as users have them in `hashing_algorithm`.
pub(crate) const SHA256: &str = "rabbit_password_hashing_sha256";
const SHA512: &str = "rabbit_password_hashing_sha512";
const MD5: &str = "rabbit_password_hashing_md5";
pub(crate) const ARGON2ID: &str = "leveret_password_hashing_argon2id";

const SALT_BYTES: usize = 4;

/// What a user's password is checked against.
#[derive(Clone)]
pub(crate) enum Hash {
    /// No password: nobody logs in with one.
    Nothing,
    /// RabbitMQ's: a digest of a 4-byte salt and the password. Checked in microseconds.
    Salted { digest: SaltedDigest, salt: [u8; SALT_BYTES], expected: Vec<u8> },
    /// Ours: as text in the PHC format. Checked in tens of milliseconds, on purpose.
    Argon2id(String),
}

impl std::fmt::Debug for Hash {
    /// Says nothing of the digest: logs are read by many.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Hash::Nothing => "Nothing",
            Hash::Salted { .. } => "Salted(..)",
            Hash::Argon2id(_) => "Argon2id(..)",
        })
    }
}

/// The digests of RabbitMQ's hashing modules.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SaltedDigest {
    Sha256,
    Sha512,
    Md5,
}

/// A text that is no hash of the algorithm it is said to be of.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum UnknownHash {
    /// RabbitMQ's word for it.
    #[error("not_base64")]
    NotBase64,
    #[error("unknown hashing algorithm '{0}'")]
    Algorithm(String),
    #[error("not a password hash of '{0}'")]
    Form(&'static str),
    #[error("a password hash with parameters beyond what this broker computes")]
    Parameters,
}

impl Hash {
    /// The hash of a new password, with a fresh salt. Takes as long as a check.
    pub(crate) fn new(password: &[u8]) -> Hash {
        let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())
            .expect("16 bytes are a salt of allowed length");
        let hash = argon2id().hash_password(password, &salt);
        let hash = hash.expect("Argon2 refuses only passwords of 4 GiB and more");
        Hash::Argon2id(hash.to_string())
    }

    /// The hash of a new password as RabbitMQ makes it, for the default user: its password is no secret.
    pub(crate) fn new_sha256(password: &[u8]) -> Hash {
        let (digest, salt) = (SaltedDigest::Sha256, rand::random());
        Hash::Salted { digest, salt, expected: digest.of(salt, password) }
    }

    /// Reads a hash as definitions have it. Empty text: no password.
    pub(crate) fn parse(algorithm: &str, text: &str) -> Result<Hash, UnknownHash> {
        let (digest, name) = match algorithm {
            SHA256 => (SaltedDigest::Sha256, SHA256),
            SHA512 => (SaltedDigest::Sha512, SHA512),
            MD5 => (SaltedDigest::Md5, MD5),
            ARGON2ID if text.is_empty() => return Ok(Hash::Nothing),
            ARGON2ID => return parse_argon2id(text),
            other => return Err(UnknownHash::Algorithm(other.to_owned())),
        };
        if text.is_empty() {
            return Ok(Hash::Nothing);
        }
        let bytes = STANDARD.decode(text).map_err(|_| UnknownHash::NotBase64)?;
        let (salt, expected) = bytes.split_first_chunk().ok_or(UnknownHash::Form(name))?;
        if expected.len() != digest.output_bytes() {
            return Err(UnknownHash::Form(name));
        }
        Ok(Hash::Salted { digest, salt: *salt, expected: expected.to_vec() })
    }

    /// The text as definitions have it: of RabbitMQ's algorithms base64 of salt and digest, of ours the PHC format.
    pub(crate) fn text(&self) -> String {
        match self {
            Hash::Nothing => String::new(),
            Hash::Salted { salt, expected, .. } => STANDARD.encode([&salt[..], expected].concat()),
            Hash::Argon2id(text) => text.clone(),
        }
    }

    /// The name of the algorithm.
    pub(crate) const fn algorithm(&self) -> &'static str {
        match self {
            Hash::Nothing | Hash::Salted { digest: SaltedDigest::Sha256, .. } => SHA256,
            Hash::Salted { digest: SaltedDigest::Sha512, .. } => SHA512,
            Hash::Salted { digest: SaltedDigest::Md5, .. } => MD5,
            Hash::Argon2id(_) => ARGON2ID,
        }
    }

    /// Whether a check takes so long that it must not be made on a thread that serves others.
    pub(crate) const fn is_slow(&self) -> bool {
        matches!(self, Hash::Argon2id(_))
    }

    /// Whether this is the password. Takes the same time however much of it is right.
    pub(crate) fn accepts(&self, password: &[u8]) -> bool {
        match self {
            // An empty password is none, whatever its hash says: as RabbitMQ refuses it.
            _ if password.is_empty() => false,
            Hash::Nothing => false,
            Hash::Salted { digest, salt, expected } => {
                same_bytes(&digest.of(*salt, password), expected)
            }
            Hash::Argon2id(text) => PasswordHash::new(text)
                .is_ok_and(|hash| argon2id().verify_password(password, &hash).is_ok()),
        }
    }
}

/// Compares in a time that depends on the lengths only.
pub(crate) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

/// 19 MiB, two passes, one lane: OWASP's first choice for Argon2id, about 20 ms on a current core.
fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// The parameters come with the hash, and a check costs what they say: they are bounded here, once.
fn parse_argon2id(text: &str) -> Result<Hash, UnknownHash> {
    let form = || UnknownHash::Form(ARGON2ID);
    let hash = PasswordHash::new(text).map_err(|_| form())?;
    if hash.algorithm != argon2::ARGON2ID_IDENT || hash.hash.is_none() || hash.salt.is_none() {
        return Err(form());
    }
    let params = Params::try_from(&hash).map_err(|_| form())?;
    if params.m_cost() > ARGON2_MEMORY_KIB_MAX
        || params.t_cost() > ARGON2_PASSES_MAX
        || params.p_cost() > ARGON2_LANES_MAX
    {
        return Err(UnknownHash::Parameters);
    }
    Ok(Hash::Argon2id(text.to_owned()))
}

impl SaltedDigest {
    fn of(self, salt: [u8; SALT_BYTES], password: &[u8]) -> Vec<u8> {
        let salted = [&salt, password].concat();
        match self {
            SaltedDigest::Sha256 => Sha256::digest(salted).to_vec(),
            SaltedDigest::Sha512 => Sha512::digest(salted).to_vec(),
            SaltedDigest::Md5 => Md5::digest(salted).to_vec(),
        }
    }

    const fn output_bytes(self) -> usize {
        match self {
            SaltedDigest::Sha256 => 32,
            SaltedDigest::Sha512 => 64,
            SaltedDigest::Md5 => 16,
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
    fn a_hash_accepts_its_password_only_and_survives_its_text() {
        let salted = |digest: SaltedDigest| {
            let salt = [1, 2, 3, 4];
            Hash::Salted { digest, salt, expected: digest.of(salt, b"secret") }
        };
        let table = [
            (ARGON2ID, Hash::new(b"secret")),
            (SHA256, Hash::new_sha256(b"secret")),
            (SHA512, salted(SaltedDigest::Sha512)),
            (MD5, salted(SaltedDigest::Md5)),
        ];
        for (algorithm, hash) in table {
            assert_eq!(hash.algorithm(), algorithm);
            let again = Hash::parse(algorithm, &hash.text()).unwrap();
            assert!(again.accepts(b"secret"), "{algorithm}");
            assert!(!again.accepts(b"Secret"), "{algorithm}");
            assert!(!again.accepts(b""), "{algorithm}");
        }
    }

    #[test]
    fn without_a_password_nothing_is_accepted() {
        for algorithm in [SHA256, SHA512, MD5, ARGON2ID] {
            let hash = Hash::parse(algorithm, "").unwrap();
            assert!(!hash.accepts(b""), "{algorithm}");
            assert!(!hash.accepts(b"guess"), "{algorithm}");
        }
        assert!(!Hash::new_sha256(b"").accepts(b""), "the hash of an empty password");
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let hash = Hash::new(b"secret").text();
        let costly = hash.replace("m=19456", "m=99999999");
        let other = hash.replace("argon2id", "argon2i");
        let form = |algorithm| UnknownHash::Form(algorithm);
        let table = [
            ("md5", "kI3GCqW5", UnknownHash::Algorithm("md5".into())),
            (SHA256, "kI3GCqW5", form(SHA256)),
            (SHA256, "?", UnknownHash::NotBase64),
            (SHA512, "kI3G", form(SHA512)),
            (ARGON2ID, "kI3GCqW5", form(ARGON2ID)),
            (ARGON2ID, &costly, UnknownHash::Parameters),
            (ARGON2ID, &other, form(ARGON2ID)),
        ];
        for (algorithm, text, expected) in table {
            assert_eq!(Hash::parse(algorithm, text).unwrap_err(), expected, "{algorithm} {text}");
        }
    }

    #[test]
    fn bytes_are_the_same_only_if_all_are() {
        assert!(same_bytes(b"abc", b"abc"));
        assert!(!same_bytes(b"abc", b"abd"));
        assert!(!same_bytes(b"abc", b"ab"));
        assert!(same_bytes(b"", b""));
    }
}
