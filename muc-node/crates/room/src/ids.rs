//! Ids that need no index: each is computed from what it names and a key that only the room has.
//!
//! A message's id is one encrypted block of (tag, epoch, seq): unguessable (XEP-0359 6, XEP-0313), never
//! given twice because epochs never repeat, and decodable without a table. A wrong tag means that the id
//! is foreign.

use std::sync::LazyLock;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use data_encoding::{Encoding, Specification};
use hmac::{Hmac, Mac};
use jid::BareJid;
use sha2::Sha256;
use warren_model::{Epoch, Secret, Seq};

/// Says "one of ours" after decryption; a foreign id of the right length passes once in 2^32.
const TAG: u32 = 0x5741_5252;
/// Longest id of an IQ that is forwarded; longer ones are refused.
pub const MAX_FORWARDED_ID: usize = 256;

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    // 128 bits do not fill 26 characters; whatever stands in the spare bits is not ours.
    spec.check_trailing_bits = true;
    spec.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
});

/// The keys of one room, derived from its secret.
#[derive(Clone)]
pub struct Keys {
    id: Aes128,
    occupant: [u8; 32],
    iq: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length, so this cannot fail; the fallback keeps the signature honest.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return [0; 32] };
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            mac.update(&[0]);
        }
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Keys {
    /// Derives the keys.
    pub fn new(secret: &Secret) -> Self {
        let id = mac(&secret.0, &[b"id"]);
        let mut key = [0; 16];
        key.copy_from_slice(&id[..16]);
        Self { id: Aes128::new(&key.into()), occupant: mac(&secret.0, &[b"occupant"]), iq: mac(&secret.0, &[b"iq"]) }
    }

    /// The id of the log row at (epoch, seq): 26 characters.
    pub fn encode(&self, epoch: Epoch, seq: Seq) -> Box<str> {
        let mut block = [0; 16];
        block[..4].copy_from_slice(&TAG.to_be_bytes());
        block[4..8].copy_from_slice(&epoch.0.to_be_bytes());
        block[8..].copy_from_slice(&seq.0.to_be_bytes());
        let mut block = block.into();
        self.id.encrypt_block(&mut block);
        BASE32.encode(&block).into()
    }

    /// What one of our ids names; `None`: it is foreign.
    pub fn decode(&self, id: &str) -> Option<(Epoch, Seq)> {
        if id.len() != 26 {
            return None;
        }
        let block: [u8; 16] = BASE32.decode(id.as_bytes()).ok()?.try_into().ok()?;
        let mut block = block.into();
        self.id.decrypt_block(&mut block);
        let word = |at: usize| u32::from_be_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
        (word(0) == TAG).then(|| (Epoch(word(4)), Seq(u64::from(word(8)) << 32 | u64::from(word(12)))))
    }

    /// XEP-0421: stable per user and room. A user that a peer vouches for never has the id of a user of
    /// the same address who joined here: `origin` is part of it (`fmuc.md` 6.6).
    pub fn occupant_id(&self, user: &BareJid, origin: Option<&BareJid>) -> Box<str> {
        let origin = origin.map_or("", |o| o.as_str());
        BASE32.encode(&mac(&self.occupant, &[origin.as_bytes(), user.as_str().as_bytes()])[..20]).into()
    }

    /// The id under which an IQ of `asker` goes on to `target` (XEP-0045 17.4: ids must not be linkable).
    /// It carries all that the way back needs, so that no table of open requests exists.
    pub fn forward_id(&self, asker: &str, target: &str, id: &str) -> Option<Box<str>> {
        if id.len() > MAX_FORWARDED_ID {
            return None;
        }
        let full = mac(&self.iq, &[asker.as_bytes(), target.as_bytes(), id.as_bytes()]);
        let tag = &full[..8];
        let mut bytes = tag.to_vec();
        bytes.extend_from_slice(&mac(&self.iq, &[b"session", asker.as_bytes()])[..4]);
        bytes.extend_from_slice(id.as_bytes());
        self.mask(tag, &mut bytes[8..]);
        Some(BASE32.encode(&bytes).into())
    }

    /// Undoes [`Self::forward_id`] for an answer of `target`: which of the possible askers asked, and
    /// under which id. `None`: never asked.
    pub fn unforward<'a>(
        &self,
        id: &str,
        target: &str,
        askers: impl Iterator<Item = &'a str>,
    ) -> Option<(&'a str, String)> {
        let mut bytes = BASE32.decode(id.as_bytes()).ok()?;
        if bytes.len() < 12 || bytes.len() > 12 + MAX_FORWARDED_ID {
            return None;
        }
        let tag: [u8; 8] = bytes[..8].try_into().ok()?;
        self.mask(&tag, &mut bytes[8..]);
        let asked = String::from_utf8(bytes.split_off(12)).ok()?;
        let mut askers = askers.filter(|asker| mac(&self.iq, &[b"session", asker.as_bytes()])[..4] == bytes[8..12]);
        let asker =
            askers.find(|asker| mac(&self.iq, &[asker.as_bytes(), target.as_bytes(), asked.as_bytes()])[..8] == tag)?;
        Some((asker, asked))
    }

    /// A key stream per tag; encrypts and decrypts.
    fn mask(&self, tag: &[u8], bytes: &mut [u8]) {
        for (n, chunk) in bytes.chunks_mut(32).enumerate() {
            let stream = mac(&self.iq, &[b"mask", tag, &n.to_be_bytes()]);
            chunk.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_decodes_with_its_own_key_only() {
        let keys = Keys::new(&Secret([7; 32]));
        let id = keys.encode(Epoch(1_790_000_000), Seq(42));
        assert_eq!(id.len(), 26);
        assert_eq!(keys.decode(&id), Some((Epoch(1_790_000_000), Seq(42))));
        assert_eq!(Keys::new(&Secret([8; 32])).decode(&id), None, "another room's id is foreign");
        for foreign in ["", "é", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "abcdefghijklmnopqrstuvwxyz", &"é".repeat(13)]
        {
            assert_eq!(keys.decode(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_forwarded_iq_finds_its_way_back_to_the_session_that_asked() {
        let keys = Keys::new(&Secret([7; 32]));
        let sessions = ["a@b/one", "a@b/two"];
        let id = keys.forward_id("a@b/two", "c@d/x", "q <1>").unwrap();
        assert!(!id.contains("q <1>"));
        assert_eq!(keys.unforward(&id, "c@d/x", sessions.into_iter()), Some(("a@b/two", "q <1>".into())));
        assert_eq!(keys.unforward(&id, "c@d/y", sessions.into_iter()), None, "somebody else answered");
        assert_eq!(keys.unforward(&id, "c@d/x", ["a@b/one"].into_iter()), None, "the session that asked is gone");
        assert_eq!(keys.unforward("zzzz", "c@d/x", sessions.into_iter()), None);
        assert!(keys.forward_id("a", "b", &"x".repeat(300)).is_none());
    }

    #[test]
    fn occupant_ids_tell_origins_apart() {
        let keys = Keys::new(&Secret([7; 32]));
        let alice: BareJid = "alice@wonderland.lit".parse().unwrap();
        let peer: BareJid = "elsinore@talk.denmark.lit".parse().unwrap();
        assert_ne!(keys.occupant_id(&alice, None), keys.occupant_id(&alice, Some(&peer)));
        assert_eq!(keys.occupant_id(&alice, None), keys.occupant_id(&alice, None));
    }
}
