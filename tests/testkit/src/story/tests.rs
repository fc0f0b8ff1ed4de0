//! The format, the matcher and the runner's strictness, on a stage that is a few lines of scripted room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use minidom::Element;

use super::matcher::{At, Bindings, compare, plumbing};
use super::*;

const ROOM: &str = "rabbithole@rooms.wonderland.lit";

fn parse(text: &str) -> Result<Story, String> {
    Story::parse(Path::new("t.story"), text).map_err(|e| e.to_string())
}

fn el(xml: &str) -> Element {
    format!("<s xmlns='jabber:client'>{xml}</s>").parse::<Element>().unwrap().children().next().unwrap().clone()
}

/// One room that reflects messages with a stanza-id, in the order of joining, and says what `tweak` makes of it.
struct Tiny {
    inside: Vec<(String, String)>,
    seen: Vec<Seen>,
    ids: u32,
    tweak: fn(Vec<Seen>) -> Vec<Seen>,
}

fn same(seen: Vec<Seen>) -> Vec<Seen> {
    seen
}

impl Tiny {
    fn new(tweak: fn(Vec<Seen>) -> Vec<Seen>) -> Self {
        Self { inside: Vec::new(), seen: Vec::new(), ids: 0, tweak }
    }

    fn show(&mut self, user: &str, xml: &str) {
        self.seen.push(Seen { place: Place::User(user.into()), stanza: el(xml) });
    }
}

impl Stage for Tiny {
    fn send(&mut self, actor: &str, stanza: &Element) -> anyhow::Result<()> {
        let to = stanza.attr("to").unwrap_or_default().to_owned();
        if stanza.name() == "presence" {
            let nick = to.split_once('/').map_or("", |(_, nick)| nick).to_owned();
            self.inside.push((actor.to_owned(), nick));
            self.show(actor, &format!("<presence from='{to}'/>"));
            self.show(actor, &format!("<message from='{ROOM}' type='groupchat'><subject/></message>"));
        } else {
            self.ids += 1;
            let nick = self.inside.iter().find(|(user, _)| user == actor).map(|(_, nick)| nick.clone()).unwrap();
            let body = stanza.get_child("body", "jabber:client").map(Element::text).unwrap_or_default();
            for (user, _) in self.inside.clone() {
                let xml = format!(
                    "<message type='groupchat' from='{ROOM}/{nick}' id='{}'><body>{body}</body>\
                     <stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='i{}'/></message>",
                    stanza.attr("id").unwrap(),
                    self.ids
                );
                self.show(&user, &xml);
            }
        }
        Ok(())
    }

    fn collect(&mut self, _: Until<'_>) -> anyhow::Result<Vec<Seen>> {
        Ok((self.tweak)(std::mem::take(&mut self.seen)))
    }

    fn advance(&mut self, _: Duration) -> anyhow::Result<()> {
        Ok(())
    }

    fn fault(&mut self, fault: &Fault) -> anyhow::Result<()> {
        anyhow::bail!("cannot {fault:?}")
    }
}

const HEAD: &str = "# XEP-0045 7.4: a message\n\
    site wonderland rooms.wonderland.lit\n\
    user alice alice@wonderland.lit/rabbit\n\
    user hatter hatter@wonderland.lit/tea\n\
    alice joins rabbithole@rooms.wonderland.lit as Alice\n\
    hatter joins rabbithole@rooms.wonderland.lit as Hatter\n";

const SEND: &str =
    "alice sends\n  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>Hi</body></message>\n";

fn hears(who: &str, id: &str) -> String {
    format!(
        "{who} receives\n  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' id='m1'>\n    \
         <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{id}'/><body>Hi</body></message>\n"
    )
}

fn play(text: &str, tweak: fn(Vec<Seen>) -> Vec<Seen>) -> Result<(), String> {
    run(&parse(text)?, &mut Tiny::new(tweak), Level::Core).map_err(|e| e.to_string())
}

fn fails(text: &str, tweak: fn(Vec<Seen>) -> Vec<Seen>, why: &str) {
    let failure = play(text, tweak).expect_err("this story must fail");
    assert!(failure.contains(why), "{failure}");
}

