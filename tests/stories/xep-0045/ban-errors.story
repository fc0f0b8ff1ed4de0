# XEP-0045 9.1: an admin does not ban an owner, nobody bans himself, a participant bans nobody
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit admin=hatter@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
hatter sends
  <iq type='set' id='b1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='outcast' jid='alice@wonderland.lit'/></query></iq>
hatter receives
  <iq type='error' id='b1' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

hatter sends
  <iq type='set' id='b2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='outcast' jid='hatter@wonderland.lit'/></query></iq>
hatter receives
  <iq type='error' id='b2' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

dormouse sends
  <iq type='set' id='b3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='outcast' jid='hatter@wonderland.lit'/></query></iq>
dormouse receives
  <iq type='error' id='b3' from='rabbithole@rooms.wonderland.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
alice receives nothing
