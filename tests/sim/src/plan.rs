//! What a seed means: who is there, how the servers behave, what goes wrong when.

use crate::fault::{Armed, Step, deal};
use crate::names::{Domain, MS, Micros, SEC, SERVERS, SITES};
use crate::rng::Rng;

/// How a server behaves in faults (`servers.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Prosody 0.12.
    Prosody,
    /// ejabberd 23.
    Ejabberd,
}

/// Somebody with a client.
#[derive(Clone, Debug)]
pub struct UserPlan {
    /// Localpart.
    pub name: String,
    /// Where the account is.
    pub domain: Domain,
    /// Which room the user goes to.
    pub site: usize,
    /// Comes back whatever happens, so that no room is empty at the end.
    pub stays: bool,
}

/// Everything that is drawn before the run begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Accounts.
    pub users: Vec<UserPlan>,
    /// Servers.
    pub flavours: [Flavour; SERVERS],
    /// Prosody resends what was unacknowledged (`smacks_s2s_resend`).
    pub resend: bool,
    /// One way between two servers.
    pub latency: Micros,
    /// Mean pause between two actions of a user.
    pub pace: Micros,
    /// Faults begin no earlier.
    pub begin: Micros,
    /// Faults and random actions end.
    pub end: Micros,
    /// Faults, each at its step.
    pub faults: Vec<Armed>,
    /// All pods of the first site are told to end then, one after the other, as by a rolling update.
    pub rolling: Option<Micros>,
    /// One site's store loses its newest rows at a crash: site and time.
    pub tail: Option<(usize, Micros)>,
    /// Of a hundred planned moves of a room, so many happen after their pod has given them up.
    pub late: u64,
}

/// Faults that a seed arms.
pub const FAULTS: usize = 12;

impl Plan {
    /// Draws it.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed_0000_0000);
        let flavour = |rng: &mut Rng| if rng.percent(50) { Flavour::Prosody } else { Flavour::Ejabberd };
        let (begin, end) = (8 * SEC, 8 * SEC + rng.range(45, 80) * SEC);
        let mut users = Vec::new();
        for site in 0..SITES {
            for n in 0..rng.range(1, 2) {
                let name = [["alice", "hatter"], ["hamlet", "ophelia"]][site][usize::try_from(n).unwrap_or_default()];
                users.push(UserPlan { name: name.into(), domain: Domain::users(site), site, stays: n == 0 });
            }
        }
        // Whose server is neither site's, and whose server is the other one's: plain S2S users both.
        users.push(UserPlan { name: "cat".into(), domain: Domain::Glass, site: rng.index(SITES), stays: false });
        if rng.percent(60) {
            let site = rng.index(SITES);
            let name = ["yorick", "dormouse"][site].into();
            users.push(UserPlan { name, domain: Domain::users(1 - site), site, stays: rng.percent(50) });
        }
        if rng.percent(30) {
            users.push(UserPlan { name: "duchess".into(), domain: Domain::Glass, site: rng.index(SITES), stays: true });
        }
        let faults = deal(seed, FAULTS, &mut rng, begin, end - 5 * SEC);
        let moves = faults.iter().any(|armed| armed.step == Step::Move);
        let tail = rng.percent(25).then(|| (rng.index(SITES), rng.range(begin + 10 * SEC, end - 15 * SEC)));
        Self {
            seed,
            users,
            flavours: [flavour(&mut rng), flavour(&mut rng), flavour(&mut rng)],
            resend: rng.percent(30),
            latency: [MS, 20 * MS, 150 * MS][rng.index(3)],
            pace: rng.range(1500, 4000) * MS,
            begin,
            end,
            rolling: (moves || rng.percent(40)).then(|| rng.range(begin, begin + 25 * SEC)),
            faults,
            tail,
            late: [20, 50, 80][rng.index(3)],
        }
    }
}
