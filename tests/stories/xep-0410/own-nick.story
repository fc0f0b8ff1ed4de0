# XEP-0410 3.2, 3.3: a ping of one's own nick is answered by the room while one is in, not-acceptable when not
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='get' id='s1' to='rabbithole@rooms.wonderland.lit/Alice'><ping xmlns='urn:xmpp:ping'/></iq>
alice receives
  <iq type='result' id='s1' from='rabbithole@rooms.wonderland.lit/Alice'/>
hatter receives nothing

alice leaves rabbithole@rooms.wonderland.lit
alice sends
  <iq type='get' id='s2' to='rabbithole@rooms.wonderland.lit/Alice'><ping xmlns='urn:xmpp:ping'/></iq>
alice receives
  <iq type='error' id='s2' from='rabbithole@rooms.wonderland.lit/Alice'><error type='cancel'>
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