#[test]
fn a_true_story_passes() {
    play(&format!("{HEAD}{SEND}{}{}", hears("alice", "{one}"), hears("hatter", "{one}")), same).unwrap();
}

#[test]
fn a_stanza_that_is_not_named_fails() {
    fails(&format!("{HEAD}{SEND}{}", hears("alice", "{one}")), same, "at the end of the story:\nhatter receives");
    fails(&format!("{HEAD}{SEND}{}alice leaves {ROOM}\n", hears("alice", "{one}")), same, "does not name");
    let story = format!("{HEAD}{SEND}{}{SEND}", hears("alice", "{one}"));
    fails(&story, same, "t.story:12: XEP-0045 7.4: a message\nthe story does not name, before this line:");
    fails(&format!("{HEAD}{SEND}{}hatter receives nothing\n", hears("alice", "{one}")), same, "nothing, but it was");
    // Twice the same.
    let twice = |seen: Vec<Seen>| seen.into_iter().flat_map(|seen| [seen.clone(), seen]).collect();
    fails(&format!("{HEAD}{SEND}{}{}", hears("alice", "{one}"), hears("hatter", "{one}")), twice, "does not name");
}

#[test]
fn a_child_that_is_not_named_fails() {
    let leak = |mut seen: Vec<Seen>| {
        for seen in &mut seen {
            seen.stanza
                .append_child(el("<fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>"));
        }
        seen
    };
    let story = format!("{HEAD}{SEND}{}{}", hears("alice", "{one}"), hears("hatter", "{one}"));
    fails(&story, leak, "not named: message/fmuc: <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice");
}

#[test]
fn a_wrong_order_fails() {
    let reversed = |mut seen: Vec<Seen>| {
        if seen.iter().filter(|seen| seen.stanza.has_child("body", "jabber:client")).count() > 2 {
            seen.reverse();
        }
        seen
    };
    let second = |text: &str| text.replace("m1", "m2").replace("{one}", "{two}");
    let story = format!(
        "{HEAD}{SEND}{}{}{}{}{}",
        second(SEND),
        hears("alice", "{one}"),
        second(&hears("alice", "{one}")),
        hears("hatter", "{one}"),
        second(&hears("hatter", "{one}"))
    );
    play(&story, same).unwrap();
    fails(&story, reversed, "The expected one comes 1 later");
}

#[test]
fn a_wrong_attribute_fails() {
    let story = format!("{HEAD}{SEND}{}{}", hears("alice", "{one}"), hears("hatter", "{two}"));
    fails(&story, same, "which is already {one}");
    let story = format!("{HEAD}{SEND}{}{}", hears("alice", "{one}"), hears("hatter", "{one}"))
        .replace("/Alice' id", "/Eve' id");
    fails(
        &story,
        same,
        "message: from 'rabbithole@rooms.wonderland.lit/Alice' instead of 'rabbithole@rooms.wonderland.lit/Eve'",
    );
    let story =
        format!("{HEAD}{SEND}{}{}", hears("alice", "{one}"), hears("hatter", "{one}")).replace(" by='", " bi='");
    fails(&story, same, "no attribute bi");
}

#[test]
fn what_never_comes_fails() {
    let none = |seen: Vec<Seen>| seen.into_iter().filter(|s| !s.stanza.has_child("body", "jabber:client")).collect();
    fails(&format!("{HEAD}{SEND}{}", hears("alice", "{one}")), none, "but there was nothing");
    fails(HEAD, |_| Vec::new(), "alice got no answer");
    let refused = |mut seen: Vec<Seen>| {
        seen.retain(|seen| seen.stanza.name() == "presence");
        for seen in &mut seen {
            seen.stanza = el(
                "<presence type='error' from='rabbithole@rooms.wonderland.lit/Alice'><error type='auth'/></presence>",
            );
        }
        seen
    };
    fails(HEAD, refused, "alice was not let in");
}

#[test]
fn a_fault_that_the_stage_cannot_do_fails() {
    fails(&format!("{HEAD}crash wonderland\n"), same, "cannot Crash");
}

