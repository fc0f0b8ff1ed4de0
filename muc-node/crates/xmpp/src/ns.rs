//! The namespaces Warren speaks, each with its specification.

/// The stanza namespace (RFC 6120 section 4.8.2). Inside Warren every stanza is in it, whatever the
/// stream's own content namespace is.
pub const CLIENT: &str = "jabber:client";
/// Content namespace of server-to-server streams (RFC 6120 section 4.8.2).
pub const SERVER: &str = "jabber:server";
/// Content namespace of component streams (XEP-0114).
pub const COMPONENT: &str = "jabber:component:accept";
/// The three names of the stanza namespace: directly under a stanza they mean the same.
pub const STANZA_NAMESPACES: [&str; 3] = [CLIENT, SERVER, COMPONENT];
/// Stream header, features and errors (RFC 6120 section 4.8.1).
pub const STREAMS: &str = "http://etherx.jabber.org/streams";
/// Conditions of stanza errors (RFC 6120 section 8.3.3).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Conditions of stream errors (RFC 6120 section 4.9.3).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// STARTTLS (RFC 6120 section 5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120 section 6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// The prefix `xml`, as in `xml:lang` (Namespaces in XML 1.0 section 3).
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The prefix `xmlns`, which no document may declare (Namespaces in XML 1.0 section 3).
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Server dialback (XEP-0220).
pub const DIALBACK: &str = "jabber:server:dialback";
/// Stream feature of dialback (XEP-0220 section 2.4.2).
pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// Bidirectional server streams (XEP-0288).
pub const BIDI: &str = "urn:xmpp:bidi";
/// Stream feature of XEP-0288.
pub const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// Stream management (XEP-0198).
pub const SM: &str = "urn:xmpp:sm:3";
/// Stream limits advertisement (XEP-0478).
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";

/// Multi-user chat: the join element (XEP-0045 section 7.2).
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// What the room tells users (XEP-0045 section 7).
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// Roles and affiliations (XEP-0045 sections 8 and 9).
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Configuration and destruction (XEP-0045 section 10).
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Voice requests (XEP-0045 section 7.13).
pub const MUC_REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// Registration with a room (XEP-0045 section 7.10).
pub const MUC_REGISTER: &str = "http://jabber.org/protocol/muc#register";
/// Form type of the configuration form (XEP-0045 section 15.5.3).
pub const MUC_ROOMCONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// Form type of the extended room information (XEP-0045 section 15.5.4).
pub const MUC_ROOMINFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// Request for a unique room name (XEP-0307).
pub const MUC_UNIQUE: &str = "http://jabber.org/protocol/muc#unique";
/// Answers to self-pings are made by the room (XEP-0410 section 3.3).
pub const SELF_PING_OPT: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// The room keeps the id of a reflected message (XEP-0045 section 18.4).
pub const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// Federated MUC (XEP-0289).
pub const FMUC: &str = "http://isode.com/protocol/fmuc";
/// Warren's extensions of XEP-0289 between Warren sites.
pub const WARREN_FMUC: &str = "urn:warren:fmuc:0";
/// Fast reconnect (XEP-0311).
pub const PRESENCE_SESSION: &str = "urn:xmpp:presence-session:0";
/// Direct invitations (XEP-0249).
pub const CONFERENCE: &str = "jabber:x:conference";
/// Hats (XEP-0317).
pub const HATS: &str = "urn:xmpp:hats:0";
/// Avatar of a room in its disco information (XEP-0486).
pub const MUC_AVATAR: &str = "urn:xmpp:vcard4";
/// Affiliation versioning (XEP-0463).
pub const MUC_AFFILIATIONS_VERSIONING: &str = "urn:xmpp:muc:affiliations:1";
/// Search of rooms (XEP-0433).
pub const CHANNEL_SEARCH: &str = "urn:xmpp:channel-search:0:search";

