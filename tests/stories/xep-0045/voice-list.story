# XEP-0045 8.5: the voice list, and several changes in one request: all or none
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit moderated owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
alice sends
  <iq type='set' id='v1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='participant'/><item nick='Queen' role='participant'/></query></iq>
alice receives
  <iq type='error' id='v1' from='rabbithole@rooms.wonderland.lit'><error type='cancel'>
    <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
hatter receives nothing

alice sends
  <iq type='set' id='v2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='participant'/><item nick='Dormouse' role='participant'/></query></iq>
swallow

alice sends
  <iq type='get' id='v3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item role='participant'/></query></iq>
alice receives
  <iq type='result' id='v3' from='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item nick='Hatter' role='participant' affiliation='none' jid='hatter@wonderland.lit/tea'/>
    <item nick='Dormouse' role='participant' affiliation='none' jid='dormouse@wonderland.lit/teapot'/></query></iq>

hatter sends
  <iq type='get' id='v4' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item role='participant'/></query></iq>
hatter receives
  <iq type='error' id='v4' from='rabbithole@rooms.wonderland.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