/// Every sending is followed by what the list says, at these places.
struct Script {
    answers: std::collections::VecDeque<Vec<(Place, &'static str)>>,
    seen: Vec<Seen>,
    wires: bool,
}

impl Stage for Script {
    fn send(&mut self, _: &str, _: &Element) -> anyhow::Result<()> {
        let answers = self.answers.pop_front().unwrap_or_default();
        self.seen.extend(answers.into_iter().map(|(place, xml)| Seen { place, stanza: el(xml) }));
        Ok(())
    }

    fn collect(&mut self, _: Until<'_>) -> anyhow::Result<Vec<Seen>> {
        let wires = self.wires;
        Ok(self.seen.drain(..).filter(|seen| wires || !matches!(seen.place, Place::Wire { .. })).collect())
    }

    fn advance(&mut self, _: Duration) -> anyhow::Result<()> {
        Ok(())
    }

    fn fault(&mut self, _: &Fault) -> anyhow::Result<()> {
        Ok(())
    }

    fn sees_wires(&self) -> bool {
        self.wires
    }
}

#[test]
fn wires_and_peers() {
    const HEAD: &str = "# XEP-0289 5: x\nsite a r.a\nsite b r.b\npeer p p@r.c\nuser u u@a/1\n";
    let wire = |from: &str, to: &str| Place::Wire { from: from.into(), to: to.into() };
    let ack = "<presence from='x@r.a' to='y@r.b'><fmuc xmlns='http://isode.com/protocol/fmuc'><s xmlns='urn:warren:fmuc:0'/></fmuc></presence>";
    let play = |text: &str, wires: bool| {
        let answers = vec![
            (wire("a", "b"), ack),
            (wire("a", "b"), "<message from='x@r.a' to='y@r.b' id='1'/>"),
            (wire("a", "b"), ack),
            (Place::Peer("p".into()), "<message from='x@r.a' to='p@r.c' id='2'/>"),
        ];
        let mut stage = Script { answers: [answers].into(), seen: Vec::new(), wires };
        run(&parse(&format!("{HEAD}{text}")).unwrap(), &mut stage, Level::Node).map_err(|e| e.to_string())
    };
    let send = "u sends\n  <message to='x@r.a'/>\n";
    let told =
        "a sends b\n  <message from='x@r.a' to='y@r.b'/>\np receives\n  <message from='x@r.a' to='p@r.c' id='2'/>\n";
    let rest = "b sends nothing\na sends nothing\nu receives nothing\n";
    // Acknowledgements need not be told; places have no order between them.
    play(&format!("{send}{told}{rest}"), true).unwrap();
    let other = told.split_inclusive("/>\n").collect::<Vec<_>>();
    play(&format!("{send}{}{}{rest}", other[1], other[0]), true).unwrap();
    // The address of a wire and of a peer is told.
    let wrong = play(&format!("{send}{}", told.replace(" to='y@r.b'", "")), true).unwrap_err();
    assert!(wrong.contains("not named: message: to='y@r.b'"), "{wrong}");
    // What is not told fails, unless nobody watches or nothing can be seen.
    let wrong = play(&format!("{send}{}", other[1]), true).unwrap_err();
    assert!(wrong.contains("at the end of the story:\na sends b\n<message"), "{wrong}");
    play(&format!("unwatched b a\n{send}{}", other[1]), true).unwrap();
    play(&format!("{send}{told}"), false).unwrap();
    let wrong = play(&format!("{send}{}", other[0]), false).unwrap_err();
    assert!(wrong.contains("p receives\n<message"), "{wrong}");
    // Actions in a row are one part; `swallow` forgets.
    play(&format!("{send}time 1s\ncut a b\n{told}heal a b\n"), true).unwrap();
    play(&format!("{send}swallow\n{rest}"), true).unwrap();
    let wrong = play(&format!("{send}a sends nothing\n"), true).unwrap_err();
    assert!(wrong.contains("a sends b nothing, but it was:"), "{wrong}");
}

#[test]
fn leaving_needs_a_room() {
    let leave = format!("alice leaves {ROOM}\n");
    fails(&format!("{HEAD}{leave}"), same, "alice got no answer");
    fails(&HEAD.replace("alice joins rabbithole@rooms.wonderland.lit as Alice\n", &leave), same, "alice is not in");
}

#[test]
fn runs_are_counted() {
    let text = format!("{HEAD}{SEND}{}{}", hears("alice", "{one}"), hears("hatter", "{one}"));
    let real = text.replacen("site", "level real\nsite", 1);
    let stories = [parse(&text).unwrap(), parse(&real).unwrap(), parse(HEAD).unwrap()];
    let report = run_all(&stories, Level::Core, |_| Ok(Tiny::new(same)));
    assert_eq!(report.to_string(), "level core: 2 stories, 0 failed (XEP-0045: 2); 1 are not for this level");
    report.check(2);
    let report = run_all(&stories, Level::Core, |_| -> anyhow::Result<Tiny> { anyhow::bail!("no room") });
    assert_eq!(report.failures.len(), 2);
    assert!(report.failures[0].to_string().contains("no stage: no room"));
}

#[test]
fn errors_name_file_and_line() {
    let wrong = |text: &str, error: &str| assert_eq!(parse(text).expect_err(text), error);
    wrong("", "t.story:1: empty");
    wrong("site a b.c\n", "t.story:1: the first line is `# XEP-nnnn <section>: <what it is about>`");
    wrong("# XEP-0045: x\n", "t.story:1: the first line is `# XEP-nnnn <section>: <what it is about>`");
    wrong("# XEP-45 7.1: x\n", "t.story:1: the first line is `# XEP-nnnn <section>: <what it is about>`");
    wrong("# XEP-0045 7.1: x\n", "t.story:1: no site");
    wrong("# XEP-0045 7.1: x\n  <a/>\n", "t.story:2: indented, but there is no statement above");
    let tail = |tail: &str, error: &str| wrong(&format!("{HEAD}{tail}\n"), &format!("t.story:7: {error}"));
    tail("dance", "not a statement: dance");
    tail("eve joins rabbithole@rooms.wonderland.lit as Eve", "eve is not declared as a user");
    tail("alice joins den@talk.denmark.lit as A", "no site serves talk.denmark.lit");
    tail("user eve eve@x.lit/e", "declarations stand before the first step");
    tail("alice sends", "no stanza below");
    tail("swallow\n  <message to='a@b'/>", "nothing may be indented below this");
    tail("alice sends\n  <message to='a@b' from='c@d'/>", "a user's server stamps `from`");
    tail("alice receives\n  <iq type='result'/>", "an iq has an id");
    tail("alice receives\n  <r/>", "<r/> is not a stanza");
    tail("wonderland receives\n  <message/>", "what a site receives is told by the one who sends it");
    tail("time 5", "5 is not a span of time (ms, s, m, h)");
    assert!(parse(&format!("{HEAD}alice sends\n  <message>\n")).unwrap_err().starts_with("t.story:7: the XML below:"));
    let twice = HEAD.replacen("user hatter", "user alice", 1);
    wrong(&twice, "t.story:4: alice is declared twice");
    let other = HEAD.replacen("user alice", "room den@rooms.wonderland.lit\nuser alice", 1);
    wrong(&other, "t.story:6: rabbithole@rooms.wonderland.lit has no `room` line");
}

#[test]
fn a_scene_is_read() {
    let story = parse(
        "# XEP-0289 5.2, listing 6: a user speaks\n\
         level core real\n\
         site wonderland rooms.wonderland.lit\n\
         site denmark talk.denmark.lit home=denmark.lit,norway.lit uplink elsinore -> rabbithole@rooms.wonderland.lit\n\
         room elsinore@talk.denmark.lit moderated title='The castle' owner=hamlet@denmark.lit,horatio@denmark.lit max=3 history-age=1h\n\
         peer tower tower@rooms.verona.lit\n\
         user hamlet hamlet@denmark.lit/castle\n\
         user home hamlet@denmark.lit\n\
         deny wonderland <- tower\n\
         allow wonderland <- denmark vouch=any rooms=rabbithole ack=1s\n\
         unwatched wonderland denmark\n\
         # a remark\n\
         hamlet joins elsinore@talk.denmark.lit as Hamlet the Dane password=x\n\
         time 61s\n\
         lose next wonderland tower\n\
         denmark sends nothing\n\
         home receives nothing\n",
    )
    .unwrap();
    assert_eq!((story.xep, story.section.as_str()), (289, "5.2, listing 6"));
    assert_eq!(story.levels, BTreeSet::from([Level::Core, Level::Real]));
    let [wonderland, denmark] = &story.scene.sites[..] else { panic!() };
    assert_eq!(wonderland.home, BTreeSet::from(["wonderland.lit".into()]));
    assert_eq!(denmark.home, BTreeSet::from(["denmark.lit".into(), "norway.lit".into()]));
    let grants = |site: &SiteDecl| -> BTreeMap<String, String> {
        site.allows
            .iter()
            .map(|g| (g.config.domain.to_string(), format!("{:?} {:?}", g.config.vouch, g.config.rooms)))
            .collect()
    };
    assert_eq!(grants(wonderland), BTreeMap::from([("talk.denmark.lit".into(), "Any Only({\"rabbithole\"})".into())]));
    assert_eq!(wonderland.allows[0].config.timers.ack_timeout, Duration::from_secs(1));
    assert_eq!(grants(denmark).keys().collect::<Vec<_>>(), ["rooms.verona.lit", "rooms.wonderland.lit"]);
    let room = &denmark.rooms[0].config;
    assert!(
        room.moderated && room.title == "The castle" && room.affiliations.len() == 2 && room.max_occupants == Some(3)
    );
    let uplink = room.federation.as_ref().unwrap().uplink.as_ref().unwrap();
    assert_eq!(uplink.room.to_string(), ROOM);
    // Wonderland's room is not declared: nobody joins it by a step.
    assert!(wonderland.rooms.is_empty());
    let place = |to: &str| story.scene.place(denmark, &jid::Jid::new(to).unwrap()).map(|place| place.to_string());
    assert_eq!(place("hamlet@denmark.lit/castle").as_deref(), Some("hamlet receives"));
    assert_eq!(place("hamlet@denmark.lit").as_deref(), Some("home receives"));
    assert_eq!(place("hamlet@denmark.lit/other"), None);
    assert_eq!(place("tower@rooms.verona.lit/Juliet").as_deref(), Some("tower receives"));
    assert_eq!(place("rabbithole@rooms.wonderland.lit").as_deref(), Some("denmark sends wonderland"));
    assert_eq!(place("elsinore@talk.denmark.lit"), None);
    let Do::Join { nick, password, .. } = &story.steps[0].what else { panic!() };
    assert_eq!((nick.as_str(), password.as_deref()), ("Hamlet the Dane", Some("x")));
    assert_eq!(story.steps.len(), 5);
}

fn check(expected: &str, got: &str, level: Level) -> Result<Bindings, Vec<String>> {
    let user = jid::Jid::new("alice@wonderland.lit/rabbit").unwrap();
    let mut bindings = Bindings::default();
    compare(&el(expected), &el(got), &mut bindings, At { level, user: Some(&user) }).map(|()| bindings)
}

#[test]
fn matching() {
    let core = |expected: &str, got: &str| check(expected, got, Level::Core);
    let yes = |expected: &str, got: &str| assert_eq!(core(expected, got).err(), None, "{expected} {got}");
    let no = |expected: &str, got: &str, why: &str| {
        let differences = core(expected, got).expect_err(expected).join("; ");
        assert!(differences.contains(why), "{differences}");
    };
    // Whitespace, order of different children, quotes.
    yes(
        "<message>\n <body>a</body> <thread>t</thread></message>",
        "<message><thread>t</thread><body>a</body></message>",
    );
    no("<message><body>a</body></message>", "<message><body>a </body></message>", "text 'a ' instead of 'a'");
    no("<message/>", "<presence/>", "<presence/> instead of <message/>");
    // The same name: order counts, except in sets.
    yes("<message><body>a</body><body>b</body></message>", "<message><body>a</body><body>b</body></message>");
    no(
        "<message><body>a</body><body>b</body></message>",
        "<message><body>b</body><body>a</body></message>",
        "message/body",
    );
    yes(
        "<presence><x><status code='100'/><status code='110'/></x></presence>",
        "<presence><x><status code='110'/><status code='100'/></x></presence>",
    );
    no(
        "<presence><x><status code='100'/><status code='110'/></x></presence>",
        "<presence><x><status code='110'/></x></presence>",
        "missing: presence/x/status: <status code='100'/>",
    );
    no(
        "<presence><x><status code='110'/></x></presence>",
        "<presence><x><status code='110'/><status code='110'/></x></presence>",
        "not named: presence/x/status",
    );
    // Namespaces are part of the name.
    no("<message><x xmlns='a'/></message>", "<message><x xmlns='b'/></message>", "missing: message/x: <x xmlns='a'/>");
    // Placeholders.
    yes("<message id='{a}'><body>{a}</body></message>", "<message id='1'><body>1</body></message>");
    no(
        "<message id='{a}'><body>{a}</body></message>",
        "<message id='1'><body>2</body></message>",
        "'2' instead of '1'",
    );
    no("<message id='{a}'><x id='{b}'/></message>", "<message id='1'><x id='1'/></message>", "already {a}");
    yes("<message from='r/{nick}'><body>{nick}!</body></message>", "<message from='r/N'><body>N!</body></message>");
    yes("<message from='{*}'>{*}</message>", "<message from='x'><body>1</body><b/></message>");
    yes("<message><body>{*}</body></message>", "<message><body>anything</body></message>");
    no("<message from='{*}'/>", "<message/>", "no attribute from");
    yes("<message><x>{*}<a/></x></message>", "<message><x><b/><a/></x></message>");
    no("<message><x>{*}<a/></x></message>", "<message><x><b/></x></message>", "missing: message/x/a");
    yes("<message><body>{json: 1} {}</body></message>", "<message><body>{json: 1} {}</body></message>");
    // A set finds the assignment that fits, not the first.
    yes(
        "<iq id='1'><item jid='{a}'/><item jid='x' nick='{a}'/></iq>",
        "<iq id='1'><item jid='x' nick='y'/><item jid='y'/></iq>",
    );
    // What is free.
    yes(
        "<message/>",
        "<message id='1' xml:lang='en' to='alice@wonderland.lit/rabbit'><occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/></message>",
    );
    no("<message id='2'/>", "<message id='1'/>", "id '1' instead of '2'");
    no("<message/>", "<message to='hatter@wonderland.lit/tea'/>", "not named: message: to=");
    no("<iq id='1'/>", "<iq id='2'/>", "id '2' instead of '1'");
    no(
        "<message><x/></message>",
        "<message><x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='o'/></x></message>",
        "not named",
    );
    let error = "<message type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>";
    yes(
        error,
        "<message type='error'><body>hi</body><error type='cancel' by='r@x'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text></error></message>",
    );
    no(
        error,
        "<message type='error'><error type='auth'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        "type 'auth'",
    );
    no(&error.replace("<error ", "<error by='r@y' "), &error.replace("<error ", "<error by='r@x' "), "by 'r@x'");
    let fmuc = "<message><fmuc xmlns='http://isode.com/protocol/fmuc' from='a@b/c'/></message>";
    yes(
        fmuc,
        "<message><fmuc xmlns='http://isode.com/protocol/fmuc' from='a@b/c'><s xmlns='urn:warren:fmuc:0' p='1'/></fmuc></message>",
    );
    no(
        fmuc,
        "<message><fmuc xmlns='http://isode.com/protocol/fmuc' from='a@b/c'><s xmlns='urn:other' p='1'/></fmuc></message>",
        "urn:other",
    );
    no("<message/>", fmuc, "not named: message/fmuc");
}

#[test]
fn servers_add_only_what_is_listed_and_only_for_real() {
    let archived = "<message><stanza-id xmlns='urn:xmpp:sid:0' by='alice@wonderland.lit' id='1'/></message>";
    assert!(check("<message/>", archived, Level::Core).is_err());
    assert!(check("<message/>", archived, Level::Node).is_err());
    assert!(check("<message/>", archived, Level::Real).is_ok());
    assert!(check("<message/>", &archived.replace("alice", "eve"), Level::Real).is_err());
    let named = "<message><stanza-id xmlns='urn:xmpp:sid:0' by='r@x' id='{one}'/></message>";
    let both = archived.replace("</message>", "<stanza-id xmlns='urn:xmpp:sid:0' by='r@x' id='2'/></message>");
    assert!(check(named, &both, Level::Real).is_ok());
    assert!(check("<message/>", "<message><origin-id xmlns='urn:xmpp:sid:0' id='1'/></message>", Level::Real).is_err());
    let vcard = "<presence><x xmlns='vcard-temp:x:update'><photo/></x></presence>";
    assert!(check("<presence/>", vcard, Level::Real).is_ok());
    assert!(check("<message/>", &vcard.replace("presence", "message"), Level::Real).is_err());
}

#[test]
fn placeholders_are_filled_in_what_is_sent() {
    let mut bindings = Bindings::default();
    let sent = bindings.fill(&el("<iq id='{ask}'><ping id='{ask}'>{other}</ping></iq>"));
    let id = sent.attr("id").unwrap().to_owned();
    assert_ne!(id, sent.children().next().unwrap().text());
    assert_eq!(sent.children().next().unwrap().attr("id"), Some(&*id));
    assert_eq!(bindings.fill(&el("<iq id='{ask}'/>")).attr("id"), Some(&*id));
}

#[test]
fn line_breaks_of_the_story_are_not_sent() {
    let story = parse(&format!(
        "{HEAD}alice sends\n  <message to='a@b'>\n    <body> a\n b </body>\n    <x><y/>\n </x>\n  </message>\n"
    ));
    let Do::Send { stanzas, .. } = &story.unwrap().steps[2].what else { panic!() };
    let expected = "<message xmlns='jabber:client' to='a@b'><body> a\n b </body><x><y/></x></message>";
    assert_eq!(String::from(&stanzas[0]), expected);
}

#[test]
fn plumbing_is_known() {
    let ack = "<presence from='a@x' to='b@y'><fmuc xmlns='http://isode.com/protocol/fmuc'><s xmlns='urn:warren:fmuc:0' h='1'/></fmuc></presence>";
    assert!(plumbing(&el(ack)));
    assert!(!plumbing(&el(&ack.replace("<s ", "<left/><s "))));
    assert!(!plumbing(&el(&ack
        .replace("fmuc' ", "fmuc' from='a@b/c' ")
        .replace("protocol/fmuc'>", "protocol/fmuc' from='a@b/c'>"))));
    assert!(!plumbing(&el("<presence><fmuc xmlns='http://isode.com/protocol/fmuc'/></presence>")));
    assert!(plumbing(&el("<message type='groupchat' from='a@x' id='1'/>")));
    assert!(!plumbing(&el("<message type='groupchat' from='a@x/n' id='1'/>")));
    assert!(!plumbing(&el("<message type='groupchat' from='a@x'><subject/></message>")));
}

/// All stories of the repository can be read, and what must be told is told.
#[test]
fn the_repository() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stories");
    let stories = load(&dir).unwrap();
    let count = |level| stories.iter().filter(|story| story.levels.contains(&level)).count();
    assert!(stories.len() >= 70, "{} stories", stories.len());
    assert!(count(Level::Core) >= 70 && count(Level::Node) >= 60 && count(Level::Real) >= 10);
    for story in &stories {
        let file = story.file.display();
        let told = |step: &Step| matches!(step.what, Do::Expect { .. } | Do::ExpectNothing { .. });
        assert!(story.steps.iter().any(told), "{file} tells nothing");
        if story.levels.contains(&Level::Real) {
            let domains = ["rooms.wonderland.lit", "talk.denmark.lit"];
            assert!(
                story.scene.sites.iter().all(|site| domains.contains(&&*site.domain)),
                "{file}: sites at level real"
            );
            let played = |user: &UserDecl| {
                user.jid.resource().is_some() && ["wonderland.lit", "denmark.lit"].contains(&user.jid.domain().as_str())
            };
            assert!(
                story.scene.users.iter().all(played) && story.scene.peers.is_empty(),
                "{file}: users at level real"
            );
            let broken = |step: &Step| matches!(step.what, Do::Fault(_) | Do::Advance(_));
            assert!(!story.steps.iter().any(broken), "{file}: faults and time at level real");
        }
    }
    for listing in 1..=11 {
        let told = |story: &&Story| {
            let listings = story.section.split_once("listing").map(|(_, rest)| rest.trim_start_matches('s'));
            story.xep == 289 && listings.is_some_and(|rest| rest.split([',', ' ']).any(|n| n == listing.to_string()))
        };
        assert!(stories.iter().any(|story| told(&story)), "no story tells listing {listing} of XEP-0289");
    }
}
