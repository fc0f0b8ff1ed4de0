# XEP-0045 7.8.2: who is not in the room invites nobody; in a members-only room only admins do, and the invited becomes a member
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit members-only owner=alice@wonderland.lit member=dormouse@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user hatters hatter@wonderland.lit
user dormouse dormouse@wonderland.lit/teapot

alice joins rabbithole@rooms.wonderland.lit as Alice
dormouse joins rabbithole@rooms.wonderland.lit as Dormouse
hatter sends
  <message to='rabbithole@rooms.wonderland.lit' id='i1'><x xmlns='http://jabber.org/protocol/muc#user'>
    <invite to='hatter@wonderland.lit'/></x></message>
hatter receives
  <message type='error' from='rabbithole@rooms.wonderland.lit' id='i1'><error type='modify'>
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>

dormouse sends
  <message to='rabbithole@rooms.wonderland.lit' id='i2'><x xmlns='http://jabber.org/protocol/muc#user'>
    <invite to='hatter@wonderland.lit'/></x></message>
dormouse receives
  <message type='error' from='rabbithole@rooms.wonderland.lit' id='i2'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>

alice sends
  <message to='rabbithole@rooms.wonderland.lit' id='i3'><x xmlns='http://jabber.org/protocol/muc#user'>
    <invite to='hatter@wonderland.lit'/></x></message>
hatters receives
  <message from='rabbithole@rooms.wonderland.lit'><x xmlns='http://jabber.org/protocol/muc#user'>
    <invite from='rabbithole@rooms.wonderland.lit/Alice'/></x></message>

hatter joins rabbithole@rooms.wonderland.lit as Hatter
