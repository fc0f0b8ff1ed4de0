# XEP-0045 18.1.2 (RFC 6120 8.3): errors from people who are not in the room are dropped and never answered
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <message type='error' to='rabbithole@rooms.wonderland.lit' id='m1'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>
  <presence type='error' to='rabbithole@rooms.wonderland.lit/Alice' id='m2'><error type='cancel'>
    <gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>
  <iq type='error' id='m3' to='rabbithole@rooms.wonderland.lit/Alice'><error type='cancel'>
    <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>
hatter receives nothing
alice receives nothing