/// Unique and stable stanza ids (XEP-0359).
pub const SID: &str = "urn:xmpp:sid:0";
/// Anonymous unique occupant identifiers (XEP-0421).
pub const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// Delayed delivery (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// Delayed delivery as it was before 2004 (XEP-0091).
pub const LEGACY_DELAY: &str = "jabber:x:delay";
/// Ping (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// Software version (XEP-0092).
pub const VERSION: &str = "jabber:iq:version";
/// Entity time (XEP-0202).
pub const TIME: &str = "urn:xmpp:time";
/// Last activity and uptime (XEP-0012).
pub const LAST: &str = "jabber:iq:last";
/// In-band registration (XEP-0077).
pub const REGISTER: &str = "jabber:iq:register";
/// Room search by form (XEP-0055).
pub const SEARCH: &str = "jabber:iq:search";
/// Ad-hoc commands (XEP-0050).
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";
/// Privacy of vCards and avatars (XEP-0054).
pub const VCARD: &str = "vcard-temp";
/// Avatar hash in presence (XEP-0153).
pub const VCARD_UPDATE: &str = "vcard-temp:x:update";
/// Service discovery: information (XEP-0030 section 3).
pub const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery: items (XEP-0030 section 4).
pub const DISCO_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Data forms (XEP-0004).
pub const DATA_FORMS: &str = "jabber:x:data";
/// Result set management (XEP-0059).
pub const RSM: &str = "http://jabber.org/protocol/rsm";
/// Entity capabilities (XEP-0115).
pub const CAPS: &str = "http://jabber.org/protocol/caps";
/// Entity capabilities 2 (XEP-0390).
pub const ECAPS2: &str = "urn:xmpp:caps";
/// Extended stanza addressing (XEP-0033).
pub const ADDRESSES: &str = "http://jabber.org/protocol/address";
/// Contact addresses of a service (XEP-0157).
pub const SERVER_INFO: &str = "http://jabber.org/network/serverinfo";

/// Message archive management (XEP-0313).
pub const MAM: &str = "urn:xmpp:mam:2";
/// The extended archive queries of XEP-0313 section 4.1.5.
pub const MAM_EXTENDED: &str = "urn:xmpp:mam:2#extended";
/// Stanza forwarding (XEP-0297).
pub const FORWARD: &str = "urn:xmpp:forward:0";
/// Carbons (XEP-0280): the element `private`.
pub const CARBONS: &str = "urn:xmpp:carbons:2";
/// Processing hints (XEP-0334).
pub const HINTS: &str = "urn:xmpp:hints";
/// Chat state notifications (XEP-0085).
pub const CHAT_STATES: &str = "http://jabber.org/protocol/chatstates";
/// Delivery receipts (XEP-0184).
pub const RECEIPTS: &str = "urn:xmpp:receipts";
/// Chat markers (XEP-0333).
pub const CHAT_MARKERS: &str = "urn:xmpp:chat-markers:0";
/// Displayed markers of XEP-0490.
pub const MDS: &str = "urn:xmpp:mds:displayed:0";
/// Last message correction (XEP-0308).
pub const CORRECT: &str = "urn:xmpp:message-correct:0";
/// Reactions (XEP-0444).
pub const REACTIONS: &str = "urn:xmpp:reactions:0";
/// Replies (XEP-0461).
pub const REPLY: &str = "urn:xmpp:reply:0";
/// Message retraction (XEP-0424).
pub const RETRACT: &str = "urn:xmpp:message-retract:1";
/// Message moderation (XEP-0425).
pub const MODERATE: &str = "urn:xmpp:message-moderate:1";
/// Message moderation as it was before version 0.3 of XEP-0425.
pub const MODERATE_0: &str = "urn:xmpp:message-moderate:0";
/// Message fastening (XEP-0422), which old moderation is built on.
pub const FASTEN: &str = "urn:xmpp:fasten:0";
/// Fallback indication (XEP-0428).
pub const FALLBACK: &str = "urn:xmpp:fallback:0";
/// Explicit message encryption (XEP-0380).
pub const EME: &str = "urn:xmpp:eme:0";
/// Out of band data (XEP-0066).
pub const OOB: &str = "jabber:x:oob";
/// Bits of binary (XEP-0231).
pub const BOB: &str = "urn:xmpp:bob";
/// Last user interaction in presence (XEP-0319).
pub const IDLE: &str = "urn:xmpp:idle:1";
