//! What all paths of a link share.

use std::collections::VecDeque;

use crate::Event;
use crate::settings::{Settings, Stats};

/// State of the link and of everything that is counted over it.
#[derive(Debug)]
pub(crate) struct Context {
    pub settings: Settings,
    pub events: VecDeque<Event>,
    pub stats: Stats,
    /// The link is up.
    pub link: bool,
    /// It has been away for so long that all paths are Suspect.
    pub stranded: bool,
    /// Paths that are Suspect or Down.
    pub troubled: usize,
    prefix: String,
    ids: u64,
}

impl Context {
    pub(crate) fn new(settings: Settings) -> Self {
        let prefix = format!("{:x}-", settings.incarnation);
        Self {
            settings,
            events: VecDeque::new(),
            stats: Stats::default(),
            link: false,
            stranded: false,
            troubled: 0,
            prefix,
            ids: 0,
        }
    }

    /// Number and id of the next ping. Never given twice, so that an answer that was on its way when the
    /// link broke, or when this process started, is not taken for another one's.
    pub(crate) fn ping_id(&mut self) -> (u64, String) {
        self.ids += 1;
        (self.ids, format!("ping{}{:x}", self.prefix, self.ids))
    }

    /// The id of the next audit stanzas.
    pub(crate) fn audit_id(&mut self) -> String {
        self.ids += 1;
        format!("audit{}{:x}", self.prefix, self.ids)
    }

    /// The number in an id of [`Context::ping_id`].
    pub(crate) fn ping_number(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix("ping")?.strip_prefix(self.prefix.as_str())?;
        u64::from_str_radix(digits, 16).ok().filter(|n| *n <= self.ids && digits == format!("{n:x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pings_have_a_number() {
        let mut cx = Context::new(Settings { incarnation: 0xab, ..Settings::default() });
        let (n, id) = cx.ping_id();
        assert_eq!((n, id.as_str()), (1, "pingab-1"));
        assert_eq!(cx.ping_number(&id), Some(1));
        for wrong in ["pingab-2", "pingac-1", "pingab-", "ping", "", "auditab-1", "pingab-+1"] {
            assert_eq!(cx.ping_number(wrong), None, "{wrong}");
        }
    }
}
