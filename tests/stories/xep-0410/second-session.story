# XEP-0410 3.2: a session that is not in is told so, though another session of its user is
site wonderland rooms.wonderland.lit
user hatter hatter@wonderland.lit/tea
user hare hatter@wonderland.lit/hare

hatter joins rabbithole@rooms.wonderland.lit as Hatter
hare sends
  <iq type='get' id='s1' to='rabbithole@rooms.wonderland.lit/Hatter'><ping xmlns='urn:xmpp:ping'/></iq>
hare receives
  <iq type='error' id='s1' from='rabbithole@rooms.wonderland.lit/Hatter'><error type='cancel'>
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
hatter receives nothing
