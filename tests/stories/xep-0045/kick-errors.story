# XEP-0045 8.2: nobody kicks a higher affiliation, nobody kicks a nick that is not there, only moderators kick
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit admin=hatter@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
hatter sends
  <iq type='set' id='k1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Alice' role='none'/></query></iq>
hatter receives
  <iq type='error' id='k1' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

hatter sends
  <iq type='set' id='k2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Queen' role='none'/></query></iq>
hatter receives
  <iq type='error' id='k2' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

dormouse sends
  <iq type='set' id='k3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='none'/></query></iq>
dormouse receives
  <iq type='error' id='k3' from='rabbithole@rooms.wonderland.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

hatter sends
  <iq type='set' id='k4' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Dormouse' role='queen'/></query></iq>
hatter receives
  <iq type='error' id='k4' from='rabbithole@rooms.wonderland.lit'><error type='modify'>
    <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

hatter sends
  <iq type='set' id='k5' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Dormouse' role='none' affiliation='none'/></query></iq>
hatter receives
  <iq type='error' id='k5' from='rabbithole@rooms.wonderland.lit'><error type='modify'>
    <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
alice receives nothing
