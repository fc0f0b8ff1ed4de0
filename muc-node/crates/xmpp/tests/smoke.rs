//! The checks of the fuzzer on mutations from a fixed seed: what runs without a fuzzer.

#[path = "../../../../tests/fuzz/codec_check.rs"]
mod codec_check;

use codec_check::{SEEDS, check};

/// Numbers that look random (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n.max(1) as u64).unwrap_or_default()
    }
}

const BITS: [&[u8]; 24] = [
    b"<",
    b">",
    b"/>",
    b"</",
    b"'",
    b"\"",
    b"=",
    b"&",
    b"&amp;",
    b"&#13;",
    b"]]>",
    b"<![CDATA[",
    b":",
    b"xmlns",
    b" xmlns='u'",
    b" xmlns:p='u'",
    b"p:",
    b"<a>",
    b"</a>",
    b"\xc3",
    b"\xc3\xa9",
    b"\r",
    b" ",
    b"</message>",
];

fn mutated(dice: &mut Dice) -> Vec<u8> {
    let mut data = SEEDS[dice.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(data.len() + 1);
        let to = (at + dice.below(24)).min(data.len());
        match dice.below(6) {
            0 => drop(data.drain(at..to)),
            1 => drop(data.splice(at..at, BITS[dice.below(BITS.len())].iter().copied())),
            2 => drop(data.splice(at..to, BITS[dice.below(BITS.len())].iter().copied())),
            3 => {
                let copy = data[at..to].to_vec();
                let at = dice.below(data.len() + 1);
                data.splice(at..at, copy);
            }
            4 => {
                let other = SEEDS[dice.below(SEEDS.len())].as_bytes();
                let from = dice.below(other.len());
                data.splice(at.., other[from..].iter().copied());
            }
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte = u8::try_from(dice.below(256)).unwrap_or_default();
                }
            }
        }
    }
    data
}

#[test]
fn seeds() {
    for seed in SEEDS {
        check(seed.as_bytes());
        for at in 0..seed.len() {
            check(&seed.as_bytes()[..at]);
        }
    }
}

#[test]
fn mutations() {
    let mut dice = Dice(0x5eed_0f9a_11ce_b0b5);
    for _ in 0..8_000 {
        let data = mutated(&mut dice);
        let passed = std::panic::catch_unwind(|| check(&data)).is_ok();
        assert!(passed, "failed for {:?}", String::from_utf8_lossy(&data));
    }
}
