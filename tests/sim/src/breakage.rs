//! Rules switched off on purpose: each must be found.

/// One deliberate breakage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// Effects do not wait for their commit.
    BarrierOff,
    /// An input whose ticket fails is forgotten.
    InputsNotKept,
    /// Watermarks count what is written as delivered.
    WatermarkMovedOnWrite,
    /// What goes to peer rooms does not wait for its commit.
    HBeforeCommit,
    /// A message from a peer is taken in although it is known.
    DedupOff,
    /// A new owner decides under the old epoch.
    EpochNotRaised,
    /// A replay leaves out join rows.
    JoinNotReplayed,
    /// An answer covers everything before it.
    ChainIgnored,
    /// A pod acts although its lease is over.
    NoLease,
    /// The store takes commits on lanes that are closed.
    FenceOff,
    /// The store takes what was decided under an old epoch of its shard.
    EpochCheckOff,
}

impl Breakage {
    /// All that must be found.
    pub const ALL: [Self; 11] = [
        Self::BarrierOff,
        Self::InputsNotKept,
        Self::WatermarkMovedOnWrite,
        Self::HBeforeCommit,
        Self::DedupOff,
        Self::EpochNotRaised,
        Self::JoinNotReplayed,
        Self::ChainIgnored,
        Self::NoLease,
        Self::FenceOff,
        Self::EpochCheckOff,
    ];

    /// On the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BarrierOff => "barrier-off",
            Self::InputsNotKept => "inputs-not-kept",
            Self::WatermarkMovedOnWrite => "watermark-moved-on-write",
            Self::HBeforeCommit => "h-before-commit",
            Self::DedupOff => "dedup-off",
            Self::EpochNotRaised => "epoch-not-raised",
            Self::JoinNotReplayed => "join-not-replayed",
            Self::ChainIgnored => "chain-ignored",
            Self::NoLease => "no-lease",
            Self::FenceOff => "fence-off",
            Self::EpochCheckOff => "epoch-check-off",
        }
    }

    /// From the command line.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|breakage| breakage.name() == name)
    }

    /// As the shard knows it.
    pub fn shard(breakage: Option<Self>) -> warren_shard::Breakage {
        warren_shard::Breakage {
            barrier_off: breakage == Some(Self::BarrierOff),
            inputs_not_kept: breakage == Some(Self::InputsNotKept),
            h_before_commit: breakage == Some(Self::HBeforeCommit),
            room: warren_room::Breakage {
                dedup_off: breakage == Some(Self::DedupOff),
                join_not_replayed: breakage == Some(Self::JoinNotReplayed),
            },
        }
    }

    /// As the store knows it.
    pub fn store(breakage: Option<Self>) -> warren_store::Breakage {
        warren_store::Breakage {
            lane_fence_off: breakage == Some(Self::FenceOff),
            epoch_check_off: breakage == Some(Self::EpochCheckOff),
        }
    }

    /// As egress knows it.
    pub fn egress(breakage: Option<Self>) -> warren_egress::Breakage {
        warren_egress::Breakage {
            watermark_moved_on_write: breakage == Some(Self::WatermarkMovedOnWrite),
            chain_ignored: breakage == Some(Self::ChainIgnored),
        }
    }
}
